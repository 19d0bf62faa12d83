//! YAML text to trees. Reading never fails: a document that is broken is reported and left out,
//! and the others of the stream stay.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::place::Places;
use super::scalar::{json_number, resolve, resolve_tagged};
use super::{Edit, Entry, Node, Problem, Severity, Span, Value};

/// Deeper nesting is refused: recursion over a tree then needs no care.
const DEPTH: usize = 64;
/// How many bytes anchors and aliases may add to a text beyond its own length, counted as copies of
/// values take them: a few lines can stand for billions.
const ALIASED: usize = 8 << 20;
/// How many values may be written out.
const WRITTEN: usize = 5_000_000;
/// What a value or a key takes besides its text, in bytes; the same on every machine.
const TAKEN: usize = 64;

/// One document of a YAML stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its root.
    pub node: Node,
    /// The stretch of the text that belongs to it, from its `---` line to the next.
    pub span: Span,
}

/// All documents of a text, and what is wrong with the others. Empty documents are left out.
pub fn read(text: &str) -> (Vec<Document>, Vec<Problem>) {
    let mut problems = Vec::new();
    if let Some(at) = text.find('\0') {
        problems
            .push(problem(Places::new(text).span(at..at + 1), "this is a binary file, not YAML"));
        return (Vec::new(), problems);
    }
    let mut documents = Vec::new();
    let aliased = ALIASED + text.len();
    let mut budget = Budget { limit: aliased, aliased, written: WRITTEN };
    let mut places = Places::new(text);
    for chunk in chunks(text) {
        let span = places.span(chunk.clone());
        let mut reader = Reader {
            text,
            source: text.get(chunk).unwrap_or_default(),
            chars: places.chars(span.start),
            before: 0,
            places: &mut places,
            span,
            budget: &mut budget,
            anchors: HashMap::new(),
            stack: Vec::new(),
            last: span.start,
            documents: &mut documents,
            problems: &mut problems,
        };
        if let Err(broken) = reader.run() {
            problems.push(*broken);
        }
    }
    problems.sort_by_key(|problem| problem.span.start);
    (documents, problems)
}

/// The documents of a stream as byte ranges, each from its `---` line on. The lines alone decide,
/// as for kubectl, so that what is broken in one document stays in it.
pub(crate) fn chunks(text: &str) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let (mut start, mut at, mut filled) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        let content = line.trim_ascii_end();
        let separator = content
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        if separator && filled {
            chunks.push(start..at);
            start = at;
        }
        let unmarked = content.trim_start_matches('\u{feff}').trim_ascii_start();
        let preamble = unmarked.is_empty() || unmarked.starts_with(['#', '%']);
        filled = separator || (filled && start != at) || !preamble;
        at += line.len();
    }
    chunks.push(start..text.len());
    chunks
}

/// What may still be taken.
struct Budget {
    /// What aliases could take at first.
    limit: usize,
    aliased: usize,
    written: usize,
}

struct Reader<'a, 'b> {
    text: &'a str,
    source: &'a str,
    places: &'b mut Places<'a>,
    /// Of the chunk.
    span: Span,
    /// How many characters stand before the chunk.
    chars: usize,
    /// How many the parser reads before those of the chunk.
    before: usize,
    budget: &'b mut Budget,
    anchors: HashMap<usize, Anchored>,
    stack: Vec<Frame>,
    /// Where the last event ended.
    last: usize,
    documents: &'b mut Vec<Document>,
    problems: &'b mut Vec<Problem>,
}

enum Anchored {
    /// It is being read.
    Open,
    /// A copy to make others of.
    Value { node: Node, size: usize, depth: usize },
    /// A copy would take more than is left.
    TooLarge,
}

struct Frame {
    /// Of the first byte, as far as it is known.
    span: Span,
    anchor: usize,
    flow: bool,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, index: HashMap<String, usize>, key: Option<Key> },
}

enum Key {
    Name(String, Span),
    Merge,
}

type Broken = Box<Problem>;

impl<'a> Reader<'a, '_> {
    fn run(&mut self) -> Result<(), Broken> {
        self.refuse_control_characters()?;
        let source = self.behind_a_rule();
        self.before = source.len() - self.source.len();
        let mut parser = Parser::new(StrInput::new(&source));
        loop {
            match parser.next_event() {
                None | Some(Ok((Event::StreamEnd, _))) => return Ok(()),
                Some(Err(error)) => return Err(self.syntax(&error)),
                Some(Ok((event, span))) => {
                    let start = self.byte(span.start.index());
                    let end = self.byte(span.end.index()).max(start);
                    self.take(event, start, end)?;
                }
            }
        }
    }

    /// What the parser reads. It keeps all of a collection that may turn out to be a key, and so all
    /// of a document that is one, as JSON is. Behind a `---` on the same line nothing is a key, and
    /// what is longer than a key can be is none anyway.
    fn behind_a_rule(&self) -> Cow<'a, str> {
        const LONGEST_KEY: usize = 1024;
        let collection = self.source.trim_ascii_start().starts_with(['{', '[']);
        if collection && self.source.len() > LONGEST_KEY {
            Cow::Owned(format!("--- {}", self.source))
        } else {
            Cow::Borrowed(self.source)
        }
    }

    /// The byte of the text for a character of what the parser reads.
    fn byte(&mut self, at: usize) -> usize {
        self.places.byte(self.chars + at.saturating_sub(self.before))
    }

    fn take(&mut self, event: Event<'_>, start: usize, end: usize) -> Result<(), Broken> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(start)?;
                let merge = style == ScalarStyle::Plain && tag.is_none() && text == "<<";
                let node = self.scalar(&text, style, tag.as_deref(), start, end)?;
                self.last = node.span.end.max(self.last);
                self.remember(anchor, &node);
                self.place(node, merge)?;
            }
            Event::SequenceStart(anchor, _) => {
                self.open(anchor, start, end, Content::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, _) => {
                let content =
                    Content::Map { entries: Vec::new(), index: HashMap::new(), key: None };
                self.open(anchor, start, end, content)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(start)?,
            Event::Alias(id) => {
                let node = self.alias(id, start, end)?;
                self.last = end;
                self.place(node, false)?;
            }
            Event::DocumentStart(_) => {
                self.anchors.clear();
                self.last = end;
            }
            Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => {}
        }
        Ok(())
    }

    fn spend(&mut self, at: usize) -> Result<(), Broken> {
        match self.budget.written.checked_sub(1) {
            Some(rest) => self.budget.written = rest,
            None => return Err(self.broken(at..at, "the text is too big")),
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        start: usize,
        end: usize,
    ) -> Result<Node, Broken> {
        let range = match style {
            ScalarStyle::Literal | ScalarStyle::Folded => {
                // the event begins with the content; the value begins with its `|` or `>`
                let header = self.slice(self.last..start).find(['|', '>']);
                let start = header.map_or(start, |header| self.last + header);
                let trimmed = self.slice(start..end).trim_ascii_end().len();
                start..start + trimmed
            }
            _ if text.is_empty() && style == ScalarStyle::Plain => self.empty(start),
            _ => {
                let start = self.skip_properties(start, end);
                start..self.closing_quote(start, end)
            }
        };
        let span = self.places.span(range.clone());
        let value = match (style, tag) {
            (_, Some(tag)) if tag.is_yaml_core_schema() => resolve_tagged(&tag.suffix, text)
                .ok_or_else(|| {
                    self.broken(range, &format!("cannot decode `{text}` as a !!{}", tag.suffix))
                })?,
            (ScalarStyle::Plain, None) => resolve(text),
            _ => Value::String(text.to_owned()),
        };
        Ok(Node { span, value })
    }

    /// The first byte behind a quoted scalar: the parser counts a comment after it in.
    fn closing_quote(&self, start: usize, end: usize) -> usize {
        let written = self.slice(start..end);
        let Some(quote) = written.bytes().next().filter(|b| matches!(b, b'"' | b'\'')) else {
            return end;
        };
        // Quotes and backslashes are single bytes, which no other character has in it.
        let mut bytes = written.bytes().enumerate().skip(1).peekable();
        while let Some((at, b)) = bytes.next() {
            let doubled = b == b'\'' && bytes.peek().is_some_and(|(_, next)| *next == b);
            if (quote == b'"' && b == b'\\') || (quote == b && doubled) {
                bytes.next();
            } else if b == quote {
                return start + at + 1;
            }
        }
        end
    }

    /// Where a value would stand that is not there: behind the colon or the dash.
    fn empty(&self, start: usize) -> Range<usize> {
        let expects_value = matches!(
            self.stack.last(),
            Some(Frame { content: Content::Map { key: Some(_), .. }, .. })
        );
        let mut at = start.max(self.last);
        if expects_value {
            let rest = self.slice(self.last..self.text.len());
            let blank = rest.len() - rest.trim_ascii_start().len();
            at = if rest.trim_ascii_start().starts_with(':') {
                self.last + blank + 1
            } else {
                self.last
            };
        }
        at..at
    }

    /// The first byte behind anchors and tags.
    fn skip_properties(&self, start: usize, end: usize) -> usize {
        let mut at = start;
        while self.slice(at..end).starts_with(['&', '!']) {
            let rest = self.slice(at..end);
            let word = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
            at += word;
            let rest = self.slice(at..end);
            at += rest.len() - rest.trim_ascii_start().len();
        }
        at
    }

    fn open(
        &mut self,
        anchor: usize,
        start: usize,
        end: usize,
        content: Content,
    ) -> Result<(), Broken> {
        self.spend(start)?;
        if self.stack.len() >= DEPTH {
            return Err(self.broken(start..end, &format!("nested deeper than {DEPTH} levels")));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored::Open);
        }
        let at = self.skip_properties(start, end);
        let flow = self.slice(at..end).starts_with(['{', '[']);
        self.last = self.last.max(if flow { at + 1 } else { at });
        let span = self.places.span(at..if flow { at + 1 } else { at });
        self.stack.push(Frame { span, anchor, flow, content });
        Ok(())
    }

    fn close(&mut self, at: usize) -> Result<(), Broken> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let mut span = frame.span;
        let closing = if matches!(frame.content, Content::List(_)) { ']' } else { '}' };
        let value = match frame.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        if frame.flow {
            span.end = self.closing(at.max(self.last), closing);
            self.last = span.end;
        } else {
            // the stretch ends with its last value, not before the next key
            span.end = self.last.max(span.start);
            let first = match &value {
                Value::List(items) => items.first().map(|item| item.span),
                Value::Map(entries) => entries.first().map(|entry| entry.key_span),
                _ => None,
            };
            match (&value, first) {
                (Value::List(_), Some(first)) if first.start <= span.start => {
                    // a list that is not indented begins with its first item for the parser
                    if let Some(dash) = self.dash_before(first.start) {
                        span = Span { end: span.end, ..self.places.span(dash..dash) };
                    }
                }
                (Value::Map(_), Some(first)) if within(first, span) => {
                    span = Span { end: span.end, ..first };
                }
                _ => {}
            }
        }
        let node = Node { span, value };
        self.remember(frame.anchor, &node);
        self.place(node, false)
    }

    /// The first byte after the bracket, from somewhere behind the last item on.
    fn closing(&self, from: usize, bracket: char) -> usize {
        let mut comment = false;
        for (at, c) in self.slice(from..self.text.len()).char_indices() {
            match c {
                '\n' => comment = false,
                '#' => comment = true,
                c if comment || c == ',' || c.is_ascii_whitespace() => {}
                c if c == bracket => return from + at + c.len_utf8(),
                _ => break,
            }
        }
        from
    }

    /// The `-` of the list item whose value starts at `at`.
    fn dash_before(&self, at: usize) -> Option<usize> {
        let before = self.slice(self.span.start..at);
        for line in before.rsplit('\n') {
            let from = line.as_ptr() as usize - before.as_ptr() as usize;
            let code = line.split_once('#').map_or(line, |(code, _)| code).trim_ascii_end();
            if code.ends_with('-') {
                return Some(self.span.start + from + code.len() - 1);
            }
            if !code.is_empty() && !code.trim_ascii_start().starts_with(['&', '!']) {
                return None;
            }
        }
        None
    }

    fn remember(&mut self, anchor: usize, node: &Node) {
        if anchor == 0 {
            return;
        }
        let mut left = self.budget.aliased;
        let anchored = match measure(node, &mut left) {
            Some(depth) => {
                let size = self.budget.aliased - left;
                self.budget.aliased = left;
                Anchored::Value { node: node.clone(), size, depth }
            }
            None => Anchored::TooLarge,
        };
        self.anchors.insert(anchor, anchored);
    }

    fn alias(&mut self, id: usize, start: usize, end: usize) -> Result<Node, Broken> {
        let (node, size, depth) = match self.anchors.get(&id) {
            Some(Anchored::Value { node, size, depth }) => (node, *size, *depth),
            Some(Anchored::TooLarge) => return Err(self.unfolds_too_far(start..end)),
            Some(Anchored::Open) | None => {
                let name = self.slice(start..end).trim_start_matches('*');
                let message = format!("anchor `{name}` contains itself");
                return Err(self.broken(start..end, &message));
            }
        };
        if self.stack.len() + depth > DEPTH {
            return Err(self.broken(start..end, &format!("nested deeper than {DEPTH} levels")));
        }
        let Some(rest) = self.budget.aliased.checked_sub(size) else {
            return Err(self.unfolds_too_far(start..end));
        };
        self.budget.aliased = rest;
        Ok(Node { span: self.places.span(start..end), value: node.value.clone() })
    }

    fn unfolds_too_far(&mut self, range: Range<usize>) -> Broken {
        let limit = self.budget.limit >> 20;
        self.broken(range, &format!("the text's aliases unfold to more than {limit} MiB"))
    }

    /// Puts a finished value where it belongs.
    fn place(&mut self, node: Node, merge: bool) -> Result<(), Broken> {
        let Some(frame) = self.stack.last_mut() else {
            if node.value != Value::Null {
                self.documents.push(Document { node, span: self.span });
            }
            return Ok(());
        };
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map { key: key @ None, .. } => {
                if merge {
                    *key = Some(Key::Merge);
                    return Ok(());
                }
                let name = match node.value {
                    Value::String(name) => name,
                    Value::Bool(yes) => yes.to_string(),
                    Value::Int(number) => number.to_string(),
                    Value::Float(number) => json_number(number),
                    Value::Null => return Err(broken_at(node.span, "a key is missing here")),
                    Value::List(_) | Value::Map(_) => {
                        let message = "a list or mapping cannot be a key";
                        return Err(broken_at(node.span, message));
                    }
                };
                *key = Some(Key::Name(name, node.span));
            }
            Content::Map { entries, index, key } => match key.take() {
                Some(Key::Name(key, key_span)) => {
                    let entry = Entry { key, key_span, value: node };
                    if let Some(first) = insert(entries, index, entry) {
                        let message = format!(
                            "key `{}` is set twice: the one in line {} is ignored",
                            first.key, first.key_span.line
                        );
                        self.problems.push(Problem {
                            severity: Severity::Warning,
                            ..problem(key_span, &message)
                        });
                    }
                }
                Some(Key::Merge) | None => {
                    let span = node.span;
                    let Some(maps) = mappings(node.value) else {
                        let message = "map merge requires map or sequence of maps as the value";
                        return Err(broken_at(span, message));
                    };
                    // the first of several wins
                    for entry in maps.into_iter().rev().flatten() {
                        insert(entries, index, entry);
                    }
                }
            },
        }
        Ok(())
    }

    fn slice(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or_default()
    }

    fn broken(&mut self, range: Range<usize>, message: &str) -> Broken {
        let span = self.places.span(range);
        broken_at(span, message)
    }

    fn refuse_control_characters(&mut self) -> Result<(), Broken> {
        let refused = |c: char| {
            matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}')
                || matches!(c, '\u{80}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')
        };
        // Nearly every text is plain, and then the bytes say so at once.
        let plain = |b: u8| matches!(b, b' '..=b'~' | b'\n' | b'\r' | b'\t');
        if self.source.bytes().fold(true, |all, b| all & plain(b)) {
            return Ok(());
        }
        match self.source.char_indices().find(|(_, c)| refused(*c)) {
            None => Ok(()),
            Some((at, c)) => {
                let at = self.span.start + at;
                let message =
                    format!("control characters are not allowed (U+{:04X})", u32::from(c));
                Err(self.broken(at..at + c.len_utf8(), &message))
            }
        }
    }

    /// The parser's complaint, with what to do about it.
    fn syntax(&mut self, error: &ScanError) -> Broken {
        let at = self.byte(error.marker().index()).min(self.span.end);
        let rest = self.slice(at..self.span.end);
        let line = rest.split(['\n', '\r']).next().unwrap_or_default();
        let first = rest.chars().next();
        let message = explain(error.info(), line);
        let mut broken = self.broken(
            at..at + line.trim_ascii_end().len().max(first.map_or(0, char::len_utf8)),
            &message,
        );
        let indent = self.slice(self.span.start..at).rsplit('\n').next().unwrap_or_default();
        if indent.trim_ascii().is_empty() && (indent.contains('\t') || first == Some('\t')) {
            let from = at - indent.len();
            let tabs = self.slice(from..self.span.end);
            let tabs = tabs.get(..tabs.len() - tabs.trim_start_matches([' ', '\t']).len());
            if let Some(tabs) = tabs.filter(|tabs| !tabs.is_empty()) {
                broken.message = String::from("tabs cannot indent YAML: use spaces");
                broken.span = self.places.span(from..from + tabs.len());
                broken.fix = Some(Edit {
                    start: from,
                    end: from + tabs.len(),
                    insert: tabs.replace('\t', "  "),
                });
            }
        }
        broken
    }
}

/// Puts an entry into a mapping; returns the one that it replaces.
fn insert(
    entries: &mut Vec<Entry>,
    index: &mut HashMap<String, usize>,
    entry: Entry,
) -> Option<Entry> {
    const SMALL: usize = 16;
    let found = if entries.len() <= SMALL {
        entries.iter().position(|other| other.key == entry.key)
    } else {
        for (at, other) in entries.iter().enumerate().skip(index.len()) {
            index.insert(other.key.clone(), at);
        }
        index.get(&entry.key).copied()
    };
    if let Some(other) = found.and_then(|at| entries.get_mut(at)) {
        return Some(std::mem::replace(other, entry));
    }
    entries.push(entry);
    None
}

/// What is merged: the entries of a mapping, or of each of a list of mappings.
fn mappings(value: Value) -> Option<Vec<Vec<Entry>>> {
    let items = match value {
        Value::Map(entries) => return Some(vec![entries]),
        Value::List(items) if !items.is_empty() => items,
        _ => return None,
    };
    let entries = |item: Node| match item.value {
        Value::Map(entries) => Some(entries),
        _ => None,
    };
    items.into_iter().map(entries).collect()
}

/// Takes what a copy of a tree takes off what is `left`, and says how deep the tree is; `None` if
/// that is not enough.
fn measure(node: &Node, left: &mut usize) -> Option<usize> {
    let mut take = |text: &str| {
        *left = left.checked_sub(TAKEN + text.len())?;
        Some(())
    };
    take(node.as_str().unwrap_or_default())?;
    for entry in node.entries() {
        take(&entry.key)?;
    }
    let children = node.items().iter().chain(node.entries().iter().map(|entry| &entry.value));
    let mut depth = usize::from(matches!(node.value, Value::List(_) | Value::Map(_)));
    for child in children {
        depth = depth.max(measure(child, left)? + 1);
    }
    Some(depth)
}

/// Whether an entry was written in the mapping itself, and not merged into it.
fn within(entry: Span, mapping: Span) -> bool {
    entry.start >= mapping.start && entry.end <= mapping.end
}

fn broken_at(span: Span, message: &str) -> Broken {
    Box::new(problem(span, message))
}

fn problem(span: Span, message: &str) -> Problem {
    Problem {
        span,
        severity: Severity::Error,
        message: message.to_owned(),
        object: None,
        fix: None,
    }
}

/// The parser's words for a person.
fn explain(info: &str, line: &str) -> String {
    let said = info.rsplit(", ").next().unwrap_or(info);
    let start: String = line.chars().take_while(|c| !c.is_ascii_whitespace()).take(40).collect();
    if info.contains("mapping values are not allowed") {
        return "`:` is not allowed here: quote a value that contains it, or mend the indentation"
            .to_owned();
    }
    if info.contains("expected '-' indicator") {
        return "expected `- ` here, as in the lines above: mend the indentation".to_owned();
    }
    if info.contains("did not find expected key") {
        return "expected a key here: mend the indentation".to_owned();
    }
    if info.contains("expected <document start>") {
        return "the document ends before this: write a line `---` between documents".to_owned();
    }
    if info.contains("simple key expect") {
        return "a key without `:` stands before this".to_owned();
    }
    if info.contains("unknown anchor") {
        return format!("unknown anchor `{}`", start.trim_start_matches('*'));
    }
    if info.contains("unexpected character") {
        return format!("a value cannot start with `{}`: quote it", start.get(..1).unwrap_or("?"));
    }
    if info.contains("unexpected end of stream") {
        return "this is never closed".to_owned();
    }
    if info.contains("trailing content after") {
        return "there is text after the closing quote".to_owned();
    }
    if said.contains("unknown escape") {
        return "unknown escape in a double-quoted string: double the `\\`, or use single quotes"
            .to_owned();
    }
    format!("invalid YAML: {said}")
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
