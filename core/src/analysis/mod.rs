//! Questions over many traces.

mod check;
mod matrix;

pub use check::{Check, check};
pub use matrix::{Cell, Column, Group, Matrix, Port, matrix};
