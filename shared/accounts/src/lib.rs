//! Accounts with confirmed addresses: what the functions `create-account`, `confirm-email` and `change-email` share.
//!
//! From the outside in: [`lambda`] finds the [`request`] in an [`event`] and sends back the [`answer`];
//! [`form`], [`email_address`] and the crate [`passwords`] parse what people type; [`users`] keeps a [`user`] in `DynamoDB`; [`links`]
//! signs what [`mails`] say and [`mailer`] sends; [`site`], [`sender`], [`keys`] and [`aws`] come from [`settings`].

pub mod answer;
pub mod aws;
pub mod clock;
pub mod email_address;
pub mod email_change;
pub mod event;
pub mod form;
pub mod guesses;
pub mod keys;
pub mod lambda;
pub mod links;
pub mod log;
pub mod mailer;
pub mod mails;
pub mod outcome;
pub mod pages;
pub mod request;
pub mod sender;
pub mod service;
pub mod settings;
pub mod site;
pub mod unavailable;
pub mod user;
pub mod users;
