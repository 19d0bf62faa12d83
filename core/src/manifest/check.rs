//! Whether a document has the fields and types of its kind.

use super::fault::{Fault, Refusal, quoted};
use super::kinds::suggest;
use super::schema::{Fields, Type, Words};
use crate::text::{Edit, Entry, Node, Value, json_number};

/// Everything that does not fit, in the order in which kube-apiserver comes across it: fields are
/// visited by name, as kubectl sends them.
pub(super) fn check(node: &Node, fields: &Fields, words: Words) -> Vec<Fault> {
    let mut check = Check { words, faults: Vec::new() };
    let at = At { owner: "", go: String::new(), path: String::new() };
    check.fields(node, fields, &at);
    check.faults
}

struct Check {
    words: Words,
    faults: Vec<Fault>,
}

/// Where a value stands.
struct At<'a> {
    /// The Go type of the object whose field it is.
    owner: &'a str,
    /// Go's path: `spec.ingress.ports`.
    go: String,
    /// The API's path: `spec.ingress[0].ports[1]`.
    path: String,
}

impl At<'_> {
    fn field<'a>(&self, owner: &'a str, name: &str) -> At<'a> {
        let join = |path: &str| {
            if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
        };
        At { owner, go: join(&self.go), path: join(&self.path) }
    }

    fn item(&self, index: impl std::fmt::Display) -> At<'_> {
        At { owner: self.owner, go: self.go.clone(), path: format!("{}[{index}]", self.path) }
    }
}

impl Check {
    fn value(&mut self, node: &Node, expected: &Type, at: &At<'_>) {
        match (expected, &node.value) {
            (_, Value::Null)
            | (Type::Any, _)
            | (Type::Bool, Value::Bool(_))
            | (Type::Int64, Value::Int(_))
            | (Type::String | Type::Named(_) | Type::IntOrString, Value::String(_)) => {}
            (Type::Int32 | Type::IntOrString, Value::Int(number))
                if i32::try_from(*number).is_ok() => {}
            (Type::Int32 | Type::Int64 | Type::IntOrString, Value::Float(number))
                if number.fract() == 0.0 && number.abs() < f64::from(i32::MAX) => {}
            (Type::List(item), Value::List(items)) => {
                for (index, node) in items.iter().enumerate() {
                    self.value(node, item, &at.item(index));
                }
            }
            (Type::Map(item), Value::Map(_)) => {
                for entry in by_name(node) {
                    self.value(&entry.value, item, &at.item(&entry.key));
                }
            }
            (Type::Struct(fields), Value::Map(_)) => self.fields(node, fields, at),
            _ => self.mismatch(node, expected, at),
        }
    }

    fn fields(&mut self, node: &Node, fields: &Fields, at: &At<'_>) {
        for entry in by_name(node) {
            let known = fields.known.iter().find(|(name, _)| *name == entry.key);
            match known {
                Some((name, expected)) => {
                    self.value(&entry.value, expected, &at.field(fields.go, name));
                }
                None => self.unknown(entry, fields, at),
            }
        }
    }

    fn unknown(&mut self, entry: &Entry, fields: &Fields, at: &At<'_>) {
        let names = fields.known.iter().map(|(name, _)| *name);
        let meant = if fields.complete {
            suggest(&entry.key, names)
        } else {
            // a field that is not listed may be right, unless only its capitals are wrong
            names.into_iter().find(|name| name.eq_ignore_ascii_case(&entry.key))
        };
        if meant.is_none() && !fields.complete {
            return;
        }
        let path = at.field("", &entry.key).path;
        let span = entry.key_span;
        self.faults.push(Fault {
            refusal: Refusal::Unknown,
            span: Some(span),
            hint: meant.map(|name| format!("did you mean `{name}`?")),
            fix: meant.map(|name| Edit {
                start: span.start,
                end: span.end,
                insert: name.to_owned(),
            }),
            ..Fault::new(&path, format!("unknown field {}", quoted(&path)))
        });
    }

    fn mismatch(&mut self, node: &Node, expected: &Type, at: &At<'_>) {
        let message = match self.words {
            Words::Go => {
                let owner = at.owner.rsplit('.').next().unwrap_or_default();
                format!(
                    "json: cannot unmarshal {} into Go struct field {owner}.{} of type {}",
                    go_value(&node.value, expected),
                    at.go,
                    go_type(expected)
                )
            }
            Words::OpenApi => {
                let value = match &node.value {
                    Value::Int(number) => number.to_string(),
                    Value::Float(number) => json_number(*number),
                    Value::Bool(yes) => yes.to_string(),
                    other => quoted(open_api_value(other)),
                };
                format!(
                    "{path}: Invalid value: {value}: {path} in body must be of type {}: {}",
                    open_api_type(expected),
                    quoted(open_api_value(&node.value)),
                    path = at.path
                )
            }
        };
        self.faults.push(Fault {
            refusal: Refusal::Type,
            span: Some(node.span),
            ..Fault::new(&at.path, message)
        });
    }
}

/// kubectl sends JSON, whose keys it sorts.
fn by_name(node: &Node) -> Vec<&Entry> {
    let mut entries: Vec<_> = node.entries().iter().collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}

fn go_value(value: &Value, expected: &Type) -> String {
    let number = |digits: String| match expected {
        Type::Int32 | Type::Int64 | Type::IntOrString => format!("number {digits}"),
        _ => "number".to_owned(),
    };
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Int(digits) => number(digits.to_string()),
        Value::Float(digits) => number(json_number(*digits)),
        Value::String(_) => "string".to_owned(),
        Value::List(_) => "array".to_owned(),
        Value::Map(_) => "object".to_owned(),
    }
}

fn go_type(expected: &Type) -> String {
    match expected {
        Type::Any => "interface {}".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::Int32 | Type::IntOrString => "int32".to_owned(),
        Type::Int64 => "int64".to_owned(),
        Type::String => "string".to_owned(),
        Type::Named(name) => (*name).to_owned(),
        Type::List(item) => format!("[]{}", go_type(item)),
        Type::Map(item) => format!("map[string]{}", go_type(item)),
        Type::Struct(fields) => fields.go.to_owned(),
    }
}

fn open_api_value(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) => "integer",
        Value::Float(_) => "number",
        Value::String(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
    }
}

fn open_api_type(expected: &Type) -> &'static str {
    match expected {
        Type::Any => "any",
        Type::Bool => "boolean",
        Type::Int32 | Type::Int64 => "integer",
        Type::IntOrString => "integer or string",
        Type::String | Type::Named(_) => "string",
        Type::List(_) => "array",
        Type::Map(_) | Type::Struct(_) => "object",
    }
}
