//! The Hopwise page.

fn main() {}
