//! What `kubectl apply` prints for a text that is refused.

use serde::de::IgnoredAny;

use super::fault::{Fault, Refusal, quoted};
use super::kinds::{self, Found, KnownKind};
use super::objects::{Examined, examine};
use super::schema::Words;
use crate::text::{self, Node, Severity};

/// kubectl's complaints about the documents of `text`, one a refused document, in their order.
/// `file` is the name that kubectl would have been given.
pub fn apply(text: &str, file: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for chunk in text::chunks(text) {
        let source = text.get(chunk).unwrap_or_default();
        let (documents, problems) = text::read(source);
        if let Some(problem) = problems.iter().find(|p| p.severity == Severity::Error) {
            let problem = yaml_error(source, &problem.message);
            complaints.push(format!(
                "error: error parsing {file}: error converting YAML to JSON: yaml: {problem}"
            ));
            continue;
        }
        complaints.extend(documents.into_iter().filter_map(|d| refusal(d.node, file)));
    }
    complaints
}

fn refusal(node: Node, file: &str) -> Option<String> {
    let word = |path: &str| node.at(path).and_then(Node::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (word("apiVersion"), word("kind"));
    if kind.is_empty() {
        return Some(format!("error: unable to decode \"{file}\": Object 'Kind' is missing"));
    }
    match kinds::find(&api_version, &kind) {
        Found::Known(known) => {
            let Examined { reference, faults, .. } = examine(known, api_version.clone(), node);
            complaint(known, &reference.name, &api_version, &faults, file)
        }
        Found::Unserved(_) | Found::Misspelt(_) => Some(format!(
            "error: resource mapping not found for name: {} namespace: {} from \"{file}\": no \
             matches for kind {} in version {}\nensure CRDs are installed first",
            quoted(&word("metadata.name")),
            quoted(&word("metadata.namespace")),
            quoted(&kind),
            quoted(&api_version),
        )),
        Found::Unknown => None,
    }
}

/// The first stage that refuses hides what the later ones would say.
fn complaint(
    known: &KnownKind,
    name: &str,
    api_version: &str,
    faults: &[Fault],
    file: &str,
) -> Option<String> {
    let of = |refusal: Refusal| faults.iter().filter(move |fault| fault.refusal == refusal);
    let kind = known.kind;
    // what is added to the API server by a definition is decoded as it is, and then checked
    let custom = known.words != Words::Go;
    let version = api_version.rsplit('/').next().unwrap_or_default();
    let bad_request = |detail: &str| {
        format!(
            "Error from server (BadRequest): error when creating \"{file}\": {kind} in version \
             \"{version}\" cannot be handled as a {kind}: {detail}"
        )
    };
    if let Some(fault) = of(Refusal::Type).next().filter(|_| !custom) {
        return Some(bad_request(&fault.message));
    }
    let unknown: Vec<_> = of(Refusal::Unknown).map(|fault| fault.message.as_str()).collect();
    if !unknown.is_empty() {
        return Some(bad_request(&format!("strict decoding error: {}", unknown.join(", "))));
    }
    let mut causes: Vec<&str> = Vec::new();
    for fault in of(Refusal::Type).chain(of(Refusal::Invalid)) {
        if !causes.contains(&fault.message.as_str()) {
            causes.push(&fault.message);
        }
    }
    let causes = match causes[..] {
        [] => return None,
        [only] => only.to_owned(),
        _ => format!("\n* {}", causes.join("\n* ")),
    };
    Some(format!("The {kind} {} is invalid: {causes}", quoted(name)))
}

/// goyaml's words for broken YAML: they are libyaml's, and so are `serde_yaml`'s.
#[expect(clippy::disallowed_methods, reason = "no part of the product")]
fn yaml_error(source: &str, ours: &str) -> String {
    let named = |start: &str, end: &str| {
        ours.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).map(str::to_owned)
    };
    if let Some(name) = named("unknown anchor `", "`") {
        return format!("unknown anchor '{name}' referenced");
    }
    if let Some(name) = named("anchor `", "` contains itself") {
        return format!("anchor '{name}' value contains itself");
    }
    // kubectl cuts the stream at its `---` lines
    let document = match source.split_once('\n') {
        Some((first, rest)) if first.starts_with("---") => rest,
        _ => source,
    };
    let Err(error) = serde_yaml::from_str::<IgnoredAny>(document) else { return ours.to_owned() };
    let said = error.to_string();
    let (problem, context) = said.split_once(", while ").unwrap_or((&said, ""));
    let (words, line) = located(problem);
    let within = located(context);
    // goyaml prints the context's line if it is not the first; the scanner's count from one, the
    // parser's from zero
    let scanned = words.ends_with("in this context")
        || (!context.is_empty()
            && !["block", "flow", "node"]
                .iter()
                .any(|what| context.starts_with(&format!("parsing a {what}"))));
    let from_zero = within.1.filter(|line| *line > 1).or(line).map_or(0, |line| line - 1);
    match from_zero + usize::from(scanned) {
        _ if from_zero == 0 => words.to_owned(),
        line => format!("line {line}: {words}"),
    }
}

/// `WORDS at line LINE column COLUMN`.
fn located(text: &str) -> (&str, Option<usize>) {
    match text.rsplit_once(" at line ") {
        Some((words, place)) => (words, place.split(' ').next().and_then(|line| line.parse().ok())),
        None => (text, None),
    }
}
