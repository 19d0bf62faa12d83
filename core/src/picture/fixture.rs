//! Stories told by hand, step by step, to lay out and to describe.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::cluster::{
    Balancer, Client, Cluster, EncapMode, Labels, Node, NodeId, Pod, PodId, Pool, Service,
    ServiceKind, TrafficPolicy,
};
use crate::datapath::{
    Cause, CauseKind, Encapsulation, Gate, Hook, Inspect, Machine, Outcome, Outer, Packet,
    Protocol, Rule, Step, Verdict,
};
use crate::policy::{By, Decision, Direction, Evidence};
use crate::text::{Cite, ObjectRef, Origin, Setting, Span};

pub(crate) const USER: &str = "10.2.3.4";
pub(crate) const DASHBOARD: &str = "pod/tekton-pipelines/tekton-dashboard-75c65d785b-xbgk6";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn written(kind: &str, namespace: &str, name: &str, field: &str, line: u32) -> Cite {
    let start = usize::try_from(line).unwrap() * 20;
    Cite {
        object: ObjectRef::new(kind, namespace, name),
        field: field.to_owned(),
        span: Some(Span { start, end: start + 10, line, column: 3 }),
    }
}

pub(crate) fn policy() -> Cite {
    written("NetworkPolicy", "tekton-pipelines", "test-network-policy", "spec.ingress", 9)
}

pub(crate) fn traffic_policy() -> Cite {
    written("Service", "tekton-pipelines", "tekton-dashboard", "spec.externalTrafficPolicy", 27)
}

/// Three nodes over IPIP, the dashboard on node2, pods of namespace bar, and a user outside.
pub(crate) fn cluster() -> Cluster {
    let mut cluster = Cluster::default();
    for (index, (name, address, tunnel)) in [
        ("node1", "10.102.123.117/24", "10.233.90.0"),
        ("node2", "10.102.123.104/24", "10.233.96.0"),
        ("node3", "10.102.123.143/24", "10.233.92.0"),
    ]
    .into_iter()
    .enumerate()
    {
        let net: IpNet = address.parse().unwrap();
        cluster.node_by_address.insert(net.addr(), NodeId(index));
        cluster.node_by_address.insert(ip(tunnel), NodeId(index));
        cluster.nodes.push(Node {
            name: name.to_owned(),
            labels: Labels::new(),
            origin: Origin::Assumed("a cluster has nodes".to_owned()),
            addresses: vec![net],
            subnet_origin: Origin::Default(String::new()),
            ipip: Some(Setting { value: ip(tunnel), origin: Origin::Assumed(String::new()) }),
            vxlan: Vec::new(),
            wireguard: None,
            blocks: Vec::new(),
            pod_cidrs: Vec::new(),
        });
    }
    for (index, (namespace, name, address, node)) in [
        ("tekton-pipelines", "tekton-dashboard-75c65d785b-xbgk6", "10.233.96.32", 1),
        ("bar", "web-0", "10.233.90.17", 0),
    ]
    .into_iter()
    .enumerate()
    {
        cluster.pod_by_address.insert(ip(address), PodId(index));
        cluster.pods.push(Pod {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            labels: Labels::new(),
            origin: if index == 0 {
                Origin::Assumed("a service has a pod".to_owned())
            } else {
                Origin::Written(written("Pod", namespace, name, "", 40))
            },
            address_origin: Origin::Default(String::new()),
            owner: None,
            node: NodeId(node),
            addresses: vec![ip(address)],
            host_network: false,
            finished: false,
            ready: true,
            terminating: false,
            ports: Vec::new(),
            service_account: "default".to_owned(),
        });
    }
    cluster.clients.push(Client {
        name: "user".to_owned(),
        ip: ip(USER),
        origin: Origin::Default(String::new()),
    });
    cluster.balancers.push(Balancer {
        name: "lb".to_owned(),
        ip: ip("10.102.123.250"),
        preserve: true,
        health_check: false,
        origin: Origin::Default(String::new()),
    });
    cluster.pools.push(Pool {
        name: "default-ipv4-ippool".to_owned(),
        cidr: "10.233.64.0/18".parse().unwrap(),
        block_size: 26,
        ipip: Setting { value: EncapMode::Always, origin: Origin::Default(String::new()) },
        vxlan: Setting { value: EncapMode::Never, origin: Origin::Default(String::new()) },
        nat_outgoing: Setting { value: true, origin: Origin::Default(String::new()) },
        load_balancer_only: false,
        origin: Origin::Default(String::new()),
    });
    cluster.services.push(Service {
        namespace: "tekton-pipelines".to_owned(),
        name: "tekton-dashboard".to_owned(),
        cite: written("Service", "tekton-pipelines", "tekton-dashboard", "", 19),
        kind: ServiceKind::NodePort,
        cluster_ips: vec![ip("10.233.5.155")],
        cluster_ip_origin: Origin::Default(String::new()),
        headless: false,
        external_name: None,
        ports: Vec::new(),
        external_ips: Vec::new(),
        ingress_ips: Vec::new(),
        external_traffic_policy: Setting {
            value: TrafficPolicy::Cluster,
            origin: Origin::Written(traffic_policy()),
        },
        internal_traffic_policy: Setting {
            value: TrafficPolicy::Cluster,
            origin: Origin::Default(String::new()),
        },
        source_ranges: Vec::new(),
        session_affinity: false,
        health_check_node_port: None,
    });
    cluster
}

/// Steps, each beginning where the last one ended.
pub(crate) struct Path {
    pub(crate) steps: Vec<Step>,
    pub(crate) packet: Packet,
}

impl Path {
    pub(crate) fn from(source: &str, destination: &str, port: u16) -> Self {
        let packet = Packet {
            protocol: Protocol::Tcp,
            source: ip(source),
            source_port: None,
            destination: ip(destination),
            destination_port: Some(port),
            outer: None,
        };
        Self { steps: Vec::new(), packet }
    }

    pub(crate) fn step(
        mut self,
        machine: &Machine,
        hook: Hook,
        rule: Rule,
        device: &str,
        summary: &str,
    ) -> Self {
        self.steps.push(Step {
            machine: machine.clone(),
            hook,
            device: (!device.is_empty()).then(|| device.to_owned()),
            rule,
            before: self.packet.clone(),
            after: self.packet.clone(),
            summary: summary.to_owned(),
            evidence: Vec::new(),
            rules: Vec::new(),
            inspect: None,
            gate: None,
            uncertain: None,
        });
        self
    }

    pub(crate) fn into(mut self, change: impl FnOnce(&mut Packet)) -> Self {
        change(&mut self.packet);
        self.steps.last_mut().unwrap().after = self.packet.clone();
        self
    }

    pub(crate) fn because(mut self, cite: Cite, finding: &str) -> Self {
        let evidence = Evidence { cite, matched: true, finding: finding.to_owned() };
        self.steps.last_mut().unwrap().evidence.push(evidence);
        self
    }

    pub(crate) fn rule(mut self, rule: &str, on: &str, command: &str) -> Self {
        let step = self.steps.last_mut().unwrap();
        step.rules.push(rule.to_owned());
        step.inspect = Some(Inspect { on: on.to_owned(), command: command.to_owned() });
        self
    }

    pub(crate) fn gate(mut self, direction: Direction, pod: &str, allow: bool, by: By) -> Self {
        let decision = Decision {
            allow,
            cite: (by != By::NoPolicy).then(policy),
            by,
            reason: "no rule matches".to_owned(),
            evidence: Vec::new(),
        };
        self.steps.last_mut().unwrap().gate =
            Some(Gate { direction, pod: pod.to_owned(), decision });
        self
    }
}

pub(crate) fn node(name: &str) -> Machine {
    Machine::Node(name.to_owned())
}

pub(crate) fn user() -> Machine {
    Machine::Client("user".to_owned())
}

pub(crate) fn isolation() -> By {
    By::Isolation(vec![policy().object])
}

fn outer() -> Outer {
    Outer {
        encapsulation: Encapsulation::Ipip,
        source: ip("10.102.123.117"),
        destination: ip("10.102.123.104"),
    }
}

pub(crate) fn denied(machine: &str) -> Cause {
    Cause {
        kind: CauseKind::PolicyDenied,
        cite: Some(policy()),
        message: format!("the policy test-network-policy denies it on {machine}"),
    }
}

pub(crate) fn outcome(
    verdict: Verdict,
    cause: Option<Cause>,
    path: Path,
    reply: Vec<Step>,
) -> Outcome {
    Outcome {
        share: 1.0,
        endpoint: Some(DASHBOARD.to_owned()),
        verdict,
        cause,
        source_at_pod: Some(path.packet.source),
        source_seen_by_app: (verdict == Verdict::Delivered).then_some(path.packet.source),
        steps: path.steps,
        reply,
    }
}

/// A connection's steps from the user to node1's node port and on to the policy on node2.
fn through_node1() -> Path {
    let (n1, n2) = (node("node1"), node("node2"));
    Path::from(USER, "10.102.123.117", 31602)
        .step(&user(), Hook::Socket, Rule::Send, "", "user sends a packet to node1’s node port")
        .step(&n1, Hook::Device, Rule::DeviceIn, "eth0", "it comes in by eth0")
        .step(
            &n1,
            Hook::Prerouting,
            Rule::Dnat,
            "",
            "kube-proxy turns the node port into the pod’s address",
        )
        .into(|p| {
            p.destination = ip("10.233.96.32");
            p.destination_port = Some(9097);
        })
        .because(
            written(
                "Service",
                "tekton-pipelines",
                "tekton-dashboard",
                "spec.ports[0].nodePort",
                30,
            ),
            "`nodePort` is `31602`",
        )
        .rule(
            "-A KUBE-SEP-DASHBOARD -p tcp -j DNAT --to-destination 10.233.96.32:9097",
            "node1",
            "iptables-save -t nat | grep 31602",
        )
        .step(
            &n1,
            Hook::Routing,
            Rule::Route,
            "tunl0",
            "the route to 10.233.96.0/26 goes through tunl0",
        )
        .step(
            &n1,
            Hook::Postrouting,
            Rule::Masquerade,
            "tunl0",
            "kube-proxy masquerades it with tunl0’s address",
        )
        .into(|p| p.source = ip("10.233.90.0"))
        .because(traffic_policy(), "`externalTrafficPolicy` is `Cluster`")
        .rule(
            "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
            "node1",
            "iptables-save -t nat | grep MASQUERADE",
        )
        .step(&n1, Hook::Device, Rule::Encapsulate, "tunl0", "tunl0 wraps it in IPIP to node2")
        .into(|p| p.outer = Some(outer()))
        .step(&n1, Hook::Device, Rule::DeviceOut, "eth0", "it leaves by eth0")
        .step(&n2, Hook::Device, Rule::DeviceIn, "eth0", "it comes in by eth0")
        .step(&n2, Hook::Device, Rule::Decapsulate, "tunl0", "tunl0 unwraps it")
        .into(|p| p.outer = None)
        .step(&n2, Hook::Forward, Rule::IngressGate, DASHBOARD, "may 10.233.90.0 enter the pod?")
}

/// The user at node1's node port; the policy, which allows only the user, sees node1's tunnel.
pub(crate) fn article() -> Outcome {
    let path = through_node1().gate(Direction::Ingress, DASHBOARD, false, isolation());
    outcome(Verdict::Dropped, Some(denied("node2")), path, Vec::new())
}

/// The same without a policy, and the answer.
pub(crate) fn answered() -> Outcome {
    let path = through_node1().gate(Direction::Ingress, DASHBOARD, true, By::NoPolicy).step(
        &node("node2"),
        Hook::Socket,
        Rule::DeliverToPod,
        DASHBOARD,
        "the pod takes it",
    );
    let reply = Path::from("10.233.96.32", "10.233.90.0", 40000)
        .step(&node("node2"), Hook::Socket, Rule::Send, DASHBOARD, "the pod answers")
        .step(
            &node("node1"),
            Hook::Prerouting,
            Rule::UnNat,
            "",
            "node1 puts 10.102.123.117:31602 and 10.2.3.4 back",
        )
        .into(|p| {
            p.source = ip("10.102.123.117");
            p.destination = ip(USER);
        })
        .step(
            &user(),
            Hook::Socket,
            Rule::ReplyDelivered,
            "",
            "user gets the answer that it waits for",
        );
    outcome(Verdict::Delivered, None, path, reply.steps)
}

/// The user at node2's node port: the policy sees the user, the application sees node2.
pub(crate) fn local() -> Outcome {
    let n2 = node("node2");
    let path = Path::from(USER, "10.102.123.104", 31602)
        .step(&user(), Hook::Socket, Rule::Send, "", "user sends a packet to node2’s node port")
        .step(&n2, Hook::Device, Rule::DeviceIn, "eth0", "it comes in by eth0")
        .step(
            &n2,
            Hook::Prerouting,
            Rule::Dnat,
            "",
            "kube-proxy turns the node port into the pod’s address",
        )
        .into(|p| {
            p.destination = ip("10.233.96.32");
            p.destination_port = Some(9097);
        })
        .step(&n2, Hook::Forward, Rule::IngressGate, DASHBOARD, "may 10.2.3.4 enter the pod?")
        .gate(Direction::Ingress, DASHBOARD, true, By::Policy(policy().object))
        .step(&n2, Hook::Postrouting, Rule::Masquerade, DASHBOARD, "kube-proxy masquerades it")
        .into(|p| p.source = ip("10.102.123.104"))
        .because(traffic_policy(), "`externalTrafficPolicy` is `Cluster`")
        .step(&n2, Hook::Device, Rule::DeviceOut, DASHBOARD, "out by the pod’s veth")
        .step(&n2, Hook::Socket, Rule::DeliverToPod, DASHBOARD, "the pod takes it");
    let reply = Path::from("10.233.96.32", "10.102.123.104", 40000)
        .step(&n2, Hook::Socket, Rule::Send, DASHBOARD, "the pod answers")
        .step(&n2, Hook::Prerouting, Rule::UnNat, "", "the destination is 10.2.3.4 again")
        .into(|p| p.destination = ip(USER))
        .step(&n2, Hook::Postrouting, Rule::UnNat, "", "the source is 10.102.123.104:31602 again")
        .into(|p| p.source = ip("10.102.123.104"))
        .step(
            &user(),
            Hook::Socket,
            Rule::ReplyDelivered,
            "",
            "user gets the answer that it waits for",
        );
    outcome(Verdict::Delivered, None, path, reply.steps)
}

/// A pod of namespace bar at the dashboard's own address: two policies on one path.
pub(crate) fn pods() -> Outcome {
    let (n1, n2) = (node("node1"), node("node2"));
    let web = "pod/bar/web-0";
    let path = Path::from("10.233.90.17", "10.233.96.32", 9097)
        .step(&n1, Hook::Socket, Rule::Send, web, "web-0 sends a packet")
        .step(&n1, Hook::Device, Rule::DeviceIn, web, "out of the pod by its veth")
        .step(&n1, Hook::Forward, Rule::EgressGate, web, "may web-0 talk to 10.233.96.32:9097?")
        .gate(Direction::Egress, web, true, By::NoPolicy)
        .step(&n1, Hook::Device, Rule::Encapsulate, "tunl0", "tunl0 wraps it in IPIP to node2")
        .into(|p| p.outer = Some(outer()))
        .step(&n1, Hook::Device, Rule::DeviceOut, "eth0", "it leaves by eth0")
        .step(&Machine::Router, Hook::Inside, Rule::RouterForward, "", "passed on")
        .step(&n2, Hook::Device, Rule::DeviceIn, "eth0", "it comes in by eth0")
        .step(&n2, Hook::Device, Rule::Decapsulate, "tunl0", "tunl0 unwraps it")
        .into(|p| p.outer = None)
        .step(&n2, Hook::Forward, Rule::IngressGate, DASHBOARD, "may 10.233.90.17 enter the pod?")
        .gate(Direction::Ingress, DASHBOARD, false, isolation());
    outcome(Verdict::Dropped, Some(denied("node2")), path, Vec::new())
}

/// Through a balancer that keeps the source, to a node that hands it on without masquerade: the
/// pod's answer goes past the balancer and is lost.
pub(crate) fn lost() -> Outcome {
    let (lb, n1) = (Machine::Balancer("lb".to_owned()), node("node2"));
    let path = Path::from(USER, "10.102.123.250", 9097)
        .step(&user(), Hook::Socket, Rule::Send, "", "user sends a packet")
        .step(&lb, Hook::Inside, Rule::BalancerForward, "", "lb picks node2 and keeps the source")
        .into(|p| {
            p.destination = ip("10.102.123.104");
            p.destination_port = Some(31602);
        })
        .step(&n1, Hook::Device, Rule::DeviceIn, "eth0", "it comes in by eth0")
        .step(
            &n1,
            Hook::Prerouting,
            Rule::Dnat,
            "",
            "kube-proxy turns the node port into the pod’s address",
        )
        .into(|p| {
            p.destination = ip("10.233.96.32");
            p.destination_port = Some(9097);
        })
        .step(&n1, Hook::Forward, Rule::IngressGate, DASHBOARD, "may 10.2.3.4 enter the pod?")
        .gate(Direction::Ingress, DASHBOARD, true, By::Policy(policy().object))
        .step(&n1, Hook::Socket, Rule::DeliverToPod, DASHBOARD, "the pod takes it");
    let reply = Path::from("10.233.96.32", USER, 40000)
        .step(&n1, Hook::Socket, Rule::Send, DASHBOARD, "the pod answers")
        .step(&n1, Hook::Prerouting, Rule::UnNat, "", "the source is 10.102.123.104:31602 again")
        .into(|p| p.source = ip("10.102.123.104"))
        .step(
            &user(),
            Hook::Socket,
            Rule::ReplyLost,
            "",
            "user waits for 10.102.123.250, not for 10.102.123.104",
        );
    let cause = Some(Cause {
        kind: CauseKind::ReplyLost,
        cite: None,
        message: "the answer comes from 10.102.123.104, but the client asked 10.102.123.250"
            .to_owned(),
    });
    outcome(Verdict::Dropped, cause, path, reply.steps)
}

/// Every story, by name.
pub(crate) fn stories() -> Vec<(&'static str, Outcome)> {
    vec![
        ("article", article()),
        ("answered", answered()),
        ("local", local()),
        ("pods", pods()),
        ("lost", lost()),
    ]
}
