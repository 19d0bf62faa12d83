//! A trace in the forms that leave the program: for a terminal, for other programs, for documents.
//!
//! Every form is derived from the [`Trace`](crate::Trace)'s steps and from nothing else.

pub mod finding;
pub mod grid;
pub mod json;
pub mod markdown;
pub mod mermaid;
pub mod svg;
pub mod text;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
