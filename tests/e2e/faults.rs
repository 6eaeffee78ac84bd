//! What happens when a service behind the functions fails, hangs, refuses, or answers and is not heard.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tests::{ANY, Answer, Fault, Proxy, World, eventually};

use crate::steps::{
    OTHER_PASSWORD, PASSWORD, expired_link, have_account, have_contested_row, is_confirmed,
    let_pass, sign_up, sign_up_with,
};

const NEW: &str = "new@example.com";
const WAITING: &str = "waiting@example.com";
const CONFIRMED: &str = "confirmed@example.com";

const COOLDOWN: i64 = 60;

/// Longer than any request may take, whatever fails: half of what the template gives a function.
const PATIENCE: Duration = Duration::from_secs(14);

/// A world with nobody at `NEW`, and with rows at `WAITING` and `CONFIRMED` whose cooldown is over.
async fn world() -> World {
    let world = World::builder().processes(3).start().await;
    sign_up(&world, WAITING).await;
    have_account(&world, CONFIRMED).await;
    for email in [WAITING, CONFIRMED] {
        let_pass(&world, email, COOLDOWN);
    }
    world.forget_calls();
    world
}

/// Signs up a new, a waiting and a confirmed address at once.
async fn sign_up_all(world: &World) -> [Answer; 3] {
    let (new, waiting, confirmed) = tokio::join!(
        sign_up(world, NEW),
        sign_up(world, WAITING),
        sign_up(world, CONFIRMED)
    );
    [new, waiting, confirmed]
}

fn mails(world: &World) -> [usize; 3] {
    [NEW, WAITING, CONFIRMED].map(|email| world.mails_to(email).len())
}

/// Asserts that all answers say the same: the service is not there for the moment.
fn assert_unavailable(answers: &[Answer], what: &str) {
    for answer in answers {
        assert_eq!(answer.status, 503, "{what}: {}", answer.text());
        assert_eq!(answer.header("retry-after"), Some("60"), "{what}");
        assert_eq!(answer, &answers[0], "{what}");
    }
}

/// Tries some faults at once, each in a world of its own: most of the time is spent on waiting for what hangs,
/// which therefore comes first.
async fn each<T>(faults: impl IntoIterator<Item = T>, test: impl AsyncFn(T)) {
    stream::iter(faults)
        .for_each_concurrent(4, |fault| test(fault))
        .await;
}

/// Lets a call pass, so that an order for a later one can be given.
fn pass() -> Fault {
    Fault::Delay(Duration::ZERO)
}

// SES.

/// What SES does wrong, and how many calls it is worth.
fn faults_of_ses() -> [(&'static str, Fault, usize); 12] {
    [
        // It may have mailed: not repeated.
        ("hangs", Fault::Hang, 1),
        ("stalls", Fault::Stall, 1),
        ("refused", Fault::error(400, "MessageRejected"), 1),
        (
            "sandbox",
            Fault::error(400, "MailFromDomainNotVerifiedException"),
            1,
        ),
        ("paused", Fault::error(400, "SendingPausedException"), 1),
        (
            "suspended",
            Fault::error(400, "AccountSuspendedException"),
            1,
        ),
        (
            "no such configuration set",
            Fault::error(404, "NotFoundException"),
            1,
        ),
        ("forbidden", Fault::access_denied(), 1),
        (
            "throttled",
            Fault::error(429, "TooManyRequestsException"),
            3,
        ),
        (
            "broken",
            Fault::error(500, "InternalServiceErrorException"),
            3,
        ),
        ("away", Fault::unavailable(), 3),
        ("hangs up", Fault::DropCall, 3),
    ]
}

#[tokio::test]
async fn a_failing_ses_is_answered_alike_for_all_and_the_next_sign_up_mails_at_once() {
    each(faults_of_ses(), async |(what, fault, calls)| {
        let world = world().await;
        world.ses.always(ANY, fault);
        let before = [WAITING, CONFIRMED].map(|email| mailings(&world, email));
        let started = Instant::now();

        let answers = sign_up_all(&world).await;

        assert_unavailable(&answers, what);
        assert!(
            started.elapsed() < PATIENCE,
            "{what}: {:?}",
            started.elapsed()
        );
        assert_eq!(world.calls("SendEmail"), 3 * calls, "{what}");
        assert_eq!(mails(&world), [0, 1, 1], "{what}");
        // The claims are lifted: nothing is remembered of mails that were never sent.
        assert_eq!(
            mailings(&world, NEW),
            [Value::Null, Value::Null, Value::Null],
            "{what}"
        );
        assert_eq!(
            [WAITING, CONFIRMED].map(|email| mailings(&world, email)),
            before,
            "{what}"
        );

        world.ses.heal();
        for answer in sign_up_all(&world).await {
            assert_eq!(answer.status, 303, "{what}");
        }
        assert_eq!(mails(&world), [1, 2, 2], "{what}");
    })
    .await;
}

/// What a row remembers of mails.
fn mailings(world: &World, email: &str) -> [Value; 3] {
    let row = world.row(email).unwrap();
    ["mailed_at", "recent_mails", "mail_claim"].map(|name| row[name].clone())
}

#[tokio::test]
async fn a_claim_that_somebody_else_has_taken_over_is_not_lifted() {
    let world = World::builder().processes(2).start().await;
    world.ses.once(ANY, Fault::Hang);
    let take_over = async {
        eventually("a call", || (world.calls("SendEmail") == 1).then_some(())).await;
        let_pass(&world, NEW, COOLDOWN);
        let answer = sign_up(&world, NEW).await;
        (answer.status, mailings(&world, NEW))
    };

    let (late, (status, claimed)) = tokio::join!(sign_up(&world, NEW), take_over);

    assert_eq!((late.status, status), (503, 303));
    assert_eq!(mailings(&world, NEW), claimed);
    sign_up(&world, NEW).await;
    assert_eq!(world.mails_to(NEW).len(), 1);
}

#[tokio::test]
async fn a_client_of_the_json_api_is_told_too_when_to_try_again() {
    let world = World::start().await;
    world.ses.always(ANY, Fault::error(400, "MessageRejected"));
    let body = serde_json::json!({ "email": NEW, "password": PASSWORD });

    let answer = world.post_json("/accounts/create", &body).await;

    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), Some("60"));
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert!(!answer.text().contains(NEW) && !answer.text().contains("MessageRejected"));
}

#[tokio::test]
async fn a_fresh_link_that_could_not_be_mailed_is_mailed_at_the_next_request() {
    let world = world().await;
    let link = expired_link(&world, WAITING);
    world.ses.once(ANY, Fault::error(400, "MessageRejected"));

    let failed = world.post_form(&link, &[]).await;
    let again = world.post_form(&link, &[]).await;

    assert_unavailable(&[failed], "fresh link");
    assert_eq!(again.status, 303);
    assert_eq!(world.mails_to(WAITING).len(), 2);
}

#[tokio::test]
async fn a_slow_ses_is_waited_for() {
    let world = World::start().await;
    world.ses.once(ANY, Fault::Delay(Duration::from_secs(2)));

    assert_eq!(sign_up(&world, NEW).await.status, 303);
    assert_eq!(world.calls("SendEmail"), 1);
}

#[tokio::test]
async fn a_mail_whose_answer_is_lost_arrives_at_least_once() {
    let world = World::start().await;
    world.ses.once(ANY, Fault::DropAnswer);

    assert_eq!(sign_up(&world, NEW).await.status, 303);

    let mails = world.mails_to(NEW);
    assert!((1..=2).contains(&mails.len()));
    assert_eq!(mails[0].token(), mails[mails.len() - 1].token());
}

// DynamoDB.

/// What DynamoDB does wrong, and how many calls it is worth.
fn faults_of_dynamodb() -> [(&'static str, Fault, usize); 10] {
    [
        ("hangs", Fault::Hang, 3),
        ("stalls", Fault::Stall, 3),
        ("forbidden", Fault::access_denied(), 1),
        (
            "no table",
            Fault::error(400, "ResourceNotFoundException"),
            1,
        ),
        ("invalid", Fault::error(400, "ValidationException"), 1),
        ("throttled", Fault::throttled(), 3),
        (
            "over capacity",
            Fault::error(400, "ProvisionedThroughputExceededException"),
            3,
        ),
        ("broken", Fault::error(500, "InternalServerError"), 3),
        ("away", Fault::unavailable(), 3),
        ("hangs up", Fault::DropCall, 3),
    ]
}

#[tokio::test]
async fn a_failing_dynamodb_is_answered_alike_for_all_in_time_and_costs_nothing() {
    each(faults_of_dynamodb(), async |(what, fault, calls)| {
        let world = world().await;
        let rows = world.rows();
        world.dynamodb.always(ANY, fault);
        let started = Instant::now();

        let answers = sign_up_all(&world).await;

        assert_unavailable(&answers, what);
        assert!(
            started.elapsed() < PATIENCE,
            "{what}: {:?}",
            started.elapsed()
        );
        assert!(world.calls("PutItem") <= 3 * calls, "{what}");
        assert_eq!(world.calls("SendEmail"), 0, "{what}");
        world.dynamodb.heal();
        assert_eq!(world.rows(), rows, "{what}");
        for answer in sign_up_all(&world).await {
            assert_eq!(answer.status, 303, "{what}");
        }
        assert_eq!(mails(&world), [1, 2, 2], "{what}");
    })
    .await;
}

#[tokio::test]
async fn a_link_that_meets_a_failing_dynamodb_confirms_later() {
    each(faults_of_dynamodb(), async |(what, fault, _)| {
        let world = world().await;
        let contested = have_contested_row(&world, "contested@example.com").await;
        let waiting = world.mail_to(WAITING).link();
        let expired = expired_link(&world, WAITING);
        let rows = world.rows();
        world.dynamodb.always(ANY, fault);
        let started = Instant::now();

        let (visit, choice, head) = tokio::join!(
            world.get(&waiting),
            world.post_form(&contested, &[("password", OTHER_PASSWORD)]),
            world.request("HEAD", &waiting).send(),
        );
        let fresh = world.post_form(&expired, &[]).await;

        assert_unavailable(&[visit, choice, fresh], what);
        assert_eq!(
            (head.status, head.header("retry-after")),
            (503, Some("60")),
            "{what}"
        );
        assert!(
            started.elapsed() < 2 * PATIENCE,
            "{what}: {:?}",
            started.elapsed()
        );
        world.dynamodb.heal();
        assert_eq!(world.rows(), rows, "{what}");
        let fields = [("password", OTHER_PASSWORD)];
        assert_eq!(
            world.post_form(&contested, &fields).await.status,
            303,
            "{what}"
        );
        assert_eq!(world.post_form(&expired, &[]).await.status, 303, "{what}");
        assert_eq!(world.get(&waiting).await.status, 303, "{what}");
        assert!(is_confirmed(&world, WAITING) && is_confirmed(&world, "contested@example.com"));
        assert_eq!(world.mails_to(WAITING).len(), 2, "{what}");
    })
    .await;
}

#[tokio::test]
async fn one_failure_of_each_service_goes_unnoticed() {
    for fault in [Fault::unavailable(), Fault::throttled(), Fault::DropCall] {
        let world = world().await;
        for operation in ["PutItem", "UpdateItem", "GetItem"] {
            world.dynamodb.once(operation, fault.clone());
        }
        world.ses.once(ANY, fault);

        assert_eq!(sign_up(&world, WAITING).await.status, 303);
        assert_eq!(world.mails_to(WAITING).len(), 2);
    }
}

#[tokio::test]
async fn all_that_can_hang_hangs_and_the_answer_still_comes_in_time() {
    let world = world().await;
    // Each call is answered at the last moment, until the mail, which is not, and neither is its lifting.
    world
        .dynamodb
        .times(2, ANY, Fault::Delay(Duration::from_millis(1_300)));
    world.dynamodb.always(ANY, Fault::Hang);
    world.ses.always(ANY, Fault::Hang);
    let started = Instant::now();

    let answer = sign_up(&world, WAITING).await;

    assert_unavailable(&[answer], "all");
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    // A claim that could not be lifted keeps the address waiting for the cooldown and no longer.
    world.dynamodb.heal();
    world.ses.heal();
    sign_up(&world, WAITING).await;
    assert_eq!(world.mails_to(WAITING).len(), 1);
    let_pass(&world, WAITING, COOLDOWN);
    sign_up(&world, WAITING).await;
    assert_eq!(world.mails_to(WAITING).len(), 2);
}

// Lost answers: the write succeeds, its answer is dropped, and the SDK writes again.

#[tokio::test]
async fn a_sign_up_whose_answer_is_lost_is_mailed_once_and_not_contested() {
    let world = World::start().await;
    world.dynamodb.once("PutItem", Fault::DropAnswer);

    let answer = sign_up(&world, NEW).await;

    assert_eq!(answer.status, 303);
    assert_eq!(world.all_calls(), ["PutItem", "PutItem", "SendEmail"]);
    assert_eq!(world.row(NEW).unwrap().get("contested"), None);
    assert_eq!(world.mails_to(NEW).len(), 1);
    assert_eq!(world.get(&world.mail_to(NEW).link()).await.status, 303);
    assert!(is_confirmed(&world, NEW));
}

#[tokio::test]
async fn a_repeat_sign_up_whose_answer_is_lost_is_mailed_once() {
    let world = world().await;
    world.dynamodb.times(2, "UpdateItem", Fault::DropAnswer);

    let answers = [
        sign_up(&world, WAITING).await,
        sign_up(&world, CONFIRMED).await,
    ];

    assert_eq!(answers[0].status, 303);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(mails(&world), [0, 2, 2]);
    assert_eq!(world.row(WAITING).unwrap()["contested"], true);
    assert_eq!(world.row(CONFIRMED).unwrap().get("contested"), None);
    assert!(is_confirmed(&world, CONFIRMED));
    for email in [WAITING, CONFIRMED] {
        assert_eq!(
            world.row(email).unwrap()["recent_mails"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }
}

#[tokio::test]
async fn a_repeat_sign_up_in_the_cooldown_whose_answer_is_lost_contests_and_does_not_mail() {
    let world = World::start().await;
    sign_up(&world, NEW).await;
    world.dynamodb.once("UpdateItem", Fault::DropAnswer);

    assert_eq!(sign_up_with(&world, NEW, OTHER_PASSWORD).await.status, 303);

    assert_eq!(world.row(NEW).unwrap()["contested"], true);
    assert_eq!(world.mails_to(NEW).len(), 1);
}

#[tokio::test]
async fn a_confirmation_whose_answer_is_lost_confirms_once() {
    let world = world().await;
    let contested = have_contested_row(&world, NEW).await;
    let waiting = world.mail_to(WAITING).link();
    world.dynamodb.times(2, "UpdateItem", Fault::DropAnswer);

    let visit = world.get(&waiting).await;
    let choice = world
        .post_form(&contested, &[("password", OTHER_PASSWORD)])
        .await;

    assert_eq!((visit.status, choice.status), (303, 303));
    for (email, link) in [(WAITING, waiting), (NEW, contested)] {
        assert!(is_confirmed(&world, email));
        let row = world.row(email);
        assert_eq!(world.get(&link).await.status, 303);
        assert_eq!(world.row(email), row);
    }
}

#[tokio::test]
async fn a_lifting_whose_answer_is_lost_lifts_once() {
    let world = world().await;
    let before = mailings(&world, WAITING);
    world
        .ses
        .times(2, ANY, Fault::error(400, "MessageRejected"));
    world.dynamodb.once("UpdateItem", Fault::DropAnswer);

    let new = sign_up(&world, NEW).await;
    // The first update claims, the second lifts.
    world.dynamodb.once("UpdateItem", pass());
    world.dynamodb.once("UpdateItem", Fault::DropAnswer);
    let waiting = sign_up(&world, WAITING).await;

    assert_unavailable(&[new, waiting], "lifting");
    assert_eq!(mailings(&world, WAITING), before);
    sign_up_all(&world).await;
    assert_eq!(mails(&world), [1, 2, 2]);
}

#[tokio::test]
async fn a_fresh_link_whose_claim_is_answered_to_nobody_is_mailed_once() {
    let world = world().await;
    world.dynamodb.once("UpdateItem", Fault::DropAnswer);

    assert_eq!(
        world
            .post_form(&expired_link(&world, WAITING), &[])
            .await
            .status,
        303
    );

    assert_eq!(world.mails_to(WAITING).len(), 2);
    assert_eq!(world.row(WAITING).unwrap().get("contested"), None);
}

#[tokio::test]
async fn a_row_that_others_changed_before_the_lost_write_is_repeated_is_still_our_own() {
    let world = Arc::new(World::builder().processes(2).start().await);
    world.dynamodb.once("PutItem", Fault::DropAnswer);
    let others = Arc::clone(&world);
    let another_sign_up = Fault::before(move || {
        let others = Arc::clone(&others);
        async move { assert_eq!(sign_up_with(&others, NEW, OTHER_PASSWORD).await.status, 303) }
    });
    world.dynamodb.once("PutItem", another_sign_up);

    assert_eq!(sign_up(&world, NEW).await.status, 303);

    assert_eq!(world.mails_to(NEW).len(), 1);
    assert_eq!(world.row(NEW).unwrap()["contested"], true);
}

#[tokio::test]
async fn a_write_of_which_no_answer_ever_arrives_is_completed_later() {
    let world = World::start().await;
    world.dynamodb.times(3, "PutItem", Fault::DropAnswer);

    let lost = sign_up(&world, NEW).await;

    assert_unavailable(&[lost], "lost");
    let_pass(&world, NEW, COOLDOWN);
    assert_eq!(sign_up(&world, NEW).await.status, 303);
    assert_eq!(world.mails_to(NEW).len(), 1);

    let link = world.mail_to(NEW).link();
    world.dynamodb.times(3, "UpdateItem", Fault::DropAnswer);
    let fields = [("password", OTHER_PASSWORD)];
    assert_unavailable(&[world.post_form(&link, &fields).await], "lost");
    assert_eq!(world.post_form(&link, &fields).await.status, 303);
    assert!(is_confirmed(&world, NEW));
}

// Death.

/// Kills `function` as soon as `proxy` has seen a call of `operation`.
async fn kill_at(world: &World, function: &str, proxy: &Proxy, operation: &str) {
    let calls = proxy.calls(operation);
    eventually(operation, || (proxy.calls(operation) > calls).then_some(())).await;
    world.function(function).kill();
}

#[tokio::test]
async fn an_address_whose_mail_died_with_the_function_is_mailed_after_the_cooldown() {
    let world = world().await;
    for email in [NEW, WAITING, CONFIRMED] {
        let before = world.mails_to(email).len();
        world.ses.once("SendEmail", Fault::Hang);
        let form = [("email", email), ("password", PASSWORD)];
        let request = world.request("POST", "/accounts/create").form(&form);

        let (dead, ()) = tokio::join!(
            request.try_send(),
            kill_at(&world, "create-account", &world.ses, "SendEmail")
        );

        assert!(dead.is_err(), "{email}");
        assert_eq!(sign_up(&world, email).await.status, 303);
        assert_eq!(world.mails_to(email).len(), before, "{email}");
        let_pass(&world, email, COOLDOWN);
        assert_eq!(sign_up(&world, email).await.status, 303);
        assert_eq!(world.mails_to(email).len(), before + 1, "{email}");
    }
    let link = world.mail_to(NEW).link();
    let fields = [("password", OTHER_PASSWORD)];
    assert_eq!(world.post_form(&link, &fields).await.status, 303);
    assert!(is_confirmed(&world, NEW));
}

#[tokio::test]
async fn a_confirmation_that_dies_before_its_answer_has_confirmed() {
    let world = Arc::new(world().await);
    let link = world.mail_to(WAITING).link();
    let dying = Arc::clone(&world);
    let kill = Fault::after(move || {
        let dying = Arc::clone(&dying);
        async move { dying.function("confirm-email").kill() }
    });
    world.dynamodb.once("UpdateItem", kill);

    assert!(world.request("GET", &link).try_send().await.is_err());

    let row = world.row(WAITING);
    assert!(is_confirmed(&world, WAITING));
    assert_eq!(world.get(&link).await.status, 303);
    assert_eq!(world.row(WAITING), row);
}

// Time.

#[tokio::test]
async fn an_expired_row_counts_as_absent_and_is_replaced_in_one_write() {
    let world = World::start().await;
    let link = have_contested_row(&world, NEW).await;
    let week = 7 * 86_400;
    let_pass(&world, NEW, 86_400 + week + 2);
    let expired = world.row(NEW).unwrap();
    world.forget_calls();

    // Its link would live if its clock had not run on: it confirms nobody, and no fresh link is mailed.
    assert_eq!(world.get(&link).await.status, 404);
    let fields = [("password", OTHER_PASSWORD)];
    assert_eq!(world.post_form(&link, &fields).await.status, 404);
    assert_eq!(world.request("HEAD", &link).send().await.status, 404);
    assert_eq!(
        world
            .post_form(&expired_link(&world, NEW), &[])
            .await
            .status,
        303
    );
    assert_eq!(world.row(NEW), Some(expired.clone()));
    assert_eq!(world.calls("SendEmail"), 0);
    world.forget_calls();

    assert_eq!(sign_up(&world, NEW).await.status, 303);

    assert_eq!(world.all_calls(), ["PutItem", "SendEmail"]);
    let row = world.row(NEW).unwrap();
    assert_ne!(row["user_id"], expired["user_id"]);
    assert_ne!(row["password_hash"], expired["password_hash"]);
    assert_eq!(row.get("contested"), None);
    assert_eq!(world.get(&world.mail_to(NEW).link()).await.status, 303);
    assert!(is_confirmed(&world, NEW));
}

#[tokio::test]
async fn a_confirmed_row_never_counts_as_expired() {
    let world = world().await;
    world.change_row(
        CONFIRMED,
        &serde_json::json!({ "expires_at": 1_700_000_000 }),
    );
    let row = world.row(CONFIRMED).unwrap();

    assert_eq!(
        sign_up_with(&world, CONFIRMED, OTHER_PASSWORD).await.status,
        303
    );

    let after = world.row(CONFIRMED).unwrap();
    assert_eq!(after["password_hash"], row["password_hash"]);
    assert_eq!(after["user_id"], row["user_id"]);
    assert!(is_confirmed(&world, CONFIRMED));
}

#[tokio::test]
async fn clocks_may_be_five_seconds_apart() {
    let world = world().await;
    let link = |ahead: i64| format!("/accounts/confirm/{}", world.token(WAITING, -ahead));

    assert_eq!(world.get(&link(10)).await.status, 404);
    assert!(!is_confirmed(&world, WAITING));

    assert_eq!(world.get(&link(5)).await.status, 303);
    assert!(is_confirmed(&world, WAITING));
}

#[tokio::test]
async fn a_sign_up_by_a_slower_clock_is_in_the_cooldown_of_a_faster_one() {
    let world = World::start().await;
    sign_up(&world, NEW).await;
    let_pass(&world, NEW, -5);

    assert_eq!(sign_up(&world, NEW).await.status, 303);
    assert_eq!(world.mails_to(NEW).len(), 1);
    assert_eq!(world.get(&world.mail_to(NEW).link()).await.status, 200);
}
