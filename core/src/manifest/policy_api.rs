//! The policy API's kinds (policy.networking.k8s.io): `AdminNetworkPolicy` and
//! `BaselineAdminNetworkPolicy` (v1alpha1), `ClusterNetworkPolicy` (v1alpha2).
#![expect(missing_docs, reason = "fields are named and explained by the API itself")]

use serde::Deserialize;

use super::kubernetes::LabelSelector;

/// All three kinds; each has some of the fields.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AdminPolicy {
    pub spec: AdminPolicySpec,
}

/// `spec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AdminPolicySpec {
    /// `Admin` or `Baseline`; only `ClusterNetworkPolicy` has it.
    pub tier: Option<String>,
    /// 0 to 1000, lower first; `BaselineAdminNetworkPolicy` has none.
    pub priority: Option<i32>,
    pub subject: AdminPeer,
    pub ingress: Vec<AdminRule>,
    pub egress: Vec<AdminRule>,
}

/// `spec.ingress[]`, `spec.egress[]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AdminRule {
    pub name: Option<String>,
    /// `Allow` (v1alpha1) or `Accept` (v1alpha2), `Deny`, `Pass`.
    pub action: String,
    /// Of ingress rules.
    pub from: Vec<AdminPeer>,
    /// Of egress rules.
    pub to: Vec<AdminPeer>,
    /// v1alpha1; empty: all traffic.
    pub ports: Vec<AdminPort>,
    /// v1alpha2; empty: all traffic.
    pub protocols: Vec<AdminProtocol>,
}

/// `subject`, `from[]`, `to[]`: exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AdminPeer {
    pub namespaces: Option<LabelSelector>,
    pub pods: Option<NamespacedPod>,
    pub nodes: Option<LabelSelector>,
    pub networks: Option<Vec<String>>,
    pub domain_names: Option<Vec<String>>,
}

/// `pods`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NamespacedPod {
    pub namespace_selector: LabelSelector,
    pub pod_selector: LabelSelector,
}

/// `ports[]`: exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AdminPort {
    pub port_number: Option<AdminPortNumber>,
    pub port_range: Option<AdminPortRange>,
    pub named_port: Option<String>,
}

/// `portNumber`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AdminPortNumber {
    /// TCP if left out.
    pub protocol: Option<String>,
    pub port: i32,
}

/// `portRange`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AdminPortRange {
    /// TCP if left out.
    pub protocol: Option<String>,
    pub start: i32,
    pub end: i32,
}

/// `protocols[]`: exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AdminProtocol {
    pub tcp: Option<AdminTransport>,
    pub udp: Option<AdminTransport>,
    pub sctp: Option<AdminTransport>,
    pub destination_named_port: Option<String>,
}

/// `tcp`, `udp`, `sctp`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AdminTransport {
    pub destination_port: Option<AdminDestinationPort>,
}

/// `destinationPort`: exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AdminDestinationPort {
    pub number: Option<i32>,
    pub range: Option<AdminPortRange>,
}
