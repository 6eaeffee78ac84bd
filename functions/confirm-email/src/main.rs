//! The Lambda function `confirm-email`.

use std::process::ExitCode;

use accounts::lambda;
use accounts::links::keys::Use;
use confirm_email::{ConfirmOn, answer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::run(Use::SignAndVerify, ConfirmOn::from_env, answer).await
}
