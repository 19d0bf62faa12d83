//! Stories to lay out and to describe.

use std::net::IpAddr;

use crate::cluster::Cluster;
use crate::datapath::{Cause, Device, Fact, Hook, Machine, Outcome, Step};
use crate::net::{Packet, Protocol, Verdict};
use crate::{read, trace};

/// Two nodes over IPIP behind IPVS, a dashboard on node2 behind a node port, a policy for a user
/// outside, and pods of another namespace.
pub(crate) const TEXT: &str = include_str!("case.yaml");

/// [`TEXT`] with parts replaced.
pub(crate) fn changed(changes: &[(&str, &str)]) -> String {
    let mut text = TEXT.to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "no {old:?} in the text");
        text = text.replace(old, new);
    }
    text
}

/// The policy asks for a pod that isn't there.
const UNPOLICED: (&str, &str) = ("podSelector: {}", "podSelector: {matchLabels: {app: none}}");

/// The first outcome of a flow.
pub(crate) fn story(changes: &[(&str, &str)], flow: &str) -> (Cluster, Outcome) {
    let reading = read(&changed(changes));
    let mut trace = trace(&reading.cluster, &flow.parse().unwrap());
    (reading.cluster, trace.outcomes.remove(0))
}

/// The user at node1's node port; the policy, which allows only the user, sees node1's tunnel.
pub(crate) fn article() -> (Cluster, Outcome) {
    story(&[], "client/user -> nodePort/node1:31602")
}

/// The same without a policy, and the answer.
pub(crate) fn answered() -> (Cluster, Outcome) {
    story(&[UNPOLICED], "client/user -> nodePort/node1:31602")
}

/// kube-proxy can't tell pods from others and masquerades nothing that goes to a `ClusterIP`.
pub(crate) const UNDETECTED: (&str, &str) = ("clusterCIDR: 10.233.64.0/18", "clusterCIDR: \"\"");
/// The reverse path filter is loose.
pub(crate) const LOOSE: (&str, &str) = ("rpFilter: Strict", "rpFilter: Loose");
/// Outside, the way to the `ClusterIP`s is through node1.
pub(crate) const ROUTED: (&str, &str) =
    ("  clients:\n", "  routes:\n  - to: 10.233.0.0/18\n    via: node1\n  clients:\n");

/// Every story, by name.
pub(crate) fn stories() -> Vec<(&'static str, (Cluster, Outcome))> {
    let dashboard = "service/tekton/dashboard:9097";
    vec![
        ("article", article()),
        ("answered", answered()),
        ("local", story(&[], "client/user -> nodePort/node2:31602")),
        ("pods", story(&[], "pod/bar/web -> pod/tekton/dashboard:9097")),
        ("way out", story(&[], &format!("pod/bar/shut -> {dashboard}"))),
        ("balanced", story(&[], "client/user -> loadBalancer/tekton/dashboard:9097@lb/node2")),
        ("lost", story(&[UNDETECTED, LOOSE, ROUTED], &format!("client/user -> {dashboard}"))),
        ("host", story(&[], "node/node1 -> node/node2:10250")),
        ("refused", story(&[], "client/user -> node/node1:81")),
        ("nothing", story(&[], "client/nobody -> node/node1:81")),
    ]
}

/// Steps, each beginning where the last one ended.
pub(crate) struct Path {
    pub(crate) steps: Vec<Step>,
    pub(crate) packet: Packet,
}

impl Path {
    pub(crate) fn from(source: IpAddr, destination: IpAddr) -> Self {
        let packet = Packet {
            protocol: Protocol::Tcp,
            source,
            source_port: None,
            destination,
            destination_port: Some(65535),
            outer: None,
        };
        Self { steps: Vec::new(), packet }
    }

    pub(crate) fn step(mut self, machine: Machine, fact: Fact, device: Option<Device>) -> Self {
        let (before, after) = (self.packet, self.packet);
        let (hook, evidence, doubt) = (Hook::Forward, Vec::new(), None);
        self.steps.push(Step { machine, hook, device, before, after, fact, evidence, doubt });
        self
    }

    pub(crate) fn into(mut self, change: impl FnOnce(&mut Packet)) -> Self {
        change(&mut self.packet);
        self.steps.last_mut().unwrap().after = self.packet;
        self
    }

    pub(crate) fn ends(self, cause: Option<Cause>, reply: Vec<Step>) -> Outcome {
        let verdict = if cause.is_none() { Verdict::Delivered } else { Verdict::Dropped };
        Outcome {
            share: 1.0,
            endpoint: None,
            verdict,
            cause,
            source_at_pod: None,
            source_seen_by_app: None,
            steps: self.steps,
            reply,
        }
    }
}
