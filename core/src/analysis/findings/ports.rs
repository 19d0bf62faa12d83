//! Ports that are not the ones that the pods listen on.

use std::collections::BTreeSet;

use super::{About, Look, peer_of};
use crate::cluster::PodId;
use crate::decision::selected;
use crate::net::{Direction, IpProtocol};
use crate::policy::form::{Port, PortNumber, Rule, Test};

impl Look<'_> {
    /// The destination ports of a rule.
    pub(super) fn ports(&mut self, policy: &About<'_>, direction: Direction, rule: &Rule) {
        if rule.destination.ports.is_empty() {
            return;
        }
        let ends = match direction {
            Direction::Ingress => policy.pods.clone(),
            Direction::Egress => self.peers_of(rule),
        };
        if ends.is_empty() {
            return;
        }
        for port in &rule.destination.ports {
            match &port.number {
                PortNumber::Range(number, last) if number == last => {
                    self.service_port(policy, port, *number, &ends);
                }
                PortNumber::Named(name) => {
                    self.port_name(policy, rule, port, name, &ends);
                }
                PortNumber::Range(..) | PortNumber::Any => {}
            }
        }
    }

    /// The pods that a rule's peers describe.
    fn peers_of(&self, rule: &Rule) -> BTreeSet<PodId> {
        let peers = &peer_of(rule, Direction::Egress).peers;
        let conditions = peers.iter().flat_map(|peer| &peer.conditions);
        let endpoints = conditions.filter_map(|condition| match &condition.test {
            Test::Endpoints(endpoints) => Some(endpoints),
            _ => None,
        });
        endpoints.flat_map(|endpoints| selected(self.cluster, endpoints)).collect()
    }

    /// A service's port where the pods listen on another.
    fn service_port(
        &mut self,
        policy: &About<'_>,
        port: &Port,
        number: u16,
        ends: &BTreeSet<PodId>,
    ) {
        let cluster = self.cluster;
        let listens = |id: &PodId| {
            cluster.pod(*id).is_some_and(|pod| pod.ports.iter().any(|port| port.port == number))
        };
        if ends.iter().any(listens) {
            return;
        }
        let target = cluster.services.iter().find_map(|service| {
            let own = service.ports.iter().find(|own| {
                own.port == number
                    && own.endpoints.iter().any(|e| e.pod.is_some_and(|pod| ends.contains(&pod)))
            })?;
            let to = own.endpoints.first()?.port;
            (to != number).then_some((service, to))
        });
        if let Some((service, to)) = target {
            self.warn(
                "service-port-in-policy",
                &port.cite,
                format!("{} speaks of port {number}, but the pods listen on {to}", policy.form.object),
                &format!("{number} is the port of {}; policies are asked after kube-proxy has put the pods' port in its place", service.cite.object),
            )
            .instead(format!("write {to}, or the port's name"));
        }
    }

    /// A name that no pod gives to a port.
    fn port_name(
        &mut self,
        policy: &About<'_>,
        rule: &Rule,
        port: &Port,
        name: &str,
        ends: &BTreeSet<PodId>,
    ) {
        let pods = || ends.iter().filter_map(|id| self.cluster.pod(*id));
        let protocol = port.protocol.or(rule.protocol);
        let known = |fits: &dyn Fn(IpProtocol) -> bool| {
            pods().any(|pod| {
                pod.ports.iter().any(|own| own.name == name && fits(own.protocol.number()))
            })
        };
        if known(&|own| protocol.is_none_or(|wanted| wanted == own)) {
            return;
        }
        let other = known(&|_| true);
        let there: BTreeSet<&str> = pods()
            .flat_map(|pod| &pod.ports)
            .map(|own| own.name.as_str())
            .filter(|name| !name.is_empty())
            .collect();
        let there: Vec<_> = there.into_iter().collect();
        let why = if other {
            format!("their port {name} is of another protocol; a port without a protocol is TCP")
        } else {
            "a name is looked up on each destination pod, in its containers' ports; where it is not found, the rule does not match".to_owned()
        };
        let title = format!("{} speaks of port {name}, which no pod there has", policy.form.object);
        let found = self.warn("no-such-port-name", &port.cite, title, &why);
        if !other && !there.is_empty() {
            found.instead(format!("ports there are named {}", there.join(", ")));
        }
    }
}
