//! Looking things up in a cluster, by index and by address.

use std::net::IpAddr;

use ipnet::IpNet;
use sha1::{Digest, Sha1};

use super::{Cluster, HostEndpointId, Node, NodeId, Pod, PodId, Pool, PoolId, Service, ServiceId};
use crate::net::{Encapsulation, Family, InFamily, Packet};
use crate::policy::form::HostEndpoint;
use crate::text::Origin;

impl Cluster {
    /// The node with this index.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)
    }

    /// The pod with this index.
    pub fn pod(&self, id: PodId) -> Option<&Pod> {
        self.pods.get(id.0)
    }

    /// The pool whose natOutgoing applies: the source is from it, the destination from none.
    pub(crate) fn translating_pool(&self, packet: &Packet) -> Option<PoolId> {
        let id = self.network.pool_of(packet.source)?;
        let inside =
            |pool: &Pool| !pool.load_balancer_only && pool.cidr.contains(&packet.destination);
        let excluded = self.network.felix.nat_excludes_hosts.value
            && self.node_by_address.contains_key(&packet.destination);
        let translates = self.network.pool(id)?.nat_outgoing.value;
        (translates && !excluded && !self.network.pools.iter().any(inside)).then_some(id)
    }

    /// Why a tunnel of some node has this address.
    pub(crate) fn tunnel_origin(&self, address: IpAddr) -> Option<&Origin> {
        self.nodes.iter().find_map(|node| node.network.tunnel_origin(address))
    }

    /// The service with this index.
    pub fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(id.0)
    }

    /// The host endpoint with this index.
    pub fn host_endpoint(&self, id: HostEndpointId) -> Option<&HostEndpoint> {
        self.policies.host_endpoints.get(id.0)
    }

    /// A pod's device on its node: `cali` and eleven characters.
    pub fn veth(&self, id: PodId) -> String {
        self.pod(id).map_or_else(String::new, |pod| veth(&pod.namespace, &pod.name))
    }

    /// Whether a service has the address: kube-proxy in IPVS mode binds these to kube-ipvs0.
    pub(crate) fn is_service_address(&self, address: IpAddr) -> bool {
        self.service_by_address.contains_key(&address)
    }

    /// Whether it is an address that the network plug-in gives pods.
    pub(crate) fn is_pod_range(&self, address: IpAddr) -> bool {
        self.network.pool_of(address).is_some()
    }

    /// An address that nothing in the cluster has: some machine outside.
    pub(crate) fn is_outside(&self, address: IpAddr) -> bool {
        !address.is_loopback()
            && !self.is_pod_range(address)
            && !self.node_by_address.contains_key(&address)
            && !self.pod_by_address.contains_key(&address)
            && !self.is_service_address(address)
            && self.routes.longest(address).is_none()
            && !self.service_ranges.iter().any(|(range, _)| range.contains(&address))
            && !self.subnets.iter().any(|subnet| subnet.contains(&address))
    }
}

impl Node {
    /// The card's address of a family.
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        self.addresses.iter().map(IpNet::addr).find(|address| address.family() == family)
    }

    /// Its zone.
    pub fn zone(&self) -> Option<&str> {
        self.labels.get("topology.kubernetes.io/zone").map(String::as_str)
    }

    /// The tunnel whose device has the address, where the card has not.
    pub fn tunnel_of(&self, address: IpAddr) -> Option<Encapsulation> {
        if self.addresses.iter().any(|own| own.addr() == address) {
            return None;
        }
        let mut tunnels = self.network.tunnels();
        tunnels.find(|(_, own)| own.value == address).map(|(tunnel, _)| tunnel)
    }
}

/// The node's end of a pod's veth (`libcalico-go … VethNameForWorkload`).
fn veth(namespace: &str, name: &str) -> String {
    let hash = Sha1::digest(format!("{namespace}.{name}"));
    let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(11);
    let hex: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
    format!("cali{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn veths_are_named_as_calico_names_them() {
        // The article's `route` output shows this pod's device.
        assert_eq!(
            veth("tekton-pipelines", "tekton-dashboard-75c65d785b-xbgk6"),
            "cali73daeaf4b12"
        );
    }
}
