//! Clusters and policies whose verdicts are known, against what Hopwise says of the policies
//! alone.
//!
//! `cargo test -p hopwise-tests --test policy -- [SUITE…] [--only TEXT] [--show N]` evaluates the
//! cases of some suites, of names with TEXT in them, and shows N differing flows of each case (3
//! if left out).

#![expect(
    clippy::expect_used,
    clippy::format_push_string,
    reason = "a test: a broken case must stop it"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use hopwise::decision::{allowed, evaluate};
use hopwise::words::policy::reason;
use hopwise::{Cluster, Flow};

fn main() -> ExitCode {
    let Some(cases) = hopwise_tests::conformance() else {
        println!("policy: SKIPPED, no conformance cases here");
        return ExitCode::SUCCESS;
    };
    let mut wish = Wish { suites: Vec::new(), only: String::new(), show: 3 };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--only" => wish.only = args.next().unwrap_or_default(),
            "--show" => wish.show = args.next().and_then(|n| n.parse().ok()).unwrap_or(3),
            // cargo test's own options mean nothing here
            flag if flag.starts_with('-') => {}
            suite => wish.suites.push(suite.to_owned()),
        }
    }
    let todo = folders(&cases.join("policy"))
        .into_iter()
        .filter(|suite| wish.suites.is_empty() || wish.suites.contains(&name(suite)))
        .flat_map(|suite| folders(&suite))
        .filter(|case| name(case).contains(&wish.only))
        .collect::<Vec<_>>();
    let mut suites: BTreeMap<String, Tally> = BTreeMap::new();
    for (case, tally) in run_all(&todo, wish.show) {
        let suite = case.parent().map(name).unwrap_or_default();
        let sum = suites.entry(suite).or_default();
        print!("{}", tally.differences);
        sum.add(&tally);
    }
    let mut sum = Tally::default();
    for (suite, tally) in &suites {
        println!("policy/{suite}: {}", tally.line());
        sum.add(tally);
    }
    println!("policy: {}", sum.line());
    if sum.flows > 0 && sum.agree == sum.flows { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Wish {
    suites: Vec<String>,
    only: String,
    show: usize,
}

#[derive(Default)]
struct Tally {
    cases: usize,
    whole: usize,
    flows: usize,
    agree: usize,
    differences: String,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.whole += other.whole;
        self.flows += other.flows;
        self.agree += other.agree;
    }

    fn line(&self) -> String {
        format!(
            "{} of {} flows agree, {} of {} cases whole",
            self.agree, self.flows, self.whole, self.cases
        )
    }
}

fn run_all(cases: &[PathBuf], show: usize) -> Vec<(PathBuf, Tally)> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((case.clone(), run(case, show)));
        }
        done
    };
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut done: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().flat_map(|t| t.join().expect("no case panics")).collect()
    });
    done.sort_by(|(a, _), (b, _)| a.cmp(b));
    done
}

fn run(case: &Path, show: usize) -> Tally {
    let text = fs::read_to_string(case.join("resources.yaml")).expect("a case has resources");
    let cluster = hopwise::read(&text).cluster;
    let rows = fs::read_to_string(case.join("expected.tsv")).expect("a case has expectations");
    let mut tally = Tally { cases: 1, ..Tally::default() };
    for row in rows.lines().skip(1) {
        tally.flows += 1;
        match difference(&cluster, row) {
            None => tally.agree += 1,
            Some(difference) if tally.flows - tally.agree <= show => {
                tally.differences += &format!("{}: {difference}\n", name(case));
            }
            Some(_) => {}
        }
    }
    tally.whole = usize::from(tally.agree == tally.flows);
    tally
}

/// How a row's verdicts differ from ours.
fn difference(cluster: &Cluster, row: &str) -> Option<String> {
    let mut fields = row.split('\t');
    let mut field = || fields.next().unwrap_or_default();
    let (text, allow, ingress, egress) = (field(), field(), field(), field());
    let flow: Flow = match text.parse() {
        Ok(flow) => flow,
        Err(error) => return Some(format!("{text}: {error}")),
    };
    let found = evaluate(cluster, &flow);
    let verdict = |allow: bool| if allow { "Allow" } else { "Deny" };
    let agrees = found.allowed == (allow == "yes")
        && (ingress.is_empty() || ingress == verdict(found.ingress.allow))
        && (egress.is_empty() || egress == verdict(found.egress.allow))
        // the answer without its reasons is the same
        && (allowed(cluster, &flow) == Some(found.allowed) || found.problem.is_some());
    (!agrees).then(|| {
        format!(
            "{text}: expected {allow} {ingress} {egress}\n    ingress {}: {}\n    egress {}: {}",
            verdict(found.ingress.allow),
            reason(cluster, &found.ingress),
            verdict(found.egress.allow),
            reason(cluster, &found.egress)
        )
    })
}

/// The folders in a folder, sorted.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the cases can be listed");
    let mut folders: Vec<_> =
        entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_dir()).collect();
    folders.sort();
    folders
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
