//! Accounts with confirmed addresses: what the functions `create-account`, `confirm-email` and `change-email` share.
//!
//! From the outside in: `lambda` hands an event to [`web`], which finds the request in it and makes the answer;
//! [`users`] keeps the users in `DynamoDB`; [`links`] signs what [`mail`] sends.

pub mod aws;
pub mod clock;
pub mod email_address;
pub mod guesses;
pub mod lambda;
pub mod links;
pub mod log;
pub mod mail;
pub mod outcome;
pub mod service;
pub mod settings;
pub mod site;
pub mod unavailable;
pub mod users;
pub mod web;
