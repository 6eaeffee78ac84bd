//! What stands for `DynamoDB`, SES and Secrets Manager: every write succeeds, nothing is kept.

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
