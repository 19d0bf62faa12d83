use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::text::generated::{document, path, soup};
use crate::text::read;

fn root(text: &str) -> Node {
    let (mut documents, problems) = read(text);
    assert_eq!(problems, [], "{text}");
    documents.remove(0).node
}

fn set_in(text: &str, path: &str, value: &Json) -> String {
    apply(text, &[set(text, &root(text), path, value).unwrap()])
}

fn remove_from(text: &str, path: &str) -> String {
    apply(text, &[remove(text, &root(text), path).unwrap()])
}

/// A value without places, to be compared.
fn bare(value: &Value) -> Value {
    match value {
        Value::List(items) => Value::List(items.iter().map(|i| bare(&i.value).into()).collect()),
        Value::Map(entries) => {
            let mut entries: Vec<_> =
                entries.iter().map(|e| Entry::unplaced(&e.key, bare(&e.value.value))).collect();
            entries.sort_by(|a, b| a.key.cmp(&b.key));
            Value::Map(entries)
        }
        other => other.clone(),
    }
}

#[test]
fn a_scalar_is_replaced_in_its_place_and_its_quotes_are_kept() {
    for (text, value, expected) in [
        ("a: x # why\nb: 1\n", "y2", "a: y2 # why\nb: 1\n"),
        ("a: 'x' # why\n", "y", "a: 'y' # why\n"),
        ("a: \"x\"\n", "it's", "a: \"it's\"\n"),
        ("a: x\n", "yes", "a: \"yes\"\n"),
        ("a: x\n", "", "a: \"\"\n"),
        ("a: x\n", "10.0.0.0/8", "a: 10.0.0.0/8\n"),
        ("a: x\n", "a: b #c", "a: \"a: b #c\"\n"),
        ("a: x", "two\nlines", "a: \"two\\nlines\""),
        ("a: # why\nb: 1\n", "y2", "a: y2 # why\nb: 1\n"),
        ("a: !!int 5\n", "x", "a: x\n"),
        ("a: |\n  x\n  y\nb: 1\n", "z", "a: z\nb: 1\n"),
        ("{a: x, b: 1}\n", "1", "{a: \"1\", b: 1}\n"),
        ("a: &x 1\n", "z", "a: &x z\n"),
        ("# one,\na: 'x' # two\n", "it's", "# one,\na: 'it''s' # two\n"),
    ] {
        assert_eq!(set_in(text, "a", &json!(value)), expected, "{text}");
    }
    assert_eq!(set_in("a: [1, 2]\n", "a[1]", &json!(3)), "a: [1, 3]\n");
    assert_eq!(set_in("a:\n- x # why\n-\n", "a[1]", &json!(true)), "a:\n- x # why\n- true\n");
}

#[test]
fn a_missing_key_is_written_at_the_end_of_its_mapping() {
    for (text, path, expected) in [
        ("a:\n  b: 1 # why\n# next\nc: 2\n", "a.d", "a:\n  b: 1 # why\n  d: 5\n# next\nc: 2\n"),
        ("a:\n  b: 1", "a.d", "a:\n  b: 1\n  d: 5"),
        ("a:\r\n  b: 1\r\nc: 2\r\n", "a.d", "a:\r\n  b: 1\r\n  d: 5\r\nc: 2\r\n"),
        ("a: {b: 1}\n", "a.d", "a: {b: 1, d: 5}\n"),
        ("a: {b: 1, }\n", "a.d", "a: {b: 1, d: 5, }\n"),
        ("a: {}\n", "a.d", "a: {d: 5}\n"),
        ("a:\nb: 1\n", "a.d", "a:\n  d: 5\nb: 1\n"),
        ("a: null # why\n", "a.d", "a:\n  d: 5 # why\n"),
        ("# one,\na: 1 # {\n", "b", "# one,\na: 1 # {\nb: 5\n"),
        ("a: [b: 1]\n", "a[0].b", "a: [b: 5]\n"),
        ("a: 1\n", "b.c.d", "a: 1\nb:\n  c:\n    d: 5\n"),
        ("a: 1\n", "b[0].d", "a: 1\nb:\n- d: 5\n"),
        ("- a: 1\n- b: 2\n", "[0].d", "- a: 1\n  d: 5\n- b: 2\n"),
        ("a:\n  - x\nb: 1\n", "a[1]", "a:\n  - x\n  - 5\nb: 1\n"),
        ("a: [x]\n", "a[7]", "a: [x, 5]\n"),
        ("a: []\n", "a[0].b", "a: [{b: 5}]\n"),
        ("{a: {}}\n", "a.d", "{a: {d: 5}}\n"),
        (
            "x:\n  a:\n    b: |\n      t\ny: 1\n",
            "x.c",
            "x:\n  a:\n    b: |\n      t\n  c: 5\ny: 1\n",
        ),
        ("m: {a/b: 1}\n", "m[c.d/e]", "m: {a/b: 1, c.d/e: 5}\n"),
    ] {
        assert_eq!(set_in(text, path, &json!(5)), expected, "{text}");
    }
}

#[test]
fn whole_values_are_written_as_kubectl_prints_them() {
    let peer = json!({"ipBlock": {"cidr": "10.0.0.0/8"}});
    let text = "spec:\n  ingress:\n  - from:\n    - podSelector: {}\n  x: 1\n";
    assert_eq!(
        set_in(text, "spec.ingress[0].from[1]", &peer),
        "spec:\n  ingress:\n  - from:\n    - podSelector: {}\n    - ipBlock:\n        cidr: 10.0.0.0/8\n  x: 1\n"
    );
    assert_eq!(set_in("a: 1 # why\nb: 2\n", "a", &json!([1, 2])), "a:\n- 1\n- 2 # why\nb: 2\n");
    assert_eq!(set_in("a:\n  b: 1\nc: 2\n", "a", &json!("x")), "a: x\nc: 2\n");
    assert_eq!(
        set_in("a:\n  b: 1\nc: 2\n", "a", &peer),
        "a:\n  ipBlock:\n    cidr: 10.0.0.0/8\nc: 2\n"
    );
    assert_eq!(set_in("{a: 1}\n", "a", &peer), "{a: {ipBlock: {cidr: 10.0.0.0/8}}}\n");
}

#[test]
fn what_comes_through_an_alias_or_a_merge_is_written_out() {
    let text = "a: &x {p: 1, q: 2}\nb: *x\nc:\n  <<: *x\n  r: 3\n";
    assert_eq!(
        set_in(text, "b.p", &json!(5)),
        "a: &x {p: 1, q: 2}\nb:\n  p: 5\n  q: 2\nc:\n  <<: *x\n  r: 3\n"
    );
    assert_eq!(
        set_in(text, "c.p", &json!(5)),
        "a: &x {p: 1, q: 2}\nb: *x\nc:\n  <<: *x\n  r: 3\n  p: 5\n"
    );
}

#[test]
fn fields_and_items_are_removed_with_their_lines() {
    for (text, path, expected) in [
        ("a: 1 # why\nb: 2\n", "a", "b: 2\n"),
        ("a: 1\nb:\n  c: 2\n  d: 3\ne: 4\n", "b", "a: 1\ne: 4\n"),
        ("a: 1\nb: 2", "b", "a: 1"),
        ("a:\n  b: 1\nc: 2\n", "a.b", "a: {}\nc: 2\n"),
        ("a: {b: 1, c: 2, d: 3}\n", "a.b", "a: {c: 2, d: 3}\n"),
        ("a: {b: 1, c: 2, d: 3}\n", "a.d", "a: {b: 1, c: 2}\n"),
        ("a: {b: 1}\n", "a.b", "a: {}\n"),
        ("a:\n- x\n- y\n- z\n", "a[1]", "a:\n- x\n- z\n"),
        ("a:\n- b: 1\n  c: 2\n- d: 3\n", "a[0].b", "a:\n- c: 2\n- d: 3\n"),
        ("a:\n- b: 1\n  c: 2\n- d: 3\n", "a[0]", "a:\n- d: 3\n"),
        ("a:\n- x\n", "a[0]", "a: []\n"),
        ("a: 1\r\nb: 2\r\n", "a", "b: 2\r\n"),
    ] {
        assert_eq!(remove_from(text, path), expected, "{text}");
    }
    assert_eq!(remove("a: 1\n", &root("a: 1\n"), "b"), None);
}

#[test]
fn a_scalar_has_no_fields() {
    for (text, path) in [("a: 1\n", "a.b"), ("a: [1]\n", "a.b"), ("a: x\n", "a[0]")] {
        assert_eq!(set(text, &root(text), path, &json!(1)), None, "{text}");
    }
}

#[test]
fn objects_in_lists_are_edited_at_their_indentation() {
    let text = "items:\n- kind: X\n  spec:\n    a: 1\n- kind: Y\n";
    let root = root(text);
    let item = root.at("items[0]").unwrap();
    for (path, expected) in [
        ("spec.b", "items:\n- kind: X\n  spec:\n    a: 1\n    b: 2\n- kind: Y\n"),
        ("b", "items:\n- kind: X\n  spec:\n    a: 1\n  b: 2\n- kind: Y\n"),
    ] {
        assert_eq!(apply(text, &[set(text, item, path, &json!(2)).unwrap()]), expected);
    }
}

#[test]
fn items_are_added_in_the_list_s_own_style() {
    let item = json!({ "from": "a", "to": "b" });
    for (text, sum) in [
        ("l:\n- from: x\n  to: y\nz: 1\n", "l:\n- from: x\n  to: y\n- from: a\n  to: b\nz: 1\n"),
        ("l:\n  - from: x # c\n", "l:\n  - from: x # c\n  - from: a\n    to: b\n"),
        ("l: []\n", "l: [{from: a, to: b}]\n"),
        ("l: [{from: x}]\n", "l: [{from: x}, {from: a, to: b}]\n"),
        ("k: 1\n", "k: 1\nl:\n- from: a\n  to: b\n"),
        ("l:\n", "l:\n- from: a\n  to: b\n"),
    ] {
        assert_eq!(apply(text, &[push(text, &root(text), "l", &item).unwrap()]), sum, "{text}");
    }
    assert_eq!(push("l: 1\n", &root("l: 1\n"), "l", &item), None);
}

#[test]
fn documents_are_added_behind_a_rule() {
    for (text, sum) in [
        ("", "kind: Pod\n"),
        ("kind: Service", "kind: Service\n---\nkind: Pod\n"),
        ("kind: Service\n---\n\n", "kind: Service\n---\nkind: Pod\n"),
        ("kind: Service\r\n", "kind: Service\r\n---\r\nkind: Pod\r\n"),
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

#[test]
fn an_empty_value_goes_with_the_anchor_below_its_key() {
    for text in ["a: \n  &x ", "a:\n  &x\nb: 1\n", "a:\n  !!null &x\n"] {
        let edit = set(text, &root(text), "a", &json!("v")).unwrap();
        let edited = apply(text, &[edit]);
        assert_eq!(root(&edited).at("a").and_then(Node::as_str), Some("v"), "{edited:?}");
    }
    let text = "a: \n  &x ";
    let edit = set(text, &root(text), "b", &json!("v")).unwrap();
    assert_eq!(root(&apply(text, &[edit])).at("b").and_then(Node::as_str), Some("v"));
    let text = "a:\n&x b: 1\n";
    let edit = set(text, &root(text), "a", &json!("v")).unwrap();
    assert_eq!(apply(text, &[edit]), "a: v\n&x b: 1\n");
}

fn has_empty_keys(node: &Node) -> bool {
    match &node.value {
        Value::List(items) => items.iter().any(has_empty_keys),
        Value::Map(entries) => entries.iter().any(|entry| {
            entry.key_span.start == entry.key_span.end || has_empty_keys(&entry.value)
        }),
        _ => false,
    }
}

fn comments(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split_once("# ").map(|(_, comment)| comment)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn setting_a_field_changes_that_field_alone(
        text in document(),
        path in path(),
        value in prop_oneof![
            "[ -~]{0,8}".prop_map(Json::String),
            any::<bool>().prop_map(Json::Bool),
            Just(json!({"x": {"y": 1}})),
            Just(json!([1, [2, {}], []])),
        ],
    ) {
        let before = root(&text);
        let steps: Vec<_> = segments(&path).collect();
        let Some(edit) = set(&text, &before, &path, &value) else { return Ok(()) };
        let expected = nested(Some(&before), &steps, &Value::from(&value));
        let edited = apply(&text, &[edit]);
        let (documents, problems) = read(&edited);
        prop_assert_eq!(&problems, &[], "{}\n{}", text, edited);
        prop_assert_eq!(bare(&documents[0].node.value), bare(&expected), "{}\n{}", text, edited);
    }

    #[test]
    fn setting_a_scalar_over_a_scalar_keeps_every_other_byte(
        text in document(),
        path in path(),
        value in "[ -~]{0,8}",
    ) {
        let before = root(&text);
        let old = before.at(&path).filter(|node| !is_collection(&node.value));
        if let Some(old) = old {
            let edit = set(&text, &before, &path, &Json::String(value)).unwrap();
            prop_assert!(edit.start >= old.span.start && edit.end <= old.span.end);
            let edited = apply(&text, &[edit]);
            prop_assert!(comments(&edited).len() >= comments(&text).len(), "{}\n{}", text, edited);
        }
    }

    #[test]
    fn removing_a_field_removes_that_field_alone(text in document(), path in path()) {
        let before = root(&text);
        if let Some(edit) = remove(&text, &before, &path) {
            let steps: Vec<_> = segments(&path).collect();
            let expected = without(&before.value, &steps);
            let edited = apply(&text, &[edit]);
            let (documents, problems) = read(&edited);
            prop_assert_eq!(&problems, &[], "{}\n{}", text, edited);
            prop_assert_eq!(bare(&documents[0].node.value), bare(&expected), "{}\n{}", text, edited);
        }
    }

    /// Whatever can be read can be edited, but for keys that are marked by `?`, those of no
    /// characters at all, and behind the blank lines that `|+` keeps.
    #[test]
    fn odd_texts_are_edited_as_well(text in soup(), path in path()) {
        let text = text.replace(['?', '+'], "");
        let (documents, problems) = read(&text);
        if let ([document], true) = (documents.as_slice(), problems.is_empty()) {
            let before = &document.node;
            prop_assume!(!has_empty_keys(before));
            let steps: Vec<_> = segments(&path).collect();
            if let Some(edit) = set(&text, before, &path, &json!("v")) {
                let expected = nested(Some(before), &steps, &Value::String("v".to_owned()));
                let edited = apply(&text, &[edit]);
                let (documents, problems) = read(&edited);
                prop_assert_eq!(&problems, &[], "{:?}\n{:?}", text, edited);
                prop_assert_eq!(bare(&documents[0].node.value), bare(&expected), "{:?}\n{:?}", text, edited);
            }
        }
    }

    #[test]
    fn what_is_written_reads_the_same(value in "[ -~é\n\t\u{1}\u{85}\u{2028}]{0,12}") {
        let text = format!("a: {}\nb: [{}]\n", write::key(&value), write::key(&value));
        let (documents, problems) = read(&text);
        prop_assert_eq!(&problems, &[], "{}", text);
        let node = &documents[0].node;
        prop_assert_eq!(node.at("a").and_then(Node::as_str), Some(value.as_str()), "{}", text);
        prop_assert_eq!(node.at("b[0]").and_then(Node::as_str), Some(value.as_str()), "{}", text);
    }
}
