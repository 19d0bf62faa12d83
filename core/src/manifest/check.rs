//! Whether a document has the fields and types of its kind.

use std::collections::HashSet;
use std::fmt::{Display, Write as _};

use super::fault::{Fault, Refusal, quoted};
use super::kinds::suggest;
use super::schema::{Fields, Type, Words};
use crate::text::{Edit, Entry, Node, Value, json_number};

/// Everything that does not fit, in the order in which kube-apiserver comes across it: fields are
/// visited by name, as kubectl sends them.
pub(super) fn check(node: &Node, fields: &Fields, words: Words) -> Vec<Fault> {
    let mut check = Check { words, faults: Vec::new() };
    let at = At { owner: "", above: None, step: Step::Root };
    check.fields(node, fields, &at);
    check.faults
}

struct Check {
    words: Words,
    faults: Vec<Fault>,
}

/// Where a value stands. Paths are spelled only for those that are wrong.
struct At<'a> {
    /// The Go type of the object whose field it is.
    owner: &'a str,
    above: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl At<'_> {
    fn field<'a>(&'a self, owner: &'a str, name: &'a str) -> At<'a> {
        At { owner, above: Some(self), step: Step::Field(name) }
    }

    fn item<'a>(&'a self, step: Step<'a>) -> At<'a> {
        At { owner: self.owner, above: Some(self), step }
    }

    /// The API's path: `spec.ingress[0].ports[1]`.
    fn path(&self) -> String {
        let mut path = self.above.map_or_else(String::new, At::path);
        let _ = match self.step {
            Step::Root => Ok(()),
            Step::Field(name) if path.is_empty() => write!(path, "{name}"),
            Step::Field(name) => write!(path, ".{name}"),
            Step::Index(index) => write!(path, "[{index}]"),
            Step::Key(key) => write!(path, "[{key}]"),
        };
        path
    }

    /// Go's path: `spec.ingress.ports`.
    fn go(&self) -> String {
        let mut path = self.above.map_or_else(String::new, At::go);
        if let Step::Field(name) = self.step {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
        }
        path
    }
}

impl Check {
    fn value(&mut self, node: &Node, expected: &Type, at: &At<'_>) {
        match (expected, &node.value) {
            (_, Value::Null) if self.words != Words::OpenApi => {}
            (Type::Any, _)
            | (Type::Bool, Value::Bool(_))
            | (Type::Int64, Value::Int(_))
            | (Type::Number, Value::Int(_) | Value::Float(_))
            | (Type::String | Type::Named(_) | Type::IntOrString, Value::String(_)) => {}
            (Type::Int32 | Type::IntOrString, Value::Int(number))
                if i32::try_from(*number).is_ok() => {}
            (Type::Int32 | Type::Int64 | Type::IntOrString, Value::Float(number))
                if number.fract() == 0.0 && number.abs() < f64::from(i32::MAX) => {}
            (Type::Range(..) | Type::OneNumber(_), Value::Int(number)) => {
                self.number(*number, expected, at);
            }
            (Type::Range(..) | Type::OneNumber(_), Value::Float(number))
                if number.fract() == 0.0 && number.abs() < f64::from(i32::MAX) =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
                self.number(*number as i64, expected, at);
            }
            (Type::Short(_) | Type::OneOf(_) | Type::AnyCase(_), Value::String(text)) => {
                self.text(text, expected, at);
            }
            (Type::List(item) | Type::Items(item, ..) | Type::Set(item), Value::List(items)) => {
                for (index, node) in items.iter().enumerate() {
                    self.value(node, item, &at.item(Step::Index(index)));
                }
                self.list(items, expected, at);
            }
            (Type::Map(item), Value::Map(_)) => {
                for entry in by_name(node) {
                    self.value(&entry.value, item, &at.item(Step::Key(&entry.key)));
                }
            }
            (Type::Struct(fields), Value::Map(_)) => self.fields(node, fields, at),
            _ => self.mismatch(node, expected, at),
        }
    }

    fn fields(&mut self, node: &Node, fields: &Fields, at: &At<'_>) {
        if let Some(entry) = node.entries().get(MOST_FIELDS) {
            let path = at.path();
            let separator = if path.is_empty() { "" } else { ": " };
            let count = node.entries().len();
            let message =
                format!("{path}{separator}{count} fields: no object has more than {MOST_FIELDS}");
            self.faults.push(Fault {
                refusal: Refusal::Type,
                span: Some(entry.key_span),
                ..Fault::new(&path, message)
            });
            return;
        }
        for entry in by_name(node) {
            let known = fields.known.iter().find(|(name, _)| *name == entry.key);
            match known {
                Some((name, expected)) => {
                    self.value(&entry.value, expected, &at.field(fields.go, name));
                }
                None => self.unknown(entry, fields, at),
            }
        }
        for name in fields.required.iter().filter(|name| node.get(name).is_none()) {
            self.refuse(&at.field("", name), "Required value");
        }
        for name in fields.missed.iter().filter(|name| node.get(name).is_none()) {
            self.refuse(&at.field("", name), "Required value");
            if let Some(fault) = self.faults.last_mut() {
                fault.refusal = Refusal::Warning;
                fault.hint =
                    Some("left out, it is read as `{}`, which selects everything".to_owned());
            }
        }
        self.count(node, fields, at);
    }

    /// How many fields there are. One that is not known is dropped before they are counted; but it
    /// says that the text was made for another version, so that there is something.
    fn count(&mut self, node: &Node, fields: &Fields, at: &At<'_>) {
        let (least, most) = fields.count;
        let names = || fields.known.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>();
        let known = |entry: &&Entry| fields.known.iter().any(|(name, _)| *name == entry.key);
        let given = node.entries().iter().filter(known).count();
        let hint = if node.entries().len() < least {
            self.refuse_body(at, 0, &format!("have at least {least} properties"));
            "write"
        } else if given > most {
            let items = items(most);
            self.refuse(at, &format!("Too many: {given}: must have at most {most} {items}"));
            "keep"
        } else {
            return;
        };
        let one = if fields.known.len() > 1 { "one of " } else { "" };
        let hint = format!("{hint} {one}{}", names().join(", "));
        if let Some(fault) = self.faults.last_mut() {
            fault.hint = Some(hint);
        }
    }

    fn list(&mut self, items: &[Node], expected: &Type, at: &At<'_>) {
        let count = items.len();
        match expected {
            Type::Items(_, least, _) if count < *least => {
                self.refuse_body(at, count, &format!("have at least {least} items"));
            }
            Type::Items(_, _, most) if count > *most => {
                let items = self::items(*most);
                self.refuse(at, &format!("Too many: {count}: must have at most {most} {items}"));
            }
            Type::Set(_) => {
                let mut seen = HashSet::new();
                for (index, text) in items.iter().enumerate() {
                    let Some(text) = text.as_str().filter(|text| !seen.insert(*text)) else {
                        continue;
                    };
                    let at = at.item(Step::Index(index));
                    self.refuse(&at, &format!("Duplicate value: {}", quoted(text)));
                }
            }
            _ => {}
        }
    }

    fn number(&mut self, number: i64, expected: &Type, at: &At<'_>) {
        match expected {
            Type::Range(least, _) if number < *least => {
                self.refuse_body(at, number, &format!("be greater than or equal to {least}"));
            }
            Type::Range(_, most) if number > *most => {
                self.refuse_body(at, number, &format!("be less than or equal to {most}"));
            }
            Type::OneNumber(numbers) if !numbers.contains(&number) => {
                let numbers: Vec<_> = numbers.iter().map(|n| format!("\"{n}\"")).collect();
                let numbers = numbers.join(", ");
                let wrong = format!("Unsupported value: {number}: supported values: {numbers}");
                self.refuse(at, &wrong);
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, expected: &Type, at: &At<'_>) {
        let words = match expected {
            Type::Short(most) if text.len() > *most => {
                self.refuse(at, &format!("Too long: may not be more than {most} bytes"));
                None
            }
            // Most of Calico's words may be left empty
            Type::OneOf(words)
                if !(words.contains(&text) || text.is_empty() && self.words == Words::Lenient) =>
            {
                let list: Vec<_> = words.iter().map(|word| quoted(word)).collect();
                let (value, list) = (quoted(text), list.join(", "));
                self.refuse(at, &format!("Unsupported value: {value}: supported values: {list}"));
                Some(words)
            }
            Type::AnyCase(words)
                if !text.is_empty()
                    && !words.iter().any(|word| word.eq_ignore_ascii_case(text)) =>
            {
                let pattern = words.join("|");
                self.refuse_body(at, quoted(text), &format!("match '^(?i)({pattern})?$'"));
                Some(words)
            }
            _ => return,
        };
        let meant = words.and_then(|words| suggest(text, words.iter().copied()));
        if let (Some(meant), Some(fault)) = (meant, self.faults.last_mut()) {
            fault.hint = Some(format!("did you mean `{meant}`?"));
        }
    }

    fn refuse(&mut self, at: &At<'_>, wrong: &str) {
        let path = at.path();
        self.faults.push(Fault::new(&path, format!("{path}: {wrong}")));
    }

    /// As the API server's schema validation words it.
    fn refuse_body(&mut self, at: &At<'_>, value: impl Display, should: &str) {
        let path = at.path();
        self.refuse(at, &format!("Invalid value: {value}: {path} in body should {should}"));
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
        let path = at.field("", &entry.key).path();
        let span = entry.key_span;
        let gone = fields.gone.iter().find(|(name, _)| *name == entry.key);
        self.faults.push(Fault {
            refusal: Refusal::Unknown,
            span: Some(span),
            hint: gone
                .map(|(_, now)| (*now).to_owned())
                .or_else(|| meant.map(|name| format!("did you mean `{name}`?"))),
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
                    at.go(),
                    go_type(expected)
                )
            }
            Words::OpenApi | Words::Lenient => {
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
                    path = at.path()
                )
            }
        };
        let hint = what_to_write(&node.value, expected);
        self.faults.push(Fault {
            refusal: Refusal::Type,
            span: Some(node.span),
            quote: hint == Some(QUOTE),
            hint: hint.map(str::to_owned),
            ..Fault::new(&at.path(), message)
        });
    }
}

/// How many fields are read of an object in an object: with more, it is none. Whatever is said of
/// one of them looks for it among all.
const MOST_FIELDS: usize = 1000;

const QUOTE: &str = "put it in quotes";

/// Instead of a value of the wrong type.
fn what_to_write(value: &Value, expected: &Type) -> Option<&'static str> {
    match (value, expected) {
        (
            Value::Bool(_) | Value::Int(_) | Value::Float(_),
            Type::String | Type::Named(_) | Type::Short(_) | Type::OneOf(_) | Type::AnyCase(_),
        ) => Some(QUOTE),
        (
            Value::String(text),
            Type::Int32 | Type::Int64 | Type::Number | Type::Range(..) | Type::OneNumber(_),
        ) if text.parse::<i64>().is_ok() => Some("leave out the quotes"),
        (Value::String(text), Type::Bool) if text.parse::<bool>().is_ok() => {
            Some("leave out the quotes")
        }
        (Value::List(_), Type::Struct(_) | Type::Map(_)) => {
            Some("fields are expected here, not a list of them: leave out the `-`")
        }
        (Value::Map(entries), Type::List(_) | Type::Items(..)) if entries.is_empty() => {
            Some("a list is expected here: `[]` has no items, `[{}]` has an empty one")
        }
        (_, Type::List(_) | Type::Items(..) | Type::Set(_)) => {
            Some("a list is expected here: begin each item with `- `")
        }
        _ => None,
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
        // no built-in kind has these
        other => open_api_type(other).to_owned(),
    }
}

fn items(count: usize) -> &'static str {
    if count == 1 { "item" } else { "items" }
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
        Type::Int32 | Type::Int64 | Type::Range(..) | Type::OneNumber(_) => "integer",
        Type::Number => "number",
        Type::IntOrString => "integer or string",
        Type::String | Type::Named(_) | Type::Short(_) | Type::OneOf(_) | Type::AnyCase(_) => {
            "string"
        }
        Type::List(_) | Type::Items(..) | Type::Set(_) => "array",
        Type::Map(_) | Type::Struct(_) => "object",
    }
}
