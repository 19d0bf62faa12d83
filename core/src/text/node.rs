//! The tree of a YAML document: every key and value with its place.

use std::collections::HashMap;

use super::Span;

/// A value and where it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// From the value's first byte to its last, quotes and brackets included. For a value that
    /// came through an alias, the alias.
    pub span: Span,
    /// The value.
    pub value: Value,
}

/// A value as Kubernetes' YAML reader resolves it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing at all.
    #[default]
    Null,
    /// `true`, and what YAML 1.1 takes for a boolean: `y`, `on`, `No` …
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the text's order; no key occurs twice.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key; keys that are no strings in YAML are written as JSON would.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The value of a mapping's key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A mapping's key with its value.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// A mapping's entries; none if it is no mapping.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// A mapping's entries by their keys, for those who ask for many of them.
    pub(crate) fn entries_by_key(&self) -> HashMap<&str, &Entry> {
        self.entries().iter().map(|entry| (entry.key.as_str(), entry)).collect()
    }

    /// A list's items; none if it is no list.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value at a path as kube-apiserver writes it: `spec.ingress[0].from[1].ipBlock.cidr`,
    /// `metadata.labels[example.com/a]`. The empty path is the node itself.
    pub fn at(&self, path: &str) -> Option<&Self> {
        segments(path).try_fold(self, |node, segment| node.step(segment).map(|(_, child)| child))
    }

    /// Where the field at `path` stands, key included; if it is left out, the key of its nearest
    /// ancestor, and the object's first field if there is none.
    pub fn span_at(&self, path: &str) -> Span {
        let mut node = self;
        let mut head = self.entries().first().map_or(self.span, |entry| entry.key_span);
        let mut whole = self.span;
        for segment in segments(path) {
            let Some((key, child)) = node.step(segment) else { return head };
            head = key.unwrap_or(child.span);
            whole = key.map_or(child.span, |key| key.to(child.span));
            node = child;
        }
        whole
    }

    /// Where the key of the field at `path` stands, or the item itself in a list.
    pub fn key_span_at(&self, path: &str) -> Option<Span> {
        let mut node = self;
        let mut head = None;
        for segment in segments(path) {
            let (key, child) = node.step(segment)?;
            head = Some(key.unwrap_or(child.span));
            node = child;
        }
        head
    }

    /// The path of the value that stands there.
    pub fn path_to(&self, span: Span) -> Option<String> {
        if self.span == span {
            return Some(String::new());
        }
        let join = |head: String, rest: String| {
            let dot = if rest.is_empty() || rest.starts_with('[') { "" } else { "." };
            format!("{head}{dot}{rest}")
        };
        let entry =
            |entry: &Entry| entry.value.path_to(span).map(|rest| join(entry.key.clone(), rest));
        let item = |(index, item): (usize, &Self)| {
            item.path_to(span).map(|rest| join(format!("[{index}]"), rest))
        };
        let mut entries = self.entries().iter();
        entries.find_map(entry).or_else(|| self.items().iter().enumerate().find_map(item))
    }

    fn step(&self, segment: Segment<'_>) -> Option<(Option<Span>, &Self)> {
        match (&self.value, segment) {
            (Value::Map(_), Segment::Key(key) | Segment::Bracket(key)) => {
                self.entry(key).map(|entry| (Some(entry.key_span), &entry.value))
            }
            (Value::List(items), Segment::Bracket(index)) => {
                items.get(index.parse::<usize>().ok()?).map(|item| (None, item))
            }
            _ => None,
        }
    }
}

/// One step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    /// `.name`
    Key(&'a str),
    /// `[0]`, or `[a.b/c]` for a key that is no plain name.
    Bracket(&'a str),
}

/// The steps of a path as kube-apiserver writes it.
pub fn segments(path: &str) -> impl Iterator<Item = Segment<'_>> {
    let mut rest = path;
    std::iter::from_fn(move || {
        if let Some(bracket) = rest.strip_prefix('[') {
            let (inside, after) = bracket.split_once(']').unwrap_or((bracket, ""));
            rest = after.strip_prefix('.').unwrap_or(after);
            return Some(Segment::Bracket(inside));
        }
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after.strip_prefix('.').unwrap_or(after);
        Some(Segment::Key(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_as_kube_apiserver_writes_them() {
        use Segment::{Bracket, Key};
        let split = |path| segments(path).collect::<Vec<_>>();
        assert_eq!(split(""), []);
        assert_eq!(
            split("spec.from[1].cidr"),
            [Key("spec"), Key("from"), Bracket("1"), Key("cidr")]
        );
        assert_eq!(split("labels[a.b/c]"), [Key("labels"), Bracket("a.b/c")]);
        assert_eq!(split("a[0][1]"), [Key("a"), Bracket("0"), Bracket("1")]);
    }
}
