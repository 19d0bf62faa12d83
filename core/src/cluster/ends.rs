//! What the ends of a flow are: who sends, and which addresses and port are asked for. What a name
//! means is decided here, for all who answer questions about flows.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    Balancer, ClientId, Cluster, Endpoint, HostEndpointId, Node, NodeId, Pod, PodId, Service,
    ServiceId, ServicePort,
};
use crate::net::{Flow, InFamily, Party, PortRef, Protocol, Target};

/// The two ends of a flow.
#[derive(Clone, Debug)]
pub struct Ends<'a> {
    /// Who opens the connection.
    pub sender: Sender,
    /// The sender's addresses; none is a host endpoint's that has none.
    pub own: Vec<IpAddr>,
    /// What it is opened to.
    pub asked: Asked<'a>,
    /// What else, where DNS gives several addresses.
    pub others: Vec<Asked<'a>>,
}

/// Who opens a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A pod with a network of its own.
    Pod(PodId),
    /// A process on a node's own network: a hostNetwork pod's, if that is what the flow names.
    Process(NodeId, Option<PodId>),
    /// What only policies know.
    HostEndpoint(HostEndpointId),
    /// A machine outside.
    Outside(Outside),
}

/// A machine outside, by what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outside {
    /// The scenario's, or an assumed one.
    Named(ClientId),
    /// Only its address.
    At(IpAddr),
}

/// What a connection is opened to.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Whose the addresses are.
    pub holder: Holder,
    /// Its addresses, in the order in which they are tried; none is a host endpoint's that has none.
    pub addresses: Vec<IpAddr>,
    /// Its port.
    pub port: u16,
    /// The balancer that the flow names.
    pub front: Option<Front<'a>>,
    /// The endpoint that DNS gives the address of.
    pub named: Option<&'a Endpoint>,
}

/// What a flow asks for the addresses of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A pod; one on the host's network has its node's.
    Pod(PodId),
    /// A node.
    Node(NodeId),
    /// What only policies know.
    HostEndpoint(HostEndpointId),
    /// A service's `ClusterIP`s.
    Service(ServiceId),
    /// A service's load balancer IPs.
    LoadBalancer(ServiceId),
    /// Whoever has the address.
    Address,
}

/// A balancer in front of a service's port.
#[derive(Clone, Copy, Debug)]
pub struct Front<'a> {
    /// The balancer.
    pub balancer: &'a Balancer,
    /// What it is in front of.
    pub service: &'a Service,
    /// Which port of that.
    pub port: &'a ServicePort,
    /// The node that the flow pins.
    pub node: Option<NodeId>,
}

/// An end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It sends.
    From,
    /// It is asked for.
    To,
}

/// Why a flow cannot be asked: what it names does not exist, or has not what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// No client has the name.
    NoClient {
        /// As the flow has it.
        name: String,
    },
    /// No pod has the name.
    NoPod {
        /// As the flow has it.
        namespace: String,
        /// As the flow has it.
        name: String,
        /// One whose name is much like it.
        near: Option<PodId>,
    },
    /// No workload has the name, or none of its pods is left.
    NoWorkload {
        /// In lower case.
        kind: String,
        /// As the flow has it.
        namespace: String,
        /// As the flow has it.
        name: String,
    },
    /// The pod is done: it sends nothing, and nobody answers.
    Finished {
        /// Which.
        pod: PodId,
        /// Which end it is.
        side: Side,
    },
    /// No node has the name.
    NoNode {
        /// As the flow has it.
        name: String,
    },
    /// No host endpoint has the name.
    NoHostEndpoint {
        /// As the flow has it.
        name: String,
    },
    /// Policies know host endpoints, the network does not.
    OnlyPoliciesKnow {
        /// The host endpoint.
        endpoint: HostEndpointId,
        /// Which end it is.
        side: Side,
    },
    /// No service has the name.
    NoService {
        /// As the flow has it.
        namespace: String,
        /// As the flow has it.
        name: String,
    },
    /// A service of type `ExternalName`: there is nothing behind it but another name.
    OnlyAName {
        /// The service.
        service: ServiceId,
    },
    /// A service has no such port.
    NoPort {
        /// The service.
        service: ServiceId,
        /// As the flow has it.
        port: PortRef,
        /// Over which the port is asked for.
        protocol: Protocol,
    },
    /// A pod's containers name no such port.
    NoContainerPort {
        /// The pod.
        pod: PodId,
        /// As the flow has it.
        name: String,
        /// Over which the port is asked for.
        protocol: Protocol,
    },
    /// A service's port has no node port.
    NoNodePort {
        /// The service.
        service: ServiceId,
    },
    /// No balancer has the name.
    NoBalancer {
        /// As the flow has it.
        name: String,
    },
    /// A service whose status has no load balancer IP.
    NoLoadBalancerIp {
        /// The service.
        service: ServiceId,
    },
    /// DNS has no address for a headless service that the sender could use.
    HeadlessWithoutEndpoints {
        /// The service.
        service: ServiceId,
    },
    /// It has no address at all.
    NoAddress {
        /// Who.
        of: Holder,
    },
    /// What is asked for has only addresses of a family that the sender has none of.
    OtherFamily {
        /// Who.
        of: Holder,
        /// One of its addresses.
        has: IpAddr,
    },
    /// The address that the flow gives is of a family that the sender has none of.
    SenderOfOtherFamily {
        /// As the flow has it.
        from: Party,
        /// As the flow has it.
        to: IpAddr,
    },
}

type FirstAndOthers<'a> = (Asked<'a>, Vec<Asked<'a>>);

impl Cluster {
    /// The ends of `flow`, or which of them is not there.
    pub fn ends(&self, flow: &Flow) -> Result<Ends<'_>, Unresolved> {
        let (sender, own) = self.sender(&flow.from)?;
        let (asked, others) = self.asked(flow, &own)?;
        Ok(Ends { sender, own, asked, others })
    }

    /// Who sends from an address.
    pub fn sender_at(&self, address: IpAddr) -> Sender {
        if let Some(&pod) = self.pod_by_address.get(&address) {
            return self.sending(pod);
        }
        if let Some(&node) = self.node_by_address.get(&address) {
            return Sender::Process(node, None);
        }
        Sender::Outside(self.outside_at(address))
    }

    /// A machine outside, by its address.
    pub(crate) fn outside_at(&self, address: IpAddr) -> Outside {
        let client = self.clients.iter().position(|client| client.ip == address);
        client.map_or(Outside::At(address), |index| Outside::Named(ClientId(index)))
    }

    /// A pod as a sender.
    pub fn sending(&self, pod: PodId) -> Sender {
        match self.pod(pod) {
            Some(known) if known.host_network => Sender::Process(known.node, Some(pod)),
            _ => Sender::Pod(pod),
        }
    }

    fn sender(&self, from: &Party) -> Result<(Sender, Vec<IpAddr>), Unresolved> {
        let (sender, outside) = match from {
            Party::Client(name) => {
                let mut clients = self.clients.iter().enumerate();
                let client = clients.find(|(_, client)| client.name == *name);
                let unknown = || Unresolved::NoClient { name: name.clone() };
                let (index, client) = client.ok_or_else(unknown)?;
                (Sender::Outside(Outside::Named(ClientId(index))), Some(client.ip))
            }
            Party::Ip(ip) => (self.sender_at(*ip), Some(*ip)),
            Party::Pod(namespace, name) => {
                (self.sending(self.pod_called(namespace, name, Side::From)?), None)
            }
            Party::Workload(kind, namespace, name) => {
                (self.sending(self.pod_of_workload(kind, namespace, name)?), None)
            }
            Party::Node(name) => (Sender::Process(self.node_called(name)?, None), None),
            Party::HostEndpoint(name) => {
                let (id, addresses) = self.host_endpoint_called(name)?;
                return Ok((Sender::HostEndpoint(id), addresses));
            }
        };
        let own = match sender {
            Sender::Pod(id) => self.addresses_of_pod(id)?,
            Sender::Process(node, _) => self.addresses_of_node(node)?,
            Sender::HostEndpoint(_) | Sender::Outside(_) => outside.into_iter().collect(),
        };
        Ok((sender, own))
    }

    fn asked(&self, flow: &Flow, own: &[IpAddr]) -> Result<FirstAndOthers<'_>, Unresolved> {
        let one = |holder, addresses, port| {
            Ok((Asked { holder, addresses, port, front: None, named: None }, Vec::new()))
        };
        match &flow.to {
            Target::Service(namespace, name, port) => {
                let (id, service) = self.service_called(namespace, name)?;
                if service.external_name.is_some() {
                    return Err(Unresolved::OnlyAName { service: id });
                }
                let port = service.port_called(id, port, flow.protocol)?;
                if service.headless {
                    return headless(id, port, own);
                }
                let of = Holder::Service(id);
                one(of, some(service.cluster_ips.clone(), of)?, port.port)
            }
            Target::NodePort(node, port) => {
                let node = self.node_called(node)?;
                let services = self.service_by_node_port.get(&(flow.protocol, *port));
                let service = services.and_then(|ids| self.service(*ids.first()?));
                one(Holder::Node(node), self.addresses_for(node, service)?, *port)
            }
            Target::NodePortOf(node, namespace, name, port) => {
                let node = self.node_called(node)?;
                let (id, service) = self.service_called(namespace, name)?;
                let port = service.port_called(id, port, flow.protocol)?;
                let port = port.node_port.ok_or(Unresolved::NoNodePort { service: id })?;
                one(Holder::Node(node), self.addresses_for(node, Some(service))?, port)
            }
            Target::LoadBalancer { namespace, name, port, balancer, node } => {
                let (id, service) = self.service_called(namespace, name)?;
                let port = service.port_called(id, port, flow.protocol)?;
                let Some(balancer) = balancer else {
                    let ips: Vec<IpAddr> = service.ingress_ips.iter().map(|it| it.ip).collect();
                    if ips.is_empty() {
                        return Err(Unresolved::NoLoadBalancerIp { service: id });
                    }
                    return one(Holder::LoadBalancer(id), ips, port.port);
                };
                let known = self.balancers.iter().find(|known| known.name == *balancer);
                let balancer =
                    known.ok_or_else(|| Unresolved::NoBalancer { name: balancer.clone() })?;
                let node = node.as_ref().map(|node| self.node_called(node)).transpose()?;
                let asked = Asked {
                    holder: Holder::Address,
                    addresses: vec![balancer.ip],
                    port: port.port,
                    front: Some(Front { balancer, service, port, node }),
                    named: None,
                };
                Ok((asked, Vec::new()))
            }
            Target::ExternalIp(ip, port) | Target::Ip(ip, port) => {
                one(Holder::Address, vec![*ip], *port)
            }
            Target::Pod(namespace, name, port) => {
                let id = self.pod_called(namespace, name, Side::To)?;
                let port = self.container_port(id, port, flow.protocol)?;
                one(Holder::Pod(id), self.addresses_of_pod(id)?, port)
            }
            Target::Workload(kind, namespace, name, port) => {
                let id = self.pod_of_workload(kind, namespace, name)?;
                let port = self.container_port(id, port, flow.protocol)?;
                one(Holder::Pod(id), self.addresses_of_pod(id)?, port)
            }
            Target::Node(node, port) => {
                let node = self.node_called(node)?;
                one(Holder::Node(node), self.addresses_of_node(node)?, *port)
            }
            Target::HostEndpoint(name, port) => {
                let (id, addresses) = self.host_endpoint_called(name)?;
                one(Holder::HostEndpoint(id), addresses, *port)
            }
        }
    }

    fn container_port(
        &self,
        pod: PodId,
        port: &PortRef,
        protocol: Protocol,
    ) -> Result<u16, Unresolved> {
        match port {
            PortRef::Number(number) => Ok(*number),
            PortRef::Name(name) => {
                let mut known = self.pod(pod).into_iter().flat_map(|pod| &pod.ports);
                let found = known.find(|port| port.name == *name && port.protocol == protocol);
                let name = || name.clone();
                found.map(|port| port.port).ok_or_else(|| Unresolved::NoContainerPort {
                    pod,
                    name: name(),
                    protocol,
                })
            }
        }
    }

    fn addresses_of_pod(&self, id: PodId) -> Result<Vec<IpAddr>, Unresolved> {
        let addresses = self.pod(id).map_or_else(Vec::new, |pod| pod.addresses.clone());
        some(addresses, Holder::Pod(id))
    }

    fn addresses_of_node(&self, id: NodeId) -> Result<Vec<IpAddr>, Unresolved> {
        let node = self.node(id);
        let addresses = node.map_or_else(Vec::new, |node| {
            node.addresses.iter().map(IpNet::addr).collect::<Vec<_>>()
        });
        some(addresses, Holder::Node(id))
    }

    /// A node's addresses, those of the service's families first.
    fn addresses_for(
        &self,
        node: NodeId,
        service: Option<&Service>,
    ) -> Result<Vec<IpAddr>, Unresolved> {
        let mut addresses = self.addresses_of_node(node)?;
        let of = service.map_or(&[][..], |service| &service.cluster_ips);
        addresses.sort_by_key(|ip| !has_family(of, *ip));
        Ok(addresses)
    }

    fn pod_called(&self, namespace: &str, name: &str, side: Side) -> Result<PodId, Unresolved> {
        let called = |pod: &Pod| pod.namespace == namespace && pod.name == name;
        let Some((index, pod)) = self.pods.iter().enumerate().find(|(_, pod)| called(pod)) else {
            let near = self.pods.iter().position(|pod| {
                pod.namespace == namespace && pod.name.starts_with(name) || pod.name == name
            });
            let (namespace, name) = (namespace.to_owned(), name.to_owned());
            return Err(Unresolved::NoPod { namespace, name, near: near.map(PodId) });
        };
        let pod_id = PodId(index);
        if pod.finished { Err(Unresolved::Finished { pod: pod_id, side }) } else { Ok(pod_id) }
    }

    /// The first of a workload's pods that has not finished.
    fn pod_of_workload(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<PodId, Unresolved> {
        let owns = |pod: &Pod| {
            let owner = pod.owner.as_ref();
            pod.namespace == namespace
                && owner.is_some_and(|own| own.kind == kind && own.name == name)
        };
        let found = self.pods.iter().position(|pod| owns(pod) && !pod.finished);
        found.map(PodId).ok_or_else(|| Unresolved::NoWorkload {
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    fn node_called(&self, name: &str) -> Result<NodeId, Unresolved> {
        let found = self.nodes.iter().position(|node: &Node| node.name == name);
        found.map(NodeId).ok_or_else(|| Unresolved::NoNode { name: name.to_owned() })
    }

    fn host_endpoint_called(
        &self,
        name: &str,
    ) -> Result<(HostEndpointId, Vec<IpAddr>), Unresolved> {
        let mut known = self.policies.host_endpoints.iter().enumerate();
        let found = known.find(|(_, endpoint)| endpoint.object.name == name);
        found
            .map(|(index, endpoint)| (HostEndpointId(index), endpoint.addresses.clone()))
            .ok_or_else(|| Unresolved::NoHostEndpoint { name: name.to_owned() })
    }

    fn service_called(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<(ServiceId, &Service), Unresolved> {
        let mut known = self.services.iter().enumerate();
        let found =
            known.find(|(_, service)| service.namespace == namespace && service.name == name);
        found.map(|(index, service)| (ServiceId(index), service)).ok_or_else(|| {
            let (namespace, name) = (namespace.to_owned(), name.to_owned());
            Unresolved::NoService { namespace, name }
        })
    }
}

impl Service {
    fn port_called(
        &self,
        id: ServiceId,
        port: &PortRef,
        protocol: Protocol,
    ) -> Result<&ServicePort, Unresolved> {
        let called = |known: &&ServicePort| {
            known.protocol == protocol
                && match port {
                    PortRef::Number(number) => known.port == *number,
                    PortRef::Name(name) => known.name == *name,
                }
        };
        let found = self.ports.iter().find(called);
        found.ok_or_else(|| Unresolved::NoPort { service: id, port: port.clone(), protocol })
    }
}

/// DNS gives the ready endpoints' own addresses.
fn headless<'a>(
    service: ServiceId,
    port: &'a ServicePort,
    own: &[IpAddr],
) -> Result<FirstAndOthers<'a>, Unresolved> {
    let ready = port.endpoints.iter().filter(|endpoint| endpoint.ready);
    let mut found =
        ready.filter(|endpoint| own.is_empty() || has_family(own, endpoint.ip)).map(|endpoint| {
            Asked {
                holder: Holder::Address,
                addresses: vec![endpoint.ip],
                port: endpoint.port,
                front: None,
                named: Some(endpoint),
            }
        });
    let first = found.next().ok_or(Unresolved::HeadlessWithoutEndpoints { service })?;
    Ok((first, found.collect()))
}

impl Asked<'_> {
    /// The address that a sender with these takes: the first of a family that it has, too. An
    /// address that the flow gives is taken as it is.
    pub fn address(&self, own: &[IpAddr]) -> Result<IpAddr, Unresolved> {
        let taken = |ip: &&IpAddr| {
            self.holder == Holder::Address || own.is_empty() || has_family(own, **ip)
        };
        let of = self.holder;
        let first = self.addresses.first().ok_or(Unresolved::NoAddress { of })?;
        self.addresses
            .iter()
            .find(taken)
            .copied()
            .ok_or(Unresolved::OtherFamily { of, has: *first })
    }
}

fn has_family(addresses: &[IpAddr], of: IpAddr) -> bool {
    addresses.iter().any(|ip| ip.family() == of.family())
}

fn some(addresses: Vec<IpAddr>, of: Holder) -> Result<Vec<IpAddr>, Unresolved> {
    if addresses.is_empty() { Err(Unresolved::NoAddress { of }) } else { Ok(addresses) }
}
