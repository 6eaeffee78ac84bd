//! What many processes do to one address at once.
