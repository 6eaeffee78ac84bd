//! What the web sees: events in, answers and pages out.

pub mod answer;
pub mod client;
pub mod cookie;
pub mod event;
pub mod form;
pub mod pages;
pub mod policy;
pub mod problem;
pub mod request;
pub mod route;
