//! Questions over many traces.

mod check;

pub use check::{Check, check};
