//! IPv4 and IPv6.

use hopwise::datapath::{Doubt, Rule};
use hopwise::net::Verdict;
use hopwise::{read, words};

use crate::{ask, command, doubt, only, rules, step, why};

const SIX: &str = "
apiVersion: v1
kind: Node
metadata:
  name: node1
  annotations: {projectcalico.org/IPv4Address: 192.168.1.11/24, projectcalico.org/IPv6Address: \"2001:db8:1::11/64\"}
---
apiVersion: v1
kind: Node
metadata:
  name: node2
  annotations: {projectcalico.org/IPv4Address: 192.168.1.12/24, projectcalico.org/IPv6Address: \"2001:db8:1::12/64\", projectcalico.org/IPv6VXLANTunnelAddr: \"fd00:10:244:2::1\"}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: four}
spec: {cidr: 10.244.0.0/16, ipipMode: Always, natOutgoing: true}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: six}
spec: {cidr: \"fd00:10:244::/48\", vxlanMode: Always, natOutgoing: true}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: app, labels: {app: web}}
spec: {nodeName: node1, containers: [{name: main, ports: [{containerPort: 8080}]}]}
status: {podIP: 10.244.1.5, podIPs: [{ip: 10.244.1.5}, {ip: \"fd00:10:244:1::5\"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: both, namespace: app}
spec: {nodeName: node2, containers: [{name: main}]}
status: {podIP: 10.244.2.5, podIPs: [{ip: 10.244.2.5}, {ip: \"fd00:10:244:2::5\"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: old, namespace: app}
spec: {nodeName: node2, containers: [{name: main}]}
status: {podIP: 10.244.2.6}
---
apiVersion: v1
kind: Service
metadata: {name: dual, namespace: app}
spec:
  type: NodePort
  ipFamilyPolicy: RequireDualStack
  clusterIP: \"fd00:10:96::9\"
  clusterIPs: [\"fd00:10:96::9\", 10.96.0.9]
  ipFamilies: [IPv6, IPv4]
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: six, namespace: app}
spec: {clusterIP: \"fd00:10:96::6\", selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: app}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from: [{ipBlock: {cidr: \"fd00:10:244:2::/64\"}}, {ipBlock: {cidr: 10.0.0.0/8}}]
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clusterCIDR: \"10.244.0.0/16,fd00:10:244::/48\"
---
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {name: six}
spec:
  clients: [{name: six, ip: \"2001:db8:9::1\"}, {name: four, ip: 203.0.113.9}]
";

#[test]
fn the_first_family_of_both_ends_is_used() {
    let both = only(ask(SIX, "pod/app/both -> service/app/dual:80"));
    assert_eq!(both.source_seen_by_app.unwrap().to_string(), "fd00:10:244:2::5");
    let device = words::names::step_device(&read(SIX).cluster, step(&both, Rule::Encapsulate));
    assert_eq!(device.as_deref(), Some("vxlan-v6.calico"));
    let rules = rules(SIX, step(&both, Rule::Dnat)).join("\n");
    assert!(rules.contains("-d fd00:10:96::9/128"), "{rules}");
    assert!(command(SIX, step(&both, Rule::Dnat)).starts_with("ip6tables"));
    let old = only(ask(SIX, "pod/app/old -> service/app/dual:80"));
    assert_eq!(old.source_seen_by_app.unwrap().to_string(), "10.244.2.6");
}

#[test]
fn a_family_that_only_one_end_has_is_explained() {
    let mismatch = only(ask(SIX, "pod/app/old -> service/app/six:80"));
    assert_eq!(
        why(SIX, &mismatch),
        "Service app/six has only IPv6 addresses, and the sender only IPv4"
    );
    let client = only(ask(SIX, "client/four -> ip/[fd00:10:96::6]:80"));
    let message = why(SIX, &client);
    assert!(message.contains("has only IPv4 addresses"), "{message}");
}

#[test]
fn an_ipv6_client_is_masqueraded_to_the_ipv6_tunnel() {
    let outcome = only(ask(SIX, "client/six -> nodePort/node2:30080"));
    let masqueraded = step(&outcome, Rule::Masquerade);
    assert_eq!(masqueraded.after.source.to_string(), "fd00:10:244:2::1");
    assert_eq!(outcome.verdict, Verdict::Delivered, "the policy lets the tunnel's range in");
    let direct = only(ask(SIX, "client/six -> nodePort/node1:30080"));
    assert_eq!(direct.verdict, Verdict::Dropped, "there it sees the client");
}

#[test]
fn which_address_ipv6_masquerade_takes_is_certain_for_tunnels_only() {
    let card = only(ask(SIX, "pod/app/both -> ip/[2001:db8:9::1]:443"));
    assert_eq!(doubt(&card, Rule::NatOutgoing), Some(Doubt::Ipv6Source));
    let tunnel = only(ask(SIX, "client/six -> nodePort/node2:30080"));
    assert_eq!(doubt(&tunnel, Rule::Masquerade), None);
}
