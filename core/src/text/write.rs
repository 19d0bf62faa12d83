//! Values as YAML text, in the shape that kubectl prints.

use serde_json::Value as Json;

use super::scalar::{is_plain_string, json_number};
use super::{Entry, Span, Value};

/// How a string is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// Only where it must be.
    AsNeeded,
    /// `'…'`
    Single,
    /// `"…"`
    Double,
}

/// A scalar or an empty collection; `None` for anything else.
pub(super) fn scalar(value: &Value, quotes: Quotes) -> Option<String> {
    Some(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => float(*number),
        Value::String(text) => string(text, quotes),
        Value::List(items) if items.is_empty() => "[]".to_owned(),
        Value::Map(entries) if entries.is_empty() => "{}".to_owned(),
        Value::List(_) | Value::Map(_) => return None,
    })
}

/// On one line: `{a: [1, 2]}`.
pub(super) fn flow(value: &Value) -> String {
    let join = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::List(items) => {
            format!("[{}]", join(items.iter().map(|item| flow(&item.value)).collect()))
        }
        Value::Map(entries) => {
            let entry = |e: &Entry| format!("{}: {}", key(&e.key), flow(&e.value.value));
            format!("{{{}}}", join(entries.iter().map(entry).collect()))
        }
        other => scalar(other, Quotes::AsNeeded).unwrap_or_default(),
    }
}

/// Over several lines, of which the first is already indented by `indent`.
pub(super) fn block(value: &Value, indent: usize, newline: &str) -> String {
    let next = format!("{newline}{}", " ".repeat(indent));
    let lines: Vec<String> = match value {
        Value::List(items) if !items.is_empty() => {
            items.iter().map(|i| format!("- {}", block(&i.value, indent + 2, newline))).collect()
        }
        Value::Map(entries) if !entries.is_empty() => entries
            .iter()
            .map(|e| format!("{}:{}", key(&e.key), after_colon(&e.value.value, indent, newline)))
            .collect(),
        other => return scalar(other, Quotes::AsNeeded).unwrap_or_default(),
    };
    lines.join(&next)
}

/// What follows the colon of a key that is indented by `indent`.
pub(super) fn after_colon(value: &Value, indent: usize, newline: &str) -> String {
    if let Some(text) = scalar(value, Quotes::AsNeeded) {
        return format!(" {text}");
    }
    // kubectl does not indent lists
    let indent = if matches!(value, Value::List(_)) { indent } else { indent + 2 };
    format!("{newline}{}{}", " ".repeat(indent), block(value, indent, newline))
}

/// A mapping's key.
pub(super) fn key(text: &str) -> String {
    string(text, Quotes::AsNeeded)
}

fn string(text: &str, quotes: Quotes) -> String {
    let printable = !text.chars().any(|c| {
        c.is_control()
            || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
    });
    match quotes {
        Quotes::AsNeeded if is_plain_string(text) => text.to_owned(),
        Quotes::Single if printable => format!("'{}'", text.replace('\'', "''")),
        _ => {
            let escape = |c: char| match c {
                '"' | '\\' => format!("\\{c}"),
                '\n' => "\\n".to_owned(),
                '\r' => "\\r".to_owned(),
                '\t' => "\\t".to_owned(),
                c if c.is_control()
                    || matches!(
                        c,
                        '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}'
                    ) =>
                {
                    format!("\\u{:04x}", u32::from(c))
                }
                c => c.to_string(),
            };
            format!("\"{}\"", text.chars().map(escape).collect::<String>())
        }
    }
}

fn float(number: f64) -> String {
    if number.is_nan() {
        ".nan".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { ".inf" } else { "-.inf" }.to_owned()
    } else if number.fract() == 0.0 && number.abs() < 1e21 {
        format!("{number:.1}")
    } else {
        json_number(number)
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(yes) => Self::Bool(*yes),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => Self::Float(number.as_f64().unwrap_or_default()),
            },
            Json::String(text) => Self::String(text.clone()),
            Json::Array(items) => {
                Self::List(items.iter().map(|item| Self::from(item).into()).collect())
            }
            Json::Object(entries) => {
                let entry = |(key, value): (&String, &Json)| Entry::unplaced(key, value.into());
                Self::Map(entries.iter().map(entry).collect())
            }
        }
    }
}

impl From<Value> for super::Node {
    /// A node that stands nowhere yet.
    fn from(value: Value) -> Self {
        Self { span: Span::default(), value }
    }
}

impl Entry {
    /// An entry that stands nowhere yet.
    pub(super) fn unplaced(key: &str, value: Value) -> Self {
        Self { key: key.to_owned(), key_span: Span::default(), value: value.into() }
    }
}
