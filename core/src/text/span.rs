//! Places in the text, and what is said about them.

use std::fmt;

use serde::Serialize;

/// A stretch of the text. Ordered by where it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// Byte offset of the first byte.
    pub start: usize,
    /// Byte offset after the last byte.
    pub end: usize,
    /// Line of `start`, from 1.
    pub line: u32,
    /// Column of `start` in characters, from 1.
    pub column: u32,
}

impl Span {
    /// From this span's start to the other's end; this span if the other does not follow it, as
    /// the value behind an alias does not.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        if other.end >= self.end { Self { end: other.end, ..self } } else { self }
    }

    /// The stretch of `text`; empty if it does not belong to it.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Names an object of the text, or one that is assumed: `NetworkPolicy foo/test`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectRef {
    /// The kind as the API spells it.
    pub kind: String,
    /// Empty for cluster-wide objects.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl ObjectRef {
    /// An object of a namespace, or of the cluster if `namespace` is empty.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// A field of an object, and where the text says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cite {
    /// The object that says it.
    pub object: ObjectRef,
    /// Path of the field from the object's root, as kube-apiserver writes it:
    /// `spec.ingress[0].from[1].ipBlock.cidr`. Empty for the object as a whole.
    pub field: String,
    /// Where it stands; `None` if the object is assumed or the field is left out.
    pub span: Option<Span>,
}

/// Why a value is what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Origin {
    /// The text says so.
    Written(Cite),
    /// The text leaves it out, and the component that reads it has a default: whose, and which.
    Default(String),
    /// The text does not contain it and nothing defines it; Hopwise assumed it, for this reason.
    Assumed(String),
}

/// A value with its origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting<T> {
    /// The value in force.
    pub value: T,
    /// Why it is in force.
    pub origin: Origin,
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Probably not what was meant; evaluated all the same.
    Warning,
    /// kube-apiserver would refuse it. The object is left out, the others stay.
    Error,
}

/// Something to say about a place in the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where; the whole text's first byte if it is about no place in particular.
    pub span: Span,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and what to write instead; for refused objects in kube-apiserver's words.
    pub message: String,
    /// The object that it is about, as far as it could be read.
    pub object: Option<ObjectRef>,
    /// An edit that mends it, where there is one.
    pub fix: Option<Edit>,
}

/// A replacement in the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// Byte offset of the first byte replaced.
    pub start: usize,
    /// Byte offset after the last byte replaced.
    pub end: usize,
    /// What stands there afterwards.
    pub insert: String,
}
