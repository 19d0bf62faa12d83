//! Puts the examples into the page, in the gallery's order.
//!
//! They are compiled in rather than fetched: the first picture then needs no second request, an
//! example opens at once and offline, and embedded pages of an opaque origin need no CORS. Ten
//! kilobytes of compressed text is what it costs.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    println!("cargo::rerun-if-changed={}", examples.display());
    let index = fs::read_to_string(examples.join("gallery.txt")).unwrap_or_default();

    let mut code = String::from("&[\n");
    let mut group = "";
    for line in index.lines().map(str::trim_end) {
        match line.strip_prefix("  ") {
            _ if line.is_empty() || line.starts_with('#') => {}
            None => group = line,
            Some(name) => {
                let file = examples.join(format!("{name}.yaml"));
                let file = file
                    .canonicalize()
                    .map_err(|error| format!("examples/gallery.txt lists `{name}`: {error}"))?;
                let file = file.display().to_string();
                writeln!(
                    code,
                    "Example {{ group: {group:?}, name: {name:?}, text: include_str!({file:?}) }},"
                )?;
            }
        }
    }
    code.push_str("]\n");
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("gallery.rs"), code)?;
    Ok(())
}
