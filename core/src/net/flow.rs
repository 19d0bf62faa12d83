//! The flow notation: `FROM -> TO`, as in `pod/bar/web -> nodePort/node1:31602`.
//!
//! The same short form in the text, on the command line and in links. Reading and writing
//! round-trip: a flow prints as it was written, with the protocol only where it is not TCP or was
//! spelled out.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::ip_protocol::IpProtocol;

/// A question: what happens to a connection from here to there?
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Who opens it.
    pub from: Party,
    /// To what.
    pub to: Target,
    /// Over which protocol; TCP if left out.
    pub protocol: Protocol,
    /// Whether TCP was spelled out, so that the flow prints as it was written.
    pub explicit_tcp: bool,
}

/// Who opens a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// `client/NAME`: a machine outside that the scenario names.
    Client(String),
    /// `ip/ADDRESS`: a machine by its address.
    Ip(IpAddr),
    /// `pod/NAMESPACE/NAME`.
    Pod(String, String),
    /// `KIND/NAMESPACE/NAME`: a pod of a workload; the kind in lower case.
    Workload(String, String, String),
    /// `node/NAME`: a process on a node's own network.
    Node(String),
    /// `hostEndpoint/NAME`: only policies know it.
    HostEndpoint(String),
}

/// What a connection is opened to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// `service/NAMESPACE/NAME:PORT`: the ClusterIP.
    Service(String, String, PortRef),
    /// `nodePort/NODE:PORT`.
    NodePort(String, u16),
    /// `nodePort/NODE/NAMESPACE/NAME:PORT`: the node port of a service's port.
    NodePortOf(String, String, String, PortRef),
    /// `loadBalancer/NAMESPACE/NAME:PORT[@BALANCER[/NODE]]`.
    LoadBalancer {
        /// The service's namespace.
        namespace: String,
        /// The service's name.
        name: String,
        /// The service's port.
        port: PortRef,
        /// The scenario's balancer in front of it.
        balancer: Option<String>,
        /// The node that the balancer picks.
        node: Option<String>,
    },
    /// `externalIP/ADDRESS:PORT`.
    ExternalIp(IpAddr, u16),
    /// `pod/NAMESPACE/NAME:PORT`; the port is a number or a container port's name.
    Pod(String, String, PortRef),
    /// `KIND/NAMESPACE/NAME:PORT`: a pod of a workload.
    Workload(String, String, String, PortRef),
    /// `node/NAME:PORT`: a process on a node's own network.
    Node(String, u16),
    /// `ip/ADDRESS:PORT`.
    Ip(IpAddr, u16),
    /// `hostEndpoint/NAME:PORT`: only policies know it.
    HostEndpoint(String, u16),
}

/// A port by number or name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortRef {
    /// `80`.
    Number(u16),
    /// `http`.
    Name(String),
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Protocol {
    /// TCP.
    #[default]
    #[serde(rename = "TCP")]
    Tcp,
    /// UDP.
    #[serde(rename = "UDP")]
    Udp,
    /// SCTP.
    #[serde(rename = "SCTP")]
    Sctp,
}

impl Protocol {
    const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// The protocol of this number in the IP header, if it is one with ports.
    pub fn of_number(number: IpProtocol) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.number() == number)
    }

    /// The protocol of this name, as the Kubernetes API spells it.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }

    /// The number in the IP header.
    pub fn number(self) -> IpProtocol {
        match self {
            Self::Tcp => IpProtocol::TCP,
            Self::Udp => IpProtocol::UDP,
            Self::Sctp => IpProtocol::SCTP,
        }
    }
}

/// The kinds whose pod templates make pods, as flows spell them.
pub const WORKLOAD_KINDS: [&str; 6] =
    ["deployment", "statefulset", "daemonset", "replicaset", "job", "cronjob"];

/// What `FROM` may be, for messages.
const FROM_FORMS: &str =
    "client/NAME, ip/ADDRESS, pod/NAMESPACE/NAME, deployment/NAMESPACE/NAME or node/NAME";
/// What `TO` may be, for messages.
const TO_FORMS: &str = "service/NAMESPACE/NAME:PORT, nodePort/NODE:PORT, \
     loadBalancer/NAMESPACE/NAME:PORT, externalIP/ADDRESS:PORT, pod/NAMESPACE/NAME:PORT, \
     node/NAME:PORT or ip/ADDRESS:PORT";

impl Flow {
    /// Whether what it prints is read as it again: a name that Kubernetes would refuse can hold what
    /// parts a flow.
    pub fn reads_back(&self) -> bool {
        self.to_string().parse().as_ref() == Ok(self)
    }
}

impl FromStr for Flow {
    /// What is wrong and what to write instead, for the user.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text
            .split_once("->")
            .ok_or_else(|| format!("a flow is written `FROM -> TO`, but `{text}` has no `->`"))?;
        let from = party(from.trim())?;
        let to = to.trim();
        // A balancer's pin stands behind everything: `…:PORT/UDP@BALANCER/NODE`.
        let (to, pin) = match to.split_once('@') {
            Some((rest, pin)) => (rest, Some(pin)),
            None => (to, None),
        };
        // Only what follows the port is a protocol; names before it hold slashes too.
        let (to, protocol, explicit_tcp) = match to.rsplit_once('/') {
            Some((rest, word)) if rest.contains(':') && !word.contains(':') => {
                let protocol = protocol(word)?;
                (rest, protocol, protocol == Protocol::Tcp)
            }
            _ => (to, Protocol::Tcp, false),
        };
        Ok(Self { from, to: target(to, pin)?, protocol, explicit_tcp })
    }
}

fn protocol(word: &str) -> Result<Protocol, String> {
    Protocol::of_name(word)
        .ok_or_else(|| format!("`{word}` is no protocol: write TCP, UDP or SCTP"))
}

fn party(text: &str) -> Result<Party, String> {
    let wrong = || format!("`{text}` is no source: write {FROM_FORMS}");
    let (kind, rest) = text.split_once('/').ok_or_else(wrong)?;
    if rest.is_empty() {
        return Err(wrong());
    }
    Ok(match kind {
        "client" => Party::Client(rest.to_owned()),
        "ip" => Party::Ip(address(rest)?),
        "node" => Party::Node(rest.to_owned()),
        "hostEndpoint" => Party::HostEndpoint(rest.to_owned()),
        "pod" => {
            let (namespace, name) = namespaced(rest).ok_or_else(wrong)?;
            Party::Pod(namespace, name)
        }
        _ if WORKLOAD_KINDS.contains(&kind) => {
            let (namespace, name) = namespaced(rest).ok_or_else(wrong)?;
            Party::Workload(kind.to_owned(), namespace, name)
        }
        _ => return Err(wrong()),
    })
}

fn target(text: &str, pin: Option<&str>) -> Result<Target, String> {
    let wrong = || format!("`{text}` is no destination: write {TO_FORMS}");
    let (kind, rest) = text.split_once('/').ok_or_else(wrong)?;
    let (place, port) = rest
        .rsplit_once(':')
        .ok_or_else(|| format!("`{text}` has no port: write `{text}:PORT`"))?;
    if place.is_empty() || port.is_empty() {
        return Err(wrong());
    }
    if pin.is_some() && kind != "loadBalancer" {
        return Err(format!("`{text}` goes through no balancer: only loadBalancer/… takes `@`"));
    }
    let number = || {
        port.parse()
            .ok()
            .filter(|n| *n != 0)
            .ok_or_else(|| format!("`{port}` is no port here: write a number from 1 to 65535"))
    };
    let reference = || match port.parse::<u16>() {
        Ok(0) => Err(format!("`{port}` is no port: write a number from 1 to 65535, or a name")),
        Ok(n) => Ok(PortRef::Number(n)),
        Err(_) if port.bytes().all(|b| b.is_ascii_digit()) => {
            Err(format!("`{port}` is no port: write a number from 1 to 65535, or a name"))
        }
        Err(_) => Ok(PortRef::Name(port.to_owned())),
    };
    Ok(match kind {
        "service" => {
            let (namespace, name) = namespaced(place).ok_or_else(wrong)?;
            Target::Service(namespace, name, reference()?)
        }
        "nodePort" => match place.split_once('/') {
            None => Target::NodePort(place.to_owned(), number()?),
            Some((node, service)) => {
                let (namespace, name) = namespaced(service).ok_or_else(wrong)?;
                Target::NodePortOf(node.to_owned(), namespace, name, reference()?)
            }
        },
        "loadBalancer" => {
            let (namespace, name) = namespaced(place).ok_or_else(wrong)?;
            let (balancer, node) = match pin.map(|p| p.split_once('/').unwrap_or((p, ""))) {
                None => (None, None),
                Some((balancer, "")) => (Some(balancer.to_owned()), None),
                Some((balancer, node)) => (Some(balancer.to_owned()), Some(node.to_owned())),
            };
            Target::LoadBalancer { namespace, name, port: reference()?, balancer, node }
        }
        "externalIP" => Target::ExternalIp(address(place)?, number()?),
        "ip" => Target::Ip(address(place)?, number()?),
        "node" => Target::Node(place.to_owned(), number()?),
        "hostEndpoint" => Target::HostEndpoint(place.to_owned(), number()?),
        "pod" => {
            let (namespace, name) = namespaced(place).ok_or_else(wrong)?;
            Target::Pod(namespace, name, reference()?)
        }
        _ if WORKLOAD_KINDS.contains(&kind) => {
            let (namespace, name) = namespaced(place).ok_or_else(wrong)?;
            Target::Workload(kind.to_owned(), namespace, name, reference()?)
        }
        _ => return Err(wrong()),
    })
}

fn namespaced(text: &str) -> Option<(String, String)> {
    let (namespace, name) = text.split_once('/')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains('/'))
        .then(|| (namespace.to_owned(), name.to_owned()))
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .map_err(|_| format!("`{text}` is no IP address"))
}

/// An address followed by a port: IPv6 in brackets.
pub(crate) fn address_and_port(ip: IpAddr, port: Option<u16>) -> String {
    match (ip, port) {
        (ip, None) => ip.to_string(),
        (IpAddr::V4(ip), Some(port)) => format!("{ip}:{port}"),
        (IpAddr::V6(ip), Some(port)) => format!("[{ip}]:{port}"),
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> ", self.from)?;
        let protocol = match self.protocol {
            Protocol::Tcp if !self.explicit_tcp => String::new(),
            other => format!("/{other}"),
        };
        match &self.to {
            Target::LoadBalancer { namespace, name, port, balancer, node } => {
                write!(f, "loadBalancer/{namespace}/{name}:{port}{protocol}")?;
                if let Some(balancer) = balancer {
                    write!(f, "@{balancer}")?;
                }
                if let Some(node) = node {
                    write!(f, "/{node}")?;
                }
                Ok(())
            }
            to => write!(f, "{to}{protocol}"),
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(name) => write!(f, "client/{name}"),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "ip/{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "ip/{ip}"),
            Self::Pod(namespace, name) => write!(f, "pod/{namespace}/{name}"),
            Self::Workload(kind, namespace, name) => write!(f, "{kind}/{namespace}/{name}"),
            Self::Node(name) => write!(f, "node/{name}"),
            Self::HostEndpoint(name) => write!(f, "hostEndpoint/{name}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(namespace, name, port) => write!(f, "service/{namespace}/{name}:{port}"),
            Self::NodePort(node, port) => write!(f, "nodePort/{node}:{port}"),
            Self::NodePortOf(node, namespace, name, port) => {
                write!(f, "nodePort/{node}/{namespace}/{name}:{port}")
            }
            Self::LoadBalancer { namespace, name, port, .. } => {
                write!(f, "loadBalancer/{namespace}/{name}:{port}")
            }
            Self::ExternalIp(ip, port) => {
                write!(f, "externalIP/{}", address_and_port(*ip, Some(*port)))
            }
            Self::Pod(namespace, name, port) => write!(f, "pod/{namespace}/{name}:{port}"),
            Self::Workload(kind, namespace, name, port) => {
                write!(f, "{kind}/{namespace}/{name}:{port}")
            }
            Self::Node(name, port) => write!(f, "node/{name}:{port}"),
            Self::Ip(ip, port) => write!(f, "ip/{}", address_and_port(*ip, Some(*port))),
            Self::HostEndpoint(name, port) => write!(f, "hostEndpoint/{name}:{port}"),
        }
    }
}

impl fmt::Display for PortRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Flow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_print_as_they_were_written() {
        for flow in [
            "client/user -> nodePort/node1:31602",
            "client/user -> nodePort/node1/shop/web:http",
            "ip/10.2.3.4 -> service/foo/web:80",
            "pod/bar/web -> service/foo/dns:53/UDP",
            "pod/bar/web -> pod/foo/dns:53/TCP",
            "deployment/bar/web -> deployment/foo/web:http",
            "node/node1 -> ip/[fd00::1]:80/SCTP",
            "ip/fd00::2 -> externalIP/198.51.100.7:80",
            "client/user -> loadBalancer/foo/web:80",
            "client/user -> loadBalancer/foo/web:80@lb",
            "client/user -> loadBalancer/foo/web:80/UDP@lb",
            "client/user -> loadBalancer/foo/web:http/TCP@lb",
            "client/user -> loadBalancer/foo/web:80/UDP@lb/node1",
            "hostEndpoint/a.b.c -> hostEndpoint/d.e.f:80/UDP",
        ] {
            assert_eq!(flow.parse::<Flow>().map(|f| f.to_string()), Ok(flow.to_owned()));
        }
    }

    #[test]
    fn wrong_flows_say_what_to_write() {
        for (flow, part) in [
            ("client/user", "has no `->`"),
            ("user -> ip/1.2.3.4:80", "is no source"),
            ("pod/web -> ip/1.2.3.4:80", "is no source"),
            ("client/user -> service/foo/web", "has no port"),
            ("client/user -> service/foo/web:80/HTTP", "is no protocol"),
            ("client/user -> service/foo/web:0", "is no port"),
            ("client/user -> service/foo/web:99999", "is no port"),
            ("client/user -> ip/1.2.3:80", "is no IP address"),
            ("client/user -> node/a:80@lb", "goes through no balancer"),
        ] {
            let message = flow.parse::<Flow>().unwrap_err();
            assert!(message.contains(part), "{flow}: {message}");
        }
    }
}
