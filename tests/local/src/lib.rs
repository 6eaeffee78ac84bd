//! The parts of AWS that the functions meet, on the loopback interface: a gateway that turns HTTP requests into
//! events, the Lambda Runtime API that hands them to the real binaries, a `DynamoDB`-compatible store, an SES that
//! catches mails and shows them in an inbox, a Secrets Manager; and a stand-in of a challenge's provider.
//!
//! The local run (`cargo run -p local`) and the end-to-end tests are built from the same parts.

pub mod answer;
pub mod challenge;
pub mod dynamodb;
pub mod event;
pub mod gateway;
pub mod inbox;
pub mod lambda;
pub mod secrets;
pub mod ses;

/// Everything that can go wrong here ends in a message for a developer.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
