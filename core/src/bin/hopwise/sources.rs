//! Files as one stream, and places in the stream as places in the files.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use hopwise::escape;
use hopwise::scenario::has_scenario;
use hopwise::text::Span;

/// The files that were asked for, in that order.
#[derive(Debug, Default)]
pub(crate) struct Files {
    files: Vec<File>,
    /// What was given and not read.
    pub(crate) notes: Vec<String>,
}

#[derive(Debug)]
struct File {
    name: String,
    text: String,
    /// Whether it is a world of its own.
    has_scenario: bool,
}

/// Several files as one YAML stream.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The stream.
    pub(crate) text: String,
    /// Each file's name and its first line in the stream, from 1.
    files: Vec<(String, u32)>,
    /// How many lines end in the stream.
    breaks: u32,
}

/// Stands for standard input.
const STDIN: &str = "-";

impl Files {
    /// Reads all files, and those in folders; what can't be read is said of each.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, Vec<String>> {
        let mut found = Self::default();
        let mut errors = Vec::new();
        for path in paths {
            match found.files_of(path) {
                Ok(files) => {
                    for file in files {
                        let name = file.display().to_string();
                        match content(&file) {
                            Ok(text) => found.files.push(File { name, text, has_scenario: false }),
                            Err(error) => errors.push(format!("{name}:{error}")),
                        }
                    }
                }
                Err(error) => errors.push(format!("{}:{error}", path.display())),
            }
        }
        if found.count() > 1 {
            for file in &mut found.files {
                file.has_scenario = has_scenario(&file.text);
            }
        }
        if errors.is_empty() { Ok(found) } else { Err(errors) }
    }

    /// The file itself, or those that `kubectl -f` reads of a folder, by name.
    fn files_of(&mut self, path: &Path) -> Result<Vec<PathBuf>, String> {
        if !path.is_dir() {
            return Ok(vec![path.to_owned()]);
        }
        let listed = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let listed = listed.map_err(|error| unreadable(&error))?;
        let mut found: Vec<_> = listed.into_iter().map(|entry| entry.path()).collect();
        found.sort_unstable();
        let hidden = |file: &Path| {
            file.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with('.'))
        };
        for folder in found.iter().filter(|file| file.is_dir() && !hidden(file)) {
            let note = format!("{}: note: folders in a folder are not read", folder.display());
            self.notes.push(note);
        }
        found.retain(|file| {
            let ending = file.extension().and_then(OsStr::to_str);
            ending.is_some_and(|ending| ["yaml", "yml", "json"].contains(&ending)) && file.is_file()
        });
        if found.is_empty() {
            return Err("1:1: error: the folder has no .yaml, .yml or .json file".to_owned());
        }
        Ok(found)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.files.len()
    }

    /// What is read together: each file with a Scenario, and with it all files that have none.
    /// Without any Scenario, everything.
    pub(crate) fn worlds(&self) -> impl ExactSizeIterator<Item = Sources> {
        let with_scenario = self.files.iter().enumerate().filter(|(_, file)| file.has_scenario);
        let mut owners: Vec<_> = with_scenario.map(|(index, _)| Some(index)).collect();
        if owners.is_empty() {
            owners.push(None);
        }
        owners.into_iter().map(|owner| {
            let mut sources = Sources::default();
            for (index, file) in self.files.iter().enumerate() {
                if !file.has_scenario || owner == Some(index) {
                    sources.add(file.name.clone(), &file.text);
                }
            }
            sources
        })
    }
}

impl Sources {
    fn add(&mut self, name: String, text: &str) {
        if !self.files.is_empty() {
            let end = if self.text.ends_with('\n') { "" } else { "\n" };
            self.push(end);
            self.push("---\n");
        }
        self.files.push((name, self.breaks.saturating_add(1)));
        self.push(text);
    }

    fn push(&mut self, text: &str) {
        let breaks = text.bytes().filter(|b| *b == b'\n').count();
        self.breaks = self.breaks.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX));
        self.text.push_str(text);
    }

    /// `FILE:LINE:COLUMN`.
    pub(crate) fn place(&self, span: Span) -> String {
        let (name, line) = self.line(span);
        format!("{}:{line}:{}", escape::line(name), span.column.max(1))
    }

    /// The file, and the line in it.
    pub(crate) fn line(&self, span: Span) -> (&str, u32) {
        let line = span.line.max(1);
        let behind = self.files.partition_point(|(_, first)| *first <= line);
        let file = behind.checked_sub(1).and_then(|at| self.files.get(at));
        let (name, first) = file.map_or((STDIN, 1), |(name, first)| (name.as_str(), *first));
        (name, line - first + 1)
    }

    /// The line that the span starts in, and a caret under its first character: of long lines, such
    /// as JSON's, what is near it, without a look at the rest.
    pub(crate) fn caret(&self, span: Span) -> Option<[String; 2]> {
        const BEFORE: usize = 60;
        const SHOWN: usize = 100;
        let (before, after) = self.text.split_at_checked(span.start)?;
        let of_line = |c: &char| *c != '\n';
        let before: Vec<_> = before.chars().rev().take_while(of_line).take(BEFORE).collect();
        let after = after.chars().take_while(of_line).take(SHOWN - before.len());
        let shown: String = before.iter().rev().copied().chain(after).collect();
        let blank = |c: &char| if *c == '\t' { '\t' } else { ' ' };
        let indent: String = before.iter().rev().map(blank).collect();
        let shown = shown.trim_end_matches('\r');
        (!shown.trim().is_empty()).then(|| [format!("  | {shown}"), format!("  | {indent}^")])
    }
}

/// A file's lines, for lists of flows.
pub(crate) fn lines(path: &PathBuf) -> Result<Vec<String>, String> {
    let text = content(path).map_err(|error| format!("{}:{error}", path.display()))?;
    Ok(text.lines().map(ToOwned::to_owned).collect())
}

fn unreadable(error: &io::Error) -> String {
    format!("1:1: error: can't be read: {error}")
}

/// A file's text, without the byte order mark that some editors begin it with.
fn content(path: &PathBuf) -> Result<String, String> {
    let bytes = if path.as_os_str() == STDIN {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let mut bytes = bytes.map_err(|error| unreadable(&error))?;
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..'\u{feff}'.len_utf8());
    }
    String::from_utf8(bytes).map_err(|error| {
        let (good, bad) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        if good.is_empty() && (bad.starts_with(&[0xff, 0xfe]) || bad.starts_with(&[0xfe, 0xff])) {
            return "1:1: error: this is UTF-16: save it as UTF-8".to_owned();
        }
        let good = String::from_utf8_lossy(good);
        let line = good.matches('\n').count() + 1;
        let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let byte = bad.first().copied().unwrap_or_default();
        format!("{line}:{column}: error: not a text: byte 0x{byte:02x} is not UTF-8")
    })
}
