//! Everybody to everybody: `cargo bench -p hopwise --bench matrix`.
//!
//! Clusters of 200 to 2,000 pods with half as many policies of every form. Twenty pods share a
//! namespace, and what a pod is called follows from its number, so that the same cluster is made
//! every time.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hopwise::analysis::matrix;
use hopwise::read;
use hopwise::report::grid;

/// As the command line has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [usize; 4] = [200, 500, 1000, 2000];
const APPS: [&str; 8] = ["api", "web", "db", "cache", "queue", "auth", "mail", "search"];
const TIERS: [&str; 4] = ["front", "back", "data", "ops"];

fn text(pods: usize) -> String {
    let mut text = String::new();
    let mut add = |document: std::fmt::Arguments<'_>| {
        let _ = write!(text, "---\n{document}");
    };
    let namespaces = (pods / 20).max(1);
    for namespace in 0..namespaces {
        add(format_args!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: ns-{namespace}, labels: {{team: t{}, stage: s{}}}}}\n",
            namespace % 7,
            namespace % 3
        ));
    }
    for pod in 0..pods {
        add(format_args!(
            "apiVersion: v1
kind: Pod
metadata: {{name: p-{pod}, namespace: ns-{}, labels: {{app: {}, tier: {}, version: v{}}}}}
spec:
  nodeName: n{}
  containers:
  - name: main
    ports: [{{name: http, containerPort: 8080}}, {{name: metrics, containerPort: {}}}, {{name: dns, containerPort: 53, protocol: UDP}}]
status: {{podIP: 10.{}.{}.{}}}
",
            pod % namespaces,
            APPS.get(pod % APPS.len()).unwrap_or(&""),
            TIERS.get(pod / 3 % TIERS.len()).unwrap_or(&""),
            pod % 5,
            pod % 10,
            9090 + pod % 2,
            20 + pod / 62_500,
            pod / 250 % 250,
            pod % 250 + 1
        ));
    }
    for policy in 0..pods / 2 {
        let app = APPS.get(policy * 5 % APPS.len()).unwrap_or(&"");
        let tier = TIERS.get(policy % TIERS.len()).unwrap_or(&"");
        let (team, third) = (policy % 7, policy % 250);
        let rules = match policy % 6 {
            0 => format!(
                "ingress: [{{from: [{{podSelector: {{matchLabels: {{tier: {tier}}}}}}}], ports: [{{port: http}}]}}]"
            ),
            1 => format!(
                "ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{team: t{team}}}}}}}]}}]"
            ),
            2 => format!(
                "ingress: [{{from: [{{namespaceSelector: {{matchExpressions: [{{key: stage, operator: NotIn, values: [s1]}}]}}, podSelector: {{matchLabels: {{app: {app}}}}}}}], ports: [{{port: 8080, endPort: 9090}}]}}]"
            ),
            3 => format!(
                "policyTypes: [Egress], egress: [{{to: [{{ipBlock: {{cidr: 10.20.0.0/16, except: [10.20.{third}.0/24]}}}}]}}, {{ports: [{{port: 53, protocol: UDP}}]}}]"
            ),
            4 => "policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]".to_owned(),
            _ => "policyTypes: [Ingress]".to_owned(),
        };
        add(format_args!(
            "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: np-{policy}, namespace: ns-{}}}
spec: {{podSelector: {{matchLabels: {{app: {app}}}}}, {rules}}}
",
            policy % namespaces
        ));
    }
    text
}

fn everybody(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("matrix");
    group.sample_size(20);
    for size in SIZES {
        let text = text(size);
        let reading = read(&text);
        group.throughput(Throughput::Elements((size * size) as u64));
        group.bench_with_input(BenchmarkId::new("read", size), &text, |bencher, text| {
            bencher.iter(|| read(black_box(text)));
        });
        group.bench_with_input(BenchmarkId::new("matrix", size), &reading, |bencher, reading| {
            bencher.iter(|| matrix(black_box(&reading.cluster)));
        });
        let whole = matrix(&reading.cluster);
        group.bench_with_input(BenchmarkId::new("print", size), &whole, |bencher, whole| {
            bencher
                .iter(|| grid::csv(black_box(whole), true).map(|piece| piece.len()).sum::<usize>());
        });
    }
    group.finish();
}

criterion_group!(benches, everybody);
criterion_main!(benches);
