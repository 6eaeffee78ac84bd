//! The life of a row, as a state machine, and chance that drives the functions and the machine side by side.
//!
//! Steps that run at once must come to what they would have come to one after the other, in some order: the same answers, the
//! same mails, the same row. A write whose answer is lost changes nothing about that.

use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::{Argon2, PasswordVerifier};
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tests::{ANY, Answer, Fault, World};

use crate::steps::{ADA, expired_link, now, sign_up_with};

/// Those that somebody may choose.
const PASSWORDS: [&str; 4] = [
    "the first one's password",
    "the second one's password",
    "the third one's password",
    "the fourth one's password",
];

/// A hash of the first, made to be verified quickly.
const QUICK_HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$5tJLPW+ddmgWCvSPdjhjSQ$36MDAXwXSMh9JV+c/w/vFazkWKSD0NOOeYXuo4PmoFM";

/// Longer than any test takes.
pub const COOLDOWN: i64 = 3_600;
const DAY: i64 = 86_400;
const DAILY_MAILS: usize = 10;

/// What the machine knows of a row that is there; an expired one is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    pub state: State,
    /// Which of [`PASSWORDS`] it has, if any.
    pub password: Option<usize>,
    /// Whether it has been mailed to within the cooldown.
    pub cooling: bool,
    /// How many mails it has had within a day.
    pub mails: usize,
    /// Whether it has an attribute that is not ours.
    pub decorated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody's: it only remembers mails to an address that somebody wants for an account.
    Reserved,
    Waiting,
    Contested,
    Confirmed,
}

/// What somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Signs up with a password.
    SignUp(usize),
    /// Follows a link.
    Visit,
    /// Follows it without following it.
    Head,
    /// Presses the button of a page behind it.
    Press,
    /// Chooses a password behind it.
    Choose(usize),
    /// Asks for a fresh link with an expired one.
    FreshLink,
    /// Asks for this address for an account that has another one.
    Ask,
}

/// What happens while nobody does anything.
#[derive(Clone, Copy, Debug)]
enum Pause {
    /// The cooldown passes.
    Cooldown,
    /// A day passes.
    Day,
    /// The row expires, if it can.
    Expiry,
    /// DynamoDB removes what has expired.
    Removal,
    /// Other code adds an attribute.
    Decoration,
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

/// A mail that went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mailed {
    Link,
    Notice,
}

/// What can be seen of some steps: the status of each, and all mails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub statuses: Vec<u16>,
    pub mails: Vec<Mailed>,
}

/// The machine: what a step makes of a row, and what is seen of it.
pub fn take(life: &mut Option<Life>, step: Step, seen: &mut Seen) {
    use State::{Confirmed, Contested, Reserved, Waiting};
    let state = life.as_ref().map(|row| row.state);
    let row = life.get_or_insert(NOBODY);
    let status = match (step, state) {
        (Step::SignUp(password), None | Some(Reserved)) => {
            (row.state, row.password, row.decorated) = (Waiting, Some(password), false);
            mail(row, seen);
            303
        }
        (Step::SignUp(_), Some(state)) => {
            if state == Waiting {
                row.state = Contested;
            }
            mail(row, seen);
            303
        }
        (Step::Ask, _) | (Step::FreshLink, Some(Waiting | Contested)) => {
            mail(row, seen);
            303
        }
        (Step::FreshLink, _) | (_, Some(Confirmed)) | (Step::Head, Some(Waiting)) => 303,
        (_, None | Some(Reserved)) => 404,
        (Step::Choose(password), _) => {
            (row.state, row.password) = (Confirmed, Some(password));
            303
        }
        (_, Some(Contested)) => 200,
        (_, Some(Waiting)) => {
            row.state = Confirmed;
            303
        }
    };
    if *row == NOBODY {
        *life = None;
    }
    seen.statuses.push(status);
}

const NOBODY: Life = Life {
    state: State::Reserved,
    password: None,
    cooling: false,
    mails: 0,
    decorated: false,
};

fn mail(row: &mut Life, seen: &mut Seen) {
    if !row.cooling && row.mails < DAILY_MAILS {
        row.cooling = true;
        row.mails += 1;
        seen.mails.push(match row.state {
            State::Confirmed => Mailed::Notice,
            _ => Mailed::Link,
        });
    }
}

/// What the machine makes of steps in this order; the statuses are those of the steps as they were given.
fn in_order(mut life: Option<Life>, steps: &[Step], order: &[usize]) -> (Option<Life>, Seen) {
    let mut seen = Seen::default();
    for &index in order {
        take(&mut life, steps[index], &mut seen);
    }
    let mut statuses = vec![0; steps.len()];
    for (place, &index) in order.iter().enumerate() {
        statuses[index] = seen.statuses[place];
    }
    seen.statuses = statuses;
    seen.mails.sort_unstable();
    (life, seen)
}

/// All that the machine may make of steps at once.
pub fn in_any_order(life: Option<&Life>, steps: &[Step]) -> Vec<(Option<Life>, Seen)> {
    let mut all = Vec::new();
    for_each_order(&mut (0..steps.len()).collect(), 0, &mut |order| {
        all.push(in_order(life.cloned(), steps, order));
    });
    all
}

fn for_each_order(order: &mut Vec<usize>, from: usize, visit: &mut impl FnMut(&[usize])) {
    if from == order.len() {
        visit(order);
    }
    for index in from..order.len() {
        order.swap(from, index);
        for_each_order(order, from + 1, visit);
        order.swap(from, index);
    }
}

/// A world with so many processes of each function, and the machine's cooldown.
pub async fn world(processes: usize) -> World {
    let world = World::builder().processes(processes);
    let cooldown = COOLDOWN.to_string();
    world.setting("RESEND_COOLDOWN", &cooldown).start().await
}

/// The functions, and one address.
pub struct Subject<'a> {
    world: &'a World,
    email: String,
}

impl<'a> Subject<'a> {
    pub fn new(world: &'a World, email: &str) -> Self {
        Self {
            world,
            email: email.to_owned(),
        }
    }

    pub async fn take(&self, step: Step) -> Answer {
        let (world, email) = (self.world, &self.email);
        let link = format!("/accounts/confirm/{}", world.token(email, 1));
        match step {
            Step::SignUp(password) => sign_up_with(world, email, PASSWORDS[password]).await,
            Step::Visit => world.get(&link).await,
            Step::Head => world.request("HEAD", &link).send().await,
            Step::Press => world.post_form(&link, &[]).await,
            Step::Choose(password) => {
                let fields = [("password", PASSWORDS[password])];
                world.post_form(&link, &fields).await
            }
            Step::FreshLink => world.post_form(&expired_link(world, email), &[]).await,
            Step::Ask => {
                let other = self.other_account();
                let fields = [
                    ("email", &*other),
                    ("password", PASSWORDS[0]),
                    ("new_email", email),
                ];
                world.post_form("/accounts/email", &fields).await
            }
        }
    }

    /// An account that wants this address; another one each time, since each may ask only once in a while.
    fn other_account(&self) -> String {
        static ACCOUNTS: AtomicUsize = AtomicUsize::new(0);
        let number = ACCOUNTS.fetch_add(1, Ordering::Relaxed);
        let email = format!("other-{number}@example.com");
        self.world.put_row(&json!({
            "email": email,
            "user_id": email,
            "email_confirmed": true,
            "password_hash": QUICK_HASH,
        }));
        email
    }

    /// What the mailbox holds, oldest first.
    pub fn mails(&self) -> Vec<Mailed> {
        let mails = self.world.mails_to(&self.email);
        mails
            .iter()
            .map(|mail| {
                if mail
                    .text
                    .as_deref()
                    .unwrap_or_default()
                    .contains("/accounts/confirm/")
                {
                    Mailed::Link
                } else {
                    Mailed::Notice
                }
            })
            .collect()
    }

    /// What it holds beyond the first `count`, in the order of [`Seen`].
    pub fn mails_since(&self, count: usize) -> Vec<Mailed> {
        let mut mails = self.mails().split_off(count);
        mails.sort_unstable();
        mails
    }

    /// The row, as the machine sees it. `known` is what it was before, and spares trying all passwords.
    pub fn life(&self, known: Option<&Known>) -> Option<Known> {
        let row = self.world.row(&self.email)?;
        let confirmed = row["email_confirmed"] == true;
        assert_eq!(row.get("expires_at").is_none(), confirmed, "{row:#}");
        assert!(!confirmed || row.get("contested").is_none(), "{row:#}");
        assert_eq!(row.get("confirmed_at").is_some(), confirmed, "{row:#}");
        if !confirmed && row["expires_at"].as_i64().unwrap() < now() {
            return None;
        }
        let recent = row["recent_mails"].as_array();
        let mails = recent.into_iter().flatten();
        let mails = mails.filter(|time| time.as_i64().unwrap() + DAY > now());
        let hash = row["password_hash"].clone();
        let password = match known {
            _ if hash.is_null() => None,
            Some(known) if known.hash == hash => known.row.password,
            _ => {
                let mut passwords = PASSWORDS.iter();
                let chosen = passwords.position(|password| is_password_of(&row, password));
                assert!(chosen.is_some(), "nobody has chosen this password: {row:#}");
                chosen
            }
        };
        let life = Life {
            state: if confirmed {
                State::Confirmed
            } else if hash.is_null() {
                State::Reserved
            } else if row["contested"] == true {
                State::Contested
            } else {
                State::Waiting
            },
            password,
            cooling: row["mailed_at"]
                .as_i64()
                .is_some_and(|last| last + COOLDOWN > now()),
            mails: mails.count(),
            decorated: row.get("theme").is_some(),
        };
        // A reserved row whose mails do not count any more, or whose claim was lifted, is as good as absent.
        (life != NOBODY).then(|| Known {
            row: life,
            hash,
            user_id: row["user_id"].clone(),
            created_at: row["created_at"].clone(),
            confirmed_at: row["confirmed_at"].clone(),
        })
    }
}

/// A row, with what must never change.
#[derive(Clone, Debug)]
pub struct Known {
    pub row: Life,
    hash: Value,
    user_id: Value,
    created_at: Value,
    confirmed_at: Value,
}

/// Whether a row has this password.
pub fn is_password_of(row: &Value, password: &str) -> bool {
    let hash = row["password_hash"].as_str().unwrap();
    let verified = Argon2::default().verify_password(password.as_bytes(), hash);
    verified.is_ok()
}

impl Pause {
    fn over(self, subject: &Subject<'_>) {
        let (world, email) = (subject.world, &subject.email);
        let Some(row) = world.row(email) else {
            return;
        };
        let earlier = |by: i64| {
            let times = row["recent_mails"].as_array().into_iter().flatten();
            let times = times.map(|time| json!(time.as_i64().unwrap() - by));
            let last = row["mailed_at"].as_i64().map(|last| last - by);
            json!({ "mailed_at": last, "recent_mails": times.collect::<Vec<_>>() })
        };
        match self {
            Self::Cooldown => world.change_row(email, &earlier(COOLDOWN)),
            Self::Day => world.change_row(email, &earlier(DAY)),
            // What is reserved expires with the last mail that counts, and never before.
            Self::Expiry if row["email_confirmed"] == false => {
                world.change_row(email, &json!({ "expires_at": now() - 1 }));
            }
            Self::Expiry => {}
            Self::Removal => {
                world.store.expire().unwrap();
            }
            Self::Decoration => world.change_row(email, &json!({ "theme": "dark" })),
        }
    }
}

async fn play(subject: &Subject<'_>, round: &Round, before: Option<Known>) -> Option<Known> {
    let world = subject.world;
    if let Some(pause) = round.pause {
        pause.over(subject);
    }
    let before = subject.life(before.as_ref());
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
    let after = subject.life(before.as_ref());
    check(round, before.as_ref(), &seen, after.as_ref());
    after
}

fn check(round: &Round, before: Option<&Known>, seen: &Seen, after: Option<&Known>) {
    let what = || format!("{round:#?}\nbefore: {before:#?}\nseen: {seen:#?}\nafter: {after:#?}");
    let start = before.map(|known| known.row.clone());
    let end = after.map(|known| known.row.clone());
    let possible = in_any_order(start.as_ref(), &round.steps);
    if round.refused {
        // The mail and its claim are another's then, or nobody's.
        let core = |life: &Option<Life>| {
            let user = life.as_ref().filter(|row| row.state != State::Reserved);
            user.map(|row| (row.state, row.password))
        };
        let reached = possible.iter().any(|(life, _)| core(life) == core(&end));
        assert!(reached, "{}", what());
        assert!(seen.mails.len() <= 1, "{}", what());
    } else {
        let reached = possible.contains(&(end, seen.clone()));
        assert!(reached, "no order of the steps leads here: {}", what());
    }
    if let (Some(before), Some(after)) = (before, after) {
        if before.row.state != State::Reserved {
            assert_eq!(before.user_id, after.user_id, "{}", what());
            assert_eq!(before.created_at, after.created_at, "{}", what());
            assert!(!before.row.decorated || after.row.decorated, "{}", what());
        }
        if before.row.state == State::Confirmed {
            assert_eq!(before.hash, after.hash, "{}", what());
            assert_eq!(before.confirmed_at, after.confirmed_at, "{}", what());
            assert_eq!(after.row.state, State::Confirmed, "{}", what());
        }
    }
    assert!(
        after.is_some() || before.is_none(),
        "a lost user: {}",
        what()
    );
}

fn any_step() -> impl Strategy<Value = Step> {
    let password = 0..PASSWORDS.len();
    prop_oneof![
        4 => password.clone().prop_map(Step::SignUp),
        2 => Just(Step::Visit),
        1 => Just(Step::Head),
        1 => Just(Step::Press),
        2 => password.prop_map(Step::Choose),
        2 => Just(Step::FreshLink),
        1 => Just(Step::Ask),
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
    ]);
    let lost = select(vec!["PutItem", "UpdateItem", "GetItem"]);
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
    asked.map_or(16, |lives| lives.parse().expect("a number of lives"))
}

#[test]
fn whatever_happens_to_a_row_the_functions_do_what_the_machine_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(world(4));
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::with_cases(lives_to_try())
    };
    let lives = std::cell::Cell::new(0);

    let tried = TestRunner::new(config).run(&prop::collection::vec(any_round(), 1..10), |rounds| {
        lives.set(lives.get() + 1);
        let subject = Subject {
            world: &world,
            email: format!("life-{}@example.com", lives.get()),
        };
        let mut life = None;
        for round in &rounds {
            life = runtime.block_on(play(&subject, round, life));
        }
        Ok(())
    });

    tried.unwrap_or_else(|failed| panic!("{failed}"));
}

#[tokio::test]
async fn a_row_gets_ten_mails_a_day_whoever_asks_for_them() {
    let world = world(1).await;
    let subject = Subject::new(&world, ADA);
    let round = |pause, step| Round {
        pause: Some(pause),
        steps: vec![step],
        lost: None,
        refused: false,
    };
    let steps = [Step::SignUp(0), Step::FreshLink, Step::SignUp(1)];

    let mut life = None;
    for step in steps.iter().cycle().take(15) {
        life = play(&subject, &round(Pause::Cooldown, *step), life).await;
    }
    assert_eq!(subject.mails().len(), DAILY_MAILS);
    life = play(&subject, &round(Pause::Day, Step::Choose(2)), life).await;
    for _ in 0..15 {
        life = play(&subject, &round(Pause::Cooldown, Step::SignUp(3)), life).await;
    }

    assert_eq!(subject.mails().len(), 2 * DAILY_MAILS);
    assert_eq!(life.unwrap().row.password, Some(2));
}
