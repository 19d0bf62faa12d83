//! The words for what no example shows: each sentence once, whole.

use hopwise::cluster::Cluster;
use hopwise::datapath::{Outcome, Rule};
use hopwise::{Flow, read, trace, words};

use crate::{
    ONLY_HOST_NETWORK, ONLY_WEB1, ONLY_WEB2_LOCAL, TO_SERVICE, ebpf, proxy_mode, scenario, step,
};

/// The first way of a flow, with what its words are made of.
fn way(text: &str, flow: &str) -> (Cluster, Outcome) {
    let cluster = read(text).cluster;
    let mut traced = trace(&cluster, &flow.parse::<Flow>().unwrap());
    (cluster, traced.outcomes.remove(0))
}

fn summary(text: &str, flow: &str, rule: Rule) -> String {
    let (cluster, outcome) = way(text, flow);
    words::summary(&cluster, step(&outcome, rule)).to_string()
}

fn doubt(text: &str, flow: &str, rule: Rule) -> String {
    let (cluster, outcome) = way(text, flow);
    words::doubt(&cluster, step(&outcome, rule)).unwrap().to_string()
}

fn cause(text: &str, flow: &str) -> String {
    let (cluster, outcome) = way(text, flow);
    words::cause(&cluster, &outcome).unwrap().to_string()
}

/// The last of what made the destination what it is.
fn reason(text: &str) -> String {
    let (cluster, outcome) = way(text, TO_SERVICE);
    let lines = words::evidence(&cluster, step(&outcome, Rule::Dnat));
    lines.last().unwrap().finding.to_string()
}

const TO_NODE_PORT: &str = "pod/app/cli -> nodePort/node1:30080";

#[test]
fn what_happens() {
    let nobody = [("selector: {app: web}", "selector: {app: nobody}")];
    let iptables = proxy_mode("iptables");
    assert_eq!(
        summary(&scenario(&nobody, &[&iptables]), TO_NODE_PORT, Rule::NoListener),
        "nothing on node1 listens on 192.168.1.11:30080: the kernel answers with a reset; 30080 is a node port of Service app/web, which has no endpoints; the rule with which kube-proxy rejects it is not reached: Calico accepts what a pod sends to its own node before (defaultEndpointToHostAction Accept)"
    );
    let unable = iptables.replace("clusterCIDR: 10.244.0.0/16", "");
    assert_eq!(
        summary(&scenario(&ONLY_WEB2_LOCAL, &[&unable]), TO_NODE_PORT, Rule::NoListener),
        "nothing on node1 listens on 192.168.1.11:30080: the kernel answers with a reset; 30080 is a node port of Service app/web, which has no endpoint on node1, and its externalTrafficPolicy is Local; the rule with which kube-proxy drops it is not reached: Calico accepts what a pod sends to its own node before (defaultEndpointToHostAction Accept)"
    );
    let text = scenario(&ONLY_HOST_NETWORK, &[&proxy_mode("ipvs")]);
    assert_eq!(
        summary(&text, "client/near -> nodePort/node1:30080", Rule::Dnat),
        "IPVS rewrites the destination 192.168.1.11:30080, a node port of Service app/web, to pod/app/web1, the only endpoint it may use, and marks it for masquerade; as the endpoint is the node itself, POSTROUTING never sees it, and its source stays"
    );
    let (cluster, refused) = way(&scenario(&[], &[]), "pod/app/cli -> node/node2:68/UDP");
    assert_eq!(
        words::summary(&cluster, refused.reply.last().unwrap()).to_string(),
        "the refusal arrives: there is no connection"
    );
}

#[test]
fn what_made_it_happen() {
    let affinity = ("  selector", "  sessionAffinity: ClientIP\n  selector");
    assert_eq!(
        reason(&scenario(&[affinity], &[])),
        "ClientIP: node1 sends further connections from the same address, as it sees it before any masquerade, to the same endpoint for 10800 seconds; these are the ways of a first one"
    );
    let hinted = |hints: [&str; 2]| {
        let slice = format!(
            "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-1, namespace: app, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{name: web, port: 8080}}]
endpoints:
- {{addresses: [10.244.1.5], nodeName: node1, hints: {{{}}}}}
- {{addresses: [10.244.2.5], nodeName: node2, hints: {{{}}}}}",
            hints[0], hints[1]
        );
        reason(&scenario(&[], &[&slice]))
    };
    assert_eq!(
        hinted(["forZones: [{name: a}]", "forZones: [{name: b}]"]),
        "1 of 2 ready endpoints are meant for zone a, as their hints say"
    );
    assert_eq!(
        hinted(["forNodes: [{name: node1}]", "forNodes: [{name: node2}]"]),
        "1 of 2 ready endpoints are meant for node node1, as their hints say"
    );
}

#[test]
fn why_it_is_not_certain() {
    let (ipvs, nftables) = (proxy_mode("ipvs"), proxy_mode("nftables"));
    assert_eq!(
        doubt(&scenario(&ONLY_WEB2_LOCAL, &[&ipvs]), TO_NODE_PORT, Rule::Dnat),
        "kube-proxy before about v1.24 does not do so, and refuses the connection; the text tells no version (Node.status.nodeInfo)"
    );
    assert_eq!(
        doubt(&scenario(&[], &[&nftables]), "pod/app/cli -> ip/10.96.7.7:80", Rule::NoRoute),
        "the text has no ServiceCIDR: that the address is a service's is a guess by the ClusterIPs around it; where kube-proxy knows no such range, the packet goes on to the default gateway"
    );
    assert_eq!(
        doubt(&scenario(&ONLY_HOST_NETWORK, &[&ipvs]), TO_SERVICE, Rule::GateSkipped),
        "it follows from the kernel's source (ip_vs_nat_send_or_cont), but was not measured: if the packet passes OUTPUT after all, the egress policy is asked there"
    );
    assert_eq!(
        doubt(&scenario(&[], &[&ipvs]), "node/node1 -> ip/127.0.0.1:30080", Rule::NoListener),
        "whether IPVS mode has a virtual server for node ports on loopback addresses is not known for certain"
    );
    let ranges = ("  selector", "  loadBalancerSourceRanges: [203.0.113.0/24]\n  selector");
    let text = scenario(&[ONLY_WEB1[0], ONLY_WEB1[1], ranges], &[&ebpf("")]);
    assert_eq!(
        doubt(&text, "pod/app/cli -> loadBalancer/app/web:80", Rule::Dnat),
        "10.244.1.6 is in none of the loadBalancerSourceRanges of Service app/web: that eBPF drops such packets is known of traffic from outside the cluster, and not of pods and nodes"
    );
    let local = ("  clients:", "  routes: [{to: 10.244.0.0/16, via: node1}]\n  clients:");
    let text = scenario(&[local], &[&ebpf("")]);
    assert_eq!(
        doubt(&text, "client/near -> pod/app/web2:8081", Rule::Decapsulate),
        "203.0.113.9 came in by tunl0, and would be answered by eth0: that the eBPF dataplane turns rp_filter off, and that its own check lets this pass, is read in the source of Calico's eBPF dataplane, and not compared with a running one"
    );
    let host = "
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: edge}
spec: {node: node1, interfaceName: eth0}";
    let text = scenario(&ONLY_WEB1, &[host, &ebpf("")]);
    assert_eq!(
        doubt(&text, "client/near -> nodePort/node1:30080", Rule::GateSkipped),
        "the policies of host endpoint edge are not asked here: where the eBPF dataplane asks them is not known for certain"
    );
}

#[test]
fn why_it_failed() {
    let loops = "
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {serviceClusterIPs: [{cidr: 10.96.0.0/16}]}
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {serviceLoopPrevention: Disabled}";
    assert_eq!(
        cause(&scenario(&[], &[loops]), "client/near -> ip/10.96.99.99:80"),
        "the packet goes in circles until its TTL runs out"
    );
    let none = (", nodePort: 30080", "");
    let forbids =
        ("  type: LoadBalancer", "  type: LoadBalancer\n  allocateLoadBalancerNodePorts: false");
    let balancer = (
        "  clients:",
        "  loadBalancers: [{name: lb, ip: 192.168.1.200, healthCheck: false}]\n  clients:",
    );
    let text = scenario(&[none, forbids, balancer], &[]);
    assert_eq!(
        cause(&text, "client/near -> loadBalancer/app/web:80@lb/node1"),
        "Service app/web has no node port that the balancer lb could send to"
    );
    let untracked = "
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: edge, labels: {host: edge}}
spec: {node: node1, interfaceName: eth0}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: in}
spec:
  selector: host == 'edge'
  doNotTrack: true
  applyOnForward: true
  types: [Ingress]
  ingress: [{action: Allow}]";
    assert_eq!(
        cause(&scenario(&[], &[untracked]), "client/near -> node/node1:10250"),
        "node1 does not track the connection, so the answer is no known one's, and no doNotTrack policy lets it through: Calico drops it"
    );
}
