//! Chance drives the functions and the machine of [`crate::model`] side by side.

use std::sync::Arc;

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tests::{ANY, Fault};

pub use crate::model::is_password_of;
use crate::model::{
    COOLDOWN, DAILY_MAILS, DAY, Known, Life, Mailed, Mode, PASSWORDS, Seen, State, Step, Subject,
    in_any_order, without_early_notice, world,
};
use crate::steps::{ADA, let_pass, now};

/// What happens while nobody does anything.
#[derive(Clone, Copy, Debug)]
enum Pause {
    /// The cooldown passes.
    Cooldown,
    /// More than a day passes.
    Day,
    /// The row expires, if it can.
    Expiry,
    /// DynamoDB removes what has expired.
    Removal,
    /// Other code adds an attribute.
    Decoration,
    /// Other code adds a user without a password.
    Invitation,
}

/// Some steps at once.
#[derive(Clone, Debug)]
struct Round {
    pause: Option<Pause>,
    steps: Vec<Step>,
    /// The operation of which one answer is lost.
    lost: Option<&'static str>,
    /// Whether SES refuses one mail.
    refused: bool,
}

impl Pause {
    fn over(self, subject: &Subject) {
        let (world, email) = (&subject.world, &subject.email);
        let row = world.row(email);
        match self {
            Self::Cooldown => let_pass(world, email, COOLDOWN),
            Self::Day => let_pass(world, email, DAY + 10_000),
            Self::Expiry
                if row
                    .as_ref()
                    .is_some_and(|row| row["expires_at"].is_number()) =>
            {
                world.change_row(email, &json!({ "expires_at": now() - 1 }));
            }
            Self::Removal => {
                world.store.expire().unwrap();
            }
            Self::Decoration if row.is_some() => {
                world.change_row(email, &json!({ "theme": "dark" }));
            }
            Self::Invitation if row.is_none() => {
                world.put_row(&json!({ "email": email, "role": "admin" }));
            }
            Self::Expiry | Self::Decoration | Self::Invitation => {}
        }
    }
}

async fn play(mode: Mode, subject: &Subject, round: &Round, before: Option<Known>) -> Known {
    let world = &subject.world;
    if let Some(pause) = round.pause {
        pause.over(subject);
    }
    subject.begin();
    let before = subject.look(before.as_ref());
    let mailed = subject.mails().len();
    // All begin before any is served.
    let together = Fault::together(round.steps.len());
    world.dynamodb.times(round.steps.len(), ANY, together);
    if let Some(operation) = round.lost {
        world.dynamodb.once(operation, Fault::DropAnswer);
    }
    if round.refused {
        world.ses.once(ANY, Fault::error(400, "MessageRejected"));
    }

    let answers = join_all(round.steps.iter().map(|step| subject.take(*step))).await;

    world.dynamodb.heal();
    world.ses.heal();
    let mails = subject.mails_since(mailed);
    let statuses = answers.iter().map(|answer| answer.status).collect();
    let seen = Seen { statuses, mails };
    let after = subject.look(Some(&before));
    check(mode, round, &before, &seen, &after);
    after
}

fn check(mode: Mode, round: &Round, before: &Known, seen: &Seen, after: &Known) {
    let what =
        || format!("{mode:?} {round:#?}\nbefore: {before:#?}\nseen: {seen:#?}\nafter: {after:#?}");
    if round.refused {
        check_refused(mode, round, before, seen, after, &what);
    } else {
        let seen = without_early_notice(&round.steps, told(round, seen));
        let outcome = (after.life.clone(), seen);
        let mut possible = in_any_order(mode, &before.life, &round.steps).into_iter();
        let reached = possible.any(|(life, seen)| (life, told(round, &seen)) == outcome);
        assert!(reached, "no order of the steps leads here: {}", what());
    }
    check_row(round, before, after, &what);
}

/// What is seen, where it does not matter which of the two mails to a sign-up went out. The mail says how the row is when it is
/// claimed. That is a moment after the row was made, and the claim may be that of another sign-up: somebody may have confirmed
/// the row meanwhile. Also a sign-up that is asked again, since the answer was lost that its row was made, may find it confirmed.
fn told(round: &Round, seen: &Seen) -> Seen {
    let mut seen = seen.clone();
    let count = |step: fn(&Step) -> bool| round.steps.iter().filter(|taken| step(taken)).count();
    let sign_ups = count(|step| matches!(step, Step::SignUp(_) | Step::FreshLink));
    let others = round.steps.len() - sign_ups;
    if round.lost == Some("PutItem") || (sign_ups > 1 && others > 0) {
        for mail in &mut seen.mails {
            if *mail == Mailed::AccountExists {
                *mail = Mailed::Confirm;
            }
        }
        seen.mails.sort_unstable();
    }
    seen
}

/// The mail and its claim are another step's then, or nobody's. A step whose notice is refused changes nothing.
fn check_refused(
    mode: Mode,
    round: &Round,
    before: &Known,
    seen: &Seen,
    after: &Known,
    what: &dyn Fn() -> String,
) {
    let core = |life: &Life| {
        let user = life.user.as_ref();
        user.map(|user| (user.state, user.password))
    };
    let mut possible = in_any_order(mode, &before.life, &round.steps);
    for index in 0..round.steps.len() {
        let mut steps = round.steps.clone();
        steps.remove(index);
        possible.extend(in_any_order(mode, &before.life, &steps));
    }
    let mut lives = possible.iter().map(|(life, _)| core(life));
    assert!(lives.any(|life| life == core(&after.life)), "{}", what());
    let most = possible.iter().map(|(_, seen)| seen.mails.len()).max();
    assert!(Some(seen.mails.len()) <= most, "{}", what());
}

/// What must never change.
fn check_row(round: &Round, before: &Known, after: &Known, what: &dyn Fn() -> String) {
    let ((Some(row), Some(user)), (Some(new_row), Some(new_user))) = (
        (&before.row, &before.life.user),
        (&after.row, &after.life.user),
    ) else {
        assert!(before.row.is_none(), "a lost user: {}", what());
        return;
    };
    let is_confirmed = user.state == State::Confirmed;
    assert!(
        !is_confirmed || new_user.state == State::Confirmed,
        "{}",
        what()
    );
    let has = |step: fn(&Step) -> bool| round.steps.iter().any(step);
    if is_confirmed && !has(|step| matches!(step, Step::Reset(_))) {
        assert_eq!(row["password_hash"], new_row["password_hash"], "{}", what());
    }
    if !has(|step| *step == Step::Arrive) || is_confirmed || user.state == State::Invited {
        for name in ["user_id", "created_at", "theme", "role"] {
            assert_eq!(row[name], new_row[name], "{name}: {}", what());
        }
        let confirmed_at = &row["confirmed_at"];
        assert!(
            !is_confirmed || new_row["confirmed_at"] == *confirmed_at,
            "{}",
            what()
        );
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let password = 0..PASSWORDS.len();
    let browser = || prop::option::of(0..PASSWORDS.len());
    prop_oneof![
        6 => password.clone().prop_map(Step::SignUp),
        3 => browser().prop_map(Step::Visit),
        1 => browser().prop_map(Step::VisitOld),
        1 => browser().prop_map(Step::Head),
        1 => Just(Step::Press),
        2 => password.clone().prop_map(Step::Type),
        2 => password.clone().prop_map(Step::Choose),
        2 => Just(Step::FreshLink),
        1 => Just(Step::AskReset),
        1 => password.prop_map(Step::Reset),
        1 => Just(Step::Ask),
        1 => Just(Step::Arrive),
    ]
}

fn any_round() -> impl Strategy<Value = Round> {
    let pause = select(vec![
        Pause::Cooldown,
        Pause::Cooldown,
        Pause::Day,
        Pause::Expiry,
        Pause::Removal,
        Pause::Decoration,
        Pause::Invitation,
    ]);
    let lost = select(vec![
        "PutItem",
        "UpdateItem",
        "UpdateItem",
        "GetItem",
        "BatchGetItem",
        "TransactWriteItems",
    ]);
    (
        prop::option::of(pause),
        prop::collection::vec(any_step(), 1..=4),
        prop::option::weighted(0.3, lost),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(pause, steps, lost, refused)| Round {
            pause,
            steps,
            lost,
            refused,
        })
}

/// More may be asked for.
fn lives_to_try() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.map_or(12, |lives| lives.parse().expect("a number of lives"))
}

fn live(mode: Mode) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = Arc::new(runtime.block_on(world(mode, 4)));
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::with_cases(lives_to_try())
    };
    let lives = std::cell::Cell::new(0);

    let tried = TestRunner::new(config).run(&prop::collection::vec(any_round(), 1..10), |rounds| {
        lives.set(lives.get() + 1);
        let subject = Subject::new(&world, &format!("life-{}@example.com", lives.get()));
        let mut known = None;
        for round in &rounds {
            known = Some(runtime.block_on(play(mode, &subject, round, known)));
        }
        Ok(())
    });

    tried.unwrap_or_else(|failed| panic!("{failed}"));
}

#[test]
fn whatever_happens_to_an_address_the_functions_do_what_the_machine_does() {
    live(Mode::Browser);
}

#[test]
fn whatever_happens_where_links_are_trusted_the_functions_do_what_the_machine_does() {
    live(Mode::Visit);
}

#[tokio::test]
async fn an_address_gets_ten_mails_of_a_kind_a_day_whoever_asks_for_them() {
    let world = Arc::new(world(Mode::Browser, 1).await);
    let subject = Subject::new(&world, ADA);
    let round = |pause, step| Round {
        pause: Some(pause),
        steps: vec![step],
        lost: None,
        refused: false,
    };
    let steps = [Step::SignUp(0), Step::FreshLink, Step::SignUp(1)];

    let mut known = None;
    for step in steps.iter().cycle().take(13) {
        known = Some(
            play(
                Mode::Browser,
                &subject,
                &round(Pause::Cooldown, *step),
                known,
            )
            .await,
        );
    }
    assert_eq!(subject.mails().len(), DAILY_MAILS);
    for step in [Step::Ask, Step::AskReset, Step::Reset(2)] {
        known = Some(
            play(
                Mode::Browser,
                &subject,
                &round(Pause::Cooldown, step),
                known,
            )
            .await,
        );
    }
    assert_eq!(subject.mails().len(), DAILY_MAILS + 3);
    known = Some(
        play(
            Mode::Browser,
            &subject,
            &round(Pause::Day, Step::Head(None)),
            known,
        )
        .await,
    );
    for _ in 0..13 {
        let round = round(Pause::Cooldown, Step::SignUp(3));
        known = Some(play(Mode::Browser, &subject, &round, known).await);
    }

    assert_eq!(subject.mails().len(), 2 * DAILY_MAILS + 3);
    assert_eq!(known.unwrap().life.user.unwrap().password, Some(2));
}
