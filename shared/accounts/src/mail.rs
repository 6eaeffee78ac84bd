//! What goes into people's inboxes.

pub mod mailer;
pub mod mails;
pub mod sender;
