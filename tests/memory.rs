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
    ] {
        let (most, before) = (most(&text), ALLOCATOR.current_usage());
        ALLOCATOR.reset_peak_usage();
        drop(manifest::read(&text));
        let taken = ALLOCATOR.peak_usage() - before;
        if taken > most {
            found.push(format!("{name}: {taken} bytes for {} of text", text.len()));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// A text of 100 KB that is anchored, and a mapping of it, and 1,000 times what unfolds them.
fn often(more: &str) -> String {
    let note = "x".repeat(100_000);
    format!("a: &a {{key: &n \"{note}\"}}\nb:\n{}", more.repeat(1000))
}

/// 55 lists in each other, all anchored, around 20,000 values.
fn nested() -> String {
    let mut text = String::from("a: ");
    for depth in 0..55 {
        let _ = write!(text, "&a{depth} [");
    }
    text + &"1,".repeat(20_000) + &"]".repeat(55)
}
