//! The smallest edits that set a field or add an item: comments, order and layout elsewhere stay.

use serde_json::Value as Json;

use super::node::{Node, Segment, Value, segments};
use super::{Edit, read};

/// How much deeper a block stands than what it belongs to.
const STEP: usize = 2;

/// The edit that sets the field at `path` (as kube-apiserver writes it) of the object `node` of
/// `text`, with all that is missing on the way there. `None` if something on the way is no mapping,
/// or comes through an alias.
pub fn set(text: &str, node: &Node, path: &str, value: &Json) -> Option<Edit> {
    let mut parent = node;
    let mut colon = None;
    let mut missing: Vec<&str> = Vec::new();
    for segment in segments(path) {
        let found = missing.is_empty().then(|| child(parent, segment)).flatten();
        match (found, segment) {
            (Some((key_end, child)), _) => (parent, colon) = (child, key_end),
            (None, Segment::Key(key) | Segment::Bracket(key)) => missing.push(key),
        }
    }
    let Some((first, deeper)) = missing.split_first() else {
        return replace(text, parent, colon, &inline(value));
    };
    let nested = deeper.iter().rev().fold(value.clone(), |inner, key| object(key, inner));
    match &parent.value {
        Value::Map(entries) => match entries.last() {
            Some(last) if is_block(text, parent) => {
                let indent = parent.span.column.saturating_sub(1) as usize;
                let lines = block(&object(first, nested), indent);
                after_line(text, last.value.span.end.max(last.key_span.end), &lines)
            }
            last => {
                let entry = format!("{}: {}", scalar(first), inline(&nested));
                into_flow(text, parent, last.map(|last| last.value.span.end), '{', &entry)
            }
        },
        Value::Null => {
            let indent = parent_indent(text, colon?) + STEP;
            let lines = block(&object(first, nested), indent);
            replace_value(text, parent, colon?, &format!("\n{}", lines.trim_end()))
        }
        _ => None,
    }
}

/// The edit that adds `item` to the list at `path`, which is made if there is none.
pub fn push(text: &str, node: &Node, path: &str, item: &Json) -> Option<Edit> {
    let Some(found) = node.at(path).filter(|found| found.value != Value::Null) else {
        return set(text, node, path, &Json::Array(vec![item.clone()]));
    };
    let Value::List(items) = &found.value else { return None };
    match (items.first(), items.last()) {
        (Some(first), Some(last)) if byte(text, found.span.start) != Some(b'[') => {
            let start = line_start(text, first.span.start);
            let dash = start + text.get(start..first.span.start)?.rfind('-')?;
            let indent = text.get(start..dash)?;
            if !indent.trim().is_empty() {
                return None;
            }
            let lines = block(&Json::Array(vec![item.clone()]), indent.len());
            after_line(text, last.span.end, &lines)
        }
        (_, last) => into_flow(text, found, last.map(|last| last.span.end), '[', &inline(item)),
    }
}

/// The edit that adds documents at the end of `text`, parted from it by `---`.
pub fn append(text: &str, documents: &str) -> Edit {
    let documents = documents.strip_prefix("---\n").unwrap_or(documents);
    let kept = text.trim_end();
    let rule = match kept {
        "" => "",
        _ if kept == "---" || kept.ends_with("\n---") => "\n",
        _ => "\n---\n",
    };
    Edit { start: kept.len(), end: text.len(), insert: format!("{rule}{documents}") }
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

/// A child, and where its key ends.
fn child<'a>(node: &'a Node, segment: Segment<'_>) -> Option<(Option<usize>, &'a Node)> {
    match (&node.value, segment) {
        (Value::Map(_), Segment::Key(key) | Segment::Bracket(key)) => {
            node.entry(key).map(|entry| (Some(entry.key_span.end), &entry.value))
        }
        (Value::List(items), Segment::Bracket(index)) => {
            Some((None, items.get(index.parse::<usize>().ok()?)?))
        }
        _ => None,
    }
}

/// Replaces a value.
fn replace(text: &str, node: &Node, key_end: Option<usize>, value: &str) -> Option<Edit> {
    match (&node.value, key_end) {
        (Value::Null, Some(key_end)) => replace_value(text, node, key_end, &format!(" {value}")),
        _ => Some(Edit { start: node.span.start, end: node.span.end, insert: value.to_owned() }),
    }
}

/// Replaces everything that stands for null behind a key: `~`, `null`, or nothing.
fn replace_value(text: &str, node: &Node, key_end: usize, value: &str) -> Option<Edit> {
    let colon = key_end + text.get(key_end..)?.find(':')? + 1;
    let written = node.span.start >= colon && node.span.end > node.span.start;
    let end = if written { node.span.end } else { colon };
    Some(Edit { start: colon, end, insert: value.to_owned() })
}

/// Adds an entry or an item to a collection in brackets.
fn into_flow(
    text: &str,
    node: &Node,
    last: Option<usize>,
    bracket: char,
    entry: &str,
) -> Option<Edit> {
    if !text.get(node.span.start..)?.starts_with(bracket) {
        return None;
    }
    let inside = node.span.start + 1;
    let (start, end) = last.map_or((inside, node.span.end.checked_sub(1)?), |end| (end, end));
    let comma = if last.is_some() { ", " } else { "" };
    Some(Edit { start, end, insert: format!("{comma}{entry}") })
}

/// Adds whole lines below the line that `offset` is on, its comment included.
fn after_line(text: &str, offset: usize, lines: &str) -> Option<Edit> {
    // A block scalar ends with its line break.
    if offset > 0 && byte(text, offset - 1) == Some(b'\n') {
        return Some(Edit { start: offset, end: offset, insert: lines.to_owned() });
    }
    Some(match text.get(offset..)?.find('\n') {
        Some(line) => {
            let at = offset + line + 1;
            Edit { start: at, end: at, insert: lines.to_owned() }
        }
        None => Edit { start: text.len(), end: text.len(), insert: format!("\n{lines}") },
    })
}

fn is_block(text: &str, node: &Node) -> bool {
    !matches!(byte(text, node.span.start), Some(b'{' | b'*') | None)
}

fn byte(text: &str, at: usize) -> Option<u8> {
    text.as_bytes().get(at).copied()
}

fn line_start(text: &str, offset: usize) -> usize {
    text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1)
}

/// The column, from 0, where the key that ends at `key_end` begins, dashes before it included.
fn parent_indent(text: &str, key_end: usize) -> usize {
    let line = text.get(line_start(text, key_end)..key_end).unwrap_or_default();
    line.chars().take_while(|c| matches!(c, ' ' | '-')).count()
}

fn object(key: &str, value: Json) -> Json {
    Json::Object([(key.to_owned(), value)].into_iter().collect())
}

/// A value as lines of block style, each indented and ended. Not `serde_yaml`'s work, because that
/// leaves `y` and `on` plain, which Kubernetes takes for booleans.
fn block(value: &Json, indent: usize) -> String {
    let mut lines = String::new();
    let margin = " ".repeat(indent);
    match value {
        Json::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let deeper = match value {
                    Json::Object(inner) if !inner.is_empty() => Some(indent + STEP),
                    Json::Array(inner) if !inner.is_empty() => Some(indent),
                    _ => None,
                };
                lines.extend([&margin, &scalar(key), ":"]);
                match deeper {
                    Some(indent) => lines.extend(["\n", &block(value, indent)]),
                    None => lines.extend([" ", &inline(value), "\n"]),
                }
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for item in items {
                let item = block(item, indent + STEP);
                lines.extend([&margin, "- ", item.get(indent + STEP..).unwrap_or_default()]);
            }
        }
        _ => lines.extend([&margin, &inline(value), "\n"]),
    }
    lines
}

/// A value on one line.
fn inline(value: &Json) -> String {
    match value {
        Json::String(word) => scalar(word),
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", scalar(key), inline(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// A string as YAML reads it back, quoted where it must be.
fn scalar(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./()".contains(c));
    let (documents, _) = if plain { read(word) } else { (Vec::new(), Vec::new()) };
    match documents.as_slice() {
        [document] if document.node.value == Value::String(word.to_owned()) => word.to_owned(),
        // JSON's strings are YAML's.
        _ => Json::String(word.to_owned()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn after(text: &str, edit: impl Fn(&str, &Node) -> Option<Edit>) -> String {
        let (documents, problems) = read(text);
        assert!(problems.is_empty(), "{problems:?}");
        let edit = edit(text, &documents[0].node).expect("an edit");
        apply(text, &[edit])
    }

    fn with(text: &str, path: &str, value: &Json) -> String {
        after(text, |text, node| set(text, node, path, value))
    }

    #[test]
    fn a_value_is_replaced_and_its_comment_stays() {
        let text = "spec:\n  mode: Cluster   # why\n  next: 1\n";
        assert_eq!(
            with(text, "spec.mode", &json!("Local")),
            "spec:\n  mode: Local   # why\n  next: 1\n"
        );
    }

    #[test]
    fn a_missing_field_comes_last_in_its_block() {
        let text = "spec:\n  ports:\n  - port: 80 # web\n  # tail\nstatus: {}\n";
        assert_eq!(
            with(text, "spec.mode", &json!("Local")),
            "spec:\n  ports:\n  - port: 80 # web\n  mode: Local\n  # tail\nstatus: {}\n"
        );
    }

    #[test]
    fn missing_parents_are_made() {
        assert_eq!(
            with("kind: X\n", "spec.a[b/c.d]", &json!(true)),
            "kind: X\nspec:\n  a:\n    b/c.d: true\n"
        );
        assert_eq!(with("kind: X", "a.b", &json!(1)), "kind: X\na:\n  b: 1\n");
    }

    #[test]
    fn a_field_without_a_value_gets_one() {
        assert_eq!(with("mode:\nkind: X\n", "mode", &json!("ipvs")), "mode: ipvs\nkind: X\n");
        assert_eq!(with("mode: ~ # no\n", "mode", &json!("ipvs")), "mode: ipvs # no\n");
        assert_eq!(
            with("a:\n  spec:\nb: 1\n", "a.spec.c", &json!(2)),
            "a:\n  spec:\n    c: 2\nb: 1\n"
        );
    }

    #[test]
    fn flow_style_stays_flow_style() {
        assert_eq!(with("spec: {a: 1}\n", "spec.b", &json!("x")), "spec: {a: 1, b: x}\n");
        assert_eq!(with("spec: {}\n", "spec.b.c", &json!("on")), "spec: {b: {c: \"on\"}}\n");
        assert_eq!(
            with("{\"kind\": \"X\", \"spec\": {\"a\": 1}}", "spec.a", &json!("y z")),
            "{\"kind\": \"X\", \"spec\": {\"a\": \"y z\"}}"
        );
    }

    #[test]
    fn objects_in_lists_are_edited_at_their_indentation() {
        let text = "items:\n- kind: X\n  spec:\n    a: 1\n- kind: Y\n";
        let (documents, _) = read(text);
        let item = documents[0].node.at("items[0]").unwrap();
        let edit = set(text, item, "spec.b", &json!(2)).unwrap();
        assert_eq!(
            apply(text, &[edit]),
            "items:\n- kind: X\n  spec:\n    a: 1\n    b: 2\n- kind: Y\n"
        );
        let edit = set(text, item, "b", &json!(2)).unwrap();
        assert_eq!(
            apply(text, &[edit]),
            "items:\n- kind: X\n  spec:\n    a: 1\n  b: 2\n- kind: Y\n"
        );
    }

    #[test]
    fn a_block_scalar_at_the_end_is_left_alone() {
        let text = "spec:\n  text: |\n    one\n    two\nx: 1\n";
        assert_eq!(
            with(text, "spec.a", &json!(1)),
            "spec:\n  text: |\n    one\n    two\n  a: 1\nx: 1\n"
        );
    }

    #[test]
    fn items_are_added_in_the_list_s_own_style() {
        let item = json!({ "from": "a", "to": "b" });
        for (text, sum) in [
            (
                "l:\n- from: x\n  to: y\nz: 1\n",
                "l:\n- from: x\n  to: y\n- from: a\n  to: b\nz: 1\n",
            ),
            ("l:\n  - from: x # c\n", "l:\n  - from: x # c\n  - from: a\n    to: b\n"),
            ("l: []\n", "l: [{from: a, to: b}]\n"),
            ("l: [{from: x}]\n", "l: [{from: x}, {from: a, to: b}]\n"),
            ("k: 1\n", "k: 1\nl:\n- from: a\n  to: b\n"),
            ("l:\n", "l: [{from: a, to: b}]\n"),
        ] {
            assert_eq!(after(text, |text, node| push(text, node, "l", &item)), sum, "{text}");
        }
    }

    #[test]
    fn what_comes_through_an_alias_is_not_edited() {
        let text = "a: &x {b: 1}\nc: *x\n";
        let (documents, _) = read(text);
        assert_eq!(set(text, &documents[0].node, "c.d", &json!(1)), None);
    }

    #[test]
    fn documents_are_added_behind_a_rule() {
        for (text, sum) in [
            ("", "kind: Pod\n"),
            ("kind: Service", "kind: Service\n---\nkind: Pod\n"),
            ("kind: Service\n---\n\n", "kind: Service\n---\nkind: Pod\n"),
        ] {
            for added in ["kind: Pod\n", "---\nkind: Pod\n"] {
                assert_eq!(apply(text, &[append(text, added)]), sum);
            }
        }
    }

    #[test]
    fn edits_are_made_wherever_they_stand_in_the_list() {
        let edit = |start, end, insert: &str| Edit { start, end, insert: insert.to_owned() };
        assert_eq!(apply("abcdef", &[edit(4, 5, "E"), edit(0, 1, ""), edit(2, 2, "+")]), "b+cdEf");
        let wrong = [edit(0, 2, "X"), edit(1, 3, "Y"), edit(9, 9, "Z"), edit(3, 2, "W")];
        assert_eq!(apply("äbc", &wrong), "Xbc");
    }

    proptest! {
        #[test]
        fn what_is_set_is_read_back(word in any::<String>(), deep in "[a-z]{1,3}", key in "[a-z]{1,3}") {
            for text in ["kind: X\nspec:\n  a: 1 # c\n", "{kind: X, spec: {a: 1}}", "spec:\n", "kind: X"] {
                let path = format!("spec.{deep}.{key}");
                let (documents, _) = read(text);
                let Some(edit) = set(text, &documents[0].node, &path, &json!(word)) else {
                    // `spec.a` is no mapping.
                    prop_assert_eq!(&deep, "a");
                    continue;
                };
                let text = apply(text, &[edit]);
                let (documents, problems) = read(&text);
                prop_assert!(problems.is_empty(), "{}: {:?}", text, problems);
                let found = documents[0].node.at(&path).and_then(Node::as_str);
                prop_assert_eq!(found, Some(word.as_str()), "{}", text);
            }
        }
    }
}
