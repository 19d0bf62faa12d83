//! Calico's policy kinds (projectcalico.org/v3 and crd.projectcalico.org/v1).
#![expect(missing_docs, reason = "fields are named and explained by the API itself")]

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::kubernetes::IntOrString;
use crate::net::{Selector, SelectorError};

/// A selector of Calico's language, read where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// As it was written.
    pub text: String,
    /// What it selects, or what is wrong with it.
    pub read: Result<Selector, SelectorError>,
}

impl Expression {
    /// The selector of a field that may be left out; none too if it is empty or wrong.
    pub fn given(field: Option<&Self>) -> Option<&Selector> {
        let field = field.filter(|field| !field.text.is_empty())?;
        field.read.as_ref().ok()
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = text.parse();
        Ok(Self { text, read })
    }
}

/// `NetworkPolicy`, `GlobalNetworkPolicy` and their staged forms; each has some of the fields.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct CalicoPolicy {
    pub spec: CalicoPolicySpec,
}

/// `spec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CalicoPolicySpec {
    /// `default` if left out.
    pub tier: Option<String>,
    /// Lower first; last if left out.
    pub order: Option<f64>,
    /// Of endpoints; all of them if left out or blank.
    pub selector: Option<Expression>,
    /// Of global policies: limits them to pods of these namespaces.
    pub namespace_selector: Option<Expression>,
    pub service_account_selector: Option<Expression>,
    /// Empty: by the rules that there are; `Ingress` without any.
    pub types: Vec<String>,
    pub ingress: Vec<CalicoRule>,
    pub egress: Vec<CalicoRule>,
    pub do_not_track: bool,
    #[serde(rename = "preDNAT")]
    pub pre_dnat: bool,
    pub apply_on_forward: bool,
}

/// `ingress[]`, `egress[]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CalicoRule {
    /// `Allow`, `Deny`, `Log` or `Pass`.
    pub action: String,
    /// 4 or 6.
    pub ip_version: Option<i32>,
    /// A name or number.
    pub protocol: Option<IntOrString>,
    pub icmp: Option<Icmp>,
    pub not_protocol: Option<IntOrString>,
    #[serde(rename = "notICMP")]
    pub not_icmp: Option<Icmp>,
    pub source: EntityRule,
    pub destination: EntityRule,
    /// Only Calico's application layer policy looks at it; the kernel does not.
    pub http: Option<Http>,
}

/// `http`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Http {
    pub methods: Vec<String>,
    pub paths: Vec<HttpPath>,
}

/// `http.paths[]`: exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct HttpPath {
    pub exact: Option<String>,
    pub prefix: Option<String>,
}

/// `icmp`, `notICMP`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Icmp {
    #[serde(rename = "type")]
    pub kind: Option<i32>,
    pub code: Option<i32>,
}

/// `source`, `destination`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EntityRule {
    pub nets: Vec<String>,
    pub not_nets: Vec<String>,
    pub selector: Option<Expression>,
    pub not_selector: Option<Expression>,
    pub namespace_selector: Option<Expression>,
    /// Numbers, ranges (`a:b`) and names.
    pub ports: Vec<IntOrString>,
    pub not_ports: Vec<IntOrString>,
    pub service_accounts: Option<ServiceAccountMatch>,
    pub services: Option<ServiceMatch>,
}

/// `serviceAccounts`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ServiceAccountMatch {
    pub names: Vec<String>,
    pub selector: Option<Expression>,
}

/// `services`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ServiceMatch {
    pub name: String,
    /// The policy's own if left out.
    pub namespace: Option<String>,
}

/// `Tier`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Tier {
    pub spec: TierSpec,
}

/// `Tier.spec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TierSpec {
    /// Lower first; last if left out.
    pub order: Option<f64>,
    /// `Deny` (the default) or `Pass`.
    pub default_action: Option<String>,
}

/// `NetworkSet`, `GlobalNetworkSet`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NetworkSet {
    pub spec: NetworkSetSpec,
}

/// `NetworkSet.spec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NetworkSetSpec {
    pub nets: Vec<String>,
}

/// `HostEndpoint`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct HostEndpoint {
    pub spec: HostEndpointSpec,
}

/// `HostEndpoint.spec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HostEndpointSpec {
    pub node: Option<String>,
    /// `*` is every interface of the host.
    pub interface_name: Option<String>,
    #[serde(rename = "expectedIPs")]
    pub expected_ips: Vec<String>,
    pub profiles: Vec<String>,
    pub ports: Vec<EndpointPort>,
}

/// `HostEndpoint.spec.ports[]`, `WorkloadEndpoint.spec.ports[]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EndpointPort {
    pub name: String,
    pub protocol: Option<IntOrString>,
    pub port: i32,
}

/// `Profile`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Profile {
    pub spec: ProfileSpec,
}

/// `Profile.spec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProfileSpec {
    pub ingress: Vec<CalicoRule>,
    pub egress: Vec<CalicoRule>,
    pub labels_to_apply: BTreeMap<String, String>,
}

/// `WorkloadEndpoint`: what Calico makes of a pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct WorkloadEndpoint {
    pub spec: WorkloadEndpointSpec,
}

/// `WorkloadEndpoint.spec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkloadEndpointSpec {
    /// The pod's name.
    pub pod: Option<String>,
    /// The name of the node that it runs on.
    pub node: Option<String>,
    /// Its addresses, as networks of one address.
    pub ip_networks: Vec<String>,
    pub profiles: Vec<String>,
    pub ports: Vec<EndpointPort>,
}
