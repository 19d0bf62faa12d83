//! Which values kube-apiserver allows, object by object.

mod calico;
mod calico_policy;
mod calico_rule;
mod kube_proxy;
mod metadata;
mod names;
mod network;
mod network_policy;
mod node;
mod pod;
mod policy_api;
mod scenario;
mod selector;
mod service;

pub use network::{cidr, ip};

use super::fault::Faults;
use super::{Kind, Object};

/// Everything that is wrong with an object's values.
pub(super) fn validate(object: &Object) -> Faults {
    let mut faults = Faults::default();
    metadata::validate(&mut faults, object);
    match &object.kind {
        Kind::NetworkPolicy(policy) => network_policy::validate(&mut faults, object, policy),
        Kind::Service(service) => service::validate(&mut faults, object, service),
        Kind::EndpointSlice(slice) => service::validate_slice(&mut faults, slice),
        Kind::Endpoints(endpoints) => service::validate_endpoints(&mut faults, endpoints),
        Kind::Pod(pod) => pod::validate(&mut faults, pod),
        Kind::Workload(workload) => pod::validate_template(&mut faults, object, workload),
        Kind::Node(node) => node::validate(&mut faults, object, node),
        Kind::IpPool(pool) => calico::validate_pool(&mut faults, pool),
        Kind::BgpConfiguration(bgp) => calico::validate_bgp(&mut faults, bgp),
        Kind::BgpPeer(peer) => calico::validate_peer(&mut faults, peer),
        Kind::FelixConfiguration(felix) => calico::validate_felix(&mut faults, felix),
        Kind::KubeProxyConfiguration(proxy) => kube_proxy::validate(&mut faults, proxy),
        Kind::Scenario(scenario) => scenario::validate(&mut faults, scenario),
        Kind::CalicoPolicy(policy) => calico_policy::validate(&mut faults, object, policy),
        Kind::StagedKubernetesNetworkPolicy(policy) => {
            calico_policy::validate_staged(&mut faults, object, policy);
        }
        Kind::Tier(tier) => calico_policy::validate_tier(&mut faults, object, tier),
        Kind::NetworkSet(set) => calico_policy::validate_set(&mut faults, object, set),
        Kind::HostEndpoint(host) => calico_policy::validate_host_endpoint(&mut faults, host),
        Kind::Profile(profile) => calico_policy::validate_profile(&mut faults, profile),
        Kind::AdminPolicy(policy) => policy_api::validate(&mut faults, object, policy),
        Kind::Namespace
        | Kind::ServiceAccount
        | Kind::ServiceCidr(_)
        | Kind::WorkloadEndpoint(_) => {}
    }
    faults
}

/// The supported words of a field, if it is written at all.
fn word(faults: &mut Faults, path: &str, value: Option<&String>, supported: &[&str]) {
    if let Some(value) = value.filter(|value| !supported.contains(&value.as_str())) {
        faults.unsupported(path, value, supported);
    }
}

/// A number of a range.
fn range(faults: &mut Faults, path: &str, value: i32, min: i32, max: i32) {
    if !(min..=max).contains(&value) {
        let detail = format!("must be between {min} and {max}, inclusive");
        faults.invalid(path, &value.to_string(), &detail);
    }
}

/// A port number.
fn port(faults: &mut Faults, path: &str, value: i32) {
    range(faults, path, value, 1, 65535);
}

/// A port's name.
fn port_name(faults: &mut Faults, path: &str, name: &str) {
    for detail in names::port_name(name) {
        faults.invalid_text(path, name, &detail);
    }
}

/// An address that must be there.
fn address(faults: &mut Faults, path: &str, value: &str) {
    if network::ip(value).is_none() {
        let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        faults.invalid_text(path, value, detail);
    }
}

/// A network that must be there.
fn block(faults: &mut Faults, path: &str, value: &str) {
    if network::cidr(value).is_none() {
        let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        faults.invalid_text(path, value, detail);
    }
}
