//! Looking things up in a cluster: by name, with what to tell the user if it is not there, by index
//! and by address.

use std::net::IpAddr;

use ipnet::IpNet;
use sha1::{Digest, Sha1};

use super::{Cluster, EncapMode, Node, NodeId, Pod, PodId, Pool, Service, ServiceId, ServicePort};
use crate::net::{Encapsulation, Family, InFamily, PortRef, Protocol};
use crate::text::Setting;

impl Cluster {
    /// The node with this index.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)
    }

    /// The pod with this index.
    pub fn pod(&self, id: PodId) -> Option<&Pod> {
        self.pods.get(id.0)
    }

    /// `pod/NAMESPACE/NAME`.
    pub fn pod_name(&self, id: PodId) -> String {
        self.pod(id).map_or_else(String::new, |pod| format!("pod/{}/{}", pod.namespace, pod.name))
    }

    /// The pool that `address` is from: the longest prefix that holds it.
    pub fn pool_of(&self, address: IpAddr) -> Option<&Pool> {
        self.pools
            .iter()
            .filter(|pool| pool.cidr.contains(&address))
            .max_by_key(|pool| pool.cidr.prefix_len())
    }

    /// The pod of this name, or what to tell the user.
    pub fn find_pod(&self, namespace: &str, name: &str) -> Result<PodId, String> {
        self.pods
            .iter()
            .position(|pod| pod.namespace == namespace && pod.name == name)
            .map(PodId)
            .ok_or_else(|| {
                let near = self.pods.iter().find(|pod: &&Pod| {
                    pod.namespace == namespace && pod.name.starts_with(name) || pod.name == name
                });
                let hint = near.map_or_else(String::new, |pod| {
                    format!("; did you mean pod/{}/{}?", pod.namespace, pod.name)
                });
                format!("there is no pod {namespace}/{name}{hint}")
            })
    }

    /// The first running pod of a workload, or what to tell the user.
    pub fn find_workload_pod(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<PodId, String> {
        let owned = |pod: &Pod| {
            pod.namespace == namespace
                && pod.owner.as_ref().is_some_and(|own| own.kind == kind && own.name == name)
        };
        self.pods
            .iter()
            .position(|pod| owned(pod) && !pod.finished)
            .map(PodId)
            .ok_or_else(|| format!("there is no {kind} {namespace}/{name}, or it has no pods"))
    }

    /// The node of this name, or what to tell the user.
    pub fn find_node(&self, name: &str) -> Result<NodeId, String> {
        self.nodes.iter().position(|node| node.name == name).map(NodeId).ok_or_else(|| {
            let names: Vec<&str> =
                self.nodes.iter().take(5).map(|node| node.name.as_str()).collect();
            format!("there is no node `{name}`; nodes are {}", names.join(", "))
        })
    }

    /// The service of this name, or what to tell the user.
    pub fn find_service(&self, namespace: &str, name: &str) -> Result<&Service, String> {
        self.services
            .iter()
            .find(|service| service.namespace == namespace && service.name == name)
            .ok_or_else(|| format!("there is no Service {namespace}/{name}"))
    }

    /// The service with this index.
    pub fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(id.0)
    }

    /// A pod's device on its node: `cali` and eleven characters.
    pub fn veth(&self, id: PodId) -> String {
        self.pod(id).map_or_else(String::new, |pod| veth(&pod.namespace, &pod.name))
    }

    /// Whether a service has the address: kube-proxy in IPVS mode binds these to kube-ipvs0.
    pub(crate) fn is_service_address(&self, address: IpAddr) -> bool {
        self.service_by_address.contains_key(&address)
    }

    /// An address that nothing in the cluster has: some machine outside.
    pub(crate) fn is_outside(&self, address: IpAddr) -> bool {
        !address.is_loopback()
            && self.pool_of(address).is_none()
            && !self.node_by_address.contains_key(&address)
            && !self.pod_by_address.contains_key(&address)
            && !self.is_service_address(address)
            && self.routes.longest(address).is_none()
            && !self.service_ranges.iter().any(|(range, _)| range.contains(&address))
            && !self.subnets.iter().any(|subnet| subnet.contains(&address))
    }
}

impl Service {
    /// The port of this number or name, or what to tell the user.
    pub fn find_port(&self, port: &PortRef, protocol: Protocol) -> Result<&ServicePort, String> {
        let matches = |known: &&ServicePort| {
            known.protocol == protocol
                && match port {
                    PortRef::Number(number) => known.port == *number,
                    PortRef::Name(name) => known.name == *name,
                }
        };
        self.ports.iter().find(matches).ok_or_else(|| {
            let known: Vec<String> =
                self.ports.iter().map(|p| format!("{}/{}", p.port, p.protocol)).collect();
            format!(
                "Service {}/{} has no port {port}/{protocol}; it has {}",
                self.namespace,
                self.name,
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )
        })
    }
}

impl Node {
    /// The card's address of a family.
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        self.addresses.iter().map(IpNet::addr).find(|address| address.family() == family)
    }

    /// The address of the tunnel's device.
    pub fn tunnel_address(&self, encapsulation: Encapsulation, family: Family) -> Option<IpAddr> {
        match encapsulation {
            Encapsulation::Ipip => self.ipip.as_ref().map(|own| own.value),
            Encapsulation::Vxlan => {
                self.vxlan.iter().map(|own| own.value).find(|own| own.family() == family)
            }
            Encapsulation::Wireguard => {
                self.wireguard.iter().map(|own| own.value).find(|own| own.family() == family)
            }
        }
        .filter(|own| own.family() == family)
    }

    /// The tunnel whose device has the address.
    pub fn tunnel_of(&self, address: IpAddr) -> Option<Encapsulation> {
        let has = |own: &Setting<IpAddr>| own.value == address;
        if self.addresses.iter().any(|own| own.addr() == address) {
            None
        } else if self.ipip.iter().any(has) {
            Some(Encapsulation::Ipip)
        } else if self.vxlan.iter().any(has) {
            Some(Encapsulation::Vxlan)
        } else {
            self.wireguard.iter().any(has).then_some(Encapsulation::Wireguard)
        }
    }

    /// Every tunnel address that is configured, which it is while some pool uses the tunnel, or
    /// Felix' settings turn it on (`node/pkg/allocateip`).
    pub fn tunnel_addresses<'a>(
        &'a self,
        cluster: &'a Cluster,
    ) -> impl Iterator<Item = IpAddr> + 'a {
        let uses = |pick: fn(&Pool) -> EncapMode| {
            cluster.pools.iter().any(|pool| pick(pool) != EncapMode::Never)
        };
        let ipip = self.ipip.iter().filter(move |_| uses(|pool| pool.ipip.value));
        let vxlan = self.vxlan.iter().filter(move |_| uses(|pool| pool.vxlan.value));
        let wireguard = self
            .wireguard
            .iter()
            .filter(|own| cluster.felix.wireguard_of(own.value.family()).value);
        ipip.chain(vxlan).chain(wireguard).map(|own| own.value)
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
