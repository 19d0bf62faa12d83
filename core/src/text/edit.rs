//! The smallest edits that set a field, add an item or remove one. Everything else stays byte for
//! byte, comments included.

use serde_json::Value as Json;

use super::write::{self, Quotes};
use super::{Edit, Entry, Node, Segment, Span, Value, segments};

/// The edit that sets the field at `path` (as kube-apiserver writes it) of the object `node` of
/// `text`, with all that is missing on the way there; an index behind a list's end appends to it.
/// `None` if something on the way is a value that has no fields.
///
/// A field that came through an alias or a merge is written out at its own place, so that nothing
/// else changes with it. A value that has an anchor changes for its aliases, too.
pub fn set(text: &str, node: &Node, path: &str, value: &Json) -> Option<Edit> {
    let path: Vec<_> = segments(path).collect();
    Writer { text, newline: newline(text) }.set(node, &path, &Value::from(value))
}

/// The edit that adds `item` to the list at `path`, which is made if there is none.
pub fn push(text: &str, node: &Node, path: &str, item: &Json) -> Option<Edit> {
    let end = match node.at(path).map(|node| &node.value) {
        None | Some(Value::Null) => 0,
        Some(Value::List(items)) => items.len(),
        Some(_) => return None,
    };
    set(text, node, &format!("{path}[{end}]"), item)
}

/// The edit that removes the field or item at `path`; a mapping or list that would be left empty
/// becomes `{}` or `[]`. `None` if it is not there.
pub fn remove(text: &str, node: &Node, path: &str) -> Option<Edit> {
    node.at(path)?;
    let path: Vec<_> = segments(path).collect();
    Writer { text, newline: newline(text) }.remove(node, &path)
}

/// The edit that adds documents at the end of `text`, parted from it by `---`.
pub fn append(text: &str, documents: &str) -> Edit {
    let newline = newline(text);
    let documents = documents.strip_prefix("---\n").unwrap_or(documents);
    let kept = text.trim_ascii_end();
    let rule = match kept {
        "" => "",
        _ if kept == "---" || kept.ends_with("\n---") => "\n",
        _ => "\n---\n",
    };
    let insert = format!("{rule}{documents}").replace('\n', newline);
    Edit { start: kept.len(), end: text.len(), insert }
}

/// `text` with `edits` made. Edits that overlap an earlier one or lie outside are left out.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| edit.start);
    let mut result = String::with_capacity(text.len() + 64);
    let mut done = 0;
    for edit in edits {
        let (Some(kept), Some(_)) = (text.get(done..edit.start), text.get(edit.start..edit.end))
        else {
            continue;
        };
        result.push_str(kept);
        result.push_str(&edit.insert);
        done = edit.end;
    }
    result.push_str(text.get(done..).unwrap_or_default());
    result
}

struct Writer<'a> {
    text: &'a str,
    newline: &'static str,
}

/// A value and what is around it.
#[derive(Clone, Copy)]
struct Spot<'a> {
    node: &'a Node,
    holder: Holder<'a>,
    /// It stands between brackets.
    flow: bool,
}

/// What a value hangs on.
#[derive(Clone, Copy)]
enum Holder<'a> {
    /// It is the document.
    Root,
    /// A value of this mapping.
    Key(&'a Entry, &'a Node),
    /// An item of this list.
    Item(&'a Node),
}

impl Writer<'_> {
    fn set(&self, root: &Node, path: &[Segment<'_>], value: &Value) -> Option<Edit> {
        let (mut spot, mut rest) = (self.spot(root, Holder::Root, false), path);
        while let Some((segment, after)) = rest.split_first() {
            let Some((child, holder)) = own_child(spot.node, *segment) else {
                return self.add(spot, *segment, after, value);
            };
            (spot, rest) = (self.spot(child, holder, spot.flow), after);
        }
        Some(self.replace(spot, value))
    }

    fn spot<'a>(&self, node: &'a Node, holder: Holder<'a>, flow: bool) -> Spot<'a> {
        let within = match holder {
            Holder::Key(_, parent) | Holder::Item(parent) => self.is_flow(parent),
            Holder::Root => false,
        };
        Spot { node, holder, flow: flow || within }
    }

    /// Writes a value over another.
    fn replace(&self, spot: Spot<'_>, value: &Value) -> Edit {
        let Spot { node: old, holder, flow } = spot;
        let span = match holder {
            Holder::Key(entry, _) => self.with_properties(old.span, self.margin(entry.key_span)),
            Holder::Item(list) => self.with_properties(old.span, self.margin(list.span)),
            Holder::Root => old.span,
        };
        let written = self.slice(span.start, span.end);
        let quotes = match written.chars().next() {
            Some('\'') => Quotes::Single,
            Some('"') => Quotes::Double,
            _ => Quotes::AsNeeded,
        };
        let old_block = is_block(old, written);
        if flow {
            let start = self.without_tag(holder, span.start);
            let insert = write::scalar(value, quotes).unwrap_or_else(|| write::flow(value));
            return self.spaced(start, span.end, insert);
        }
        if old_block && is_collection(value) {
            // in the place of the old lines, at their indentation
            let same_kind = matches!(
                (&old.value, value),
                (Value::List(_), Value::List(_)) | (Value::Map(_), Value::Map(_))
            );
            if same_kind || !matches!(holder, Holder::Key(..)) {
                let insert = write::block(value, self.margin(span), self.newline);
                return Edit { start: span.start, end: span.end, insert };
            }
        }
        match holder {
            Holder::Key(entry, _) => {
                let colon = self.colon(entry);
                let tagged = self.slice(colon, span.start).contains('!');
                if old_block || is_collection(value) || tagged {
                    let insert = match write::scalar(value, Quotes::AsNeeded) {
                        Some(text) => format!(" {text}"),
                        None => {
                            write::after_colon(value, self.margin(entry.key_span), self.newline)
                        }
                    };
                    return Edit { start: colon, end: span.end, insert };
                }
                let insert = write::scalar(value, quotes).unwrap_or_default();
                self.spaced(span.start, span.end, insert)
            }
            Holder::Item(list) => {
                let insert = write::scalar(value, quotes).unwrap_or_else(|| {
                    write::block(value, self.margin(list.span) + 2, self.newline)
                });
                self.spaced(self.without_tag(holder, span.start), span.end, insert)
            }
            Holder::Root => {
                let insert = write::scalar(value, quotes)
                    .unwrap_or_else(|| write::block(value, 0, self.newline));
                Edit { start: span.start, end: span.end, insert }
            }
        }
    }

    /// Writes a key or an item that is not there.
    fn add(
        &self,
        spot: Spot<'_>,
        segment: Segment<'_>,
        rest: &[Segment<'_>],
        value: &Value,
    ) -> Option<Edit> {
        let node = spot.node;
        let (Segment::Key(name) | Segment::Bracket(name)) = segment;
        let index = matches!(segment, Segment::Bracket(_)) && name.parse::<usize>().is_ok();
        let whole = || self.replace(spot, &with(&node.value, segment, rest, value));
        let is_list = match node.value {
            Value::Null => return Some(whole()),
            Value::Map(_) => false,
            Value::List(_) if index => true,
            _ => return None,
        };
        if !holds_its_own(node) {
            return Some(whole());
        }
        // what comes from a merge keeps what else it holds
        let below = nested(node.get(name), rest, value);
        let key = write::key(name);
        if self.is_flow(node) {
            let below = write::flow(&below);
            let entry = if is_list { below } else { format!("{key}: {below}") };
            let inside = node.span.start + 1;
            return Some(match entry_spans(node).last() {
                Some(last) => {
                    // the parser stumbles over `-,`
                    let gap = if self.slice(0, last.end).ends_with('-') { " " } else { "" };
                    let insert = format!("{gap}, {entry}");
                    Edit { start: last.end, end: last.end, insert }
                }
                None => Edit { start: inside, end: node.span.end - 1, insert: entry },
            });
        }
        let column = self.margin(node.span);
        let entry = if is_list {
            format!("- {}", write::block(&below, column + 2, self.newline))
        } else {
            format!("{key}:{}", write::after_colon(&below, column, self.newline))
        };
        // the last of its values may be empty
        let end = Span { start: node.span.end, ..node.span };
        let at = self.line_end(self.with_properties(end, column).end);
        let insert = format!("{}{}{entry}", self.newline, " ".repeat(column));
        Some(Edit { start: at, end: at, insert })
    }

    fn remove(&self, root: &Node, path: &[Segment<'_>]) -> Option<Edit> {
        let (last, parents) = path.split_last()?;
        let (mut spot, mut rest) = (self.spot(root, Holder::Root, false), parents);
        while let Some((segment, after)) = rest.split_first() {
            let Some((child, holder)) = own_child(spot.node, *segment) else {
                let path: Vec<_> = rest.iter().chain([last]).copied().collect();
                return Some(self.replace(spot, &without(&spot.node.value, &path)));
            };
            (spot, rest) = (self.spot(child, holder, spot.flow), after);
        }
        let node = spot.node;
        let spans = entry_spans(node);
        let index = match own_child(node, *last) {
            Some((child, held)) => spans.iter().position(|span| match held {
                Holder::Key(entry, _) => span.start == entry.key_span.start,
                _ => span.start == child.span.start,
            }),
            None => None,
        };
        let whole = || self.replace(spot, &without(&node.value, &[*last]));
        let Some(index) = index else { return Some(whole()) };
        if spans.len() == 1 || !holds_its_own(node) {
            return Some(whole());
        }
        let this = *spans.get(index)?;
        let before = index.checked_sub(1).and_then(|index| spans.get(index));
        let next = spans.get(index + 1);
        if self.is_flow(node) {
            return Some(match (before, next) {
                (_, Some(next)) => delete(this.start, next.start),
                (Some(before), None) => delete(before.end, this.end),
                (None, None) => whole(),
            });
        }
        let start = match node.value {
            Value::List(_) => self.slice(0, this.start).rfind('-')?,
            _ => this.start,
        };
        let line = self.slice(0, start).rfind('\n').map_or(0, |at| at + 1);
        if self.slice(line, start).trim_ascii().is_empty() {
            let end = self.line_end(this.end);
            let after = self.slice(end, self.text.len());
            let rest = after.trim_start_matches('\r');
            let newline = after.len() - rest.strip_prefix('\n').unwrap_or(rest).len();
            if newline == 0 {
                // the last line of the text takes the break before it along
                let break_before = self.slice(0, line).trim_end_matches(['\n', '\r']).len();
                return Some(delete(break_before, end));
            }
            return Some(delete(line, end + newline));
        }
        // something else begins on the same line: `- a: 1`
        match (before, next) {
            (_, Some(next)) => {
                let to = match node.value {
                    Value::List(_) => self.slice(0, next.start).rfind('-')?,
                    _ => next.start,
                };
                Some(delete(start, to))
            }
            _ => Some(whole()),
        }
    }

    /// Where the line ends, its break not included.
    fn line_end(&self, at: usize) -> usize {
        let rest = self.slice(at, self.text.len());
        at + rest.find(['\n', '\r']).unwrap_or(rest.len())
    }

    /// The column, from 0, where a value begins, its anchor and tag included.
    fn margin(&self, span: Span) -> usize {
        let line = self.slice(0, span.start).rfind(['\n', '\r']).map_or(0, |at| at + 1);
        let mut before = self.slice(line, span.start);
        loop {
            let trimmed = before.trim_ascii_end();
            let word = trimmed.rsplit([' ', '\t']).next().unwrap_or_default();
            match trimmed.strip_suffix(word) {
                Some(rest) if word.starts_with(['&', '!']) => before = rest,
                _ => return before.chars().filter(|c| *c != '\u{feff}').count(),
            }
        }
    }

    /// Behind the colon of a key.
    fn colon(&self, entry: &Entry) -> usize {
        let rest = self.slice(entry.key_span.end, self.text.len());
        entry.key_span.end + rest.find(':').map_or(0, |at| at + 1)
    }

    /// Where a value begins, its tag included: the new value need not be of its type.
    fn without_tag(&self, holder: Holder<'_>, start: usize) -> usize {
        let from = match holder {
            Holder::Key(entry, _) => self.colon(entry),
            Holder::Item(list) => list.span.start,
            Holder::Root => return start,
        };
        let before = self.slice(from, start);
        let tag = before
            .trim_ascii_end()
            .rsplit([' ', '\t', '\n'])
            .next()
            .filter(|word| word.starts_with('!'));
        tag.map_or(start, |tag| start - (before.len() - before.trim_ascii_end().len()) - tag.len())
    }

    /// An empty value with the anchor and the tag that stand on lines below it, farther in than
    /// `margin`.
    fn with_properties(&self, span: Span, margin: usize) -> Span {
        let mut span = span;
        while span.start == span.end
            || self.slice(span.start, span.end).trim_ascii().starts_with(['&', '!'])
        {
            let rest = self.slice(span.end, self.text.len());
            let word = rest.trim_ascii_start();
            let start = self.text.len() - word.len();
            let line = self.slice(0, start).rfind('\n').map_or(0, |at| at + 1);
            if !word.starts_with(['&', '!']) || line > span.end && start - line <= margin {
                break;
            }
            let length = word.find(|c: char| c.is_ascii_whitespace()).unwrap_or(word.len());
            span = Span { end: start + length, ..span };
        }
        span
    }

    /// A replacement that has a blank before it.
    fn spaced(&self, start: usize, end: usize, insert: String) -> Edit {
        let old = self.slice(start, end);
        let glued = self.slice(0, start).ends_with([':', '-'])
            && (old.is_empty() || old.starts_with(|c: char| c.is_ascii_whitespace()));
        let insert = if glued { format!(" {insert}") } else { insert };
        Edit { start, end, insert }
    }

    /// Whether a collection is written between brackets.
    fn is_flow(&self, node: &Node) -> bool {
        self.slice(node.span.start, node.span.end).starts_with(['{', '['])
    }

    fn slice(&self, from: usize, to: usize) -> &str {
        self.text.get(from..to).unwrap_or_default()
    }
}

/// The child that a step leads to, if it was written in this very place.
fn own_child<'a>(node: &'a Node, segment: Segment<'_>) -> Option<(&'a Node, Holder<'a>)> {
    let inside = |span: Span| span.start >= node.span.start && span.end <= node.span.end;
    match (&node.value, segment) {
        (Value::Map(_), Segment::Key(name) | Segment::Bracket(name)) => {
            let entry = node.entry(name).filter(|entry| inside(entry.key_span))?;
            Some((&entry.value, Holder::Key(entry, node)))
        }
        (Value::List(items), Segment::Bracket(index)) => {
            let item = items.get(index.parse::<usize>().ok()?).filter(|item| inside(item.span))?;
            Some((item, Holder::Item(node)))
        }
        _ => None,
    }
}

/// Whether a value's parts were written in its place, and not behind an alias, nor left empty as
/// keys can be.
fn holds_its_own(node: &Node) -> bool {
    let inside = |span: Span| span.start >= node.span.start && span.end <= node.span.end;
    match &node.value {
        Value::List(items) => items.is_empty() || items.iter().any(|item| inside(item.span)),
        Value::Map(entries) => {
            entries.is_empty() || entries.iter().any(|entry| inside(entry.key_span))
        }
        _ => true,
    }
}

/// From key to value, or the items, of what was written in a collection's own place.
fn entry_spans(node: &Node) -> Vec<Span> {
    let inside = |span: &Span| span.start >= node.span.start && span.end <= node.span.end;
    let mut spans: Vec<_> = match &node.value {
        Value::List(items) => items.iter().map(|item| item.span).filter(inside).collect(),
        Value::Map(entries) => entries
            .iter()
            .filter(|entry| inside(&entry.key_span))
            .map(|entry| entry.key_span.to(entry.value.span))
            .collect(),
        _ => Vec::new(),
    };
    spans.sort_unstable_by_key(|span| span.start);
    spans
}

/// A value with one more field.
fn with(old: &Value, segment: Segment<'_>, rest: &[Segment<'_>], value: &Value) -> Value {
    let (Segment::Key(name) | Segment::Bracket(name)) = segment;
    let index = name.parse::<usize>().ok().filter(|_| matches!(segment, Segment::Bracket(_)));
    match (old, index) {
        (Value::Map(entries), _) => {
            let mut entries = entries.clone();
            match entries.iter_mut().find(|entry| entry.key == name) {
                Some(entry) => entry.value.value = nested(Some(&entry.value), rest, value),
                None => entries.push(Entry::unplaced(name, nested(None, rest, value))),
            }
            Value::Map(entries)
        }
        (Value::List(items), Some(index)) => {
            let mut items = items.clone();
            match items.get_mut(index) {
                Some(item) => item.value = nested(Some(item), rest, value),
                None => items.push(nested(None, rest, value).into()),
            }
            Value::List(items)
        }
        (_, Some(_)) => Value::List(vec![nested(None, rest, value).into()]),
        (_, None) => Value::Map(vec![Entry::unplaced(name, nested(None, rest, value))]),
    }
}

fn nested(old: Option<&Node>, path: &[Segment<'_>], value: &Value) -> Value {
    match path.split_first() {
        None => value.clone(),
        Some((segment, rest)) => {
            with(old.map_or(&Value::Null, |node| &node.value), *segment, rest, value)
        }
    }
}

/// A value without one of its fields.
fn without(old: &Value, path: &[Segment<'_>]) -> Value {
    let Some((segment, rest)) = path.split_first() else { return old.clone() };
    let (Segment::Key(name) | Segment::Bracket(name)) = *segment;
    let mut new = old.clone();
    match &mut new {
        Value::Map(entries) if rest.is_empty() => entries.retain(|entry| entry.key != name),
        Value::Map(entries) => {
            for entry in entries.iter_mut().filter(|entry| entry.key == name) {
                entry.value.value = without(&entry.value.value, rest);
            }
        }
        Value::List(items) => {
            if let Some(index) = name.parse::<usize>().ok().filter(|index| *index < items.len()) {
                if rest.is_empty() {
                    items.remove(index);
                } else if let Some(item) = items.get_mut(index) {
                    item.value = without(&item.value, rest);
                }
            }
        }
        _ => {}
    }
    new
}

fn is_collection(value: &Value) -> bool {
    match value {
        Value::List(items) => !items.is_empty(),
        Value::Map(entries) => !entries.is_empty(),
        _ => false,
    }
}

/// Whether a collection is written over several lines, by indentation.
fn is_block(node: &Node, written: &str) -> bool {
    is_collection(&node.value) && !written.starts_with(['{', '[', '*'])
}

fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn delete(start: usize, end: usize) -> Edit {
    Edit { start, end, insert: String::new() }
}

#[cfg(test)]
mod tests;
