//! The midflight program.
fn main() {}
