//! Services, settings and address families on the packet's path, one scenario each.
//!
//! Two nodes in one subnet; a pod `web1` on node1 and `web2` on node2 behind one service, a pod
//! `cli` on node1, and two clients outside. IPIP, unless a test says otherwise.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test: a broken scenario must stop it")]

mod calico;
mod ebpf;
mod families;
mod nodes;
mod proxies;
mod sentences;
mod services;

use std::collections::BTreeSet;

use hopwise::cluster::{NodeId, PodId, ServiceId};
use hopwise::datapath::{Doubt, Evidence, Outcome, Rule, Step, Trace};
use hopwise::{Flow, read, trace, words};

const NODES: &str = "
apiVersion: v1
kind: Node
metadata:
  name: node1
  labels: {topology.kubernetes.io/zone: a}
  annotations: {projectcalico.org/IPv4Address: 192.168.1.11/24, projectcalico.org/IPv4IPIPTunnelAddr: 10.244.1.1}
---
apiVersion: v1
kind: Node
metadata:
  name: node2
  labels: {topology.kubernetes.io/zone: b}
  annotations: {projectcalico.org/IPv4Address: 192.168.1.12/24, projectcalico.org/IPv4IPIPTunnelAddr: 10.244.2.1}
---";

const POOL: &str = "
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pool}
spec: {cidr: 10.244.0.0/16, ipipMode: Always, natOutgoing: true}
---";

const PODS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web1, namespace: app, labels: {app: web}}
spec: {nodeName: node1, containers: [{name: main, ports: [{name: http, containerPort: 8080}]}]}
status: {podIP: 10.244.1.5}
---
apiVersion: v1
kind: Pod
metadata: {name: web2, namespace: app, labels: {app: web}}
spec: {nodeName: node2, containers: [{name: main, ports: [{name: http, containerPort: 8081}]}]}
status: {podIP: 10.244.2.5}
---
apiVersion: v1
kind: Pod
metadata: {name: cli, namespace: app, labels: {app: cli}}
spec: {nodeName: node1, containers: [{name: main}]}
status: {podIP: 10.244.1.6}
---";

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: app}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.9
  externalIPs: [198.51.100.7]
  selector: {app: web}
  ports: [{name: web, port: 80, targetPort: http, nodePort: 30080}]
status: {loadBalancer: {ingress: [{ip: 192.0.2.10}]}}
---";

const OUTSIDE: &str = "
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {name: test}
spec:
  clients: [{name: near, ip: 203.0.113.9}, {name: far, ip: 203.0.114.9}]
";

/// The scenario with edits, and objects of its own.
fn scenario(edits: &[(&str, &str)], more: &[&str]) -> String {
    let mut text = [NODES, POOL, PODS, SERVICE].concat();
    for object in more {
        text += object;
        text += "\n---";
    }
    text += OUTSIDE;
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text
}

fn ask(text: &str, flow: &str) -> Trace {
    let reading = read(text);
    let errors: Vec<_> = reading.problems.iter().map(|problem| &problem.message).collect();
    assert!(errors.is_empty(), "{errors:?}");
    trace(&reading.cluster, &flow.parse::<Flow>().unwrap())
}

fn only(traced: Trace) -> Outcome {
    let count = traced.outcomes.len();
    let [outcome] = <[Outcome; 1]>::try_from(traced.outcomes).unwrap_or_else(|_| panic!("{count}"));
    outcome
}

/// Where the scenarios' own objects stand in the cluster.
const NODE1: NodeId = NodeId(0);
const WEB1: PodId = PodId(0);
const WEB2: PodId = PodId(1);
const CLI: PodId = PodId(2);
const WEB: ServiceId = ServiceId(0);

/// Why the connection did not come about.
fn why(text: &str, outcome: &Outcome) -> String {
    words::cause(&read(text).cluster, outcome).unwrap().to_string()
}

fn step(outcome: &Outcome, rule: Rule) -> &Step {
    outcome.steps.iter().find(|step| step.rule() == rule).unwrap()
}

/// What a step says.
fn said(text: &str, step: &Step) -> String {
    words::summary(&read(text).cluster, step).to_string()
}

/// Whether any step of the request has it as its reason.
fn shows(outcome: &Outcome, evidence: Evidence) -> bool {
    outcome.steps.iter().any(|step| step.evidence.contains(&evidence))
}

fn doubt(outcome: &Outcome, rule: Rule) -> Option<Doubt> {
    step(outcome, rule).doubt
}

fn endpoints(text: &str, traced: &Trace) -> Vec<String> {
    let cluster = read(text).cluster;
    let named = |outcome: &Outcome| words::names::backend(&cluster, outcome.endpoint.unwrap());
    traced.outcomes.iter().map(named).collect()
}

const ADVERTISING: &str = "
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec:
  serviceClusterIPs: [{cidr: 10.96.0.0/16}]
  serviceExternalIPs: [{cidr: 198.51.100.0/24}]";

const TO_SERVICE: &str = "pod/app/cli -> service/app/web:80";

fn ebpf(more: &str) -> String {
    format!(
        "
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {{name: default}}
spec: {{bpfEnabled: true{more}}}"
    )
}

/// The machines that the answer passes, in order.
fn way_back(text: &str, outcome: &Outcome) -> Vec<String> {
    let cluster = read(text).cluster;
    let named = |step: &Step| words::names::own_name(&cluster, step.machine);
    let mut way: Vec<String> = outcome.reply.iter().map(named).collect();
    way.dedup();
    way
}

/// kube-proxy's configuration in a mode, with the pods' own range.
fn proxy_mode(mode: &str) -> String {
    format!(
        "
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: {mode}
clusterCIDR: 10.244.0.0/16"
    )
}

/// Only `web2`, on node2, is an endpoint.
const ONLY_WEB2: [(&str, &str); 2] = [
    ("  selector: {app: web}", "  selector: {app: web, only: one}"),
    ("name: web2, namespace: app, labels: {", "name: web2, namespace: app, labels: {only: one, "),
];

/// The same, under externalTrafficPolicy Local.
const ONLY_WEB2_LOCAL: [(&str, &str); 2] = [
    ("  selector: {app: web}", "  externalTrafficPolicy: Local\n  selector: {app: web, only: one}"),
    ONLY_WEB2[1],
];

/// `web1` is a hostNetwork pod of node1, and the only endpoint.
const ONLY_HOST_NETWORK: [(&str, &str); 4] = [
    ("  selector: {app: web}", "  selector: {app: web, only: one}"),
    ("name: web1, namespace: app, labels: {", "name: web1, namespace: app, labels: {only: one, "),
    (
        "spec: {nodeName: node1, containers: [{name: main, ports",
        "spec: {nodeName: node1, hostNetwork: true, containers: [{name: main, ports",
    ),
    ("status: {podIP: 10.244.1.5}", "status: {podIP: 192.168.1.11}"),
];

/// The rules that a step shows.
fn rules(text: &str, step: &Step) -> Vec<String> {
    words::rules(&read(text).cluster, step).0
}

/// Asks where the routers send the balancer's address to node1.
fn ask_with_route(text: &str, flow: &str) -> Trace {
    ask(
        &text.replace("  clients:", "  routes: [{to: 192.0.2.10/32, via: node1}]\n  clients:"),
        flow,
    )
}

/// Every thing that a step can be is shown by some flow of the examples or of these scenarios.
#[test]
fn every_rule_is_reached_by_some_flow() {
    let mut seen = BTreeSet::new();
    let mut walk = |text: &str, flows: &[&str]| {
        let reading = read(text);
        let own = reading.scenario.flows.iter().map(|flow| flow.flow.clone());
        let given = flows.iter().map(|flow| flow.parse::<Flow>().unwrap());
        for flow in own.chain(given) {
            for outcome in trace(&reading.cluster, &flow).outcomes {
                seen.extend(outcome.steps.iter().chain(&outcome.reply).map(Step::rule));
            }
        }
    };
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            walk(&std::fs::read_to_string(path).unwrap(), &[]);
        }
    }
    let ranges = ("  selector", "  loadBalancerSourceRanges: [203.0.113.0/24]\n  selector");
    walk(&scenario(&[ranges], &[]), &["client/far -> loadBalancer/app/web:80"]);
    walk(
        &scenario(&[], &[ADVERTISING]),
        &[
            "client/near -> ip/10.96.7.7:80",
            "pod/app/cli -> ip/10.244.1.9:80",
            "node/node1 -> service/app/web:80",
            "node/node1 -> node/node2:9",
            "client/near -> node/node1:10250",
        ],
    );
    let drop = "
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {defaultEndpointToHostAction: Drop}";
    walk(&scenario(&[], &[drop]), &["pod/app/cli -> node/node1:10250"]);
    let nobody = ("selector: {app: web}", "selector: {app: nobody}");
    walk(&scenario(&[nobody], &[]), &[TO_SERVICE]);
    // A pod's own packet that comes back through a balancer with its node's address as source.
    let replace = (
        "  clients:",
        "  loadBalancers: [{name: lb, ip: 192.168.1.200, sourceAddress: Replace}]\n  clients:",
    );
    walk(&scenario(&[replace], &[]), &["client/near -> loadBalancer/app/web:80@lb/node1"]);
    let preserve = (
        "  clients:",
        "  loadBalancers: [{name: lb, ip: 192.168.2.200, sourceAddress: Preserve, healthCheck: false}]\n  clients:",
    );
    walk(
        &scenario(&[preserve], &[]),
        &[
            "pod/app/cli -> loadBalancer/app/web:80@lb/node1",
            "client/near -> loadBalancer/app/web:80@lb/node2",
        ],
    );
    // Untranslated to another node: its answer comes by the tunnel, the request did not.
    let untranslated = ("natOutgoing: true", "natOutgoing: false");
    walk(&scenario(&[untranslated], &[]), &["pod/app/cli -> nodePort/node2:30080"]);
    let loose = (
        "  clients:",
        "  hosts: {rpFilter: Loose}\n  routes: [{to: 10.96.0.0/16, via: node1}]\n  clients:",
    );
    let unable = "
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables";
    walk(&scenario(&[loose], &[unable]), &["client/near -> ip/10.96.0.9:80"]);
    let ipvs = "
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
clusterCIDR: 10.244.0.0/16";
    let far = (
        "  selector: {app: web}",
        "  externalTrafficPolicy: Local\n  selector: {app: web, only: one}",
    );
    let labelled = (
        "name: web2, namespace: app, labels: {",
        "name: web2, namespace: app, labels: {only: one, ",
    );
    walk(&scenario(&[far, labelled], &[ipvs]), &["node/node1 -> loadBalancer/app/web:80"]);
    let host = "
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: edge}
spec: {node: node1, interfaceName: eth0}";
    walk(&scenario(&[], &[host]), &["client/near -> node/node1:10250"]);
    let missing: Vec<Rule> = Rule::ALL.into_iter().filter(|rule| !seen.contains(rule)).collect();
    assert_eq!(missing, []);
}

/// The service's only endpoint is `web1`, on node1.
const ONLY_WEB1: [(&str, &str); 2] = [
    ("selector: {app: web}", "selector: {app: web, only: one}"),
    ("name: web1, namespace: app, labels: {", "name: web1, namespace: app, labels: {only: one, "),
];

fn command(text: &str, step: &Step) -> String {
    words::rules(&read(text).cluster, step).1.unwrap().command
}
