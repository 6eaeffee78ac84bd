//! The Lambda function `change-email`.

use std::process::ExitCode;

use accounts::lambda;
use accounts::links::keys::Use;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::run(Use::Sign, |_| Ok(()), change_email::answer).await
}
