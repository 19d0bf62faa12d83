//! Words for people, made on demand from what the other rooms record.

pub mod names;
mod owner;
pub mod policy;
pub mod verdict;

pub use owner::{Named, Owner, owner_of};
