#![doc = include_str!("../README.md")]
#![expect(clippy::doc_markdown, reason = "the README is written for GitHub too")]

pub mod aws;
pub mod challenge;
pub mod clock;
pub mod lambda;
pub mod limits;
pub mod links;
pub mod log;
pub mod mail;
pub mod outcome;
pub mod service;
pub mod settings;
pub mod site;
mod table;
pub mod texts;
pub mod unavailable;
pub mod users;
pub mod web;
