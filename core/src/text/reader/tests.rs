use std::fmt::Write as _;

use super::*;

/// Every key and value of the first document: path, line and column, and the text that the span
/// covers.
fn spans(text: &str) -> String {
    fn walk(text: &str, path: &str, node: &Node, out: &mut String) {
        let at = |span: Span| format!("{}:{} `{}`", span.line, span.column, span.of(text));
        let _ = writeln!(out, "{path} {}", at(node.span));
        for (index, item) in node.items().iter().enumerate() {
            walk(text, &format!("{path}[{index}]"), item, out);
        }
        for entry in node.entries() {
            let _ = writeln!(out, "{path}.{} key {}", entry.key, at(entry.key_span));
            walk(text, &format!("{path}.{}", entry.key), &entry.value, out);
        }
    }
    let (documents, problems) = read(text);
    assert_eq!(problems, []);
    let mut out = String::new();
    walk(text, "", &documents[0].node, &mut out);
    out
}

/// The problems as `line:column message` with the text that is underlined.
fn problems(text: &str) -> Vec<String> {
    let (_, problems) = read(text);
    problems
        .iter()
        .map(|problem| {
            let Span { line, column, .. } = problem.span;
            format!("{line}:{column} {} `{}`", problem.message, problem.span.of(text))
        })
        .collect()
}

fn value(text: &str) -> Value {
    read(text).0.remove(0).node.value
}

fn json(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => json_number(*number),
        Value::String(text) => format!("{text:?}"),
        Value::List(items) => {
            format!("[{}]", items.iter().map(|i| json(&i.value)).collect::<Vec<_>>().join(","))
        }
        Value::Map(entries) => {
            let entries: Vec<_> =
                entries.iter().map(|e| format!("{:?}:{}", e.key, json(&e.value.value))).collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}

#[test]
fn every_key_and_value_knows_its_place() {
    let text = "a: 1 # one\nlist:\n- x\n- # why\n  k: 'é''s' # it's\nin:\n  - {p: [1, \"2\\\"\",], q}\n\nnone:\nend: |\n  hello\n";
    insta::assert_snapshot!(spans(text));
}

#[test]
fn properties_are_not_part_of_a_value() {
    let text = "a: &x !!str 5\nb: &y\n  c: 1\nd: &z {e: 2}\nf: *z\n";
    insta::assert_snapshot!(spans(text));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let text = "\u{feff}a: 1\r\nb:\r\n  - é\r\n  - |\r\n    x\r\nc: \"d\"\r\n";
    insta::assert_snapshot!(spans(text));
}

#[test]
fn aliases_merges_and_odd_keys_are_resolved_as_kubernetes_does() {
    for (text, expected) in [
        ("a: &l {x: 1}\nb: *l\n", r#"{"a":{"x":1},"b":{"x":1}}"#),
        ("a: &l {x: 1, z: 2}\nb: {<<: *l, z: 3}\n", r#"{"a":{"x":1,"z":2},"b":{"x":1,"z":3}}"#),
        ("a: &l {x: 1}\nb: {<<: [*l, {x: 2, z: 3}]}\n", r#"{"a":{"x":1},"b":{"x":1,"z":3}}"#),
        ("'<<': 1\n", r#"{"<<":1}"#),
        ("y: 1\n1: 2\n1.5: 3\n", r#"{"true":1,"1":2,"1.5":3}"#),
        ("a: !!str 5\nb: !!int '6'\nc: !x 7\nd: !!float 8\n", r#"{"a":"5","b":6,"c":"7","d":8}"#),
        ("a: 'y'\nb: \"1\"\nc: |\n  1\n", r#"{"a":"y","b":"1","c":"1\n"}"#),
    ] {
        assert_eq!(json(&value(text)), expected, "{text}");
    }
}

#[test]
fn the_last_of_two_equal_keys_wins_and_is_underlined() {
    let text = "a: 1\nb: 2\na: 3\n";
    assert_eq!(json(&value(text)), r#"{"a":3,"b":2}"#);
    assert_eq!(problems(text), ["3:1 key `a` is set twice: the one in line 1 is ignored `a`"]);
    assert_eq!(read(text).1[0].severity, Severity::Warning);
}

#[test]
fn a_broken_document_leaves_the_others_working() {
    let text = "a: 1\n---\nb: 'x\n---\nc: 2\n---\nd: [\n...\n---\ne: 3\n";
    let (documents, _) = read(text);
    let keys: Vec<_> = documents.iter().map(|d| d.node.entries()[0].key.as_str()).collect();
    assert_eq!(keys, ["a", "c", "e"]);
    assert_eq!(
        problems(text),
        [
            "3:4 this is never closed `'x`",
            "8:1 invalid YAML: did not find expected node content `...`"
        ]
    );
}

#[test]
fn documents_without_a_line_between_are_told_of_it() {
    let message = "the document ends before this: write a line `---` between documents";
    assert_eq!(problems("{a: 1}\n{b: 2}\n"), [format!("2:1 {message} `{{b: 2}}`")]);
    assert_eq!(problems("a: 1\n{b: 2}\n"), ["3:1 a key without `:` stands before this ``"]);
}

#[test]
fn empty_documents_and_comments_are_no_documents() {
    for text in ["", "\n", "# c\n", "---\n", "---\n# c\n---\n", "\u{feff}", "--- # c\n---\n"] {
        assert_eq!(read(text), (Vec::new(), Vec::new()), "{text:?}");
    }
    let (documents, _) = read("# c\n%YAML 1.2\n---\na: 1\n--- {b: 2}\n...\n# d\n---\nc: 3\n");
    assert_eq!(documents.len(), 3);
    assert_eq!(documents[1].node.span.line, 5);
    assert_eq!(documents[2].span.line, 8);
}

#[test]
fn broken_yaml_is_explained_where_it_breaks() {
    for (text, expected) in [
        ("a:\n\tb: 1\n", "2:1 tabs cannot indent YAML: use spaces `\t`"),
        ("a: \"x\n", "1:4 this is never closed `\"x`"),
        ("a: *foo\n", "1:4 unknown anchor `foo` `*foo`"),
        ("a: @x\n", "1:4 a value cannot start with `@`: quote it `@x`"),
        (
            "a: b: c\n",
            "1:5 `:` is not allowed here: quote a value that contains it, or mend the indentation `: c`",
        ),
        (
            "a:\n - 1\n b: 2\n",
            "3:2 expected `- ` here, as in the lines above: mend the indentation `b: 2`",
        ),
        ("a: 'it's'\n", "1:8 there is text after the closing quote `s'`"),
        ("[a]: 1\n", "1:1 a list or mapping cannot be a key `[a]`"),
        ("a: &x [*x]\n", "1:8 anchor `x` contains itself `*x`"),
        ("a: {<<: 1}\n", "1:9 map merge requires map or sequence of maps as the value `1`"),
        ("a: !!int b\n", "1:10 cannot decode `b` as a !!int `b`"),
        ("a: \u{1}b\n", "1:4 control characters are not allowed (U+0001) `\u{1}`"),
        ("a\0b", "1:2 this is a binary file, not YAML `\0`"),
    ] {
        assert_eq!(problems(text), [expected], "{text:?}");
    }
}

#[test]
fn tabs_are_mended_by_spaces() {
    let text = "a:\n\t\tb: 1\n";
    let fix = read(text).1.remove(0).fix.unwrap();
    assert_eq!((fix.start, fix.end, fix.insert.as_str()), (3, 5, "    "));
}

#[test]
fn json_is_yaml_even_with_tabs() {
    let text = "{\n\t\"a\": 1,\n\t\"b\": [1,\n\t2]\n}\n";
    assert_eq!(json(&value(text)), r#"{"a":1,"b":[1,2]}"#);
}

/// A mapping within a mapping within a mapping …
fn nested(depth: usize) -> String {
    (0..depth).fold(String::new(), |text, depth| text + &" ".repeat(depth) + "a:\n")
}

#[test]
fn what_is_too_much_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..10 {
        let previous = vec![format!("*a{}", i - 1); 10].join(", ");
        let _ = writeln!(bomb, "a{i}: &a{i} [{previous}]");
    }
    assert_eq!(problems(&bomb), ["5:55 the text's aliases unfold to more than 8 MiB `*a3`"]);
    // a long text unfolded often, in mappings that are merged, and as keys
    let note = "x".repeat(1_000_000);
    let often = |more: &str| format!("a: &a {{b: &n {note}}}\nb:\n{}", more.repeat(9));
    for (more, found) in [("- *n\n", "10:3"), ("- <<: *a\n", "10:7"), ("- *n : 1\n", "10:3")] {
        let found = format!("{found} the text's aliases unfold to more than 8 MiB");
        assert!(problems(&often(more))[0].starts_with(&found), "{:?}", problems(&often(more)));
    }
    // what is not asked for is not unfolded
    let unused = format!("{}{}1{}\n", "&a [".repeat(55), "1,".repeat(20_000), "]".repeat(55));
    assert_eq!(problems(&unused), [""; 0]);

    assert_eq!(problems(&"[".repeat(20_000)).len(), 1);
    let found = problems(&nested(3000));
    assert!(found[0].starts_with("65:65 nested deeper than 64 levels"), "{found:?}");
    assert_eq!(problems(&nested(63)), [""; 0]);
}

#[test]
fn a_dump_of_five_megabytes_is_read() {
    let note = "x".repeat(900);
    let pod = format!(
        "- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: web\n    labels: {{app: 'ü'}}\n    \
         annotations:\n      note: {note}\n"
    );
    let count = 5_000_000 / pod.len();
    let text = format!("apiVersion: v1\nkind: List\nitems:\n{}", pod.repeat(count));
    let (documents, problems) = read(&text);
    assert_eq!(problems, []);
    assert_eq!(documents[0].node.get("items").unwrap().items().len(), count);
    let line = format!("{{\"items\": [{}]}}", vec![r#"{"ü": 1, "b": [1, 2]}"#; 10_000].join(","));
    assert_eq!(read(&line).0[0].node.get("items").unwrap().items().len(), 10_000);
}
