//! Every example is a test: it reads as declared, does what it expects, and is told as before.
//!
//! `INSTA_UPDATE=always cargo test -p hopwise-tests --test examples` writes the told paths anew;
//! read what changed before you keep it.

#![expect(clippy::expect_used, reason = "a test: what is broken must stop it")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use hopwise::analysis::{Cell, matrix};
use hopwise::decision::evaluate;
use hopwise::report::text;
use hopwise::{Reading, Severity};

struct Example {
    name: String,
    text: String,
}

impl Example {
    fn all() -> Vec<Self> {
        let mut examples: Vec<Self> = fs::read_dir(folder())
            .expect("the examples")
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
            .map(|path| Self {
                name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
                text: fs::read_to_string(&path).expect("readable"),
            })
            .collect();
        examples.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(!examples.is_empty(), "no examples");
        examples
    }

    fn read(&self) -> Reading {
        hopwise::read(&self.text)
    }
}

fn folder() -> PathBuf {
    hopwise_tests::project().join("examples")
}

/// Fails with everything that is wrong, and not just the first.
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_example_does_what_it_expects() {
    let mut wrong = Vec::new();
    for example in Example::all() {
        let reading = example.read();
        let checks = hopwise::analysis::check(&reading);
        if checks.len() != reading.scenario.flows.len() || checks.is_empty() {
            wrong.push(format!("{}: every flow needs an `expect`", example.name));
        }
        for check in checks.iter().filter(|c| !c.passed()) {
            let (flow, expected, got) = (&check.flow.name, check.expected(), check.got());
            wrong.push(format!("{}: {flow}: expected {expected}, got {got}", example.name));
        }
    }
    none(&wrong);
}

#[test]
fn every_example_reads_as_declared() {
    let mut wrong = Vec::new();
    for example in Example::all() {
        let reading = example.read();
        let problems = hopwise::analysis::problems(&reading);
        for problem in problems.unexpected {
            if problem.severity != Severity::Note {
                wrong.push(format!(
                    "{}:{}: {:?}: {}",
                    example.name, problem.span.line, problem.severity, problem.message
                ));
            }
        }
        for (expected, _) in problems.expected.iter().filter(|(_, found)| found.is_none()) {
            wrong.push(format!("{}: nothing says `{}`", example.name, expected.part));
        }
    }
    none(&wrong);
}

#[test]
fn every_example_asks_a_question() {
    let mut wrong = Vec::new();
    for example in Example::all() {
        let scenario = example.read().scenario;
        if scenario.name != example.name {
            wrong.push(format!("{}: its name is `{}`", example.name, scenario.name));
        }
        if !scenario.title.ends_with('?') {
            wrong.push(format!("{}: `{}` is no question", example.name, scenario.title));
        }
        if scenario.description.trim().is_empty() {
            wrong.push(format!("{}: it has no story", example.name));
        }
    }
    none(&wrong);
}

#[test]
fn the_gallery_shows_every_example_once() {
    let index = fs::read_to_string(folder().join("gallery.txt")).expect("the gallery's index");
    let shown: Vec<&str> = index.lines().filter_map(|l| l.strip_prefix("  ")).collect();
    let once: BTreeSet<&str> = shown.iter().copied().collect();
    assert_eq!(once.len(), shown.len(), "an example stands twice in the gallery");
    let examples = Example::all();
    let all: BTreeSet<&str> = examples.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(once, all);
}

#[test]
fn every_example_is_told_as_before() {
    for example in Example::all() {
        let reading = example.read();
        let paths: Vec<String> = reading
            .scenario
            .flows
            .iter()
            .map(|flow| {
                let trace = hopwise::trace(&reading.cluster, &flow.flow);
                text::path(&reading.cluster, &trace, text::Look::default())
            })
            .collect();
        insta::with_settings!({
            snapshot_path => folder(),
            prepend_module_to_snapshot => false,
            omit_expression => true,
            description => reading.scenario.title.clone(),
        }, {
            insta::assert_snapshot!(example.name.as_str(), paths.join("\n"));
        });
    }
}

#[test]
fn the_matrix_agrees_with_the_policies_asked_one_by_one() {
    for example in Example::all() {
        let cluster = example.read().cluster;
        let matrix = matrix(&cluster);
        for (row, from) in matrix.rows.iter().enumerate() {
            for (to, cell) in matrix.columns.iter().zip(matrix.cells(row)) {
                let Cell::Ports(answers) = cell else {
                    assert_eq!(from.party, to.group.party, "{}", example.name);
                    continue;
                };
                for (port, allowed) in to.ports.iter().zip(answers.iter()) {
                    let Some(number) = port.port else { continue };
                    let flow =
                        format!("{} -> {}:{number}/{}", from.party, to.group.party, port.protocol);
                    let asked = evaluate(&cluster, &flow.parse().expect("a flow"));
                    assert_eq!(asked.problem, None, "{}: {flow}", example.name);
                    assert_eq!(asked.allowed, allowed, "{}: {flow}", example.name);
                }
            }
        }
    }
}
