//! The Runtime API, against a bootstrap that does what its event says.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use local::lambda::{Failure, Function, Settings};

fn settings() -> (Settings, Arc<Mutex<Vec<String>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let output = Arc::new(move |line: &str| kept.lock().unwrap().push(line.to_owned()));
    let settings = Settings::new("stand-in", env!("CARGO_BIN_EXE_stand-in")).output(output);
    (settings, lines)
}

fn function() -> Function {
    Function::new(settings().0)
}

#[tokio::test]
async fn one_process_answers_again_and_again() {
    let function = function();

    let first = function.invoke("a").await.unwrap();
    let second = function.invoke("b").await.unwrap();

    assert_eq!(first, second, "the same process");
}

#[tokio::test]
async fn as_many_processes_as_allowed_work_side_by_side() {
    let function = Function::new(
        settings()
            .0
            .processes(2)
            .timeout(Duration::from_millis(500)),
    );
    let hanging = tokio::spawn({
        let function = function.clone();
        async move { function.invoke("hang").await }
    });

    let answer = function.invoke("a").await;

    assert!(answer.is_ok());
    assert!(matches!(hanging.await.unwrap(), Err(Failure::TimedOut(_))));
}

#[tokio::test]
async fn a_process_that_dies_fails_its_invocation_and_is_replaced() {
    let function = function();

    let exited = function.invoke("exit").await;
    let aborted = function.invoke("abort").await;
    let answer = function.invoke("a").await;

    assert!(matches!(exited, Err(Failure::Exited(status)) if status.code() == Some(3)));
    assert!(matches!(aborted, Err(Failure::Exited(status)) if status.code().is_none()));
    assert!(answer.is_ok());
}

#[tokio::test]
async fn an_error_of_the_function_is_handed_on() {
    let error = function().invoke("error").await.unwrap_err();

    assert!(matches!(error, Failure::Function(error) if error == "it broke"));
}

#[tokio::test]
async fn a_failed_start_is_told_apart() {
    let (settings, lines) = settings();
    let function = Function::new(settings.variable("FAIL_TO_START", "1"));

    assert!(matches!(function.warm_up(1).await, Err(Failure::Init(_))));
    assert!(matches!(function.invoke("a").await, Err(Failure::Init(_))));
    function.stop().await;
    assert_eq!(*lines.lock().unwrap(), ["Error: \"told to fail\""; 2]);
}

#[tokio::test]
async fn killing_ends_idle_and_busy_processes() {
    let (settings, lines) = settings();
    let function = Function::new(settings);
    let hanging = tokio::spawn({
        let function = function.clone();
        async move { function.invoke("hang").await }
    });
    while lines.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }

    function.kill();

    assert!(matches!(hanging.await.unwrap(), Err(Failure::Exited(_))));
    assert!(function.invoke("a").await.is_ok());
}

#[tokio::test]
async fn stopping_hands_on_every_line() {
    let (settings, lines) = settings();
    let function = Function::new(settings);
    for event in ["a", "b", "c"] {
        function.invoke(event).await.unwrap();
    }

    function.stop().await;

    assert_eq!(*lines.lock().unwrap(), ["event: a", "event: b", "event: c"]);
}

#[tokio::test]
async fn the_environment_is_that_of_lambda() {
    let function = Function::new(settings().0.variable("MINE", "1"));

    let names = function.invoke("variables").await.unwrap();

    let names = String::from_utf8(names.to_vec()).unwrap();
    for expected in [
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_REGION",
        "AWS_SESSION_TOKEN",
        "MINE",
        "PATH",
    ] {
        assert!(names.split(' ').any(|name| name == expected), "{names}");
    }
    assert!(
        !names.contains("CARGO"),
        "nothing of the caller's environment: {names}"
    );
}
