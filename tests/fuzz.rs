//! Every claim about whatever is written, on the texts of the corpus (`core/fuzz/corpus`), the
//! examples, and changes of them.

#![expect(clippy::expect_used, reason = "it is a test")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "../core/fuzz/claims.rs"]
#[expect(unreachable_pub, reason = "the targets' crates are its other home")]
mod claims;

/// So many changes are made of each text.
const CHANGES: usize = 6;

fn texts(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder).expect("a folder of texts");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let text = |file: PathBuf| Some((file.clone(), fs::read_to_string(&file).ok()?));
    files.into_iter().filter_map(text).collect()
}

/// The same numbers every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        // Knuth's MMIX.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0).checked_rem(end).unwrap_or(0)
    }
}

/// A text with a piece of it left out, said twice, or replaced by what YAML gives a meaning.
fn changed(text: &str, dice: &mut Dice) -> String {
    const ODD: [&str; 12] =
        ["", "\n", ": ", "- ", "&a ", "*a", "{", "]", "\"", "'", "\u{1b}[31m", "\u{feff}"];
    let at = |dice: &mut Dice| {
        let mut at = dice.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (one, other) = (at(dice), at(dice));
    let (start, end) = (one.min(other), one.max(other).min(one.min(other) + 40));
    let end = (start..=end).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(start);
    let (before, piece, after) = (text.get(..start), text.get(start..end), text.get(end..));
    let (before, piece, after) =
        (before.unwrap_or_default(), piece.unwrap_or_default(), after.unwrap_or_default());
    match dice.below(3) {
        0 => format!("{before}{after}"),
        1 => format!("{before}{piece}{piece}{after}"),
        _ => format!("{before}{}{after}", ODD.get(dice.below(ODD.len())).unwrap_or(&"")),
    }
}

#[test]
fn what_is_known_of_every_claim_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut broken = Vec::new();
    for (name, claim) in claims::CLAIMS {
        let mut known = texts(&root.join("core/fuzz/corpus").join(name));
        assert!(!known.is_empty(), "the corpus of {name} is empty");
        if ["text", "edit", "link"].contains(&name) {
            let is_yaml = |file: &Path| file.extension().is_some_and(|it| it == "yaml");
            known.extend(texts(&root.join("examples")).into_iter().filter(|it| is_yaml(&it.0)));
        }
        let mut dice = Dice(20_260_101);
        for (file, text) in known {
            let changes = (0..CHANGES).map(|_| changed(&text, &mut dice));
            let all: Vec<String> = std::iter::once(text.clone()).chain(changes).collect();
            for text in all {
                if catch_unwind(AssertUnwindSafe(|| claim(&text))).is_err() {
                    broken.push(format!("{name}, from {}:\n{text}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{} claims are broken:\n{}", broken.len(), broken.join("\n====\n"));
}
