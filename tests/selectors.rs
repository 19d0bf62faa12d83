//! Calico's selector language: what Calico's own parser says of selectors, against ours.

#![expect(clippy::expect_used, reason = "a test: a broken case must stop it")]

use std::fs;
use std::process::ExitCode;

use hopwise::net::Selector;
use serde_json::Value;

fn main() -> ExitCode {
    let Some(cases) = hopwise_tests::conformance() else {
        println!("selectors: SKIPPED, no conformance cases here");
        return ExitCode::SUCCESS;
    };
    let text =
        fs::read_to_string(cases.join("selectors/calico.json")).expect("the cases are there");
    let cases: Value = serde_json::from_str(&text).expect("the cases are JSON");
    let mut tally = Tally::default();
    for case in list(&cases, "evaluate") {
        for (set, wanted) in [("matches", true), ("non_matches", false)] {
            for labels in list(case, set) {
                let found = evaluate(&field(case, "selector"), labels);
                tally.compare(case, &found, &Ok(wanted.to_string()));
            }
        }
    }
    for case in list(&cases, "canonical") {
        tally.compare(case, &canonical(&field(case, "input")), &Ok(field(case, "canonical")));
    }
    for case in list(&cases, "rejected") {
        tally.compare(case, &canonical(&field(case, "selector")), &Err(field(case, "error")));
    }
    for case in list(&cases, "probe") {
        let wanted = match case.get("accepted").and_then(Value::as_bool) {
            Some(true) => Ok(field(case, "canonical")),
            _ => Err(field(case, "error")),
        };
        tally.compare(case, &canonical(&field(case, "selector")), &wanted);
    }
    println!("selectors: {} of {} agree", tally.agree, tally.total);
    if tally.total > 0 && tally.agree == tally.total {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[derive(Default)]
struct Tally {
    total: usize,
    agree: usize,
}

impl Tally {
    fn compare(&mut self, case: &Value, found: &Answer, wanted: &Answer) {
        self.total += 1;
        if found == wanted {
            self.agree += 1;
        } else {
            println!("{case}: expected {wanted:?}, found {found:?}");
        }
    }
}

/// What is said of a selector, or the error.
type Answer = Result<String, String>;

fn canonical(selector: &str) -> Answer {
    selector.parse::<Selector>().map(|s| s.canonical()).map_err(|e| e.to_string())
}

fn evaluate(selector: &str, labels: &Value) -> Answer {
    let labels = labels.as_object().expect("labels are an object").iter();
    let labels = labels
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    selector.parse::<Selector>().map(|s| s.matches(&labels).to_string()).map_err(|e| e.to_string())
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn field(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
