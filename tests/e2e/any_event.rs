//! No event ends a process.
