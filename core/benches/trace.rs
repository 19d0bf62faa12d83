//! From text to verdict: `cargo bench -p hopwise --bench trace`.
//!
//! Two examples: the text read, its first flow traced, and both.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hopwise::{read, trace};

/// As the command line has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXAMPLES: [(&str, &str); 2] = [
    (
        "nodeport-cluster-through-node1",
        include_str!("../../examples/nodeport-cluster-through-node1.yaml"),
    ),
    ("option2-local-deny-allow", include_str!("../../examples/option2-local-deny-allow.yaml")),
];

fn examples(criterion: &mut Criterion) {
    for (name, text) in EXAMPLES {
        let reading = read(text);
        let Some(flow) = reading.scenario.flows.first() else { continue };
        let mut group = criterion.benchmark_group(name);
        group.bench_function("read", |bencher| bencher.iter(|| read(black_box(text))));
        group.bench_function("trace", |bencher| {
            bencher.iter(|| trace(black_box(&reading.cluster), &flow.flow));
        });
        group.bench_function("both", |bencher| {
            bencher.iter(|| trace(&read(black_box(text)).cluster, &flow.flow));
        });
        group.finish();
    }
}

criterion_group!(benches, examples);
criterion_main!(benches);
