//! The Lambda function `confirm-email`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    accounts::lambda::run::<confirm_email::ConfirmEmail>().await
}
