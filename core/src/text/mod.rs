//! The text: a YAML stream as nodes that know their place, and the smallest edits that change it.

mod de;
pub mod edit;
#[cfg(test)]
mod generated;
mod inside;
mod node;
mod place;
mod reader;
mod scalar;
mod span;
mod write;

pub use de::Mismatch;
pub(crate) use inside::inside;
pub use node::{Entry, Node, Segment, Value, segments};
#[cfg(any(test, feature = "kubectl"))]
pub(crate) use reader::chunks;
pub use reader::{Document, read};
pub(crate) use scalar::json_number;
pub use span::{Cite, Edit, ObjectRef, Origin, Problem, Setting, Severity, Span};
