//! A large cluster: `cargo bench -p hopwise --bench cluster`.
//!
//! 1,000 nodes, 10,000 pods and 1,000 services: the text read, its objects resolved into a world,
//! and single traces in it.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use hopwise::scenario::resolve;
use hopwise::{Flow, manifest, read, trace};

/// As the command line has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NODES: usize = 1000;
const PODS: usize = 10_000;
const SERVICES: usize = 1000;
const NAMESPACES: usize = 100;

/// What the traces ask.
const FLOWS: [(&str, &str); 5] = [
    ("pod to ClusterIP", "pod/ns-7/pod-107 -> service/ns-3/service-3:80"),
    ("pod to pod", "pod/ns-7/pod-107 -> pod/ns-3/pod-203:8080"),
    ("client to node port", "ip/198.51.100.9 -> nodePort/node-500:30003"),
    ("node to ClusterIP", "node/node-9 -> service/ns-3/service-3:80"),
    ("client to load balancer IP", "ip/198.51.100.9 -> loadBalancer/ns-3/service-3:80"),
];

fn text() -> String {
    let mut text = String::from(
        "apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pool}
spec: {cidr: 10.128.0.0/9, blockSize: 26, ipipMode: CrossSubnet, natOutgoing: true}
",
    );
    let mut add = |document: std::fmt::Arguments<'_>| {
        let _ = write!(text, "---\n{document}");
    };
    for node in 0..NODES {
        let (high, low) = (node / 250, node % 250 + 1);
        let (b, c, d) = (128 + node / 1024, node / 4 % 256, node % 4 * 64);
        add(format_args!(
            "apiVersion: v1
kind: Node
metadata:
  name: node-{node}
  labels: {{topology.kubernetes.io/zone: zone-{}}}
  annotations:
    projectcalico.org/IPv4Address: 10.0.{high}.{low}/24
    projectcalico.org/IPv4IPIPTunnelAddr: 10.{b}.{c}.{d}
status: {{addresses: [{{type: InternalIP, address: 10.0.{high}.{low}}}]}}
",
            node % 3
        ));
    }
    for namespace in 0..NAMESPACES {
        add(format_args!(
            "apiVersion: v1
kind: Namespace
metadata: {{name: ns-{namespace}, labels: {{team: team-{}}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: web, namespace: ns-{namespace}}}
spec:
  podSelector: {{matchLabels: {{role: web}}}}
  ingress:
  - from:
    - namespaceSelector: {{matchLabels: {{team: team-7}}}}
    - ipBlock: {{cidr: 198.51.100.0/24}}
    ports: [{{port: 8080}}]
",
            namespace % 10
        ));
    }
    for pod in 0..PODS {
        // The endpoints of a service are on ten nodes.
        let node = (pod + pod / SERVICES * 37) % NODES;
        let (b, c, d) = (128 + node / 1024, node / 4 % 256, node % 4 * 64 + pod / SERVICES + 1);
        add(format_args!(
            "apiVersion: v1
kind: Pod
metadata: {{name: pod-{pod}, namespace: ns-{}, labels: {{app: app-{}, role: {}}}}}
spec:
  nodeName: node-{node}
  containers: [{{name: main, image: registry.example/app, ports: [{{containerPort: 8080}}]}}]
status: {{podIP: 10.{b}.{c}.{d}}}
",
            pod % NAMESPACES,
            pod % SERVICES,
            if pod % 2 == 1 { "web" } else { "worker" },
        ));
    }
    for service in 0..SERVICES {
        let (high, low) = (service / 250, service % 250 + 1);
        add(format_args!(
            "apiVersion: v1
kind: Service
metadata: {{name: service-{service}, namespace: ns-{}}}
spec:
  type: LoadBalancer
  clusterIP: 10.96.{high}.{low}
  selector: {{app: app-{service}}}
  ports: [{{port: 80, targetPort: 8080, nodePort: {}}}]
status: {{loadBalancer: {{ingress: [{{ip: 203.0.{high}.{low}}}]}}}}
",
            service % NAMESPACES,
            30_000 + service
        ));
    }
    text
}

fn large(criterion: &mut Criterion) {
    let text = text();
    let mut group = criterion.benchmark_group("1,000 nodes, 10,000 pods, 1,000 services");
    group.sample_size(20);
    group.bench_function("read", |bencher| bencher.iter(|| read(black_box(&text))));
    let manifest = manifest::read(&text);
    group.bench_function("resolve", |bencher| {
        bencher.iter_batched(|| manifest.clone(), resolve, BatchSize::LargeInput);
    });
    let cluster = read(&text).cluster;
    for (name, flow) in FLOWS {
        let Ok(flow) = flow.parse::<Flow>() else { continue };
        let traced = trace(&cluster, &flow);
        println!("{name}: {:?}, {} ways", traced.verdict, traced.outcomes.len());
        group.bench_function(name, |bencher| bencher.iter(|| trace(black_box(&cluster), &flow)));
    }
    group.finish();
}

criterion_group!(benches, large);
criterion_main!(benches);
