//! Rules and selectors of Calico's policies: the rules of its definitions (calico
//! `api/config/crd`), and what its API server and Felix check in code
//! (`libcalico-go/lib/validator/v3`, `typha/pkg/validator/v1`).

use std::collections::HashSet;

use ipnet::IpNet;

use super::{network, port_name, range};
use crate::manifest::calico_policy::{CalicoRule, EntityRule, Expression, Http, HttpPath};
use crate::manifest::fault::{Fault, Faults, quoted};
use crate::manifest::kubernetes::IntOrString;
use crate::net::{IpProtocol, Protocol};

/// A rule of a policy or profile.
pub(super) fn rule(faults: &mut Faults, path: &str, rule: &CalicoRule) {
    let protocol = protocol(faults, &format!("{path}.protocol"), rule.protocol.as_ref());
    let not_protocol =
        self::protocol(faults, &format!("{path}.notProtocol"), rule.not_protocol.as_ref());
    if let Some(http) = &rule.http {
        self::http(faults, &format!("{path}.http"), http);
        if protocol.is_some_and(|number| number != IpProtocol::TCP) {
            let detail = "rules with HTTP match must have protocol TCP or unset";
            faults.invalid_at(path, &format!("{path}.http"), detail);
        }
        if rule.action != "Allow" {
            let detail = "HTTP match is only valid on Allow rules";
            faults.forbidden_at(path, &format!("{path}.http"), detail);
        }
    }
    let EntityRule { ports, not_ports, services, .. } = &rule.destination;
    if services.is_some() && !(ports.is_empty() && not_ports.is_empty()) {
        let at = if ports.is_empty() { "notPorts" } else { "ports" };
        let detail = "ports and notPorts cannot be specified with services";
        faults.forbidden_at(path, &format!("{path}.destination.{at}"), detail);
    }
    if rule.icmp.is_some() && !matches!(protocol, Some(IpProtocol::ICMP | IpProtocol::ICMPV6)) {
        let detail = "ICMP fields require protocol to be ICMP or ICMPv6";
        faults.invalid_at(path, &format!("{path}.icmp"), detail);
    }
    for (field, number) in [("protocol", protocol), ("notProtocol", not_protocol)] {
        let Some(name) = number else { continue };
        let version = match name {
            IpProtocol::ICMP => 4,
            IpProtocol::ICMPV6 => 6,
            _ => continue,
        };
        if rule.ip_version.is_some_and(|found| found != version) {
            let detail = format!("protocol {name} requires ipVersion {version}");
            faults.invalid_at(path, &format!("{path}.{field}"), &detail);
        }
    }
    for (field, icmp) in [("icmp", &rule.icmp), ("notICMP", &rule.not_icmp)] {
        if icmp.as_ref().is_some_and(|icmp| icmp.code.is_some() && icmp.kind.is_none()) {
            let path = format!("{path}.{field}");
            faults.invalid_at(
                &path,
                &format!("{path}.code"),
                "ICMP code specified without an ICMP type",
            );
        }
    }
    let sides = [("source", &rule.source), ("destination", &rule.destination)];
    for (side, entity) in sides {
        let path = format!("{path}.{side}");
        self::entity(faults, &path, entity);
        for (field, list) in [("ports", &entity.ports), ("notPorts", &entity.not_ports)] {
            self::ports(
                faults,
                &format!("{path}.{field}"),
                list,
                (rule.protocol.is_some(), protocol),
            );
        }
    }
    nets(faults, path, rule);
}

fn http(faults: &mut Faults, path: &str, http: &Http) {
    let mut seen = HashSet::new();
    for (index, method) in http.methods.iter().enumerate() {
        if !seen.insert(method) {
            faults.duplicate(&format!("{path}.methods[{index}]"), method);
        }
    }
    for (index, HttpPath { exact, prefix }) in http.paths.iter().enumerate() {
        let path = format!("{path}.paths[{index}]");
        let filled = |found: &Option<String>| found.clone().filter(|found| !found.is_empty());
        let found = match (filled(exact), filled(prefix)) {
            (Some(_), Some(_)) => {
                let detail = "Invalid path match. Both 'exact' and 'prefix' are set";
                faults.invalid_at(&path, &path, detail);
                continue;
            }
            (None, None) => {
                let detail = "Invalid path match. Either 'exact' or 'prefix' must be set";
                faults.invalid_at(&path, &path, detail);
                continue;
            }
            (Some(found), None) | (None, Some(found)) => found,
        };
        if !found.starts_with('/') || found.contains(['?', ' ', '#']) {
            let detail = "must start with `/` and not contain `?` or `#`";
            faults.invalid_text(&path, &found, detail);
        }
    }
}

/// Where services may stand.
pub(super) fn sides(
    faults: &mut Faults,
    path: &str,
    rule: &CalicoRule,
    egress: bool,
    global: bool,
) {
    let (mine, other) = if egress {
        (("destination", &rule.destination), ("source", &rule.source))
    } else {
        (("source", &rule.source), ("destination", &rule.destination))
    };
    if other.1.services.is_some() {
        let detail = if egress {
            "not allowed in egress rule source"
        } else {
            "not allowed in ingress rule destination"
        };
        faults.forbidden(&format!("{path}.{}.services", other.0), detail);
    }
    let unplaced = |namespace: &Option<String>| namespace.as_deref().is_none_or(str::is_empty);
    if global && mine.1.services.as_ref().is_some_and(|found| unplaced(&found.namespace)) {
        let path = format!("{path}.{}.services.namespace", mine.0);
        faults.required(&path, "must specify a namespace");
    }
    if egress && rule.http.is_some() {
        faults.forbidden(&format!("{path}.http"), "not allowed in egress rule");
    }
}

fn entity(faults: &mut Faults, path: &str, entity: &EntityRule) {
    let at = |field: &str| format!("{path}.{field}");
    no_global(faults, &at("selector"), entity.selector.as_ref());
    if let Some(services) = &entity.services {
        let filled =
            |found: &Option<Expression>| found.as_ref().is_some_and(|s| !s.text.is_empty());
        for (field, given, what) in [
            ("namespaceSelector", filled(&entity.namespace_selector), "NamespaceSelector"),
            ("serviceAccounts", entity.service_accounts.is_some(), "ServiceAccounts"),
            ("selector", filled(&entity.selector), "Selector/NotSelector"),
            ("notSelector", filled(&entity.not_selector), "Selector/NotSelector"),
            ("nets", !entity.nets.is_empty(), "Nets/NotNets"),
            ("notNets", !entity.not_nets.is_empty(), "Nets/NotNets"),
        ] {
            if given {
                let detail = format!("cannot specify {what} and Services on the same rule");
                faults.forbidden_at(path, &at(field), &detail);
            }
        }
        if services.name.is_empty() {
            faults.required(&at("services"), "services must specify a service name");
        }
    }
    expression(faults, &at("selector"), entity.selector.as_ref());
    expression(faults, &at("notSelector"), entity.not_selector.as_ref());
    expression(faults, &at("namespaceSelector"), entity.namespace_selector.as_ref());
    if let Some(accounts) = &entity.service_accounts {
        expression(faults, &at("serviceAccounts.selector"), accounts.selector.as_ref());
    }
    let namespaces = entity.namespace_selector.as_ref();
    let alone = |text: &str| text.trim_matches([' ', '\t']).replace([' ', '\t'], "") == "global()";
    if let Some(found) = namespaces.filter(|s| s.text.contains("global(") && !alone(&s.text)) {
        let path = at("namespaceSelector");
        let detail = "global() cannot be combined with other selectors";
        faults.invalid_text(&path, &found.text, detail);
    }
}

/// `protocol`: whether the rule has one, and its number if it is right.
fn ports(
    faults: &mut Faults,
    path: &str,
    ports: &[IntOrString],
    protocol: (bool, Option<IpProtocol>),
) {
    for (index, port) in ports.iter().enumerate() {
        let path = format!("{path}[{index}]");
        match port {
            IntOrString::Int(number) => range(faults, &path, *number, 1, 65535),
            IntOrString::String(text) => port_text(faults, &path, text),
        }
    }
    let numeric = |port: &IntOrString| match port {
        IntOrString::Int(_) => true,
        IntOrString::String(text) => text.bytes().all(|b| b.is_ascii_digit() || b == b':'),
    };
    let detail = match protocol {
        (false, _) if ports.iter().any(numeric) => {
            "rules with numeric port or port range must set protocol to TCP or UDP or SCTP"
        }
        (_, Some(number)) if !ports.is_empty() && !has_ports(number) => {
            "rules that specify ports must set protocol to TCP or UDP or SCTP"
        }
        _ => return,
    };
    faults.invalid_at(path, path, detail);
}

/// `80`, `8080:8088` or a name (`numorstring.PortFromString`).
fn port_text(faults: &mut Faults, path: &str, text: &str) {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = |text: &str| text.parse::<u16>().ok();
    if digits(text) {
        match number(text) {
            None => faults.invalid_text(path, text, &format!("invalid port format ({text})")),
            Some(0) => faults.invalid_text(path, text, NO_PORT),
            Some(_) => {}
        }
        return;
    }
    if let Some((first, last)) = text.split_once(':').filter(|(a, b)| digits(a) && digits(b)) {
        let detail = match (number(first), number(last)) {
            (None, _) => format!("invalid minimum port number in range ({text})"),
            (_, None) => format!("invalid maximum port number in range ({text})"),
            (Some(first), Some(last)) if first > last => format!(
                "minimum port number ({first}) is greater than maximum port number ({last}) in port \
                 range"
            ),
            (Some(0), _) => NO_PORT.to_owned(),
            _ => return,
        };
        return faults.invalid_text(path, text, &detail);
    }
    if text.contains('-') && text.split('-').all(digits) {
        let detail = format!("a range is written `{}`", text.replace('-', ":"));
        return faults.invalid_text(path, text, &detail);
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if text.is_empty() || text.len() > 128 || !text.chars().all(fits) {
        let detail = format!("invalid name for named port ({text})");
        return faults.invalid_text(path, text, &detail);
    }
    // Felix is content with less than the API server.
    faults.tolerated(|faults| port_name(faults, path, text));
}

const NO_PORT: &str = "port range invalid, port number must be between 1 and 65535";

/// A protocol's number, if it is right.
pub(super) fn protocol(
    faults: &mut Faults,
    path: &str,
    found: Option<&IntOrString>,
) -> Option<IpProtocol> {
    let (number, value) = match found? {
        IntOrString::Int(number) => (u8::try_from(*number).ok(), number.to_string()),
        IntOrString::String(text) => {
            if let Some((name, number)) = IpProtocol::of_name(text) {
                // Felix takes it in any case, the API server does not.
                if name != text {
                    faults.tolerated(|faults| {
                        faults.invalid_text(path, text, "protocol name invalid");
                        faults.hint(&format!("write `{name}`"));
                    });
                }
                return Some(number);
            }
            if !text.bytes().all(|b| b.is_ascii_digit()) {
                faults.invalid_text(path, text, "protocol name invalid");
                faults.hint("write TCP, UDP, SCTP, UDPLite, ICMP, ICMPv6 or a number");
                return None;
            }
            (text.parse().ok(), quoted(text))
        }
    };
    let number = number.filter(|number| *number > 0);
    if number.is_none() {
        faults.invalid(path, &value, "protocol number invalid");
    }
    number.map(IpProtocol)
}

/// Whether packets of the protocol have ports.
pub(super) fn has_ports(protocol: IpProtocol) -> bool {
    Protocol::of_number(protocol).is_some()
}

/// The networks of a rule: of one family, and that of the rule. What only Calico's own API server
/// refuses, Felix masks and takes where it gets it past that one.
fn nets(faults: &mut Faults, path: &str, rule: &CalicoRule) {
    let (mut v4, mut v6) = (false, false);
    for (field, list) in [
        ("source.nets", &rule.source.nets),
        ("source.notNets", &rule.source.not_nets),
        ("destination.nets", &rule.destination.nets),
        ("destination.notNets", &rule.destination.not_nets),
    ] {
        let (mut here4, mut here6) = (false, false);
        for (index, text) in list.iter().enumerate() {
            let path = format!("{path}.{field}[{index}]");
            let Some(net) = self::net(text) else {
                let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
                faults.invalid_text(&path, text, detail);
                continue;
            };
            let is_v4 = net.addr().is_ipv4();
            (here4, here6) = (here4 || is_v4, here6 || !is_v4);
            if !text.contains('/') || net.addr() != net.trunc().addr() {
                let meant = net.trunc();
                let detail = format!(
                    "Calico's API server takes only a network as {meant}, which Felix makes of it"
                );
                faults.tolerated(|faults| faults.invalid_text(&path, text, &detail));
            } else if field.ends_with("notNets") && net.prefix_len() == 0 {
                let detail =
                    "catch-all CIDR in negation creates logical contradiction (matches no traffic)";
                faults.tolerated(|faults| faults.invalid_text(&path, text, detail));
            }
        }
        let path = format!("{path}.{field}");
        if rule.ip_version.is_some_and(|version| (here4 && version != 4) || (here6 && version != 6))
        {
            faults.invalid_at(&path, &path, "rule IP version doesn't match CIDR version");
        }
        if (here4 && (v6 || here6)) || (here6 && v4) {
            faults.invalid_at(&path, &path, "rule contains both IPv4 and IPv6 CIDRs");
        }
        (v4, v6) = (v4 || here4, v6 || here6);
    }
}

/// A network as written, or a single address.
pub(super) fn net(text: &str) -> Option<IpNet> {
    network::parse_cidr(text).map(|(net, _)| net).or_else(|| network::ip(text).map(IpNet::from))
}

/// A selector that must be one.
pub(super) fn expression(faults: &mut Faults, path: &str, found: Option<&Expression>) {
    let Some(Expression { text, read: Err(error) }) = found else { return };
    let rest = text.get(error.at..).unwrap_or_default();
    let hint = if rest.starts_with(['\n', '\r']) {
        Some("a selector is one line: write it without `|`, or with `>-`")
    } else if rest.starts_with('=') && !rest.starts_with("==") {
        Some("write `==`")
    } else if rest.starts_with("!in") || rest.starts_with("! in") {
        Some("write `not in`")
    } else if rest.starts_with('&') && !rest.starts_with("&&") {
        Some("write `&&`")
    } else if rest.starts_with('|') && !rest.starts_with("||") {
        Some("write `||`")
    } else if error.message == "expected string" {
        Some("values stand in quotes")
    } else {
        None
    };
    faults.0.push(Fault {
        at: Some(error.at),
        hint: hint.map(str::to_owned),
        ..Fault::new(path, format!("{path}: Invalid value: {}: {}", quoted(text), error.message))
    });
}

pub(super) fn no_global(faults: &mut Faults, path: &str, found: Option<&Expression>) {
    let Some(at) = found.and_then(|found| found.text.find("global(")) else { return };
    let owner = path.rsplit_once('.').map_or("", |(owner, _)| owner);
    let detail = "global() can only be used in an EntityRule namespaceSelector";
    faults.0.push(Fault {
        at: Some(at),
        ..Fault::new(path, format!("{owner}: Invalid value: {detail}"))
    });
}
