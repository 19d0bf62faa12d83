//! The text: a YAML stream as nodes that know their place, and the smallest edits that change it.

mod node;
mod span;

pub use node::{Entry, Node, Segment, Value, segments};
pub use span::{Cite, Edit, ObjectRef, Origin, Problem, Setting, Severity, Span};
