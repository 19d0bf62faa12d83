//! One pod's policies asked many times: which of them have a say is found out once.

use std::net::IpAddr;

use super::Direction;
use super::end::{End, has_own_network};
use super::evaluate::{Say, allows_by};
use super::rule::Question;
use crate::cluster::{Cluster, Pod, PodId};
use crate::datapath::Protocol;

/// The policies that have a say in what enters or leaves a pod.
#[derive(Clone, Debug)]
pub struct Guard<'a> {
    cluster: &'a Cluster,
    direction: Direction,
    pod: PodId,
    say: Say<'a>,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A pod.
    Pod(PodId),
    /// Whatever has the address.
    Address(IpAddr),
}

impl<'a> Guard<'a> {
    /// The policies that `pod` is subject to in a direction.
    pub fn new(cluster: &'a Cluster, direction: Direction, pod: PodId) -> Self {
        let say = Say::of(cluster, direction, &End::pod(cluster, pod, None));
        Self { cluster, direction, pod, say }
    }

    /// Does no policy restrict the pod in this direction?
    pub fn is_open(&self) -> bool {
        self.say.is_empty() && self.cluster.policies.profiles.is_empty()
    }

    /// May a packet pass between the pod and `peer`, to `port` of whichever receives it? Without a
    /// port it is asked about one that no rule names.
    pub fn permits(&self, peer: Peer, protocol: Protocol, port: Option<u16>) -> bool {
        if self.is_open() || peer == Peer::Pod(self.pod) {
            return true;
        }
        let own = self.addresses(self.pod);
        let (own, other) = match peer {
            Peer::Address(ip) => {
                let same = own.iter().find(|own| own.is_ipv4() == ip.is_ipv4());
                (same.or(own.first()).copied(), End::at(self.cluster, ip))
            }
            Peer::Pod(id) => {
                let theirs = self.addresses(id);
                let pairs = own.iter().flat_map(|o| theirs.iter().map(move |t| (*o, *t)));
                let (own, address) =
                    match pairs.into_iter().find(|(o, t)| o.is_ipv4() == t.is_ipv4()) {
                        Some((own, address)) => (Some(own), Some(address)),
                        None => (own.first().copied(), theirs.first().copied()),
                    };
                (own, End::pod(self.cluster, id, address))
            }
        };
        let own = End::pod(self.cluster, self.pod, own);
        let (source, destination) = match self.direction {
            Direction::Egress => (own, other),
            Direction::Ingress => (other, own),
        };
        let protocol = protocol.number();
        let question =
            Question { source, destination, protocol, source_port: None, destination_port: port };
        allows_by(&self.say, self.cluster, self.direction, &question)
    }

    fn addresses(&self, pod: PodId) -> &'a [IpAddr] {
        self.cluster.pods.get(pod.0).map_or(&[], |pod| &pod.addresses)
    }
}

/// Do policies know the pod? Those on the host's network and finished ones they do not.
pub fn polices(pod: &Pod) -> bool {
    has_own_network(pod)
}
