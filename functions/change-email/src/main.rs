//! The Lambda function `change-email`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    accounts::lambda::run::<change_email::ChangeEmail>().await
}
