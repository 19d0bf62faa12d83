//! What a real Linux kernel did with a packet, against what Hopwise says.
//!
//! `cargo test -p hopwise-tests --test kernel -- [SET…] [--only TEXT] [--show N]` compares the
//! records of some sets, of scenarios with TEXT in their name, and shows N differences of each
//! field (3 if left out). What is compared, and how leniently, stands in the cases' own README.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test: a broken case must stop it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use hopwise::cluster::Cluster;
use hopwise::datapath::{CauseKind, Outcome, Trace};
use hopwise::net::Verdict;
use hopwise::report::json;
use hopwise::words;
use serde_json::Value;

/// Every record of every set must agree.
const SETS: [&str; 4] = ["main", "side", "nft", "ipvs"];

/// In the order in which they are reported.
const FIELDS: [&str; 6] =
    ["outcome", "cause", "sourceSeenByApp", "sourceAtPod", "gates", "rewrites"];

fn main() -> ExitCode {
    let Some(cases) = hopwise_tests::conformance() else {
        println!("kernel: SKIPPED, no conformance cases here");
        println!("test result: ok. 0 passed; 0 failed; {} ignored", SETS.len());
        return ExitCode::SUCCESS;
    };
    let wish = Wish::of(std::env::args().skip(1));
    let (mut passed, mut failed) = (0, 0);
    for set in SETS {
        if !wish.sets.is_empty() && !wish.sets.iter().any(|s| s == set) {
            continue;
        }
        let tally = run(&cases.join("kernel").join(set), &wish);
        print!("{}", tally.differences(wish.show));
        println!("{}", tally.line(set));
        if tally.agree == tally.total && (tally.total > 0 || !wish.only.is_empty()) {
            passed += 1;
        } else {
            failed += 1;
        }
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {passed} passed; {failed} failed; 0 ignored");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the caller asked for.
struct Wish {
    sets: Vec<String>,
    only: String,
    show: usize,
}

impl Wish {
    fn of(mut args: impl Iterator<Item = String>) -> Self {
        let mut wish = Self { sets: Vec::new(), only: String::new(), show: 3 };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--only" => wish.only = args.next().unwrap_or_default(),
                "--show" => wish.show = args.next().and_then(|n| n.parse().ok()).unwrap_or(3),
                // cargo test's own options mean nothing here
                flag if flag.starts_with('-') => {}
                set => wish.sets.push(set.to_owned()),
            }
        }
        wish
    }
}

/// The sum over a set's records.
#[derive(Default)]
struct Tally {
    total: usize,
    agree: usize,
    compared: BTreeMap<&'static str, usize>,
    differ: BTreeMap<&'static str, usize>,
    verdicts: BTreeMap<String, usize>,
    shown: BTreeMap<&'static str, Vec<String>>,
}

impl Tally {
    fn add(&mut self, mut other: Self) {
        self.total += other.total;
        self.agree += other.agree;
        for field in FIELDS {
            *self.compared.entry(field).or_default() += other.compared.get(field).unwrap_or(&0);
            *self.differ.entry(field).or_default() += other.differ.get(field).unwrap_or(&0);
            let more = other.shown.remove(field).unwrap_or_default();
            self.shown.entry(field).or_default().extend(more);
        }
        for (verdicts, n) in other.verdicts {
            *self.verdicts.entry(verdicts).or_default() += n;
        }
    }

    fn line(&self, set: &str) -> String {
        #[expect(clippy::cast_precision_loss, reason = "far fewer records than 2^52")]
        let percent = 100.0 * self.agree as f64 / self.total.max(1) as f64;
        format!("kernel/{set}: {} of {} records agree ({percent:.2} %)", self.agree, self.total)
    }

    fn differences(&self, show: usize) -> String {
        let mut out = String::new();
        if self.agree == self.total {
            return out;
        }
        for field in FIELDS {
            for text in self.shown.get(field).into_iter().flatten().take(show) {
                let _ = writeln!(out, "{text}");
            }
        }
        let _ = writeln!(out, "{:16} {:>8} {:>8}", "field", "compared", "differ");
        for field in FIELDS {
            let (compared, differ) = (self.compared.get(field), self.differ.get(field));
            let _ = writeln!(
                out,
                "{field:16} {:>8} {:>8}",
                compared.unwrap_or(&0),
                differ.unwrap_or(&0)
            );
        }
        let mut verdicts: Vec<_> = self.verdicts.iter().collect();
        verdicts.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        for (what, n) in verdicts.iter().take(20) {
            let _ = writeln!(out, "{n:>8} × {what}");
        }
        out
    }
}

/// Compares all records of a folder, on all cores.
fn run(folder: &Path, wish: &Wish) -> Tally {
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|e| e.path()).collect())
        .unwrap_or_default();
    cases.retain(|path| {
        path.extension().is_some_and(|e| e == "yaml")
            && path.file_name().is_some_and(|n| n.to_string_lossy().contains(&wish.only))
    });
    cases.sort();
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut done: Vec<(usize, Tally)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    loop {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        let Some(path) = cases.get(i) else { return mine };
                        mine.push((i, case(path, wish.show)));
                    }
                })
            })
            .collect();
        workers.into_iter().flat_map(|w| w.join().expect("a worker panicked")).collect()
    });
    done.sort_by_key(|(i, _)| *i);
    let mut sum = Tally::default();
    for (_, tally) in done {
        sum.add(tally);
    }
    sum
}

/// Compares the records of one scenario.
fn case(path: &Path, show: usize) -> Tally {
    let text = fs::read_to_string(path).expect("readable scenario");
    let expected =
        fs::read_to_string(path.with_extension("expected.jsonl")).expect("expected beside it");
    let reading = hopwise::read(&text);
    let nodes: BTreeSet<&str> = reading.cluster.nodes.iter().map(|n| n.name.as_str()).collect();
    let scenario = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut tally = Tally::default();
    for line in expected.lines().filter(|l| !l.trim().is_empty()) {
        let want: Value = serde_json::from_str(line).expect("JSON line");
        let flow = want["flow"].as_str().expect("a flow");
        let trace = hopwise::trace(&reading.cluster, &flow.parse().expect("flow notation"));
        let seen = compare(&reading.cluster, &want, &trace, &nodes);
        tally.total += 1;
        tally.agree += usize::from(seen.bad.is_empty());
        for field in seen.compared {
            *tally.compared.entry(field).or_default() += 1;
        }
        for (field, want_rows, got_rows) in &seen.bad {
            *tally.differ.entry(field).or_default() += 1;
            if matches!(*field, "outcome" | "cause") {
                let what = format!(
                    "{field}: expected {}, got {}",
                    want_rows.join(" "),
                    got_rows.join(" ")
                );
                *tally.verdicts.entry(what).or_default() += 1;
            }
            let shown = tally.shown.entry(field).or_default();
            if shown.len() < show {
                shown.push(difference(
                    (&scenario, &reading.cluster),
                    &want,
                    field,
                    want_rows,
                    got_rows,
                    &trace,
                ));
            }
        }
    }
    tally
}

/// A record's comparison: the fields looked at, and those that differ with both sides as rows.
#[derive(Default)]
struct Seen {
    compared: Vec<&'static str>,
    bad: Vec<(&'static str, Vec<String>, Vec<String>)>,
}

impl Seen {
    fn check(
        &mut self,
        field: &'static str,
        want: impl IntoIterator<Item = String>,
        got: impl IntoIterator<Item = String>,
    ) {
        let (want, got) = (want.into_iter().collect::<Vec<_>>(), got.into_iter().collect());
        self.check_if(field, want == got, want, got);
    }

    fn check_if(&mut self, field: &'static str, same: bool, want: Vec<String>, got: Vec<String>) {
        self.compared.push(field);
        if !same {
            self.bad.push((field, want, got));
        }
    }
}

/// Fields that a record does not have were not measured, and are not compared.
fn compare(cluster: &Cluster, want: &Value, trace: &Trace, nodes: &BTreeSet<&str>) -> Seen {
    let mut seen = Seen::default();
    let nothing = Outcome {
        share: 1.0,
        endpoint: None,
        verdict: trace.verdict,
        cause: None,
        steps: Vec::new(),
        reply: Vec::new(),
        source_at_pod: None,
        source_seen_by_app: None,
    };
    let got = trace.outcomes.first().unwrap_or(&nothing);

    let verdict = format!("{:?}", trace.verdict);
    let no_route = trace.verdict == Verdict::Unroutable && want["cause"] == "NoRoute";
    let one = trace.outcomes.len() == 1;
    seen.check_if(
        "outcome",
        one && (no_route || want["outcome"] == verdict.as_str()),
        vec![text(&want["outcome"])],
        vec![verdict, if one { String::new() } else { format!("×{}", trace.outcomes.len()) }],
    );
    if let Some(cause) = want.get("cause") {
        let kind: Option<CauseKind> = got.cause.as_ref().map(|c| c.kind);
        let kind_text = kind.map_or("null".to_owned(), |k| format!("{k:?}"));
        let same = match cause {
            Value::Null => kind.is_none() || trace.verdict == Verdict::Delivered,
            cause => *cause == kind_text.as_str(),
        };
        seen.check_if("cause", same, vec![text(cause)], vec![kind_text]);
    }
    let address = |a: Option<std::net::IpAddr>| a.map_or("null".to_owned(), |a| a.to_string());
    if let Some(source) = want.get("sourceSeenByApp") {
        seen.check("sourceSeenByApp", [text(source)], [address(got.source_seen_by_app)]);
    }
    if let Some(source) = want.get("sourceAtPod")
        && got.source_at_pod.is_some()
    {
        seen.check("sourceAtPod", [text(source)], [address(got.source_at_pod)]);
    }
    if let Some(gates) = want.get("gates").and_then(Value::as_array) {
        let mine = json::gates(cluster, &got.steps);
        seen.check(
            "gates",
            gates
                .iter()
                .map(|g| row(g, &["node", "direction", "pod", "source", "destination", "verdict"])),
            mine.iter().map(|g| {
                format!(
                    "{} {:?} {} {} {} {}",
                    g.node, g.direction, g.pod, g.source, g.destination, g.verdict
                )
            }),
        );
    }
    if let Some(rewrites) = want.get("rewrites").and_then(Value::as_array) {
        // What happens at a balancer was not measured; a rewrite to the same is none.
        let mine = json::rewrites(cluster, &got.steps)
            .into_iter()
            .filter(|r| nodes.contains(r.node.as_str()) && r.from != r.to)
            .enumerate()
            .map(|(i, r)| {
                let measured = rewrites.get(i).is_none_or(|w| w.get("device").is_some());
                let device = r.device.filter(|_| measured).map(|d| format!(" {d}"));
                let device = device.unwrap_or_default();
                format!("{} {} {} {} {}{device}", r.node, r.hook, r.kind, r.from, r.to)
            })
            .collect::<Vec<_>>();
        seen.check(
            "rewrites",
            rewrites.iter().map(|r| row(r, &["node", "hook", "type", "from", "to", "device"])),
            mine,
        );
    }
    seen
}

fn row(value: &Value, fields: &[&str]) -> String {
    let parts: Vec<_> = fields.iter().filter_map(|f| value.get(f)).map(text).collect();
    parts.join(" ")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// One difference for a person: both sides row by row, then the way that the trace took.
fn difference(
    (scenario, cluster): (&str, &Cluster),
    want: &Value,
    field: &str,
    want_rows: &[String],
    got_rows: &[String],
    trace: &Trace,
) -> String {
    let mut out = format!("── {field}  {scenario}\n   {}  [{}]\n", trace.flow, text(&want["id"]));
    for i in 0..want_rows.len().max(got_rows.len()) {
        let (w, g) = (want_rows.get(i), got_rows.get(i));
        let none = "—".to_owned();
        if w == g {
            let _ = writeln!(out, "     both      {}", w.unwrap_or(&none));
        } else {
            let _ = writeln!(out, "   ≠ expected  {}", w.unwrap_or(&none));
            let _ = writeln!(out, "     got       {}", g.unwrap_or(&none));
        }
    }
    let _ = writeln!(
        out,
        "   measured {} {}, got {:?}",
        text(&want["outcome"]),
        want.get("cause").map(text).unwrap_or_default(),
        trace.verdict
    );
    for outcome in &trace.outcomes {
        if let (Some(cause), Some(why)) = (&outcome.cause, words::cause(cluster, outcome)) {
            let _ = writeln!(out, "   {:?}: {why}", cause.kind);
        }
        for (mark, steps) in [("→", &outcome.steps), ("←", &outcome.reply)] {
            for step in steps {
                let ends = |p: &hopwise::net::Packet| {
                    let port = |p: Option<u16>| p.map_or(String::new(), |p| format!(":{p}"));
                    format!(
                        "{}{} > {}{}",
                        p.source,
                        port(p.source_port),
                        p.destination,
                        port(p.destination_port)
                    )
                };
                let after = if step.before == step.after {
                    String::new()
                } else {
                    format!("  ⇒ {}", ends(&step.after))
                };
                let _ = writeln!(
                    out,
                    "   {mark} {:10} {:11} {:16} {}{after}",
                    words::names::own_name(cluster, step.machine),
                    step.hook.to_string(),
                    format!("{:?}", step.rule()),
                    ends(&step.before),
                );
            }
        }
    }
    out
}
