//! The order of the core's rooms: each may know those before it, and none after it.

#![expect(clippy::expect_used, clippy::panic, clippy::string_slice, reason = "it is a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. A file of its own is a room, too.
const ROOMS: [&str; 15] = [
    "text", "link", "net", "manifest", "policy", "cluster", "decision", "assumed", "datapath",
    "scenario", "words", "analysis", "picture", "picker", "report",
];

/// A source file without its tests.
struct Source {
    /// Below `src`: `datapath/proxy/ipvs`.
    module: String,
    room: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src");
    let mut folders = vec![src.clone()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            let list = if path.is_dir() { &mut folders } else { &mut files };
            list.push(path);
        }
    }
    files.sort();
    let texts: Vec<(String, String)> = files
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .map(|file| {
            let path = file.strip_prefix(&src).expect("a file below src").with_extension("");
            let module = path.to_string_lossy().replace('\\', "/");
            (module, fs::read_to_string(file).expect("a source file"))
        })
        .collect();
    // A module that only tests have may look anywhere.
    let of_tests: BTreeSet<String> = texts
        .iter()
        .flat_map(|(module, text)| {
            let folder = module.strip_suffix("/mod").unwrap_or(module).to_owned();
            let beside = folder.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
            let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| {
                let line = rest.lines().next()?.trim_end_matches(';');
                line.rsplit_once("mod ").map(|(_, name)| name.trim_end_matches(" {").to_owned())
            });
            let names: Vec<String> = declared.collect();
            [folder, beside].into_iter().flat_map(move |at| {
                names.clone().into_iter().map(move |name| format!("{at}/{name}"))
            })
        })
        .collect();
    texts
        .into_iter()
        .filter(|(module, _)| !of_tests.contains(module) && !module.starts_with("bin/"))
        .map(|(module, text)| {
            let room = module.split('/').next().unwrap_or_default().to_owned();
            let code =
                text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            Source { module, room, code }
        })
        .filter(|source| source.room != "lib")
        .collect()
}

/// What the code names by a path from the crate's root: room and first name in it.
fn paths(code: &str) -> impl Iterator<Item = (&str, usize)> {
    let word =
        |rest: &str| rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    code.match_indices("crate::").map(move |(at, found)| {
        let rest = &code[at + found.len()..];
        (&rest[..word(rest)], code[..at].lines().count())
    })
}

fn floor(room: &str) -> usize {
    let found = ROOMS.iter().position(|known| *known == room);
    found.unwrap_or_else(|| panic!("the room `{room}` has no place in the order"))
}

#[test]
fn no_import_runs_upwards() {
    let mut upwards = Vec::new();
    for source in sources() {
        for (room, line) in paths(&source.code).filter(|(room, _)| ROOMS.contains(room)) {
            if floor(room) > floor(&source.room) {
                upwards.push(format!("{}.rs:{line} knows {room}", source.module));
            }
        }
        let root = paths(&source.code).filter(|(name, _)| ["read", "trace"].contains(name));
        upwards.extend(root.map(|(name, line)| format!("{}.rs:{line}: {name}", source.module)));
    }
    assert_eq!(upwards, Vec::<String>::new());
}
