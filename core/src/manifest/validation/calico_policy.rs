//! Calico's policy kinds: the rules of its definitions (calico `api/config/crd`), and those that
//! its API server and Felix check in code (`libcalico-go/lib/validator/v3`).

use super::calico_rule::{self, expression, has_ports, no_global, sides};
use super::{address, network_policy, port_name};
use crate::manifest::Object;
use crate::manifest::calico_policy::{
    CalicoPolicy, CalicoPolicySpec, EndpointPort, HostEndpoint, NetworkSet, Profile, Tier,
};
use crate::manifest::fault::Faults;
use crate::manifest::kubernetes::NetworkPolicy;

pub(super) fn validate(faults: &mut Faults, object: &Object, policy: &CalicoPolicy) {
    let spec = &policy.spec;
    let global = object.reference.kind.contains("Global");
    deletion(
        faults,
        object,
        &["stagedAction", "tier"],
        "Spec fields, except Tier, should all be zero-value if stagedAction is Delete",
    );
    if global {
        flags(faults, object, spec);
    }
    for (field, selector) in [
        ("selector", &spec.selector),
        ("serviceAccountSelector", &spec.service_account_selector),
        ("namespaceSelector", &spec.namespace_selector),
    ] {
        let path = format!("spec.{field}");
        expression(faults, &path, selector.as_ref());
        no_global(faults, &path, selector.as_ref());
    }
    for (list, rules) in [("ingress", &spec.ingress), ("egress", &spec.egress)] {
        for (index, rule) in rules.iter().enumerate() {
            let path = format!("spec.{list}[{index}]");
            calico_rule::rule(faults, &path, rule);
            sides(faults, &path, rule, list == "egress", global);
        }
    }
}

pub(super) fn validate_staged(faults: &mut Faults, object: &Object, policy: &NetworkPolicy) {
    let detail = "Spec fields should all be zero-value if stagedAction is Delete";
    deletion(faults, object, &["stagedAction"], detail);
    network_policy::validate(faults, object, policy);
}

/// What a staged policy that stands for a deletion may have.
fn deletion(faults: &mut Faults, object: &Object, allowed: &[&str], detail: &str) {
    if object.staged_action() == Some("Delete")
        && let Some(spec) = object.node.at("spec")
        && let Some(other) = spec.entries().iter().find(|f| !allowed.contains(&f.key.as_str()))
    {
        faults.invalid_at("spec", &format!("spec.{}", other.key), detail);
    }
}

pub(super) fn validate_profile(faults: &mut Faults, profile: &Profile) {
    let lists = [("ingress", &profile.spec.ingress), ("egress", &profile.spec.egress)];
    for (list, rules) in lists {
        for (index, rule) in rules.iter().enumerate() {
            calico_rule::rule(faults, &format!("spec.{list}[{index}]"), rule);
        }
    }
}

pub(super) fn validate_tier(faults: &mut Faults, object: &Object, tier: &Tier) {
    let name = object.reference.name.as_str();
    let (action, order) = match name {
        "kube-admin" => ("Pass", 1_000.0),
        "kube-baseline" => ("Pass", 10_000_000.0),
        "default" => ("Deny", 1_000_000.0),
        _ => return,
    };
    if tier.spec.default_action.as_deref().unwrap_or("Deny") != action {
        let detail = format!("The '{name}' tier must have default action '{action}'");
        faults.invalid_at("spec.defaultAction", "spec.defaultAction", &detail);
    }
    if tier.spec.order != Some(order) {
        faults.invalid_at(
            "spec.order",
            "spec.order",
            &format!("{name} tier order must be {order}"),
        );
    }
}

pub(super) fn validate_set(faults: &mut Faults, object: &Object, set: &NetworkSet) {
    for (index, net) in set.spec.nets.iter().enumerate() {
        if calico_rule::net(net).is_none() {
            let detail = "must be a network or an address, as 10.9.8.0/24 or 10.9.8.7";
            faults.invalid_text(&format!("spec.nets[{index}]"), net, detail);
        }
    }
    if object.metadata.labels.contains_key("projectcalico.org/namespace") {
        let detail = "projectcalico.org/namespace is not a valid label name";
        faults.invalid_at(
            "metadata.labels",
            "metadata.labels[projectcalico.org/namespace]",
            detail,
        );
    }
}

pub(super) fn validate_host_endpoint(faults: &mut Faults, host: &HostEndpoint) {
    let spec = &host.spec;
    let interface = spec.interface_name.as_deref().filter(|name| !name.is_empty());
    if interface.is_none() && spec.expected_ips.is_empty() {
        let detail = "at least one of interfaceName or expectedIPs must be specified";
        faults.invalid_at("spec", "spec", detail);
    }
    if spec.node.as_deref().is_none_or(str::is_empty) {
        faults.invalid_at("spec", "spec", "node must be specified");
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if let Some(name) = interface.filter(|name| *name != "*" && !name.chars().all(fits)) {
        let detail = "must be an interface's name, or * for all of the host's";
        faults.invalid_text("spec.interfaceName", name, detail);
    }
    for (index, ip) in spec.expected_ips.iter().enumerate() {
        address(faults, &format!("spec.expectedIPs[{index}]"), ip);
    }
    for (index, EndpointPort { name, protocol, .. }) in spec.ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        port_name(faults, &format!("{path}.name"), name);
        let path = format!("{path}.protocol");
        if let Some(number) = calico_rule::protocol(faults, &path, protocol.as_ref())
            && !has_ports(number)
        {
            faults.invalid_at(&path, &path, "EndpointPort protocol does not support ports.");
        }
    }
}

/// What the flags of global policies ask of each other.
fn flags(faults: &mut Faults, object: &Object, spec: &CalicoPolicySpec) {
    let (untracked, early) = (spec.do_not_track, spec.pre_dnat);
    if untracked && early {
        faults.forbidden_at("spec", "spec.preDNAT", "preDNAT and doNotTrack cannot both be true");
    }
    if early && !spec.egress.is_empty() {
        let detail = "preDNAT policy cannot have any egress rules";
        faults.forbidden_at("spec", "spec.egress", detail);
    }
    if early && let Some(index) = spec.types.iter().position(|kind| kind == "Egress") {
        let detail = "preDNAT policy cannot have 'Egress' type";
        faults.forbidden_at("spec", &format!("spec.types[{index}]"), detail);
    }
    if (untracked || early) && !spec.apply_on_forward {
        let written = ["spec.applyOnForward", "spec.preDNAT", "spec.doNotTrack"];
        let at = written.into_iter().find(|path| object.has(path)).unwrap_or("spec");
        let detail = "applyOnForward must be true if either preDNAT or doNotTrack is true";
        faults.invalid_at("spec", at, detail);
    }
}
