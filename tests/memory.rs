//! What reading takes: no more than the text's length allows, whatever the text is.

use std::fmt::Write as _;

use hopwise::manifest;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The most that may be taken at once, in bytes: so much for each byte of the text, of which `{},`
/// takes the most, and so much for what aliases unfold to.
fn most(text: &str) -> usize {
    256 * text.len() + (32 << 20)
}

/// All in one test: the allocator counts for the whole process.
#[test]
fn memory_is_bounded_by_the_text() {
    let mut found = Vec::new();
    for (name, text) in [
        ("a long text, often", often("- *n\n")),
        ("a long text as a key, often", often("- {*n : 1}\n")),
        ("a long text in a mapping, often", often("- *a\n")),
        ("a mapping merged, often", often("- <<: *a\n")),
        ("a mapping merged from lists, often", often("- <<: [*a, *a]\n")),
        ("anchors in anchors", nested()),
        ("a list of a long kind", list(&format!("v1, kind: {}List", long()), "{}")),
        ("a list of a long version", list(&format!("{}, kind: PodList", long()), "{}")),
        ("faults of an object with a long name", pod(&format!("name: {}", long()))),
        ("faults of an object of a long namespace", pod(&format!("namespace: {}", long()))),
        ("addresses of a service of a long type", service(&long())),
    ] {
        let taken = taken(&text);
        if taken > most(&text) {
            found.push(format!("{name}: {taken} bytes for {} of text", text.len()));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    // the largest texts are dumps in JSON
    let json = list("v1, kind: List", "{apiVersion: a/b, kind: Widget, metadata: {name: a}}");
    let each = taken(&json) / json.len();
    assert!(each <= 40, "{each} bytes for each of JSON");
}

fn taken(text: &str) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    drop(manifest::read(text));
    ALLOCATOR.peak_usage() - before
}

/// A text of 100 KB that is anchored, and a mapping of it, and 1,000 times what unfolds them.
fn often(more: &str) -> String {
    let note = "x".repeat(100_000);
    format!("a: &a {{key: &n \"{note}\"}}\nb:\n{}", more.repeat(1000))
}

fn long() -> String {
    "x".repeat(100_000)
}

/// A list of 10,000 items.
fn list(head: &str, item: &str) -> String {
    format!("{{apiVersion: {head}, items: [{}]}}", format!("{item}, ").repeat(10_000))
}

/// A pod with 10,000 wrong containers.
fn pod(metadata: &str) -> String {
    let containers = "1, ".repeat(10_000);
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{{metadata}}}, spec: {{containers: [{containers}]}}}}"
    )
}

/// A service with 10,000 addresses.
fn service(kind: &str) -> String {
    let none = "None, ".repeat(10_000);
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: a}}, spec: {{type: {kind}, clusterIPs: \
         [{none}]}}}}"
    )
}

/// 55 lists in each other, all anchored, around 20,000 values.
fn nested() -> String {
    let mut text = String::from("a: ");
    for depth in 0..55 {
        let _ = write!(text, "&a{depth} [");
    }
    text + &"1,".repeat(20_000) + &"]".repeat(55)
}
