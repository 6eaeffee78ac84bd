//! Addresses, in the one form in which they are stored, compared and mailed.

pub use addresses::*;
