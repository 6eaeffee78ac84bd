//! What happens when a service behind the functions fails, hangs, refuses, or answers and is not heard.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tests::{ANY, Answer, Fault, Proxy, World, eventually, join_all};

use crate::steps::{
    OTHER_PASSWORD, PASSWORD, expired_link, have_account, have_contested_row, is_confirmed,
    let_pass, mails_of_kind, now, open_in_browser_of, sign_up, sign_up_with, twice,
    without_cookie_value,
};

const NEW: &str = "new@example.com";
const WAITING: &str = "waiting@example.com";
const CONFIRMED: &str = "confirmed@example.com";

const COOLDOWN: i64 = 60;

/// Longer than any request may take, whatever fails: the functions give up after 14 seconds, which is half of what the template
/// gives them. A function that takes longer is ended, and its request has no answer.
const PATIENCE: Duration = Duration::from_secs(16);

/// A world with nobody at `NEW`, and with rows at `WAITING` and `CONFIRMED` whose cooldown is over.
async fn world() -> World {
    let builder = World::builder().processes(3).timeout(PATIENCE);
    let world = builder.start().await;
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
    [new, waiting, confirmed].map(without_cookie_value)
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
        .for_each_concurrent(2, |fault| test(fault))
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
        let before = [WAITING, CONFIRMED].map(|email| newest_mails(&world, email));

        let answers = sign_up_all(&world).await;

        assert_unavailable(&answers, what);
        assert_eq!(world.calls("SendEmail"), 3 * calls, "{what}");
        assert_eq!(mails(&world), [0, 1, 1], "{what}");
        // The claims are lifted: nothing is remembered of mails that were never sent.
        assert_eq!(newest_mails(&world, NEW), [0, 0], "{what}");
        assert_eq!(
            [WAITING, CONFIRMED].map(|email| newest_mails(&world, email)),
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

/// When the newest two mails of a sign-up went to an address; 0 for none.
fn newest_mails(world: &World, email: &str) -> [u64; 2] {
    let mails = mails_of_kind(world, "sign-up", email).unwrap();
    ["m1", "m2"].map(|name| mails[name]["N"].as_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_claim_that_somebody_else_has_taken_over_is_not_lifted() {
    let world = World::builder().processes(2).start().await;
    world.ses.once(ANY, Fault::Hang);
    let take_over = async {
        eventually("a call", || (world.calls("SendEmail") == 1).then_some(())).await;
        let_pass(&world, NEW, COOLDOWN);
        let answer = sign_up(&world, NEW).await;
        (answer.status, newest_mails(&world, NEW))
    };

    let (late, (status, claimed)) = tokio::join!(sign_up(&world, NEW), take_over);

    assert_eq!((late.status, status), (503, 303));
    assert_eq!(newest_mails(&world, NEW), claimed);
    sign_up(&world, NEW).await;
    assert_eq!(world.mails_to(NEW).len(), 1);
}

#[tokio::test]
async fn a_client_of_the_json_api_is_told_too_when_to_try_again() {
    let world = World::start().await;
    world.ses.always(ANY, Fault::error(400, "MessageRejected"));
    let body = json!({ "email": NEW, "password": PASSWORD });

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

        let answers = sign_up_all(&world).await;

        assert_unavailable(&answers, what);
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

        let fields = twice(OTHER_PASSWORD);
        let (visit, choice, head) = tokio::join!(
            world.get(&waiting),
            world.post_form(&contested, &fields),
            world.request("HEAD", &waiting).send(),
        );
        let fresh = world.post_form(&expired, &[]).await;

        assert_unavailable(&[visit, choice, fresh], what);
        assert_eq!(
            (head.status, head.header("retry-after")),
            (503, Some("60")),
            "{what}"
        );
        world.dynamodb.heal();
        assert_eq!(world.rows(), rows, "{what}");
        assert_eq!(
            world.post_form(&contested, &fields).await.status,
            303,
            "{what}"
        );
        assert_eq!(world.post_form(&expired, &[]).await.status, 303, "{what}");
        let typed = world.post_form(&waiting, &[("password", PASSWORD)]).await;
        assert_eq!(typed.status, 303, "{what}");
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

/// A request of every kind that calls AWS, ready to be sent: what it is called, the method, the path, its form.
async fn all_requests(
    world: &World,
) -> Vec<(
    &'static str,
    &'static str,
    String,
    Vec<(&'static str, &'static str)>,
)> {
    let waiting = world.mail_to(WAITING).link();
    let asked = [
        ("email", CONFIRMED),
        ("password", PASSWORD),
        ("new_email", "moved@example.com"),
    ];
    let changed = world.post_form("/accounts/email", &asked).await;
    assert_eq!(changed.status, 303);
    let change = world.mail_to("moved@example.com").link();
    let reset = reset_link(world, CONFIRMED).await;
    for email in [WAITING, CONFIRMED, "moved@example.com"] {
        let_pass(world, email, COOLDOWN);
    }
    world.forget_calls();
    let credentials = vec![("email", WAITING), ("password", PASSWORD)];
    vec![
        (
            "sign-up",
            "POST",
            "/accounts/create".to_owned(),
            credentials,
        ),
        ("link", "GET", waiting.clone(), vec![]),
        (
            "password",
            "POST",
            waiting.clone(),
            vec![("password", PASSWORD)],
        ),
        (
            "new password",
            "POST",
            waiting,
            twice(OTHER_PASSWORD).to_vec(),
        ),
        ("fresh link", "POST", expired_link(world, WAITING), vec![]),
        (
            "change",
            "POST",
            "/accounts/email".to_owned(),
            asked.to_vec(),
        ),
        ("change link", "GET", change.clone(), vec![]),
        (
            "account's password",
            "POST",
            change,
            vec![("password", PASSWORD)],
        ),
        (
            "reset",
            "POST",
            "/accounts/password".to_owned(),
            vec![("email", CONFIRMED)],
        ),
        ("reset link", "GET", reset.clone(), vec![]),
        (
            "reset password",
            "POST",
            reset,
            vec![("password", OTHER_PASSWORD)],
        ),
    ]
}

async fn reset_link(world: &World, email: &str) -> String {
    let asked = world
        .post_form("/accounts/password", &[("email", email)])
        .await;
    assert_eq!(asked.status, 303);
    let links = world.mail_to(email).links();
    let link = links
        .iter()
        .find(|link| link.contains("/accounts/password/"));
    link.unwrap().clone()
}

#[tokio::test]
async fn whatever_hangs_or_is_slow_every_request_is_answered_in_time() {
    let last_moment = || Fault::Delay(Duration::from_millis(1_400));
    let all_hang = |world: &World| {
        world.dynamodb.always(ANY, Fault::Hang);
        world.ses.always(ANY, Fault::Hang);
    };
    // Each call is answered at the last moment, and most mails are not answered at all.
    let all_slow = move |world: &World| {
        world.dynamodb.always(ANY, last_moment());
        world
            .ses
            .always(ANY, Fault::Delay(Duration::from_millis(3_900)));
    };
    // Each call fails twice and is answered at the last moment of the last attempt.
    let all_retried = move |world: &World| {
        for _ in 0..30 {
            world.dynamodb.times(2, ANY, Fault::unavailable());
            world.dynamodb.once(ANY, last_moment());
        }
        world
            .ses
            .always(ANY, Fault::Delay(Duration::from_millis(3_900)));
    };
    let spoils: [(&str, &dyn Fn(&World)); 3] = [
        ("hangs", &all_hang),
        ("is slow", &all_slow),
        ("is slow and fails", &all_retried),
    ];
    for (what, spoil) in spoils {
        let world = World::builder()
            .processes(6)
            .timeout(PATIENCE)
            .start()
            .await;
        sign_up(&world, WAITING).await;
        have_account(&world, CONFIRMED).await;
        let requests = all_requests(&world).await;
        for function in [
            "create-account",
            "confirm-email",
            "change-email",
            "reset-password",
        ] {
            world.function(function).warm_up(6).await.unwrap();
        }
        spoil(&world);

        let answers = requests.iter().map(async |(name, method, path, form)| {
            let request = world.request(method, path);
            let request = if *method == "POST" {
                request.form(form)
            } else {
                request
            };
            (name, request.try_send().await)
        });
        for (name, answer) in join_all(answers).await {
            let answer = answer.unwrap_or_else(|error| panic!("{name} {what}: {error}"));
            if what == "hangs" {
                assert_eq!(answer.status, 503, "{name} {what}");
            }
            assert!(
                [200, 303, 404, 422, 503].contains(&answer.status),
                "{name} {what}: {}",
                answer.status
            );
        }
    }
}

#[tokio::test]
async fn a_claim_that_could_not_be_lifted_waits_for_the_cooldown_and_no_longer() {
    let world = world().await;
    // The write of the row, its contest and the claim pass, and no lifting.
    world.dynamodb.times(3, ANY, Fault::Delay(Duration::ZERO));
    world.dynamodb.always(ANY, Fault::Hang);
    world.ses.always(ANY, Fault::error(400, "MessageRejected"));

    let answer = sign_up(&world, WAITING).await;

    assert_unavailable(&[answer], "all");
    world.dynamodb.heal();
    world.ses.heal();
    sign_up(&world, WAITING).await;
    assert_eq!(world.mails_to(WAITING).len(), 1);
    let_pass(&world, WAITING, COOLDOWN);
    sign_up(&world, WAITING).await;
    assert_eq!(world.mails_to(WAITING).len(), 2);
}

#[tokio::test]
async fn every_read_sees_the_last_write() {
    let world = World::builder().processes(2).start().await;
    sign_up(&world, WAITING).await;
    have_account(&world, CONFIRMED).await;

    for (name, method, path, form) in all_requests(&world).await {
        let request = world.request(method, &path);
        let request = if method == "POST" {
            request.form(&form)
        } else {
            request
        };
        assert_ne!(request.send().await.status, 503, "{name}");
    }

    let reads = world.dynamodb.requests("GetItem");
    let batches = world.dynamodb.requests("BatchGetItem");
    assert!(reads.len() >= 4 && batches.len() >= 2);
    for read in reads {
        assert_eq!(read["ConsistentRead"], true, "{read:#}");
    }
    for batch in batches {
        assert_eq!(
            batch["RequestItems"]["users"]["ConsistentRead"], true,
            "{batch:#}"
        );
    }
    for operation in ["Query", "Scan", "BatchWriteItem", "DeleteItem"] {
        assert_eq!(world.calls(operation), 0, "{operation}");
    }
}

/// A transaction that holds an item makes DynamoDB refuse single writes to it, and the SDK does not repeat those.
#[tokio::test]
async fn a_transaction_in_the_way_of_any_write_is_another_round() {
    let conflict = || Fault::error(400, "TransactionConflictException");
    let builder = World::builder().processes(2);
    let world = builder.start().await;
    sign_up(&world, WAITING).await;
    have_account(&world, CONFIRMED).await;

    for (name, method, path, form) in all_requests(&world).await {
        world.dynamodb.times(2, "PutItem", conflict());
        world.dynamodb.times(2, "UpdateItem", conflict());
        let request = world.request(method, &path);
        let request = if method == "POST" {
            request.form(&form)
        } else {
            request
        };
        assert_ne!(request.send().await.status, 503, "{name}");
        world.dynamodb.heal();
    }
}

#[tokio::test]
async fn a_transaction_that_never_gets_out_of_the_way_is_a_503() {
    let world = world().await;
    let rows = world.rows();
    world
        .dynamodb
        .always("PutItem", Fault::error(400, "TransactionConflictException"));

    assert_unavailable(&[sign_up(&world, NEW).await], "conflict");

    assert_eq!(world.rows(), rows);
    assert_eq!(world.calls("PutItem"), 8);
}

// Lost answers: the write succeeds, its answer is dropped, and the SDK writes again.

fn pass_calls(world: &World, calls: usize) {
    for _ in 0..calls {
        world.dynamodb.once(ANY, pass());
    }
}

/// Does something in a world of its own while the answer of the call with this number is lost.
async fn lose_answer<T>(number: usize, act: impl AsyncFn(&World) -> T) -> (World, T) {
    let world = world().await;
    pass_calls(&world, number);
    world.dynamodb.once(ANY, Fault::DropAnswer);
    let done = act(&world).await;
    (world, done)
}

#[tokio::test]
async fn whichever_answer_to_a_sign_up_is_lost_it_is_made_once_and_mailed_once() {
    for (email, mails, contested) in [(NEW, 1, false), (WAITING, 2, true), (CONFIRMED, 2, false)] {
        for number in 0..3 {
            let act = async |world: &World| sign_up(world, email).await;
            let (world, answer) = lose_answer(number, act).await;

            assert_eq!(answer.status, 303, "{email} {number}");
            assert_eq!(
                world.calls("PutItem") + world.calls("UpdateItem"),
                4,
                "{email} {number}"
            );
            assert_eq!(world.mails_to(email).len(), mails, "{email} {number}");
            let row = world.row(email).unwrap();
            assert_eq!(row["contested"] == true, contested, "{email} {number}");
            assert_eq!(is_confirmed(&world, email), email == CONFIRMED);
            let counted = mails_of_kind(&world, "sign-up", email).unwrap();
            let counted = (1..=10).filter(|n| counted[format!("m{n}")]["N"] != "0");
            assert_eq!(counted.count(), mails, "{email} {number}: counted once");
        }
    }
}

#[tokio::test]
async fn the_browser_that_signed_up_confirms_though_the_answer_to_the_write_of_its_row_was_lost() {
    let world = World::start().await;
    world.dynamodb.once("PutItem", Fault::DropAnswer);
    let signed_up = sign_up(&world, NEW).await;
    let link = world.mail_to(NEW).link();

    assert_eq!(
        open_in_browser_of(&world, &signed_up, &link).await.status,
        303
    );

    assert!(is_confirmed(&world, NEW));
}

#[tokio::test]
async fn whichever_answer_is_lost_while_a_password_is_set_it_is_set_once_and_told_once() {
    for number in 0..5 {
        let world = world().await;
        let link = reset_link(&world, CONFIRMED).await;
        let mails = world.mails_to(CONFIRMED).len();
        pass_calls(&world, number);
        world.dynamodb.once(ANY, Fault::DropAnswer);

        let set = world
            .post_form(&link, &[("password", OTHER_PASSWORD)])
            .await;
        let again = world.post_form(&link, &[("password", PASSWORD)]).await;

        assert_eq!((set.status, again.status), (303, 404), "{number}");
        assert_eq!(world.mails_to(CONFIRMED).len(), mails + 1, "{number}");
        let row = world.row(CONFIRMED).unwrap();
        assert!(
            crate::model::is_password_of(&row, OTHER_PASSWORD),
            "{number}"
        );
    }
}

#[tokio::test]
async fn whichever_answer_is_lost_of_a_request_for_a_reset_it_mails_once() {
    for number in 0..2 {
        let asked = async |world: &World| {
            world
                .post_form("/accounts/password", &[("email", CONFIRMED)])
                .await
        };
        let (world, answer) = lose_answer(number, asked).await;

        assert_eq!(answer.status, 303, "{number}");
        assert_eq!(world.mails_to(CONFIRMED).len(), 2, "{number}");
    }
}

#[tokio::test]
async fn the_claim_of_a_request_from_a_network_whose_answer_is_lost_counts_once() {
    let builder = World::builder().setting("REQUESTS_PER_NETWORK", "2");
    let world = builder.start().await;
    // The first call of a request counts it.
    world.dynamodb.once("UpdateItem", Fault::DropAnswer);

    assert_eq!(sign_up(&world, NEW).await.status, 303);
    assert_eq!(sign_up(&world, WAITING).await.status, 303);
    assert_eq!(sign_up(&world, CONFIRMED).await.status, 429);
}

#[tokio::test]
async fn an_attempt_whose_answer_is_lost_counts_once() {
    let world = world().await;
    let link = world.mail_to(WAITING).link();
    for _ in 0..3 {
        world.dynamodb.once("UpdateItem", Fault::DropAnswer);
        world.dynamodb.once("UpdateItem", pass());
    }

    let wrong = world
        .post_form(&link, &[("password", OTHER_PASSWORD)])
        .await;

    assert_eq!(wrong.status, 422);
    let items = world.store.items_of("limits").unwrap();
    let attempts = items.iter().filter(|item| item["n"].is_object());
    let counts: Vec<_> = attempts.map(|item| item["n"]["N"].clone()).collect();
    assert_eq!(counts, [json!("1"), json!("1")]);
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
    let signed_up = sign_up(&world, "third@example.com").await;
    let third = world.mail_to("third@example.com").link();

    world.dynamodb.once("UpdateItem", Fault::DropAnswer);
    let visit = open_in_browser_of(&world, &signed_up, &third).await;
    // The attempt is counted by three updates before the one that confirms.
    world.dynamodb.times(3, "UpdateItem", pass());
    world.dynamodb.once("UpdateItem", Fault::DropAnswer);
    let typed = world.post_form(&waiting, &[("password", PASSWORD)]).await;
    world.dynamodb.once("UpdateItem", Fault::DropAnswer);
    let choice = world.post_form(&contested, &twice(OTHER_PASSWORD)).await;

    assert_eq!((visit.status, typed.status, choice.status), (303, 303, 303));
    for (email, link) in [
        (WAITING, waiting),
        (NEW, contested),
        ("third@example.com", third),
    ] {
        assert!(is_confirmed(&world, email));
        let row = world.row(email);
        assert_eq!(world.get(&link).await.status, 303);
        assert_eq!(world.row(email), row);
    }
}

#[tokio::test]
async fn a_lifting_whose_answer_is_lost_lifts_once() {
    let world = world().await;
    let before = newest_mails(&world, WAITING);
    world
        .ses
        .times(2, ANY, Fault::error(400, "MessageRejected"));
    let mut answers = Vec::new();
    for email in [NEW, WAITING] {
        // The first two updates contest and claim, the third lifts.
        world.dynamodb.times(2, "UpdateItem", pass());
        world.dynamodb.once("UpdateItem", Fault::DropAnswer);
        answers.push(sign_up(&world, email).await);
    }

    assert_unavailable(&answers, "lifting");
    assert_eq!(newest_mails(&world, NEW), [0, 0]);
    assert_eq!(newest_mails(&world, WAITING), before);
    sign_up_all(&world).await;
    assert_eq!(mails(&world), [1, 2, 2]);
}

#[tokio::test]
async fn a_fresh_link_whose_claim_is_answered_to_nobody_is_mailed_once() {
    let world = world().await;
    let_pass(&world, WAITING, 2 * 86_400);
    world.dynamodb.times(2, "UpdateItem", Fault::DropAnswer);

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
    let fields = twice(OTHER_PASSWORD);
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
    let fields = twice(OTHER_PASSWORD);
    assert_eq!(world.post_form(&link, &fields).await.status, 303);
    assert!(is_confirmed(&world, NEW));
}

#[tokio::test]
async fn a_confirmation_that_dies_before_its_answer_has_confirmed() {
    let world = Arc::new(world().await);
    let signed_up = sign_up(&world, NEW).await;
    let link = world.mail_to(NEW).link();
    let dying = Arc::clone(&world);
    let kill = Fault::after(move || {
        let dying = Arc::clone(&dying);
        async move { dying.function("confirm-email").kill() }
    });
    world.dynamodb.once("UpdateItem", kill);

    let open = world.request("GET", &link).browser_of(&signed_up);
    assert!(open.try_send().await.is_err());

    let row = world.row(NEW);
    assert!(is_confirmed(&world, NEW));
    assert_eq!(world.get(&link).await.status, 303);
    assert_eq!(world.row(NEW), row);
}

// Time.

#[tokio::test]
async fn an_expired_row_counts_as_absent_and_is_replaced_in_one_write() {
    let world = World::start().await;
    let link = have_contested_row(&world, NEW).await;
    world.change_row(NEW, &json!({ "expires_at": now() - 2 }));
    let expired = world.row(NEW).unwrap();
    world.forget_calls();

    // Its link would live if its clock had not run on: it confirms nobody, and no fresh link is mailed.
    assert_eq!(world.get(&link).await.status, 404);
    let fields = twice(OTHER_PASSWORD);
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
    let_pass(&world, NEW, COOLDOWN);
    world.forget_calls();

    let signed_up = sign_up(&world, NEW).await;

    assert_eq!(signed_up.status, 303);
    assert_eq!(
        world.all_calls(),
        ["PutItem", "UpdateItem", "UpdateItem", "SendEmail"]
    );
    let row = world.row(NEW).unwrap();
    assert_ne!(row["user_id"], expired["user_id"]);
    assert_ne!(row["password_hash"], expired["password_hash"]);
    assert_eq!(row.get("contested"), None);
    let link = world.mail_to(NEW).link();
    assert_eq!(
        open_in_browser_of(&world, &signed_up, &link).await.status,
        303
    );
    assert!(is_confirmed(&world, NEW));
}

#[tokio::test]
async fn an_expiry_with_decimals_counts_too() {
    let world = world().await;
    let signed_up = sign_up(&world, NEW).await;
    let link = world.mail_to(NEW).link();
    world.change_row(NEW, &json!({ "expires_at": 1_700_000_000.5 }));

    let opened = open_in_browser_of(&world, &signed_up, &link).await;

    assert_eq!(opened.status, 404);
}

#[tokio::test]
async fn a_confirmed_row_never_counts_as_expired() {
    let world = world().await;
    world.change_row(CONFIRMED, &json!({ "expires_at": 1_700_000_000 }));
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
    let signed_up = sign_up(&world, NEW).await;
    let link = |ahead: i64| format!("/accounts/confirm/{}", world.token(NEW, -ahead));

    let opened = open_in_browser_of(&world, &signed_up, &link(10)).await;
    assert_eq!(opened.status, 404);
    assert!(!is_confirmed(&world, NEW));

    // A row that a faster clock made, and a link that a faster clock signed.
    world.change_row(NEW, &json!({ "created_at": time(now() + 4) }));
    let opened = open_in_browser_of(&world, &signed_up, &link(-1)).await;
    assert_eq!(opened.status, 303);
    world.change_row(NEW, &json!({ "email_confirmed": false }));
    assert_eq!(world.get(&link(5)).await.status, 200);
}

fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
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
