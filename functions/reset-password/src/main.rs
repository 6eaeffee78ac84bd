//! The Lambda function `reset-password`.

use std::process::ExitCode;

use accounts::lambda;
use accounts::links::keys::Use;
use reset_password::{Settings, answer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::run(Use::SignAndVerify, Settings::from_env, answer).await
}
