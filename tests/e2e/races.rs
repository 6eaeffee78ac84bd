//! What many processes do to one address at once, and what happens between any two calls of one.

use std::iter;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tests::{ANY, Answer, Fault, Row, World};

use crate::life::{self, Known, Life, Seen, State, Step, Subject, in_any_order, is_password_of};
use crate::steps::{
    ADA, expired_link, have_account, have_contested_row, is_confirmed, let_pass, now, sign_up,
    sign_up_with,
};

const PROCESSES: usize = 16;
const COOLDOWN: i64 = 60;

/// A world with sixteen processes of a function.
async fn world(function: &str) -> World {
    let world = World::builder().processes(PROCESSES).start().await;
    let warm = world.function(function).warm_up(PROCESSES).await;
    warm.unwrap();
    world
}

/// Makes requests at once: none is served by DynamoDB before all have arrived there.
async fn at_once<F: Future<Output = Answer>>(
    world: &World,
    request: impl Fn(usize) -> F,
) -> Vec<Answer> {
    let together = Fault::together(PROCESSES);
    world.dynamodb.times(PROCESSES, ANY, together);
    let answers = join_all((0..PROCESSES).map(request)).await;
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    answers
}

fn password(n: usize) -> String {
    format!("the password of number {n}")
}

/// How many requests came to `outcome`, as the log has it.
async fn outcomes(world: &World, outcome: &str) -> usize {
    let field = format!(r#""outcome":"{outcome}""#);
    let lines = world.final_logs().await;
    lines.iter().filter(|line| line.contains(&field)).count()
}

#[tokio::test]
async fn sixteen_sign_ups_of_an_address_make_one_row_and_one_mail() {
    let world = world("create-account").await;

    let sign_up = async |n| sign_up_with(&world, ADA, &password(n)).await;
    let answers = at_once(&world, sign_up).await;

    assert_eq!(answers[0].status, 303);
    assert_eq!(world.rows().len(), 1);
    assert_eq!(world.mails_to(ADA).len(), 1);
    let row = world.row(ADA).unwrap();
    assert_eq!(row["contested"], true);
    // So none of the sixteen chooses the password: the mailbox's reader does.
    let link = world.mail_to(ADA).link();
    assert_eq!(world.get(&link).await.status, 200);
    let fields = [("password", "the reader's own choice")];
    assert_eq!(world.post_form(&link, &fields).await.status, 303);
    assert!(is_password_of(
        &world.row(ADA).unwrap(),
        "the reader's own choice"
    ));
    assert_eq!(outcomes(&world, "signed-up").await, 1);
}

#[tokio::test]
async fn sixteen_sign_ups_of_an_expired_address_make_one_row_and_one_mail() {
    let world = world("create-account").await;
    sign_up(&world, ADA).await;
    let old = world.row(ADA).unwrap();
    world.change_row(ADA, &json!({ "expires_at": now() - 60 }));

    let sign_up = async |n| sign_up_with(&world, ADA, &password(n)).await;
    at_once(&world, sign_up).await;

    assert_ne!(world.row(ADA).unwrap()["user_id"], old["user_id"]);
    assert_eq!(world.row(ADA).unwrap()["contested"], true);
    assert_eq!(world.mails_to(ADA).len(), 2);
    assert_eq!(outcomes(&world, "signed-up").await, 2);
}

#[tokio::test]
async fn sixteen_sign_ups_of_a_waiting_address_mail_once() {
    let world = world("create-account").await;
    sign_up(&world, ADA).await;
    let hash = world.row(ADA).unwrap()["password_hash"].clone();
    let_pass(&world, ADA, COOLDOWN);

    let sign_up = async |n| sign_up_with(&world, ADA, &password(n)).await;
    at_once(&world, sign_up).await;

    assert_eq!(world.mails_to(ADA).len(), 2);
    let row = world.row(ADA).unwrap();
    assert_eq!(row["contested"], true);
    assert_eq!(row["password_hash"], hash);
    assert_eq!(row["recent_mails"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn sixteen_sign_ups_of_a_confirmed_address_send_one_notice() {
    let world = world("create-account").await;
    have_account(&world, ADA).await;
    let_pass(&world, ADA, COOLDOWN);
    let before = world.row(ADA).unwrap();

    let sign_up = async |n| sign_up_with(&world, ADA, &password(n)).await;
    at_once(&world, sign_up).await;

    assert_eq!(world.mails_to(ADA).len(), 2);
    let mut after = world.row(ADA).unwrap();
    for name in ["mailed_at", "recent_mails", "mail_claim"] {
        after[name] = before[name].clone();
    }
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_link_visited_sixteen_times_at_once_confirms_once() {
    let world = world("confirm-email").await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();

    let answers = at_once(&world, async |_| world.get(&link).await).await;

    assert_eq!(answers[0].status, 303);
    assert!(is_confirmed(&world, ADA));
    assert_eq!(outcomes(&world, "confirmed").await, 1);
}

#[tokio::test]
async fn of_sixteen_passwords_chosen_at_once_one_is_taken() {
    let world = world("confirm-email").await;
    let link = have_contested_row(&world, ADA).await;

    let choose = async |n| {
        let password = password(n);
        world.post_form(&link, &[("password", &*password)]).await
    };
    let answers = at_once(&world, choose).await;

    assert_eq!(answers[0].status, 303);
    let row = world.row(ADA).unwrap();
    let mut chosen = (0..PROCESSES).filter(|n| is_password_of(&row, &password(*n)));
    assert!(chosen.next().is_some());
    assert_eq!(outcomes(&world, "confirmed").await, 1);
}

#[tokio::test]
async fn sixteen_requests_for_a_fresh_link_mail_once() {
    let world = world("confirm-email").await;
    sign_up(&world, ADA).await;
    let_pass(&world, ADA, COOLDOWN);
    let link = expired_link(&world, ADA);

    let answers = at_once(&world, async |_| world.post_form(&link, &[]).await).await;

    assert_eq!(answers[0].status, 303);
    assert_eq!(world.mails_to(ADA).len(), 2);
    assert_eq!(world.row(ADA).unwrap().get("contested"), None);
}

#[tokio::test]
async fn when_ses_fails_for_the_first_of_sixteen_the_address_is_mailed_at_most_once_and_never_blocked()
 {
    let world = world("create-account").await;
    world.ses.once(ANY, Fault::error(400, "MessageRejected"));
    let together = Fault::together(PROCESSES);
    world.dynamodb.times(PROCESSES, ANY, together);

    let passwords: Vec<_> = (0..PROCESSES).map(password).collect();
    let sign_ups = passwords
        .iter()
        .map(|password| sign_up_with(&world, ADA, password));
    let answers = join_all(sign_ups).await;

    let failed = answers.iter().filter(|answer| answer.status == 503);
    assert_eq!(failed.count(), 1);
    sign_up(&world, ADA).await;
    assert_eq!(world.mails_to(ADA).len(), 1);
}

/// Something else that happens to the row, in one write.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Somebody(Step),
    Expires,
    IsRemoved,
}

/// Where a request is interrupted.
#[derive(Clone, Copy, Debug)]
enum Place {
    BeforeCall(usize),
    AfterCall(usize),
}

/// A sign-up, a confirmation and an expiry, in all orders.
#[tokio::test]
async fn whatever_happens_between_two_calls_of_a_request_it_is_as_if_before_or_after_it() {
    let world = Arc::new(life::world(2).await);
    let steps = [
        Step::SignUp(0),
        Step::Visit,
        Step::Choose(0),
        Step::FreshLink,
    ];
    let meanwhile = [
        Meanwhile::Somebody(Step::SignUp(1)),
        Meanwhile::Somebody(Step::Visit),
        Meanwhile::Somebody(Step::Choose(1)),
        Meanwhile::Somebody(Step::FreshLink),
        Meanwhile::Somebody(Step::Ask),
        Meanwhile::Expires,
        Meanwhile::IsRemoved,
    ];
    let starts = starts(&world).await;

    let mut tried = 0;
    for start in &starts {
        for step in steps {
            for other in meanwhile {
                let mut calls = 0;
                while interrupt(
                    &world,
                    start.as_ref(),
                    step,
                    other,
                    Place::BeforeCall(calls),
                )
                .await
                {
                    calls += 1;
                }
                assert!(
                    interrupt(
                        &world,
                        start.as_ref(),
                        step,
                        other,
                        Place::AfterCall(calls - 1)
                    )
                    .await
                );
                tried += calls + 1;
            }
        }
    }
    assert!(tried > 200, "{tried}");
}

/// Rows to begin with: none, waiting, contested, confirmed, reserved, all mailed to long ago, and
/// reserved and mailed to just now.
async fn starts(world: &World) -> Vec<Option<(Row, Known)>> {
    let mut rows = vec![None];
    let subject = Subject::new(world, ADA);
    for steps in [
        &[Step::SignUp(2)][..],
        &[Step::SignUp(2), Step::SignUp(3)],
        &[Step::SignUp(2), Step::Visit],
        &[Step::Ask],
    ] {
        world.delete_row(ADA);
        for step in steps {
            subject.take(*step).await;
        }
        let_pass(world, ADA, life::COOLDOWN);
        rows.push(world.row(ADA).zip(subject.life(None)));
    }
    // Whoever signs up now is not mailed, so that the mails alone do not tell that somebody has.
    let_pass(world, ADA, -life::COOLDOWN);
    rows.push(world.row(ADA).zip(subject.life(None)));
    rows
}

/// Takes a step and lets something else happen within it; whether it got so far as to be interrupted there.
async fn interrupt(
    world: &Arc<World>,
    start: Option<&(Row, Known)>,
    step: Step,
    other: Meanwhile,
    place: Place,
) -> bool {
    world.delete_row(ADA);
    if let Some((row, _)) = start {
        world.put_row(row);
    }
    let before = start.map(|(_, known)| known);
    let subject = Subject::new(world, ADA);
    let mailed = subject.mails().len();
    let interrupted = Arc::new(Mutex::new(None));
    let hook = {
        let (world, interrupted) = (Arc::clone(world), Arc::clone(&interrupted));
        move || {
            let (world, interrupted) = (Arc::clone(&world), Arc::clone(&interrupted));
            async move {
                let seen = happen(&world, other).await;
                *interrupted.lock().unwrap() = Some(seen);
            }
        }
    };
    let (call, fault) = match place {
        Place::BeforeCall(call) => (call, Fault::before(hook)),
        Place::AfterCall(call) => (call, Fault::after(hook)),
    };
    for _ in 0..call {
        world.dynamodb.once(ANY, Fault::Delay(Duration::ZERO));
    }
    world.dynamodb.once(ANY, fault);

    let status = subject.take(step).await.status;

    world.dynamodb.heal();
    let Some(other_status) = interrupted.lock().unwrap().take() else {
        return false;
    };
    let after = subject.life(before).map(|known| known.row);
    let seen = Seen {
        statuses: iter::once(status).chain(other_status).collect(),
        mails: subject.mails_since(mailed),
    };
    let before = before.map(|known| known.row.clone());
    let possible = match other {
        Meanwhile::Somebody(other) => in_any_order(before.as_ref(), &[step, other]),
        Meanwhile::Expires | Meanwhile::IsRemoved => {
            let last = in_any_order(before.as_ref(), &[step]);
            let last = last.into_iter().map(|(life, seen)| (unexpired(life), seen));
            let first = in_any_order(unexpired(before).as_ref(), &[step]);
            last.chain(first).collect()
        }
    };
    let outcome = (after, seen);
    assert!(
        possible.contains(&outcome),
        "{start:#?}: {step:?}, {other:?} {place:?}: {outcome:#?}\nis none of {possible:#?}"
    );
    true
}

/// What is left of a life when it expires. What is reserved expires with the last mail that counts, and never before.
fn unexpired(life: Option<Life>) -> Option<Life> {
    life.filter(|life| matches!(life.state, State::Confirmed | State::Reserved))
}

/// Lets something happen, and returns the status of its answer if it has one.
async fn happen(world: &World, other: Meanwhile) -> Option<u16> {
    if let Meanwhile::Somebody(step) = other {
        return Some(Subject::new(world, ADA).take(step).await.status);
    }
    if world
        .row(ADA)
        .is_some_and(|row| row["email_confirmed"] == false)
    {
        // A request that waits here has looked at the clock before.
        world.change_row(ADA, &json!({ "expires_at": now() - 60 }));
    }
    if matches!(other, Meanwhile::IsRemoved) {
        world.store.expire().unwrap();
    }
    None
}
