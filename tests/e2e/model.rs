//! The life of an address as a state machine, and the functions beside it.
//!
//! Steps that run at once must come to what they would have come to one after the other, in some order: the same answers, the
//! same mails, the same row. A write whose answer is lost changes nothing about that.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use signing::UrlSafeTimedSerializer;
use tests::{Answer, Row, World};

use crate::steps::{expired_link, mails_of_kind, now, sign_up_with, twice};

/// Those that somebody may choose. Each is one person's, who has a browser of their own.
pub const PASSWORDS: [&str; 4] = [
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
pub const DAY: i64 = 86_400;
pub const DAILY_MAILS: usize = 10;

/// How old a link may be that has not expired: seconds.
const OLD_LINK: i64 = DAY - 400;

/// How old a row is that every link is made for, old and expired ones too: seconds.
const AGED: i64 = DAY + 3_600;

/// `CONFIRM_ON`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Browser,
    Visit,
}

/// What the machine knows of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// The row; an expired one is not there.
    pub user: Option<User>,
    pub sign_ups: Mails,
    pub resets: Mails,
    pub changes: Mails,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub state: State,
    /// Which of [`PASSWORDS`] it has, if any.
    pub password: Option<usize>,
    /// Whose browser has the cookie of the sign-up that made it.
    pub browser: Option<usize>,
    /// Whether it is older than old and expired links.
    pub aged: bool,
    /// Whether it has an attribute that is not ours.
    pub decorated: bool,
    /// Whether it was made within the present steps: then no browser has its cookie yet.
    fresh: bool,
    /// Whether its password was set within the present steps: then the reset link of their beginning is dead.
    reset: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Invited,
    Waiting,
    Contested,
    Confirmed,
}

/// The mails of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mails {
    /// Whether there was one within the cooldown.
    pub cooling: bool,
    /// How many there were within a day.
    pub count: usize,
}

/// What somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Signs up with a password, in the browser of the same number.
    SignUp(usize),
    /// Follows a link, in a browser of that number or in one that has never signed up.
    Visit(Option<usize>),
    /// Follows one that is almost a day old.
    VisitOld(Option<usize>),
    /// Follows it without following it.
    Head(Option<usize>),
    /// Posts nothing to it.
    Press,
    /// Types a password on its page.
    Type(usize),
    /// Chooses a password on its page.
    Choose(usize),
    /// Asks for a fresh link with an expired one.
    FreshLink,
    /// Asks for a link to choose a new password.
    AskReset,
    /// Chooses a new password with such a link.
    Reset(usize),
    /// Asks for this address for an account that has another one.
    Ask,
    /// Confirms this address for such an account, with its password, which is the first.
    Arrive,
}

/// A mail that went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mailed {
    Confirm,
    AccountExists,
    ConfirmChange,
    AddressTaken,
    Reset,
    NoAccount,
    PasswordChanged,
}

/// What can be seen of some steps: the status of each, and all mails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub statuses: Vec<u16>,
    pub mails: Vec<Mailed>,
}

impl User {
    fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting | State::Contested)
    }

    fn is_taken(&self) -> bool {
        !self.is_waiting()
    }

    fn confirm(&mut self) {
        (self.state, self.browser) = (State::Confirmed, None);
    }

    fn set(&mut self, password: usize) {
        (self.password, self.reset) = (Some(password), true);
        self.confirm();
    }

    /// What opening a link comes to.
    fn opened(&self, mode: Mode, browser: Option<usize>) -> u16 {
        let is_browsers =
            browser.is_some() && browser == self.browser && !self.fresh && self.is_waiting();
        let is_trusted = mode == Mode::Visit && self.state == State::Waiting;
        if self.state == State::Confirmed || is_browsers || is_trusted {
            303
        } else {
            200
        }
    }
}

impl Mails {
    fn send(&mut self, made_row: bool, mail: Mailed, seen: &mut Seen) -> bool {
        let is_allowed = !self.cooling && (made_row || self.count < DAILY_MAILS);
        if is_allowed {
            self.cooling = true;
            self.count = DAILY_MAILS.min(self.count + 1);
            seen.mails.push(mail);
        }
        is_allowed
    }
}

impl Life {
    /// What is left when the row expires.
    pub fn unexpired(mut self) -> Self {
        self.user = self.user.filter(User::is_taken);
        self
    }

    /// As it is for steps that come later.
    fn settled(mut self) -> Self {
        if let Some(user) = &mut self.user {
            (user.fresh, user.reset) = (false, false);
        }
        self
    }
}

/// The machine: what a step makes of an address, and what is seen of it.
pub fn take(mode: Mode, life: &mut Life, step: Step, seen: &mut Seen) {
    let status = match step {
        Step::SignUp(password) => {
            sign_up(life, password, seen);
            303
        }
        Step::FreshLink => {
            fresh_link(life, seen);
            303
        }
        Step::AskReset => {
            let mail = match life.user {
                Some(_) => Mailed::Reset,
                None => Mailed::NoAccount,
            };
            life.resets.send(false, mail, seen);
            303
        }
        Step::Ask => {
            let mail = match &life.user {
                Some(user) if user.is_taken() => Mailed::AddressTaken,
                _ => Mailed::ConfirmChange,
            };
            match life.changes.send(false, mail, seen) {
                true => 303,
                false => 422,
            }
        }
        Step::Arrive => arrive(life),
        step => match &mut life.user {
            None => 404,
            Some(user) => follow(mode, user, step, seen),
        },
    };
    seen.statuses.push(status);
}

fn sign_up(life: &mut Life, password: usize, seen: &mut Seen) {
    let Some(user) = &mut life.user else {
        life.user = Some(User {
            state: State::Waiting,
            password: Some(password),
            browser: Some(password),
            aged: false,
            decorated: false,
            fresh: true,
            reset: false,
        });
        life.sign_ups.send(true, Mailed::Confirm, seen);
        return;
    };
    let mail = match user.state {
        State::Waiting | State::Contested => {
            user.state = State::Contested;
            Mailed::Confirm
        }
        State::Invited | State::Confirmed => Mailed::AccountExists,
    };
    life.sign_ups.send(false, mail, seen);
}

fn fresh_link(life: &mut Life, seen: &mut Seen) {
    if let Some(user) = life.user.as_mut().filter(|user| user.is_waiting()) {
        if !user.aged {
            user.state = State::Contested;
        }
        life.sign_ups.send(false, Mailed::Confirm, seen);
    }
}

fn arrive(life: &mut Life) -> u16 {
    if life.user.as_ref().is_some_and(User::is_taken) {
        return 404;
    }
    life.user = Some(User {
        state: State::Confirmed,
        password: Some(0),
        browser: None,
        aged: true,
        decorated: false,
        fresh: false,
        reset: false,
    });
    303
}

/// A step with a link for this user.
fn follow(mode: Mode, user: &mut User, step: Step, seen: &mut Seen) -> u16 {
    let is_confirmed = user.state == State::Confirmed;
    match step {
        Step::VisitOld(_) if !user.aged => 404,
        Step::Visit(browser) | Step::VisitOld(browser) => {
            let status = user.opened(mode, browser);
            if status == 303 {
                user.confirm();
            }
            status
        }
        Step::Head(browser) => user.opened(mode, browser),
        Step::Reset(_) if user.reset => 404,
        Step::Reset(password) => {
            user.set(password);
            seen.mails.push(Mailed::PasswordChanged);
            303
        }
        _ if is_confirmed => 303,
        Step::Type(password) if user.password == Some(password) => {
            user.confirm();
            303
        }
        Step::Choose(password) => {
            user.set(password);
            303
        }
        _ => 422,
    }
}

/// What the machine makes of steps in this order; the statuses are those of the steps as they were given.
fn in_order(mode: Mode, mut life: Life, steps: &[Step], order: &[usize]) -> (Life, Seen) {
    let mut seen = Seen::default();
    for &index in order {
        take(mode, &mut life, steps[index], &mut seen);
    }
    let mut statuses = vec![0; steps.len()];
    for (place, &index) in order.iter().enumerate() {
        statuses[index] = seen.statuses[place];
    }
    seen.statuses = statuses;
    seen.mails.sort_unstable();
    (life.settled(), seen)
}

/// All that the machine may make of steps at once.
pub fn in_any_order(mode: Mode, life: &Life, steps: &[Step]) -> Vec<(Life, Seen)> {
    let mut all = Vec::new();
    for_each_order(&mut (0..steps.len()).collect(), 0, &mut |order| {
        all.push(in_order(mode, life.clone(), steps, order));
    });
    all
}

/// What was seen, without a notice of a new password that nobody set: it goes out before the write, and whatever ends the link in
/// between keeps it from coming true.
pub fn without_early_notice(steps: &[Step], mut seen: Seen) -> Seen {
    let is_dead = |(step, status): (&Step, &u16)| matches!(step, Step::Reset(_)) && *status == 404;
    let is_set = |(step, status): (&Step, &u16)| matches!(step, Step::Reset(_)) && *status == 303;
    let answers = || steps.iter().zip(&seen.statuses);
    if answers().any(is_dead) && !answers().any(is_set) {
        seen.mails.retain(|mail| *mail != Mailed::PasswordChanged);
    }
    seen
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
pub async fn world(mode: Mode, processes: usize) -> World {
    let world = World::builder().processes(processes);
    let confirm_on = match mode {
        Mode::Browser => "browser",
        Mode::Visit => "visit",
    };
    let cooldown = COOLDOWN.to_string();
    let world = world
        .setting("RESEND_COOLDOWN", &cooldown)
        .setting("CONFIRM_ON", confirm_on);
    world.start().await
}

/// The functions, one address, and the browsers of those who sign up with it.
#[derive(Clone)]
pub struct Subject {
    pub world: Arc<World>,
    pub email: String,
    browsers: Arc<Mutex<Vec<Cookie>>>,
    /// The token of the reset link of the present steps.
    reset_token: Arc<Mutex<String>>,
}

/// What a sign-up left in a browser.
struct Cookie {
    browser: usize,
    sign_up: String,
    answer: Answer,
}

impl Subject {
    pub fn new(world: &Arc<World>, email: &str) -> Self {
        Self {
            world: Arc::clone(world),
            email: email.to_owned(),
            browsers: Arc::default(),
            reset_token: Arc::default(),
        }
    }

    /// Prepares for steps that may run at once. Attempts and notices of earlier ones do not count, and a password was set
    /// long ago if ever.
    pub fn begin(&self) {
        let world = &self.world;
        for item in world.store.items_of("limits").unwrap() {
            let key = item["limit"].clone();
            if !key["S"].as_str().unwrap().starts_with("mail-") {
                let key = json!({ "limit": key });
                world.store.delete_from("limits", &key).unwrap();
            }
        }
        if let Some(row) = world.row(&self.email)
            && row["password_changed_at"].is_string()
        {
            let long_ago = json!({ "password_changed_at": "2020-01-01T00:00:00Z" });
            world.change_row(&self.email, &long_ago);
        }
        let token = serializer(world, "recover-key").dumps(&*self.email);
        *self.reset_token.lock().unwrap() = token.unwrap();
    }

    pub async fn take(&self, step: Step) -> Answer {
        let (world, email) = (&self.world, &self.email);
        let link = |age| format!("/accounts/confirm/{}", world.token(email, age));
        match step {
            Step::SignUp(password) => {
                let answer = sign_up_with(world, email, PASSWORDS[password]).await;
                self.keep_cookie(password, &answer);
                answer
            }
            Step::Visit(browser) => self.open("GET", &link(1), browser).await,
            Step::VisitOld(browser) => self.open("GET", &link(OLD_LINK), browser).await,
            Step::Head(browser) => self.open("HEAD", &link(1), browser).await,
            Step::Press => world.post_form(&link(1), &[]).await,
            Step::Type(password) => {
                let fields = [("password", PASSWORDS[password])];
                world.post_form(&link(1), &fields).await
            }
            Step::Choose(password) => world.post_form(&link(1), &twice(PASSWORDS[password])).await,
            Step::FreshLink => world.post_form(&expired_link(world, email), &[]).await,
            Step::AskReset => {
                world
                    .post_form("/accounts/password", &[("email", email)])
                    .await
            }
            Step::Reset(password) => {
                let token = self.reset_token.lock().unwrap().clone();
                let fields = [("password", PASSWORDS[password])];
                world
                    .post_form(&format!("/accounts/password/{token}"), &fields)
                    .await
            }
            Step::Ask => {
                let other = self.other_account(&json!({}));
                let fields = [
                    ("email", &*other),
                    ("password", PASSWORDS[0]),
                    ("new_email", email),
                ];
                world.post_form("/accounts/email", &fields).await
            }
            Step::Arrive => {
                let request = json!({ "new_email": email, "requested_at": now(), "password_hash": QUICK_HASH });
                let other = self.other_account(&json!({ "email_change": request }));
                let token = serializer(world, "email-update-key").dumps(&[&*other, email]);
                let link = format!("/accounts/confirm/{}", token.unwrap());
                world.post_form(&link, &[("password", PASSWORDS[0])]).await
            }
        }
    }

    /// An account that wants this address; another one each time, since each may ask only once in a while.
    fn other_account(&self, more: &Row) -> String {
        static ACCOUNTS: AtomicUsize = AtomicUsize::new(0);
        let number = ACCOUNTS.fetch_add(1, Ordering::Relaxed);
        let email = format!("other-{number}@example.com");
        let mut row = json!({
            "email": email,
            "user_id": email,
            "email_confirmed": true,
            "password_hash": QUICK_HASH,
        });
        let more = more.as_object().unwrap().clone();
        row.as_object_mut().unwrap().extend(more);
        self.world.put_row(&row);
        email
    }

    fn keep_cookie(&self, browser: usize, answer: &Answer) {
        // There is none if the sign-up failed.
        let Some(cookie) = answer.cookie() else {
            return;
        };
        let (_, value) = cookie.split_once('=').unwrap();
        let serializer = serializer(&self.world, "accounts-cookie");
        let sign_up = serializer.loads_at::<String>(value, None, 0).unwrap().value;
        self.browsers.lock().unwrap().push(Cookie {
            browser,
            sign_up,
            answer: answer.clone(),
        });
    }

    /// Opens a link in a browser: with the cookie of its sign-up that made the row, or else of its last one.
    async fn open(&self, method: &str, link: &str, browser: Option<usize>) -> Answer {
        let row = self.world.row(&self.email).unwrap_or_default();
        let cookie = {
            let cookies = self.browsers.lock().unwrap();
            let own = || {
                cookies
                    .iter()
                    .filter(|cookie| Some(cookie.browser) == browser)
            };
            let of_row = own().find(|cookie| row["sign_up"] == *cookie.sign_up);
            of_row
                .or(own().next_back())
                .map(|cookie| cookie.answer.clone())
        };
        let request = self.world.request(method, link);
        match &cookie {
            Some(cookie) => request.browser_of(cookie).send().await,
            None => request.send().await,
        }
    }

    /// What the mailbox holds, oldest first.
    pub fn mails(&self) -> Vec<Mailed> {
        let mails = self.world.mails_to(&self.email);
        mails
            .iter()
            .map(|mail| kind_of_mail(&mail.subject))
            .collect()
    }

    /// What it holds beyond the first `count`, in the order of [`Seen`].
    pub fn mails_since(&self, count: usize) -> Vec<Mailed> {
        let mut mails = self.mails().split_off(count);
        mails.sort_unstable();
        mails
    }

    /// The address, as the machine sees it. `known` is what it was before, and spares trying all passwords.
    pub fn look(&self, known: Option<&Known>) -> Known {
        let row = self.world.row(&self.email).filter(|row| {
            let expires_at = row["expires_at"].as_i64();
            row["email_confirmed"] == true || expires_at.is_none_or(|time| time >= now())
        });
        let life = Life {
            user: row.as_ref().map(|row| self.user(row, known)),
            sign_ups: self.mails_of_kind("sign-up"),
            resets: self.mails_of_kind("reset"),
            changes: self.mails_of_kind("change"),
        };
        Known { life, row }
    }

    fn user(&self, row: &Row, known: Option<&Known>) -> User {
        let hash = &row["password_hash"];
        let state = match (row["email_confirmed"] == true, row["contested"] == true) {
            (true, _) => State::Confirmed,
            (false, _) if hash.is_null() => State::Invited,
            (false, true) => State::Contested,
            (false, false) => State::Waiting,
        };
        let is_confirmed = state == State::Confirmed;
        let expires = matches!(state, State::Waiting | State::Contested);
        assert_eq!(row.get("expires_at").is_some(), expires, "{row:#}");
        assert_eq!(row.get("sign_up").is_some(), expires, "{row:#}");
        assert_eq!(
            row.get("contested").is_some(),
            state == State::Contested,
            "{row:#}"
        );
        assert_eq!(row.get("confirmed_at").is_some(), is_confirmed, "{row:#}");
        assert_eq!(row.get("email_change"), None, "{row:#}");
        let known = known.and_then(|known| Some((known.row.as_ref()?, known.life.user.as_ref()?)));
        let password = match known {
            _ if hash.is_null() => None,
            Some((row, user)) if row["password_hash"] == *hash => user.password,
            _ => {
                let mut passwords = PASSWORDS.iter();
                let chosen = passwords.position(|password| is_password_of(row, password));
                assert!(chosen.is_some(), "nobody has chosen this password: {row:#}");
                chosen
            }
        };
        let cookies = self.browsers.lock().unwrap();
        let cookie = cookies
            .iter()
            .find(|cookie| row["sign_up"] == *cookie.sign_up);
        let created_at = row["created_at"]
            .as_str()
            .map(str::parse::<jiff::Timestamp>);
        User {
            state,
            password,
            browser: cookie.map(|cookie| cookie.browser),
            aged: created_at.is_none_or(|time| time.unwrap().as_second() < now() - AGED),
            decorated: row.get("theme").is_some(),
            fresh: false,
            reset: false,
        }
    }

    fn mails_of_kind(&self, kind: &str) -> Mails {
        let item = mails_of_kind(&self.world, kind, &self.email).unwrap_or_default();
        let times = (1..=DAILY_MAILS).map(|n| {
            let time = item[format!("m{n}")]["N"].as_str();
            time.map_or(0, |time| time.parse::<i64>().unwrap())
        });
        let times: Vec<_> = times.collect();
        Mails {
            cooling: times[0] > now() - COOLDOWN,
            count: times.iter().filter(|time| **time > now() - DAY).count(),
        }
    }
}

/// An address, with what must never change.
#[derive(Clone, Debug)]
pub struct Known {
    pub life: Life,
    pub row: Option<Row>,
}

fn serializer(world: &World, salt: &str) -> UrlSafeTimedSerializer {
    UrlSafeTimedSerializer::new(world.secret_key().as_bytes(), salt)
}

fn kind_of_mail(subject: &str) -> Mailed {
    let kinds = [
        ("Confirm your address", Mailed::Confirm),
        ("You already have an account", Mailed::AccountExists),
        ("Confirm your new address", Mailed::ConfirmChange),
        ("Somebody tried to use your address", Mailed::AddressTaken),
        ("A new password", Mailed::Reset),
        ("You have no account", Mailed::NoAccount),
        ("Your password", Mailed::PasswordChanged),
    ];
    let kind = kinds.iter().find(|(start, _)| subject.starts_with(start));
    kind.unwrap_or_else(|| panic!("an unknown mail: {subject}"))
        .1
}

/// Whether a row has this password.
pub fn is_password_of(row: &Value, password: &str) -> bool {
    // Optimised in every build, unlike Argon2 called from here.
    passwords::is_password_of(row["password_hash"].as_str(), password)
}
