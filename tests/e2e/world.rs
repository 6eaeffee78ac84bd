//! The world itself starts, counts, and fails on demand.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Fault, World, join_all};

#[tokio::test]
async fn it_starts_empty_and_at_once() {
    let started = Instant::now();

    let world = World::start().await;

    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    assert!(world.rows().is_empty());
    assert!(world.mails().is_empty());
    assert!(world.is_untouched());
}

#[tokio::test]
async fn rows_come_back_as_they_were_written() {
    let world = World::start().await;
    let row = json!({ "email": "ada@example.com", "email_confirmed": false, "expires_at": 1_700_000_000 });

    world.put_row(&row);

    assert_eq!(world.row("ada@example.com"), Some(row));
    assert_eq!(world.row("bob@example.com"), None);
}

#[tokio::test]
async fn a_function_without_a_setting_does_not_start() {
    let world = World::builder().without("USERS_TABLE").start().await;

    let answer = world.request("GET", "/accounts/create").try_send().await;

    assert!(answer.is_err());
    world.log_line("USERS_TABLE").await;
}

#[tokio::test]
async fn a_service_that_is_told_to_fail_fails_and_counts_the_calls() {
    let world = World::start().await;
    world.dynamodb.always(tests::ANY, Fault::access_denied());

    let answer = world
        .post_form(
            "/accounts/create",
            &[
                ("email", "ada@example.com"),
                ("password", "correct horse battery"),
            ],
        )
        .await;

    assert_eq!(answer.status, 503);
    assert!(!world.is_untouched());
    assert!(world.rows().is_empty());
}

#[tokio::test]
async fn calls_of_many_processes_meet_at_the_store() {
    let world = World::builder().processes(4).start().await;
    world.function("create-account").warm_up(4).await.unwrap();
    world.dynamodb.times(4, tests::ANY, Fault::together(4));

    let form = [
        ("email", "ada@example.com"),
        ("password", "correct horse battery"),
    ];
    let answers = join_all((0..4).map(|_| world.post_form("/accounts/create", &form))).await;

    assert!(answers.iter().all(|answer| answer.status == 303));
    assert_eq!(world.rows().len(), 1);
    assert_eq!(world.mails().len(), 1);
}
