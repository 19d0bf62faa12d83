//! From text to verdict: `cargo bench -p hopwise --bench trace [-- FILE…]`.
//!
//! Prints medians of the examples, or of other scenarios, on this machine. It asserts nothing.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// As the command line has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 301;

fn main() {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut files: Vec<PathBuf> =
        std::env::args().skip(1).filter(|a| !a.starts_with('-')).map(PathBuf::from).collect();
    if files.is_empty() {
        let names = ["nodeport-cluster-through-node1", "option2-local-deny-allow"];
        files = names.iter().map(|name| examples.join(name).with_extension("yaml")).collect();
    }
    println!(
        "{:>9}  {:>9}  {:>9}  text to verdict = read + trace of the first flow",
        "read", "trace", "both"
    );
    for file in files {
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                println!("{}: {error}", file.display());
                continue;
            }
        };
        let reading = hopwise::read(&text);
        let read = median(|| drop(black_box(hopwise::read(black_box(&text)))));
        let Some(flow) = reading.scenario.flows.first() else {
            println!("{read:>9.1?}  {:>9}  {:>9}  {}: no flow", "", "", file.display());
            continue;
        };
        let trace =
            median(|| drop(black_box(hopwise::trace(&reading.cluster, black_box(&flow.flow)))));
        let both = median(|| {
            let reading = hopwise::read(black_box(&text));
            drop(black_box(hopwise::trace(&reading.cluster, &flow.flow)));
        });
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        println!("{read:>9.1?}  {trace:>9.1?}  {both:>9.1?}  {name}, {} bytes", text.len());
    }
}

fn median(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times.get(ROUNDS / 2).copied().unwrap_or_default()
}
