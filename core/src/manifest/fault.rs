//! What is wrong with one object, before it is told to a person.

use std::fmt::Write as _;

use crate::text::{Edit, Node, ObjectRef, Problem, Severity, Span, inside};

/// At which stage kube-apiserver refuses an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It cannot be decoded; nothing else is then looked at.
    Type,
    /// It has a field that does not exist. kubectl asks for it to be refused; other clients get it
    /// stored without the field.
    Unknown,
    /// A value is not allowed.
    Invalid,
    /// It is stored, and kubectl prints this as a warning.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) refusal: Refusal,
    /// Of the field: `spec.ingress[0].ports[1].port`.
    pub(super) path: String,
    /// kube-apiserver's words, path included where it says it.
    pub(super) message: String,
    /// Where it is underlined, if not at the path.
    pub(super) span: Option<Span>,
    /// The byte of the string there at which it goes wrong.
    pub(super) at: Option<usize>,
    /// What kube-apiserver does not say.
    pub(super) hint: Option<String>,
    pub(super) fix: Option<Edit>,
    /// Whether quotes around it would mend it.
    pub(super) quote: bool,
}

impl Fault {
    pub(super) fn new(path: &str, message: String) -> Self {
        Self {
            refusal: Refusal::Invalid,
            path: path.to_owned(),
            message,
            span: None,
            at: None,
            hint: None,
            fix: None,
            quote: false,
        }
    }

    pub(super) fn into_problem(self, text: &str, node: &Node, object: &ObjectRef) -> Problem {
        let severity = match self.refusal {
            // Nobody else reads a Scenario: what is misspelt there would never be looked at.
            Refusal::Unknown if object.kind == "Scenario" => Severity::Error,
            Refusal::Type | Refusal::Invalid => Severity::Error,
            Refusal::Unknown | Refusal::Warning => Severity::Warning,
        };
        let span = self.span.unwrap_or_else(|| {
            let value = node.at(&self.path).filter(|value| value.span.start < value.span.end);
            let Some(value) = value else { return node.span_at(&self.path) };
            match self.at.zip(value.as_str()) {
                Some((at, string)) => inside(text, value.span, string, at),
                None => value.span,
            }
        });
        let quoted = || Edit { start: span.start, end: span.end, insert: quoted(span.of(text)) };
        Problem {
            span,
            severity,
            message: match self.hint {
                Some(hint) => format!("{}: {hint}", self.message),
                None => self.message,
            },
            object: Some(object.clone()),
            fix: self.fix.or_else(|| self.quote.then(quoted)),
        }
    }
}

/// The faults of one object, in the order in which kube-apiserver finds them.
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl Faults {
    /// `value` as JSON.
    pub(super) fn invalid(&mut self, path: &str, value: &str, detail: &str) {
        self.0.push(Fault::new(path, format!("{path}: Invalid value: {value}: {detail}")));
    }

    pub(super) fn invalid_text(&mut self, path: &str, value: &str, detail: &str) {
        self.invalid(path, &quoted(value), detail);
    }

    /// A rule that the object at `path` breaks, by what stands at `at`. kube-apiserver does not
    /// print objects.
    pub(super) fn invalid_at(&mut self, path: &str, at: &str, detail: &str) {
        self.0.push(Fault::new(at, format!("{path}: Invalid value: {detail}")));
    }

    /// Something that the object at `path` may not have, but has at `at`.
    pub(super) fn forbidden_at(&mut self, path: &str, at: &str, detail: &str) {
        self.0.push(Fault::new(at, format!("{path}: Forbidden: {detail}")));
    }

    pub(super) fn required(&mut self, path: &str, detail: &str) {
        let separator = if detail.is_empty() { "" } else { ": " };
        self.0.push(Fault::new(path, format!("{path}: Required value{separator}{detail}")));
    }

    pub(super) fn forbidden(&mut self, path: &str, detail: &str) {
        self.forbidden_at(path, path, detail);
    }

    pub(super) fn duplicate(&mut self, path: &str, value: &str) {
        self.0.push(Fault::new(path, format!("{path}: Duplicate value: {}", quoted(value))));
    }

    pub(super) fn unsupported(&mut self, path: &str, value: &str, supported: &[&str]) {
        let list: Vec<_> = supported.iter().map(|value| quoted(value)).collect();
        let message = format!(
            "{path}: Unsupported value: {}: supported values: {}",
            quoted(value),
            list.join(", ")
        );
        self.0.push(Fault {
            hint: super::kinds::suggest(value, supported.iter().copied())
                .map(|meant| format!("did you mean `{meant}`?")),
            ..Fault::new(path, message)
        });
    }

    pub(super) fn warning(&mut self, path: &str, detail: &str) {
        self.0.push(Fault {
            refusal: Refusal::Warning,
            ..Fault::new(path, format!("{path}: {detail}"))
        });
    }

    /// Says what else there is to know about what was last found.
    pub(super) fn hint(&mut self, hint: &str) {
        if let Some(fault) = self.0.last_mut() {
            fault.hint = Some(hint.to_owned());
        }
    }

    /// What `check` finds is refused by kube-apiserver, but keeps nobody from understanding the
    /// object, so that it stays: pictures are drawn with names that are not allowed.
    pub(super) fn tolerated(&mut self, check: impl FnOnce(&mut Self)) {
        let from = self.0.len();
        check(self);
        for fault in self.0.iter_mut().skip(from) {
            fault.refusal = Refusal::Warning;
        }
    }

    /// What `check` finds is underlined at `span`, if there is one, instead of at its path: where
    /// kube-apiserver names a whole mapping or list, and one entry of it is wrong.
    pub(super) fn underlined(
        &mut self,
        span: impl FnOnce() -> Option<Span>,
        check: impl FnOnce(&mut Self),
    ) {
        let from = self.0.len();
        check(self);
        if self.0.len() == from {
            return;
        }
        let span = span();
        for fault in self.0.iter_mut().skip(from) {
            fault.span = span.or(fault.span);
        }
    }
}

/// Text as Go's `%q` prints it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if c.is_control() || matches!(c, '\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
