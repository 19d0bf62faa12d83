//! The order of the core's rooms: each may know those before it, and none after it.

#![expect(clippy::expect_used, clippy::panic, clippy::string_slice, reason = "it is a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. A file of its own is a room, too.
const ROOMS: [&str; 16] = [
    "text", "link", "escape", "net", "manifest", "policy", "cluster", "decision", "assumed",
    "datapath", "scenario", "words", "analysis", "picture", "picker", "report",
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

/// Where each public name of a room is defined, if only one file of it does.
fn homes(sources: &[Source]) -> BTreeMap<(String, String), Option<String>> {
    let mut homes: BTreeMap<(String, String), Option<String>> = BTreeMap::new();
    for source in sources {
        for line in source.code.lines() {
            let mut words = line.split_whitespace().skip_while(|w| w.starts_with("pub"));
            let kind = words.next().unwrap_or_default();
            let is_public = line.trim_start().starts_with("pub");
            if !["struct", "enum", "trait", "type", "fn", "const"].contains(&kind)
                || !(is_public || line.starts_with(kind))
            {
                continue;
            }
            let name: String = words
                .next()
                .unwrap_or_default()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            homes
                .entry((source.room.clone(), name))
                .and_modify(|home| {
                    if home.as_ref() != Some(&source.module) {
                        *home = None;
                    }
                })
                .or_insert_with(|| Some(source.module.clone()));
        }
    }
    homes
}

#[test]
fn types_get_their_methods_in_their_own_room() {
    let sources = sources();
    let homes = homes(&sources);
    let mut foreign = Vec::new();
    for source in &sources {
        for line in source.code.lines().filter(|line| line.starts_with("impl")) {
            let rest = line.trim_start_matches("impl");
            let rest = if rest.starts_with('<') {
                rest.split_once("> ").map_or("", |(_, r)| r)
            } else {
                rest
            };
            if rest.contains(" for ") {
                continue;
            }
            let name: String =
                rest.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !homes.contains_key(&(source.room.clone(), name.clone()))
                && ROOMS.iter().any(|room| homes.contains_key(&((*room).to_owned(), name.clone())))
                && !source.code.contains(&format!("struct {name}"))
                && !source.code.contains(&format!("enum {name}"))
            {
                foreign.push(format!("{}.rs: impl {name}", source.module));
            }
        }
    }
    assert_eq!(foreign, Vec::<String>::new());
}

/// The names of a `use`, each with the path to it.
fn leaves(tree: &str, prefix: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        return vec![format!("{prefix}{tree}")];
    };
    let inner = rest.strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = inner[start..at].trim();
                if !part.is_empty() {
                    found.extend(leaves(part, &format!("{prefix}{}", head.trim())));
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

#[test]
fn files_know_each_other_in_no_circle() {
    let sources = sources();
    let homes = homes(&sources);
    let modules: BTreeSet<&str> = sources.iter().map(|s| s.module.as_str()).collect();
    let mut knows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in &sources {
        let module = source.module.strip_suffix("/mod").unwrap_or(&source.module);
        for statement in source.code.split("use ").skip(1).filter_map(|rest| rest.split_once(';')) {
            for leaf in leaves(&statement.0.replace('\n', " "), "") {
                let mut at: Vec<&str> = module.split('/').collect();
                let mut parts = leaf.split("::").map(str::trim).peekable();
                match parts.peek() {
                    Some(&"crate") => {
                        parts.next();
                        at.clear();
                    }
                    Some(&"super") => {
                        while parts.next_if_eq(&"super").is_some() {
                            at.pop();
                        }
                    }
                    Some(&"self") => {
                        parts.next();
                    }
                    _ => continue,
                }
                at.extend(parts);
                // The longest beginning that is a file, or the file that defines the name.
                let room = at.first().copied().unwrap_or_default().to_owned();
                let name = at.last().copied().unwrap_or_default().to_owned();
                let file = (1..=at.len())
                    .rev()
                    .map(|n| at[..n].join("/"))
                    .find_map(|path| modules.get(path.as_str()).copied());
                let home = homes.get(&(room, name)).and_then(Option::as_deref);
                let home = home.and_then(|home| modules.get(home).copied());
                for known in file.or(home).into_iter().filter(|known| *known != source.module) {
                    knows.entry(&source.module).or_default().insert(known);
                }
            }
        }
    }
    // Whatever knows nobody that is left can go; what stays goes in circles.
    loop {
        let left: BTreeSet<&str> = knows.keys().copied().collect();
        for known in knows.values_mut() {
            known.retain(|file| left.contains(file));
        }
        let before = knows.len();
        knows.retain(|_, known| !known.is_empty());
        if knows.len() == before {
            break;
        }
    }
    assert!(knows.is_empty(), "{knows:#?}");
}
