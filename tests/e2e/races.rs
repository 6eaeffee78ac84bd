//! What many processes do to one address at once, and what happens between any two calls of one.

use std::iter;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::{ANY, Answer, Fault, World, eventually};

use crate::model::{
    self, Known, Life, Mode, Seen, Step, Subject, in_any_order, is_password_of,
    without_early_notice,
};
use crate::steps::{
    ADA, expired_link, have_account, have_contested_row, is_confirmed, let_pass, mails_of_kind,
    now, open_in_browser_of, sign_up, sign_up_with, twice, without_cookie_value,
};

const PROCESSES: usize = 16;

/// How many of their calls arrive at the same moment. The SDK gives up a call that waits for long, and on a busy machine it
/// takes a while until sixteen processes have hashed a password.
const TOGETHER: usize = 4;
const COOLDOWN: i64 = 60;

/// A world with sixteen processes of a function.
async fn world(function: &str) -> World {
    let world = World::builder().processes(PROCESSES).start().await;
    let warm = world.function(function).warm_up(PROCESSES).await;
    warm.unwrap();
    world
}

/// Makes requests at once: none is served by DynamoDB before others have arrived there.
async fn at_once<F: Future<Output = Answer>>(
    world: &World,
    request: impl Fn(usize) -> F,
) -> Vec<Answer> {
    let together = Fault::together(TOGETHER);
    world.dynamodb.times(PROCESSES, ANY, together);
    let answers = join_all((0..PROCESSES).map(request)).await;
    answers.into_iter().map(without_cookie_value).collect()
}

/// The same, where all answers are alike.
async fn alike_at_once<F: Future<Output = Answer>>(
    world: &World,
    request: impl Fn(usize) -> F,
) -> Answer {
    let answers = at_once(world, request).await;
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    answers[0].clone()
}

fn password(n: usize) -> String {
    format!("the password of number {n}")
}

/// How many mails of a kind the limits remember.
fn mails_counted(world: &World, kind: &str, email: &str) -> usize {
    let mails = mails_of_kind(world, kind, email).unwrap();
    let mails = (1..=10).filter(|n| mails[format!("m{n}")]["N"] != "0");
    mails.count()
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
    let answer = alike_at_once(&world, sign_up).await;

    assert_eq!(answer.status, 303);
    assert_eq!(world.rows().len(), 1);
    assert_eq!(world.mails_to(ADA).len(), 1);
    assert_eq!(mails_counted(&world, "sign-up", ADA), 1);
    let row = world.row(ADA).unwrap();
    assert_eq!(row["contested"], true);
    // So none of the sixteen chooses the password: the mailbox's reader does.
    let link = world.mail_to(ADA).link();
    assert_eq!(world.get(&link).await.status, 200);
    let chosen = world
        .post_form(&link, &twice("the reader's own choice"))
        .await;
    assert_eq!(chosen.status, 303);
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
    let_pass(&world, ADA, COOLDOWN);
    let old = world.row(ADA).unwrap();
    world.change_row(ADA, &json!({ "expires_at": now() - 60 }));

    let sign_up = async |n| sign_up_with(&world, ADA, &password(n)).await;
    alike_at_once(&world, sign_up).await;

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
    alike_at_once(&world, sign_up).await;

    assert_eq!(world.mails_to(ADA).len(), 2);
    let row = world.row(ADA).unwrap();
    assert_eq!(row["contested"], true);
    assert_eq!(row["password_hash"], hash);
    assert_eq!(mails_counted(&world, "sign-up", ADA), 2);
}

#[tokio::test]
async fn sixteen_sign_ups_of_a_confirmed_address_send_one_notice_and_change_nothing() {
    let world = world("create-account").await;
    have_account(&world, ADA).await;
    let_pass(&world, ADA, COOLDOWN);
    let before = world.row(ADA).unwrap();

    let sign_up = async |n| sign_up_with(&world, ADA, &password(n)).await;
    alike_at_once(&world, sign_up).await;

    assert_eq!(world.mails_to(ADA).len(), 2);
    assert_eq!(world.row(ADA).unwrap(), before);
}

#[tokio::test]
async fn a_link_opened_sixteen_times_at_once_confirms_once() {
    let world = world("confirm-email").await;
    let signed_up = sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();

    let open = async |_| open_in_browser_of(&world, &signed_up, &link).await;
    let answer = alike_at_once(&world, open).await;

    assert_eq!(answer.status, 303);
    assert!(is_confirmed(&world, ADA));
    assert_eq!(outcomes(&world, "confirmed").await, 1);
}

#[tokio::test]
async fn of_sixteen_passwords_chosen_at_once_one_is_taken() {
    let world = world("confirm-email").await;
    let link = have_contested_row(&world, ADA).await;

    let choose = async |n| {
        let password = password(n);
        world.post_form(&link, &twice(&password)).await
    };
    let answer = alike_at_once(&world, choose).await;

    assert_eq!(answer.status, 303);
    let row = world.row(ADA).unwrap();
    let mut chosen = (0..PROCESSES).filter(|n| is_password_of(&row, &password(*n)));
    assert!(chosen.next().is_some());
    assert_eq!(outcomes(&world, "confirmed").await, 1);
}

#[tokio::test]
async fn of_sixteen_passwords_set_at_once_by_one_reset_link_one_is_taken_and_one_notice_goes_out() {
    let world = world("reset-password").await;
    have_account(&world, ADA).await;
    let asked = world
        .post_form("/accounts/password", &[("email", ADA)])
        .await;
    assert_eq!(asked.status, 303);
    let links = world.mail_to(ADA).links();
    let link = links
        .iter()
        .find(|link| link.contains("/accounts/password/"))
        .unwrap();
    let mails = world.mails_to(ADA).len();

    let set = async |n| {
        let password = password(n);
        world.post_form(link, &[("password", &*password)]).await
    };
    let answers = at_once(&world, set).await;

    let set = answers
        .iter()
        .position(|answer| answer.status == 303)
        .unwrap();
    let dead = answers.iter().filter(|answer| answer.status == 404).count();
    assert_eq!(dead, PROCESSES - 1);
    assert!(is_password_of(&world.row(ADA).unwrap(), &password(set)));
    assert_eq!(world.mails_to(ADA).len(), mails + 1);
}

#[tokio::test]
async fn sixteen_requests_for_a_reset_mail_once() {
    for email in [ADA, "unknown@example.com"] {
        let world = world("reset-password").await;
        have_account(&world, ADA).await;
        let before = world.mails_to(email).len();

        let ask = async |_| {
            world
                .post_form("/accounts/password", &[("email", email)])
                .await
        };
        let answer = alike_at_once(&world, ask).await;

        assert_eq!(answer.status, 303);
        assert_eq!(world.mails_to(email).len(), before + 1);
    }
}

#[tokio::test]
async fn sixteen_requests_for_a_fresh_link_mail_once() {
    for (what, old) in [
        ("made for the row", true),
        ("made for an earlier row", false),
    ] {
        let world = world("confirm-email").await;
        sign_up(&world, ADA).await;
        let_pass(&world, ADA, if old { 2 * 86_400 } else { COOLDOWN });
        let link = expired_link(&world, ADA);

        let ask = async |_| world.post_form(&link, &[]).await;
        let answer = alike_at_once(&world, ask).await;

        assert_eq!(answer.status, 303, "{what}");
        assert_eq!(world.mails_to(ADA).len(), 2, "{what}");
        let contested = world.row(ADA).unwrap()["contested"] == true;
        assert_eq!(contested, !old, "{what}");
    }
}

#[tokio::test]
async fn when_ses_fails_for_the_first_of_sixteen_the_address_is_mailed_at_most_once_and_never_blocked()
 {
    let world = world("create-account").await;
    world.ses.once(ANY, Fault::error(400, "MessageRejected"));
    let together = Fault::together(TOGETHER);
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

/// Something else that happens to the row.
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

/// An address to begin with, and what the limits remember of it.
struct Start {
    known: Known,
    limits: Vec<Value>,
}

#[tokio::test]
async fn whatever_happens_between_two_calls_of_a_request_it_is_as_if_before_or_after_it() {
    let steps = [
        Step::SignUp(0),
        Step::Visit(Some(2)),
        Step::Choose(0),
        Step::FreshLink,
    ];
    let meanwhile = [
        Meanwhile::Somebody(Step::SignUp(1)),
        Meanwhile::Somebody(Step::Visit(Some(2))),
        Meanwhile::Somebody(Step::Choose(1)),
        Meanwhile::Somebody(Step::FreshLink),
        Meanwhile::Somebody(Step::Arrive),
        Meanwhile::Expires,
        Meanwhile::IsRemoved,
    ];
    assert!(interrupt_all(Mode::Browser, &steps, &meanwhile).await > 200);
}

#[tokio::test]
async fn whatever_happens_between_two_calls_of_a_move_or_a_reset_it_is_as_if_before_or_after_it() {
    let steps = [Step::Type(2), Step::Reset(0), Step::Arrive];
    let meanwhile = [
        Meanwhile::Somebody(Step::SignUp(1)),
        Meanwhile::Somebody(Step::Visit(Some(2))),
        Meanwhile::Somebody(Step::Reset(1)),
        Meanwhile::Somebody(Step::Arrive),
        Meanwhile::Expires,
    ];
    assert!(interrupt_all(Mode::Browser, &steps, &meanwhile).await > 200);
}

#[tokio::test]
async fn whatever_happens_between_two_calls_where_links_are_trusted_it_is_as_if_before_or_after_it()
{
    let steps = [Step::SignUp(0), Step::Visit(None), Step::FreshLink];
    let meanwhile = [
        Meanwhile::Somebody(Step::SignUp(1)),
        Meanwhile::Somebody(Step::Visit(None)),
        Meanwhile::Somebody(Step::FreshLink),
    ];
    assert!(interrupt_all(Mode::Visit, &steps, &meanwhile).await > 80);
}

/// Interrupts every step from every start by everything else between every two calls, and after the last; how often. Before the
/// first would be one after the other, which `life` tests.
async fn interrupt_all(mode: Mode, steps: &[Step], meanwhile: &[Meanwhile]) -> usize {
    let world = Arc::new(model::world(mode, 2).await);
    let subject = Subject::new(&world, ADA);
    let mut tried = 0;
    for start in &starts(&subject).await {
        for step in steps {
            let calls = calls_of(&subject, start, *step).await;
            for other in meanwhile {
                for call in 1..calls {
                    let place = Place::BeforeCall(call);
                    interrupt(mode, &subject, start, *step, *other, place).await;
                }
                let place = Place::AfterCall(calls - 1);
                interrupt(mode, &subject, start, *step, *other, place).await;
                tried += calls;
            }
        }
    }
    tried
}

/// How many calls a step makes if nothing interrupts it: the least of twice, as the SDK repeats a call that takes long.
async fn calls_of(subject: &Subject, start: &Start, step: Step) -> usize {
    let mut least = usize::MAX;
    for _ in 0..2 {
        restore(subject, Some(start));
        subject.begin();
        subject.world.dynamodb.forget_calls();
        subject.take(step).await;
        least = least.min(subject.world.dynamodb.calls(ANY));
    }
    least
}

/// Addresses to begin with: absent, waiting, contested, confirmed, invited, all mailed to long ago, and waiting and mailed to
/// just now.
async fn starts(subject: &Subject) -> Vec<Start> {
    let world = &subject.world;
    let mut starts = Vec::new();
    for steps in [
        &[][..],
        &[Step::SignUp(2)],
        &[Step::SignUp(2), Step::SignUp(3)],
        &[Step::SignUp(2), Step::Visit(Some(2))],
    ] {
        restore(subject, None);
        for step in steps {
            subject.take(*step).await;
        }
        let_pass(world, ADA, model::COOLDOWN);
        starts.push(save(subject));
    }
    restore(subject, None);
    world.put_row(&json!({ "email": ADA, "role": "admin" }));
    starts.push(save(subject));
    // Whoever signs up now is not mailed, so that the mails alone do not tell that somebody has.
    restore(subject, None);
    subject.take(Step::SignUp(2)).await;
    starts.push(save(subject));
    starts
}

fn save(subject: &Subject) -> Start {
    Start {
        known: subject.look(None),
        limits: subject.world.store.items_of("limits").unwrap(),
    }
}

fn restore(subject: &Subject, start: Option<&Start>) {
    let world = &subject.world;
    for row in world.rows() {
        world.delete_row(row["email"].as_str().unwrap());
    }
    for item in world.store.items_of("limits").unwrap() {
        let key = json!({ "limit": item["limit"] });
        world.store.delete_from("limits", &key).unwrap();
    }
    let Some(Start { known, limits }) = start else {
        return;
    };
    if let Some(row) = &known.row {
        world.put_row(row);
    }
    for item in limits {
        world.store.put_into("limits", item).unwrap();
    }
}

/// Takes a step and lets something else happen within it. On a busy machine the SDK may give up the call that waits meanwhile:
/// then once more.
async fn interrupt(
    mode: Mode,
    subject: &Subject,
    start: &Start,
    step: Step,
    other: Meanwhile,
    place: Place,
) {
    for _ in 0..5 {
        if try_interrupt(mode, subject, start, step, other, place).await {
            return;
        }
    }
    panic!("{step:?}, {other:?} {place:?}: 503 again and again");
}

/// Whether no call took too long.
async fn try_interrupt(
    mode: Mode,
    subject: &Subject,
    start: &Start,
    step: Step,
    other: Meanwhile,
    place: Place,
) -> bool {
    restore(subject, Some(start));
    subject.begin();
    let world = &subject.world;
    let before = &start.known;
    let mailed = subject.mails().len();
    let ended = Arc::new(Mutex::new(None));
    let hook = {
        let (subject, ended) = (subject.clone(), Arc::clone(&ended));
        move || {
            let (subject, ended) = (subject.clone(), Arc::clone(&ended));
            async move {
                let status = happen(&subject, other).await;
                *ended.lock().unwrap() = Some(status);
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
    let other_status = eventually("what happens meanwhile", || ended.lock().unwrap().take()).await;
    if status == 503 || other_status == Some(503) {
        return false;
    }
    let after = subject.look(Some(before)).life;
    let seen = Seen {
        statuses: iter::once(status).chain(other_status).collect(),
        mails: subject.mails_since(mailed),
    };
    let possible: Vec<_> = match other {
        Meanwhile::Somebody(other) => in_any_order(mode, &before.life, &[step, other]),
        Meanwhile::Expires | Meanwhile::IsRemoved => {
            let last = in_any_order(mode, &before.life, &[step]);
            let last = last
                .into_iter()
                .map(|(life, seen)| (life.unexpired(), seen));
            let first = in_any_order(mode, &before.life.clone().unexpired(), &[step]);
            last.chain(first).collect()
        }
    };
    let mut steps = vec![step];
    if let Meanwhile::Somebody(other) = other {
        steps.push(other);
    }
    let outcome: (Life, Seen) = (after, without_early_notice(&steps, seen));
    assert!(
        possible.contains(&outcome),
        "{before:#?}: {step:?}, {other:?} {place:?}: {outcome:#?}\nis none of {possible:#?}"
    );
    true
}

/// Lets something happen, and returns the status of its answer if it has one.
async fn happen(subject: &Subject, other: Meanwhile) -> Option<u16> {
    if let Meanwhile::Somebody(step) = other {
        return Some(subject.take(step).await.status);
    }
    let world = &subject.world;
    let row = world.row(ADA).unwrap_or_default();
    if row["expires_at"].is_number() {
        // A request that waits here has looked at the clock before.
        world.change_row(ADA, &json!({ "expires_at": now() - 60 }));
    }
    if matches!(other, Meanwhile::IsRemoved) {
        world.store.expire().unwrap();
    }
    None
}
