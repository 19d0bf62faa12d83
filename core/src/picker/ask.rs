//! The questions that can be asked of a cluster: who there is, and what there is to reach.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::cluster::{Cluster, Pod, Service, ServiceKind, ServicePort};
use crate::net::{Flow, Party, PortRef, Protocol, Target};

/// Choices that belong together, under a heading.
#[derive(Clone, Debug, PartialEq)]
pub struct Group<T> {
    /// The heading.
    pub label: String,
    /// The choices; never empty.
    pub items: Vec<Item<T>>,
}

/// One choice.
#[derive(Clone, Debug, PartialEq)]
pub struct Item<T> {
    /// For a person: `user (10.2.3.4)`.
    pub label: String,
    /// What it stands for.
    pub value: T,
}

/// A destination and the protocol that it is asked with.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// The destination.
    pub target: Target,
    /// The protocol of its port.
    pub protocol: Protocol,
}

impl Destination {
    /// The flow from `from` to here.
    pub fn asked_by(&self, from: &Party) -> Flow {
        Flow {
            from: from.clone(),
            to: self.target.clone(),
            protocol: self.protocol,
            explicit_tcp: false,
        }
    }

    /// The destination of `flow`.
    pub fn of(flow: &Flow) -> Self {
        Self { target: flow.to.clone(), protocol: flow.protocol }
    }
}

/// Everybody who can open a connection: outside clients, each namespace's pods, the nodes.
pub fn sources(cluster: &Cluster) -> Vec<Group<Party>> {
    let clients = cluster.clients.iter().map(|client| Item {
        label: format!("{} ({})", client.name, client.ip),
        value: Party::Client(client.name.clone()),
    });
    let mut groups = vec![group("outside clients", clients)];
    groups.extend(pods_by_namespace(cluster).into_iter().map(|(namespace, pods)| {
        let items = pods.into_iter().map(|pod| Item {
            label: pod_label(pod),
            value: Party::Pod(pod.namespace.clone(), pod.name.clone()),
        });
        group(&format!("pods of {namespace}"), items)
    }));
    let nodes = cluster
        .nodes
        .iter()
        .map(|node| Item { label: node.name.clone(), value: Party::Node(node.name.clone()) });
    groups.push(group("processes on nodes", nodes));
    let anywhere = Destination { target: Target::Ip(ANY, 1), protocol: Protocol::Tcp };
    only(&mut groups, |party| anywhere.asked_by(party));
    groups.retain(|group| !group.items.is_empty());
    groups
}

/// Everything that can be connected to: what services offer outside and inside, and the pods.
pub fn destinations(cluster: &Cluster) -> Vec<Group<Destination>> {
    let ports = || {
        let offered = cluster.services.iter().filter(|it| it.kind != ServiceKind::ExternalName);
        offered.flat_map(|service| service.ports.iter().map(move |port| (service, port)))
    };
    let node_ports = ports().filter_map(|(service, port)| Some((service, port, port.node_port?)));
    let node_ports = node_ports.flat_map(|(service, port, number)| {
        cluster.nodes.iter().map(move |node| Item {
            label: format!("{}:{number} ({}/{})", node.name, service.namespace, service.name),
            value: to(Target::NodePort(node.name.clone(), number), port),
        })
    });
    let balanced = ports().flat_map(|(service, port)| load_balancers(cluster, service, port));
    let external = ports().flat_map(|(service, port)| {
        service.external_ips.iter().map(move |ip| Item {
            label: format!("{ip}:{} ({}/{})", port.port, service.namespace, service.name),
            value: to(Target::ExternalIp(*ip, port.port), port),
        })
    });
    let inside = ports().filter(|(service, _)| !service.headless).map(|(service, port)| Item {
        label: format!("{}/{}:{}", service.namespace, service.name, port.port),
        value: to(
            Target::Service(
                service.namespace.clone(),
                service.name.clone(),
                PortRef::Number(port.port),
            ),
            port,
        ),
    });
    let mut groups = vec![
        group("node ports", node_ports),
        group("load balancers", balanced),
        group("external IPs", external),
        group("services (ClusterIP)", inside),
    ];
    groups.extend(pods_by_namespace(cluster).into_iter().map(|(namespace, pods)| {
        let items = pods.into_iter().flat_map(|pod| {
            ports_of(cluster, pod).into_iter().map(|(port, protocol)| {
                let number = PortRef::Number(port);
                let target = Target::Pod(pod.namespace.clone(), pod.name.clone(), number);
                Item {
                    label: format!("{}:{port}", pod.name),
                    value: Destination { target, protocol },
                }
            })
        });
        group(&format!("pods of {namespace}"), items)
    }));
    only(&mut groups, |destination: &Destination| destination.asked_by(&Party::Ip(ANY)));
    groups.retain(|group| !group.items.is_empty());
    groups
}

/// Stands for the other end of a flow.
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Leaves only what a flow can be written with.
fn only<T>(groups: &mut [Group<T>], flow: impl Fn(&T) -> Flow) {
    for group in groups {
        group.items.retain(|item| flow(&item.value).reads_back());
    }
}

fn group<T>(label: &str, items: impl Iterator<Item = Item<T>>) -> Group<T> {
    Group { label: label.to_owned(), items: items.collect() }
}

fn to(target: Target, port: &ServicePort) -> Destination {
    Destination { target, protocol: port.protocol }
}

/// A load balancer's address, directly and through each of the scenario's balancers.
fn load_balancers(
    cluster: &Cluster,
    service: &Service,
    port: &ServicePort,
) -> Vec<Item<Destination>> {
    if service.kind != ServiceKind::LoadBalancer {
        return Vec::new();
    }
    let name = format!("{}/{}:{}", service.namespace, service.name, port.port);
    let target = |balancer: Option<&str>| Target::LoadBalancer {
        namespace: service.namespace.clone(),
        name: service.name.clone(),
        port: PortRef::Number(port.port),
        balancer: balancer.map(str::to_owned),
        node: None,
    };
    let direct = service.ingress_ips.iter().take(1).map(|ingress| Item {
        label: format!("{name} at {}", ingress.ip),
        value: to(target(None), port),
    });
    let through = cluster.balancers.iter().map(|balancer| Item {
        label: format!("{name} through {}", balancer.name),
        value: to(target(Some(&balancer.name)), port),
    });
    through.chain(direct).collect()
}

fn pods_by_namespace(cluster: &Cluster) -> BTreeMap<&str, Vec<&Pod>> {
    let mut namespaces: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in cluster.pods.iter().filter(|pod| !pod.finished) {
        namespaces.entry(&pod.namespace).or_default().push(pod);
    }
    namespaces
}

fn pod_label(pod: &Pod) -> String {
    match pod.addresses.first() {
        Some(address) => format!("{} ({address})", pod.name),
        None => pod.name.clone(),
    }
}

/// The ports that a pod declares, or that services send to it.
fn ports_of(cluster: &Cluster, pod: &Pod) -> Vec<(u16, Protocol)> {
    let mut ports: Vec<_> = pod.ports.iter().map(|port| (port.port, port.protocol)).collect();
    for port in cluster.services.iter().flat_map(|service| &service.ports) {
        let here = |ip| pod.addresses.contains(ip);
        let sent = port.endpoints.iter().filter(|endpoint| here(&endpoint.ip));
        ports.extend(sent.map(|endpoint| (endpoint.port, port.protocol)));
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapath::CauseKind;
    use crate::{read, trace};

    const TEXT: &str = "
{apiVersion: v1, kind: Node, metadata: {name: node1, annotations: {projectcalico.org/IPv4Address: 192.168.1.11/24}}}
---
{apiVersion: v1, kind: Node, metadata: {name: node2, annotations: {projectcalico.org/IPv4Address: 192.168.1.12/24}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: node1, containers: [{name: main, ports: [{containerPort: 8080}, {containerPort: 9090}]}]}
status: {podIP: 10.244.1.5}
---
apiVersion: v1
kind: Pod
metadata: {name: dns, namespace: infra, labels: {app: dns}}
spec: {nodeName: node2, containers: [{name: main}]}
status: {podIP: 10.244.2.5}
---
apiVersion: v1
kind: Pod
metadata: {name: gone, namespace: infra}
spec: {nodeName: node2, containers: [{name: main, ports: [{containerPort: 80}]}]}
status: {phase: Succeeded, podIP: 10.244.2.6}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.9
  externalIPs: [198.51.100.7]
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]
status: {loadBalancer: {ingress: [{ip: 192.0.2.10}, {ip: 192.0.2.11}]}}
---
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: infra}
spec:
  clusterIP: 10.96.0.10
  selector: {app: dns}
  ports: [{name: udp, port: 53, protocol: UDP, targetPort: 5353}]
---
apiVersion: v1
kind: Service
metadata: {name: peers, namespace: infra}
spec: {clusterIP: None, selector: {app: dns}, ports: [{port: 7000}]}
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere, namespace: shop}
spec: {type: ExternalName, externalName: example.org, ports: [{port: 443}]}
---
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {name: choices}
spec:
  clients: [{name: user, ip: 203.0.113.9}]
  loadBalancers: [{name: edge, ip: 192.168.1.200}]
";

    /// A line for each choice: the heading, the choice, and what it stands for.
    fn lines<T>(groups: &[Group<T>], value: impl Fn(&T) -> String) -> Vec<String> {
        let of = |group: &Group<T>| {
            let label = group.label.clone();
            let lines = group.items.iter();
            lines.map(|item| format!("{label}: {} = {}", item.label, value(&item.value))).collect()
        };
        groups.iter().flat_map(|group| -> Vec<String> { of(group) }).collect()
    }

    #[test]
    fn everybody_who_is_there_can_open_a_connection() {
        assert_eq!(
            lines(&sources(&read(TEXT).cluster), ToString::to_string),
            [
                "outside clients: user (203.0.113.9) = client/user",
                "pods of infra: dns (10.244.2.5) = pod/infra/dns",
                "pods of shop: web (10.244.1.5) = pod/shop/web",
                "processes on nodes: node1 = node/node1",
                "processes on nodes: node2 = node/node2",
            ]
        );
    }

    #[test]
    fn what_is_exposed_comes_first_and_headless_services_and_names_are_left_out() {
        let from = Party::Client("user".to_owned());
        let flow = |to: &Destination| to.asked_by(&from).to_string();
        let to = |line: &str| line.replace("= ", "= client/user -> ");
        let expected = [
            "node ports: node1:30080 (shop/web) = nodePort/node1:30080",
            "node ports: node2:30080 (shop/web) = nodePort/node2:30080",
            "load balancers: shop/web:80 through edge = loadBalancer/shop/web:80@edge",
            "load balancers: shop/web:80 at 192.0.2.10 = loadBalancer/shop/web:80",
            "external IPs: 198.51.100.7:80 (shop/web) = externalIP/198.51.100.7:80",
            "services (ClusterIP): shop/web:80 = service/shop/web:80",
            "services (ClusterIP): infra/dns:53 = service/infra/dns:53/UDP",
            // What services send to a pod, and what it declares, each once.
            "pods of infra: dns:5353 = pod/infra/dns:5353/UDP",
            "pods of infra: dns:7000 = pod/infra/dns:7000",
            "pods of shop: web:8080 = pod/shop/web:8080",
            "pods of shop: web:9090 = pod/shop/web:9090",
        ];
        let found = lines(&destinations(&read(TEXT).cluster), flow);
        assert_eq!(found, expected.map(to));
    }

    #[test]
    fn whatever_is_offered_can_be_asked() {
        let cluster = read(TEXT).cluster;
        let sources = sources(&cluster);
        let destinations = destinations(&cluster);
        let all = |from: &Item<Party>| {
            let offered = destinations.iter().flat_map(|group| &group.items);
            offered.map(|to| (to.value.clone(), to.value.asked_by(&from.value))).collect::<Vec<_>>()
        };
        for (to, flow) in sources.iter().flat_map(|group| &group.items).flat_map(all) {
            assert_eq!(Destination::of(&flow), to);
            assert_eq!(flow.to_string().parse(), Ok(flow.clone()));
            for outcome in trace(&cluster, &flow).outcomes {
                let cause = outcome.cause.map(|cause| cause.kind);
                assert_ne!(cause, Some(CauseKind::NoSuchDestination), "{flow}");
            }
        }
    }

    #[test]
    fn headings_without_choices_are_left_out() {
        let bare = "{apiVersion: v1, kind: Node, metadata: {name: node1}}";
        let cluster = Cluster { pods: Vec::new(), clients: Vec::new(), ..read(bare).cluster };
        assert_eq!(
            lines(&sources(&cluster), ToString::to_string),
            ["processes on nodes: node1 = node/node1"]
        );
        assert_eq!(destinations(&cluster), []);
    }
}
