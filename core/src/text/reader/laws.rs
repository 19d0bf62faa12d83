//! Laws of reading, on generated texts.

use proptest::prelude::*;
use serde_yaml::Value as Yaml;

use super::*;
use crate::manifest;
use crate::text::generated::{document, soup};

/// What `serde_yaml` reads, with keys as JSON has them.
fn value_of(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(yes) => Value::Bool(yes),
        Yaml::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => {
            Value::List(items.into_iter().map(|item| value_of(item).into()).collect())
        }
        Yaml::Mapping(entries) => {
            let key = |key| match value_of(key) {
                Value::String(text) => text,
                other => write_key(&other),
            };
            Value::Map(
                entries.into_iter().map(|(k, v)| Entry::unplaced(&key(k), value_of(v))).collect(),
            )
        }
        Yaml::Tagged(tagged) => value_of(tagged.value),
    }
}

fn write_key(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => json_number(*number),
        _ => String::new(),
    }
}

fn bare(value: &Value) -> Value {
    match value {
        Value::List(items) => Value::List(items.iter().map(|i| bare(&i.value).into()).collect()),
        Value::Map(entries) => Value::Map(
            entries.iter().map(|e| Entry::unplaced(&e.key, bare(&e.value.value))).collect(),
        ),
        other => other.clone(),
    }
}

/// Every span lies in the text, at characters, and what was not brought by an alias or a merge
/// lies within what it belongs to.
fn check_spans(text: &str, node: &Node) {
    let inside = |span: Span| span.start >= node.span.start && span.end <= node.span.end;
    for span in node
        .entries()
        .iter()
        .flat_map(|entry| [entry.key_span, entry.value.span])
        .chain(node.items().iter().map(|item| item.span))
        .chain([node.span])
    {
        assert!(text.get(span.start..span.end).is_some(), "{span:?} of {text:?}");
        let line_start = text[..span.start].rfind(['\n', '\r']).map_or(0, |at| at + 1);
        let column = text[line_start..span.start].chars().filter(|c| *c != '\u{feff}').count() + 1;
        assert_eq!(span.column as usize, column, "{span:?} of {text:?}");
    }
    let aliased = text[node.span.start..node.span.end].starts_with('*');
    for item in node.items() {
        assert!(
            aliased || inside(item.span),
            "{:?} outside {:?} of {text:?}",
            item.span,
            node.span
        );
        check_spans(text, item);
    }
    for entry in node.entries() {
        if inside(entry.key_span) {
            assert!(inside(entry.value.span), "{entry:?} of {text:?}");
        }
        check_spans(text, &entry.value);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// The generator's strings are quoted wherever Kubernetes' YAML and `serde_yaml`'s differ, so
    /// that the two must agree here. Where they differ is written down in the tests of scalars.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the other reader")]
    fn documents_are_read_as_serde_yaml_reads_them(text in document()) {
        let theirs: Yaml = serde_yaml::from_str(&text).unwrap();
        let (documents, problems) = read(&text);
        prop_assert_eq!(&problems, &[], "{}", text);
        prop_assert_eq!(bare(&documents[0].node.value), value_of(theirs), "{}", text);
        check_spans(&text, &documents[0].node);
    }

    /// Long ones in brackets are read another way.
    #[test]
    fn a_document_in_brackets_is_read_the_same_however_long_it_is(
        text in prop_oneof![document(), soup()],
        bracket in prop::sample::select(vec!["{", "[", " {", "\n["]),
    ) {
        let own = text.find(['{', '[']).and_then(|start| text.get(start..)).unwrap_or_default();
        let line = own.lines().next().unwrap_or_default();
        for text in [format!("{bracket}{text}"), own.to_owned(), line.to_owned()] {
            let (documents, problems) = read(&text);
            let long = format!("{text}\n#{}", "x".repeat(1024));
            let (same, none) = read(&long);
            let nodes = |all: Vec<Document>| all.into_iter().map(|d| d.node).collect::<Vec<_>>();
            if problems.is_empty() {
                prop_assert_eq!(none, &[], "{}", text);
                prop_assert_eq!(nodes(same), nodes(documents), "{}", text);
            } else {
                prop_assert_ne!(none, &[], "{}", text);
            }
        }
    }

    #[test]
    fn no_text_whatsoever_breaks_the_reader(text in soup()) {
        let (documents, problems) = read(&text);
        for document in &documents {
            check_spans(&text, &document.node);
        }
        for problem in &problems {
            prop_assert!(text.get(problem.span.start..problem.span.end).is_some());
            prop_assert!(problem.span.line >= 1);
        }
        let _ = manifest::read(&text);
    }

    #[test]
    fn no_bytes_whatsoever_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = manifest::read(&text);
        let _ = manifest::apply(&text, "f.yaml");
    }
}
