//! Texts for the laws of reading and editing.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::{Entry, Value, write};

/// Documents in several styles, with comments.
pub(super) fn document() -> impl Strategy<Value = String> {
    let map = prop::collection::btree_map("[a-d]", node(3), 1..4);
    (map, any::<u64>(), any::<bool>(), any::<bool>()).prop_map(|(entries, style, end, crlf)| {
        let entry = |(key, value): (String, Value)| Entry::unplaced(&key, value);
        let value = Value::Map(entries.into_iter().map(entry).collect());
        let mut out = "# top".to_owned();
        let style = if style.is_multiple_of(3) { style + 1 } else { style };
        print(&value, 0, style, &mut out);
        if end {
            out.push('\n');
        }
        if crlf { out.replace('\n', "\r\n") } else { out }
    })
}

/// Paths, of which many lead somewhere in those documents.
pub(super) fn path() -> impl Strategy<Value = String> {
    let step = prop_oneof![
        3 => "[a-e]".prop_map(|key| format!(".{key}")),
        1 => "[0-3]".prop_map(|index| format!("[{index}]")),
    ];
    ("[a-e]", prop::collection::vec(step, 0..4)).prop_map(|(first, rest)| first + &rest.concat())
}

/// Texts made of what means something in YAML, most of them broken.
pub(super) fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "a: ",
        "b:",
        "- ",
        "-",
        "? ",
        ": ",
        "\n",
        "\n",
        "\n  ",
        "\n    ",
        " ",
        "  ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "'",
        "\"",
        "x'y",
        "|\n",
        ">-\n",
        "|+\n",
        "# c\n",
        " # c",
        "&x ",
        "*x",
        "<<: *x",
        "!!str ",
        "!t ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "\t",
        "\r\n",
        "\r",
        "é",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "\\",
        "~",
        "1",
        "0x1",
        "yes",
        "null",
        "@",
        "`",
        "\u{1}",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn node(depth: u32) -> BoxedStrategy<Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-9i64..99).prop_map(Value::Int),
        "[a-z]{1,4}|[ -~]{0,6}|yes|0x1f|é".prop_map(Value::String),
    ];
    if depth == 0 {
        return scalar.boxed();
    }
    let map = prop::collection::btree_map("[a-d]", node(depth - 1), 0..4);
    let list = prop::collection::vec(node(depth - 1), 0..4);
    prop_oneof![
        2 => scalar,
        3 => map.prop_map(|entries| {
            let entry = |(key, value): (String, Value)| Entry::unplaced(&key, value);
            Value::Map(entries.into_iter().map(entry).collect())
        }),
        2 => list.prop_map(|items| Value::List(items.into_iter().map(Value::into).collect())),
    ]
    .boxed()
}

/// Some of the collections in brackets, with comments between the lines and behind the values.
fn print(value: &Value, indent: usize, style: u64, out: &mut String) {
    let flow = style.is_multiple_of(3);
    let pad = " ".repeat(indent);
    let next = |index: usize| (style / 3).wrapping_mul(7).wrapping_add(index as u64);
    match value {
        Value::Map(entries) if !flow && !entries.is_empty() => {
            for (index, entry) in entries.iter().enumerate() {
                if next(index) % 5 == 1 {
                    let _ = write!(out, "\n{pad}# before {},", entry.key);
                }
                let _ = write!(out, "\n{pad}{}:", entry.key);
                print(&entry.value.value, indent + 2, next(index), out);
            }
        }
        Value::List(items) if !flow && !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                let _ = write!(out, "\n{pad}-");
                print(&item.value, indent + 2, next(index), out);
            }
        }
        Value::Null if flow => {}
        other => {
            let _ = write!(out, " {}", write::flow(other));
            if style % 7 == 2 {
                out.push_str(" # after");
            }
        }
    }
}
