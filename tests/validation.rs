//! Documents, and what kubectl prints when kube-apiserver refuses them, against what Hopwise says.
//!
//! `cargo test -p hopwise-tests --test validation -- [NAME…]` runs the cases of these names.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test: a broken case must stop it"
)]

use std::fs;
use std::process::ExitCode;

use serde_json::Value;

fn main() -> ExitCode {
    let Some(cases) = hopwise_tests::conformance() else {
        println!("validation: SKIPPED, no conformance cases here");
        return ExitCode::SUCCESS;
    };
    let folder = cases.join("validation");
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let expected = fs::read_to_string(folder.join("expected.json")).expect("expected.json");
    let expected: Value = serde_json::from_str(&expected).expect("expected.json is JSON");
    let cases = expected["cases"].as_object().expect("cases");
    let (mut agree, mut asked) = (0, 0);
    for (name, answer) in cases {
        if !wanted.is_empty() && !wanted.contains(name) {
            continue;
        }
        asked += 1;
        let file = format!("{name}.yaml");
        let text = fs::read_to_string(folder.join(&file)).expect("the case's document");
        let said = hopwise::manifest::apply(&text, &file).join("\n");
        let right = answer["default"]["message"].as_str().unwrap_or_default();
        let ok = answer["default"]["ok"].as_bool().unwrap_or_default();
        let read = hopwise::manifest::read(&text);
        // what cannot be decoded or is not allowed is left out; what kubectl alone refuses stays
        let kept = read.objects.len() == 1;
        let fits = kept == (ok || right.contains("strict decoding error"));
        if said == right && said.is_empty() == ok && fits {
            agree += 1;
        } else {
            println!("{name}:\n  expected {right}\n  said     {said}\n  kept     {kept}");
        }
    }
    println!("validation: {agree} of {asked} agree");
    if asked > 0 && agree == asked { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
