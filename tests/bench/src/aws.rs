//! What stands for `DynamoDB`, SES and Secrets Manager: every write succeeds, nothing is kept.
//!
//! Not `local`'s services: their time would be in every number, and the counts would depend on what the store holds.
//! `growth::users` measures with the real store.

use std::io;
use std::net::SocketAddr;

use crate::http;

/// Starts it.
///
/// # Errors
///
/// If no port is free.
pub fn start() -> io::Result<SocketAddr> {
    http::serve(|request| {
        let headers = "Content-Type: application/x-amz-json-1.0\r\n".to_owned();
        let body = match request.header("x-amz-target") {
            None => r#"{"MessageId":"1"}"#,
            Some("secretsmanager.GetSecretValue") => {
                r#"{"SecretString":"0123456789abcdef0123456789abcdef"}"#
            }
            Some(_) => "{}",
        };
        Ok((headers, body.into()))
    })
}
