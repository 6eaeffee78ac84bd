//! Starts the world for one end-to-end test: the functions as real processes behind the Lambda Runtime API, each with
//! a store, a mail catcher and a Secrets Manager of its own, and a proxy in front of each service that can fail.
//!
//! ```no_run
//! # async fn example() {
//! let world = tests::World::start().await;
//!
//! let answer = world
//!     .post_form("/accounts/create", &[("email", "ada@example.com"), ("password", "correct horse")])
//!     .await;
//!
//! assert_eq!(answer.status, 303);
//! let link = world.mail_to("ada@example.com").link();
//! let followed = world.request("GET", &link).browser_of(&answer).send().await;
//! assert_eq!(followed.status, 303);
//! assert_eq!(world.row("ada@example.com").unwrap()["email_confirmed"], true);
//! # }
//! ```
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is test code, and a test fails by a panic"
)]

mod browser;
mod clock;
mod events;
mod faults;
mod gallery;
mod mail;
mod processor;
mod request;
mod rows;
mod tls;
mod wait;
mod watch;
mod world;

pub use browser::Browser;
pub use clock::Clock;
pub use events::event;
pub use faults::{ANY, Fault, OPENING, Proxy};
pub use futures_util::future::join_all;
pub use gallery::Gallery;
pub use local::answer::Answer;
pub use local::event::Source;
pub use mail::Mail;
pub use processor::{own_processor_time, processor_time};
pub use request::Request;
pub use rows::Row;
pub use tls::Tls;
pub use wait::eventually;
pub use watch::Watch;
pub use world::{Builder, World};
