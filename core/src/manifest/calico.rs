//! Calico's kinds (projectcalico.org/v3 and crd.projectcalico.org/v1).
#![expect(missing_docs, reason = "fields are named and explained by the API itself")]

use serde::Deserialize;

use super::calico_policy::Expression;

/// Annotations of a `Node` in which calico-node keeps what it knows about its host.
pub mod annotation {
    /// The host's address with the prefix length of its subnet: `10.0.0.1/24`.
    pub const IPV4_ADDRESS: &str = "projectcalico.org/IPv4Address";
    /// tunl0's address.
    pub const IPV4_IPIP_TUNNEL: &str = "projectcalico.org/IPv4IPIPTunnelAddr";
    /// vxlan.calico's address.
    pub const IPV4_VXLAN_TUNNEL: &str = "projectcalico.org/IPv4VXLANTunnelAddr";
    /// wireguard.cali's address.
    pub const IPV4_WIREGUARD: &str = "projectcalico.org/IPv4WireguardInterfaceAddr";
    /// The host's IPv6 address with the prefix length of its subnet.
    pub const IPV6_ADDRESS: &str = "projectcalico.org/IPv6Address";
    /// vxlan-v6.calico's address.
    pub const IPV6_VXLAN_TUNNEL: &str = "projectcalico.org/IPv6VXLANTunnelAddr";
    /// wg-v6.cali's address.
    pub const IPV6_WIREGUARD: &str = "projectcalico.org/IPv6WireguardInterfaceAddr";
    /// Makes the node a route reflector.
    pub const ROUTE_REFLECTOR_CLUSTER_ID: &str = "projectcalico.org/RouteReflectorClusterID";
    /// The node's own AS number.
    pub const AS_NUMBER: &str = "projectcalico.org/ASNumber";
}

/// `IPPool`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct IpPool {
    pub spec: IpPoolSpec,
}

/// `IPPool.spec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IpPoolSpec {
    pub cidr: String,
    /// A prefix length; 26 (IPv4) or 122 (IPv6) if left out.
    pub block_size: Option<i32>,
    /// `Never`, `Always` or `CrossSubnet`.
    pub ipip_mode: Option<String>,
    /// `Never`, `Always` or `CrossSubnet`.
    pub vxlan_mode: Option<String>,
    pub nat_outgoing: Option<bool>,
    pub node_selector: Option<Expression>,
    pub namespace_selector: Option<Expression>,
    pub disabled: Option<bool>,
    #[serde(rename = "disableBGPExport")]
    pub disable_bgp_export: Option<bool>,
    /// `Workload`, `Tunnel`, `LoadBalancer`; the first two if left out.
    pub allowed_uses: Vec<String>,
    pub assignment_mode: Option<String>,
}

/// `BGPConfiguration`; the one named `default` is the cluster's.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct BgpConfiguration {
    pub spec: BgpConfigurationSpec,
}

/// `BGPConfiguration.spec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BgpConfigurationSpec {
    pub node_to_node_mesh_enabled: Option<bool>,
    pub as_number: Option<AsNumber>,
    #[serde(rename = "serviceClusterIPs")]
    pub service_cluster_ips: Vec<AdvertisedBlock>,
    #[serde(rename = "serviceExternalIPs")]
    pub service_external_ips: Vec<AdvertisedBlock>,
    #[serde(rename = "serviceLoadBalancerIPs")]
    pub service_load_balancer_ips: Vec<AdvertisedBlock>,
    /// `Enabled` (the default) or `Disabled`.
    pub service_load_balancer_aggregation: Option<String>,
}

/// `serviceClusterIPs[]` and the like.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AdvertisedBlock {
    pub cidr: String,
}

/// An AS number, plain (`64512`) or dotted (`"1.10"`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum AsNumber {
    /// Plain.
    Number(u32),
    /// As text.
    Text(String),
}

/// `BGPPeer`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct BgpPeer {
    pub spec: BgpPeerSpec,
}

/// `BGPPeer.spec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BgpPeerSpec {
    /// The one node that peers; all nodes if this and `nodeSelector` are left out.
    pub node: Option<String>,
    pub node_selector: Option<Expression>,
    /// The nodes that are peered with.
    pub peer_selector: Option<Expression>,
    #[serde(rename = "peerIP")]
    pub peer_ip: Option<String>,
    pub as_number: Option<AsNumber>,
}

/// `FelixConfiguration`; the one named `default` is the cluster's, `node.NAME` a node's.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct FelixConfiguration {
    pub spec: FelixConfigurationSpec,
}

/// `failsafeInboundHostPorts[]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ProtoPort {
    /// Only with this network at the other end.
    pub net: Option<String>,
    pub port: u16,
    /// `tcp` or `udp`, in any case.
    pub protocol: String,
}

/// `FelixConfiguration.spec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FelixConfigurationSpec {
    pub bpf_enabled: Option<bool>,
    /// `Tunnel` (the default) or `DSR`.
    pub bpf_external_service_mode: Option<String>,
    /// `TCP` (the default), `Enabled` or `Disabled`.
    pub bpf_connect_time_load_balancing: Option<String>,
    /// The older form.
    pub bpf_connect_time_load_balancing_enabled: Option<bool>,
    pub bpf_kube_proxy_iptables_cleanup_enabled: Option<bool>,
    /// `Insert` (the default) or `Append`.
    pub chain_insert_mode: Option<String>,
    /// `Drop` (Felix's own default), `Return` or `Accept` (what manifests and the operator set).
    pub default_endpoint_to_host_action: Option<String>,
    /// `Drop` (the default), `Reject` or `Disabled`.
    pub service_loop_prevention: Option<String>,
    /// `IPPoolsOnly` (the default) or `IPPoolsAndHostIPs`.
    pub nat_outgoing_exclusions: Option<String>,
    pub nat_outgoing_address: Option<String>,
    /// `30000:32767` if left out.
    pub kube_node_port_ranges: Vec<super::kubernetes::IntOrString>,
    /// Felix' own list if left out; none if empty.
    pub failsafe_inbound_host_ports: Option<Vec<ProtoPort>>,
    pub failsafe_outbound_host_ports: Option<Vec<ProtoPort>>,
    pub wireguard_enabled: Option<bool>,
    #[serde(rename = "wireguardEnabledV6")]
    pub wireguard_enabled_v6: Option<bool>,
    pub wireguard_host_encryption_enabled: Option<bool>,
    pub ipip_enabled: Option<bool>,
    pub vxlan_enabled: Option<bool>,
    pub nftables_mode: Option<String>,
    pub workload_source_spoofing: Option<String>,
    #[serde(rename = "allowIPIPPacketsFromWorkloads")]
    pub allow_ipip_packets_from_workloads: Option<bool>,
    #[serde(rename = "allowVXLANPacketsFromWorkloads")]
    pub allow_vxlan_packets_from_workloads: Option<bool>,
    pub interface_prefix: Option<String>,
    pub program_cluster_routes: Option<String>,
}
