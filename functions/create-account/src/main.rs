//! The Lambda function `create-account`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    accounts::lambda::run::<create_account::CreateAccount>().await
}
