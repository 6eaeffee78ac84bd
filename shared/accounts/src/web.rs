//! What the web sees: events in, answers and pages out.

pub mod answer;
pub mod event;
pub mod form;
pub mod pages;
pub mod request;
