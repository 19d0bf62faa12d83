//! The text: a YAML stream as nodes that know their place, and the smallest edits that change it.

mod span;

pub use span::{Cite, Edit, ObjectRef, Origin, Problem, Setting, Severity, Span};
