//! Hopwise's own kind.

use std::collections::HashSet;

use super::{address, block, word};
use crate::manifest::fault::{Fault, Faults};
use crate::manifest::scenario::Scenario;
use crate::net::{Flow, Verdict};

pub(super) fn validate(faults: &mut Faults, scenario: &Scenario) {
    let spec = &scenario.spec;
    let clients = spec.clients.iter().map(|client| (&client.name, &client.ip));
    machines(faults, "spec.clients", clients.collect());
    let balancers = spec.load_balancers.iter().map(|balancer| (&balancer.name, &balancer.ip));
    machines(faults, "spec.loadBalancers", balancers.collect());
    for (index, balancer) in spec.load_balancers.iter().enumerate() {
        let path = format!("spec.loadBalancers[{index}].sourceAddress");
        word(faults, &path, balancer.source_address.as_ref(), &["Preserve", "Replace"]);
    }
    word(faults, "spec.hosts.rpFilter", spec.hosts.rp_filter.as_ref(), &["Strict", "Loose"]);
    for (index, route) in spec.routes.iter().enumerate() {
        let path = format!("spec.routes[{index}]");
        if route.to.is_empty() {
            faults.required(&format!("{path}.to"), "");
        } else {
            block(faults, &format!("{path}.to"), &route.to);
        }
        if route.via.is_empty() {
            faults.required(&format!("{path}.via"), "the name of a node");
        }
    }
    for (index, part) in spec.expect_problems.iter().enumerate() {
        if part.trim().is_empty() {
            faults.required(&format!("spec.expectProblems[{index}]"), "a part of the message");
        }
    }
    for (index, flow) in spec.flows.iter().enumerate() {
        let path = format!("spec.flows[{index}]");
        let ends = [("from", &flow.from), ("to", &flow.to)];
        for (field, _) in ends.iter().filter(|(_, end)| end.is_empty()) {
            faults.required(&format!("{path}.{field}"), "");
        }
        if !ends.iter().any(|(_, end)| end.is_empty()) {
            end(faults, &path, &flow.from, &flow.to);
        }
        word(
            faults,
            &format!("{path}.expect"),
            flow.expect.as_ref(),
            &Verdict::ALL.map(Verdict::name),
        );
        if let Some(source) = flow.expect_source.as_deref() {
            address(faults, &format!("{path}.expectSource"), source);
        }
    }
}

/// The flow notation's two ends; the one that cannot be read is the one that is underlined.
fn end(faults: &mut Faults, path: &str, from: &str, to: &str) {
    const SOME_PARTY: &str = "ip/192.0.2.1";
    let Err(detail) = format!("{from} -> {to}").parse::<Flow>() else { return };
    let right = format!("{SOME_PARTY} -> {to}").parse::<Flow>().is_ok();
    let field = if right { "from" } else { "to" };
    faults.0.push(Fault::new(&format!("{path}.{field}"), format!("{path}.{field}: {detail}")));
}

fn machines(faults: &mut Faults, list: &str, machines: Vec<(&String, &String)>) {
    let mut seen = HashSet::new();
    for (index, (name, ip)) in machines.into_iter().enumerate() {
        let path = format!("{list}[{index}]");
        if name.is_empty() {
            faults.required(&format!("{path}.name"), "");
        } else if !seen.insert(name) {
            faults.duplicate(&format!("{path}.name"), name);
        }
        if ip.is_empty() {
            faults.required(&format!("{path}.ip"), "");
        } else {
            address(faults, &format!("{path}.ip"), ip);
        }
    }
}
