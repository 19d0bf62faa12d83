//! Questions over many traces.

mod check;
mod findings;
mod matrix;

pub use check::{Check, Problems, check, problems};
pub use findings::{Finding, findings};
pub use matrix::{Cell, Column, Group, Matrix, Port, matrix};
