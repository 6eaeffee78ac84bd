//! End-to-end tests: real events in, the built functions, a real store, real mails out.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by a panic"
)]
#![allow(
    clippy::match_bool,
    clippy::similar_names,
    clippy::struct_excessive_bools,
    clippy::too_many_lines,
    clippy::type_complexity,
    reason = "a test reads as one story, and a table of cases as one table"
)]

mod accessibility;
mod any_event;
mod attacks;
mod browser;
mod browser_reset;
mod challenge;
mod change_email;
mod confirm;
mod connections;
mod costs;
mod cross_site;
mod events;
mod faults;
mod first_version;
mod flask;
mod fresh_link;
mod keys;
mod languages;
mod life;
mod limits;
mod logs;
mod mails;
mod model;
mod pages;
mod proofs;
mod races;
mod repeats;
mod reset_password;
mod routes;
mod rows;
mod settings;
mod sign_up;
mod steps;
mod tokens;
mod trust;
mod watch;
mod world;
