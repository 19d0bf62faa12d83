//! kube-proxy's configuration file (kubeproxy.config.k8s.io/v1alpha1).
#![expect(missing_docs, reason = "fields are named and explained by the API itself")]

use serde::Deserialize;

/// `KubeProxyConfiguration`; all fields stand at its top.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KubeProxyConfiguration {
    /// `iptables` (the default), `ipvs` or `nftables`.
    pub mode: Option<String>,
    /// One CIDR a family, comma-separated.
    #[serde(rename = "clusterCIDR")]
    pub cluster_cidr: Option<String>,
    /// `ClusterCIDR` (the default), `NodeCIDR`, `BridgeInterface` or `InterfaceNamePrefix`.
    pub detect_local_mode: Option<String>,
    pub detect_local: DetectLocal,
    pub iptables: Iptables,
    pub nftables: Nftables,
    pub ipvs: Ipvs,
    /// CIDRs, or `primary` alone; all addresses of the node if empty.
    pub node_port_addresses: Vec<String>,
    pub hostname_override: Option<String>,
}

/// `detectLocal`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DetectLocal {
    pub bridge_interface: Option<String>,
    pub interface_name_prefix: Option<String>,
}

/// `iptables`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Iptables {
    pub masquerade_all: Option<bool>,
    /// True if left out.
    pub localhost_node_ports: Option<bool>,
    /// 14 if left out.
    pub masquerade_bit: Option<i32>,
}

/// `nftables`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Nftables {
    pub masquerade_all: Option<bool>,
    /// 14 if left out.
    pub masquerade_bit: Option<i32>,
}

/// `ipvs`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Ipvs {
    #[serde(rename = "strictARP")]
    pub strict_arp: Option<bool>,
    /// `rr` if left out.
    pub scheduler: Option<String>,
    #[serde(rename = "excludeCIDRs")]
    pub exclude_cidrs: Vec<String>,
}
