//! Local run.
fn main() {}
