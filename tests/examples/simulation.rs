//! What bots get out of a sign-up form, what it costs them and us, and what people notice meanwhile.
//!
//! ```console
//! cargo build --workspace --bins && cargo run -p tests --example simulation
//! ```
//!
//! Bots of each kind that was seen on other people's sign-up forms, and one that buys solved challenges, against each setting of
//! `CHALLENGE` and `REQUESTS_PER_NETWORK`. The functions are whole processes, those of the `dev` profile unless `FUNCTIONS_DIR`
//! names a folder with others. `FIRST_VERSION` names a folder with the first version's functions, to compare with. `ATTEMPTS`
//! (200) is how often each bot tries.
//!
//! All traffic stays on the loopback interface: a network is a /24 of 127.0.0.0/8. The challenge's provider is a stand-in, which
//! cannot tell a headless browser from a person's and lets whoever runs its script pass.
#![allow(
    clippy::format_push_string,
    clippy::type_complexity,
    reason = "its tables are text that is put together"
)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark may end in a panic"
)]

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fantoccini::Locator;
use local::challenge::{Provider, SITE_KEY};
use tests::{Browser, World, join_all};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;

const PASSWORD: &str = "correct horse battery";
const PEOPLE: u16 = 100;
/// How many requests are under way at a time, of a bot in a hurry and of people.
const SIDE_BY_SIDE: u16 = 8;
/// The most that any request may take.
const PATIENCE: Duration = Duration::from_mins(1);

// Networks, by their number.
const BOT: u16 = 0;
const BOTS: u16 = 10_000;
const HOMES: u16 = 20_000;
const OFFICE: u16 = 30_000;

#[derive(Clone, Copy, PartialEq)]
enum Bot {
    Burst,
    Posts,
    FormFirst,
    HeadlessBrowser,
    ManyNetworks,
    OneVictim,
    Solver,
}

const BOTS_SEEN: [(Bot, &str); 7] = [
    (Bot::Burst, "a burst from one address"),
    (Bot::Posts, "posts from one address, without the form"),
    (Bot::FormFirst, "the same, fetching the form first"),
    (Bot::HeadlessBrowser, "headless Chromium, one address"),
    (Bot::ManyNetworks, "one post per network"),
    (Bot::OneVictim, "one post per network, one victim"),
    (
        Bot::Solver,
        "one post per network, each with a bought answer",
    ),
];

#[derive(Clone)]
struct Setting {
    name: &'static str,
    challenge: &'static str,
    requests: u16,
    programs: Option<PathBuf>,
}

/// What came of a bot's attempts.
struct Outcome {
    attempts: u16,
    mails: usize,
    bot: Duration,
    ours: Duration,
}

fn settings() -> Vec<Setting> {
    let first = std::env::var_os("FIRST_VERSION").map(|programs| Setting {
        name: "first version",
        challenge: "none",
        requests: 0,
        programs: Some(programs.into()),
    });
    let ours = [
        ("`none`, 0", "none", 0),
        ("`none`, 30", "none", 30),
        ("`turnstile`, 0", "turnstile", 0),
        ("`turnstile`, 30", "turnstile", 30),
    ];
    let ours = ours.map(|(name, challenge, requests)| Setting {
        name,
        challenge,
        requests,
        programs: None,
    });
    first.into_iter().chain(ours).collect()
}

impl Setting {
    async fn world(&self) -> World {
        // A new hour is a new allowance.
        let in_hour = now() % 3_600;
        if in_hour > 3_600 - 180 {
            tokio::time::sleep(Duration::from_secs(3_601 - in_hour)).await;
        }
        let mut world = World::builder()
            .over_http()
            .processes(4)
            .setting("REQUESTS_PER_NETWORK", &self.requests.to_string());
        if self.challenge != "none" {
            world = world.challenge(self.challenge);
        }
        if let Some(programs) = &self.programs {
            world = world.programs(programs.clone());
        }
        let world = world.start().await;
        world.function("create-account").warm_up(4).await.unwrap();
        world
    }
}

#[tokio::main]
async fn main() {
    let attempts = std::env::var("ATTEMPTS").map_or(200, |number| number.parse().unwrap());
    let settings = settings();
    let mut mails = String::new();
    let mut costs = String::new();
    let mut people = String::new();
    for setting in &settings {
        let noticed = what_people_notice(setting).await.join(" | ");
        eprintln!("people, {}: {noticed}", setting.name);
        people += &format!("| {} | {noticed} |\n", setting.name);
    }
    for (bot, name) in BOTS_SEEN {
        mails += &format!("| {name} |");
        costs += &format!("| {name} |");
        for setting in &settings {
            if bot == Bot::Solver && setting.challenge == "none" {
                mails += " |";
                costs += " |";
                continue;
            }
            let result = attack(bot, setting, attempts).await;
            let left = per_thousand(bot, setting, &result);
            let each = |time: Duration| time.as_secs_f64() * 1_000.0 / f64::from(result.attempts);
            let cost = format!("{:.1} / {:.1}", each(result.bot), each(result.ours));
            eprintln!("{name}, {}: {left}, {cost} ms", setting.name);
            mails += &format!(" {left} |");
            costs += &format!(" {cost} |");
        }
        mails.push('\n');
        costs.push('\n');
    }
    let names: Vec<_> = settings.iter().map(|setting| setting.name).collect();
    let head = format!(
        "| `CHALLENGE`, `REQUESTS_PER_NETWORK`: | {} |\n|---|{}",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    println!("Mails that left for 1,000 attempts within an hour ({attempts} were made):\n");
    println!("{head}\n{mails}");
    println!("Processor time for an attempt, milliseconds, the bot's / ours:\n");
    println!("{head}\n{costs}");
    println!("What {PEOPLE} people of each kind noticed while a burst came from one address:\n");
    println!("| | each in a network of their own | all in one office | without script |");
    println!("|---|---|---|---|\n{people}");
}

/// What is not bounded grows with the attempts. What is, was used up by those that were made.
fn per_thousand(bot: Bot, setting: &Setting, result: &Outcome) -> String {
    let is_one_network = matches!(
        bot,
        Bot::Burst | Bot::Posts | Bot::FormFirst | Bot::HeadlessBrowser
    );
    let is_bounded = bot == Bot::OneVictim || (is_one_network && setting.requests > 0);
    if is_bounded {
        return result.mails.to_string();
    }
    (result.mails * 1_000 / usize::from(result.attempts)).to_string()
}

async fn attack(bot: Bot, setting: &Setting, attempts: u16) -> Outcome {
    let world = setting.world().await;
    // A browser takes seconds of processor time to say what is clear after a few attempts more than the limit.
    let attempts = if bot == Bot::HeadlessBrowser {
        attempts.min(40)
    } else {
        attempts
    };
    let before = processor_time_of_functions();
    let bots_time = if bot == Bot::HeadlessBrowser {
        browse(&world, setting.challenge != "none", attempts).await
    } else {
        let client = Client::of(&world);
        let provider = world.provider.clone();
        let run = move || on_this_thread(run_bot(&client, &provider, bot, attempts));
        tokio::task::spawn_blocking(run).await.unwrap()
    };
    Outcome {
        attempts,
        mails: world.mails().len(),
        bot: bots_time,
        ours: processor_time_of_functions().saturating_sub(before),
    }
}

async fn run_bot(client: &Client, provider: &Provider, bot: Bot, attempts: u16) {
    let attempt = async |number: u16| {
        let victim = match bot {
            Bot::OneVictim => "victim@example.com".to_owned(),
            _ => format!("victim-{number}@example.com"),
        };
        let from = match bot {
            Bot::ManyNetworks | Bot::OneVictim | Bot::Solver => address(BOTS + number, 1),
            _ => address(BOT, 1),
        };
        if bot == Bot::FormFirst {
            client.get_form(from).await;
        }
        let response = (bot == Bot::Solver).then(|| provider.pass(SITE_KEY));
        client.sign_up(from, &victim, response.as_deref()).await
    };
    let side_by_side = if bot == Bot::Burst { SIDE_BY_SIDE } else { 1 };
    let numbers: Vec<u16> = (0..attempts).collect();
    for numbers in numbers.chunks(side_by_side.into()) {
        join_all(numbers.iter().map(|number| attempt(*number))).await;
    }
}

/// A headless Chromium fills the form and runs its scripts; returns its processor time.
async fn browse(world: &World, has_widget: bool, attempts: u16) -> Duration {
    let browser = Browser::start().await;
    let before = processor_time_of_browsers();
    for number in 0..attempts {
        browser.goto(&world.url("/accounts/create")).await.unwrap();
        let victim = format!("victim-{number}@example.com");
        browser.type_into("#email", &victim).await;
        browser.type_into("#password", PASSWORD).await;
        if has_widget {
            let frame = browser.wait().for_element(Locator::Css("main iframe"));
            frame.await.unwrap().enter_frame().await.unwrap();
            browser.click("#human").await;
            let passed = Locator::Css("#human[data-passed]");
            browser.wait().for_element(passed).await.unwrap();
            browser.enter_parent_frame().await.unwrap();
        }
        browser.click("button").await;
        // Accepted or not, what comes next has no form with an address in it that was typed.
        let next = Locator::XPath("//body[not(//input[@id='email'])]");
        let _ = browser.wait().for_element(next).await;
    }
    let time = processor_time_of_browsers().saturating_sub(before);
    browser.close().await;
    time
}

/// What people of each kind are answered while a burst comes from one address.
async fn what_people_notice(setting: &Setting) -> [String; 3] {
    let world = setting.world().await;
    let client = Client::of(&world);
    let is_over = Arc::new(AtomicBool::new(false));
    let burst = tokio::spawn({
        let (client, is_over, provider) =
            (client.clone(), Arc::clone(&is_over), world.provider.clone());
        async move {
            // Bounded, should the people never come to an end.
            for _ in 0..100 {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                run_bot(&client, &provider, Bot::Burst, SIDE_BY_SIDE).await;
            }
        }
    });
    let groups: [(&str, fn(u16) -> Ipv4Addr, bool); 3] = [
        ("home", |person| address(HOMES + person, 1), true),
        ("office", |person| address(OFFICE, person + 1), true),
        (
            "no-script",
            |person| address(HOMES + 1_000 + person, 1),
            false,
        ),
    ];
    let mut noticed = Vec::new();
    for (group, from, has_script) in groups {
        let person = async |number: u16| {
            let (from, email) = (from(number), format!("{group}-{number}@example.com"));
            let form = client.get_form(from).await;
            let has_widget = form.contains("cf-turnstile");
            let response = (has_script && has_widget).then(|| world.provider.pass(SITE_KEY));
            let (status, page) = client.sign_up(from, &email, response.as_deref()).await;
            let is_mailed = world.mails_to(&email).len() == 1;
            match status {
                303 if is_mailed => "mailed",
                303 => "accepted, no mail",
                422 if page.contains("not a robot") => "told what to do (`422`)",
                429 => "told to come back later (`429`)",
                _ => "failed",
            }
        };
        let mut answers = BTreeMap::<&str, u16>::new();
        let numbers: Vec<u16> = (0..PEOPLE).collect();
        for numbers in numbers.chunks(SIDE_BY_SIDE.into()) {
            for answer in join_all(numbers.iter().map(|number| person(*number))).await {
                *answers.entry(answer).or_default() += 1;
            }
        }
        let answers = answers
            .iter()
            .map(|(answer, number)| format!("{number} {answer}"));
        noticed.push(answers.collect::<Vec<_>>().join(", "));
    }
    is_over.store(true, Ordering::Relaxed);
    burst.await.unwrap();
    noticed.try_into().unwrap()
}

/// An HTTP client that costs next to nothing, from any address of the loopback interface.
#[derive(Clone)]
struct Client {
    server: SocketAddr,
}

impl Client {
    fn of(world: &World) -> Self {
        let (_, port) = world.base_url().rsplit_once(':').unwrap();
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().unwrap()));
        Self { server }
    }

    async fn get_form(&self, from: Ipv4Addr) -> String {
        self.call(from, "GET", "").await.1
    }

    async fn sign_up(&self, from: Ipv4Addr, email: &str, response: Option<&str>) -> (u16, String) {
        let response = response.map(|response| ("cf-turnstile-response", response));
        let fields = [("email", email), ("password", PASSWORD)];
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields.into_iter().chain(response))
            .finish();
        self.call(from, "POST", &form).await
    }

    async fn call(&self, from: Ipv4Addr, method: &str, body: &str) -> (u16, String) {
        let request = format!(
            "{method} /accounts/create HTTP/1.1\r\nhost: localhost:{}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            self.server.port(),
            body.len()
        );
        let answer = timeout(PATIENCE, async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from((from, 0)))?;
            let mut stream = socket.connect(self.server).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        });
        let answer = answer.await.expect("an answer in time").unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }
}

/// An address in the network with this number.
fn address(network: u16, host: u16) -> Ipv4Addr {
    let [high, low] = network.to_be_bytes();
    Ipv4Addr::new(127, high + 1, low, host.try_into().unwrap())
}

/// Runs a bot on this thread alone, and returns its processor time.
fn on_this_thread(bot: impl Future<Output = ()>) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let own = Path::new("/proc/thread-self");
    let before = time_on_processor(own);
    runtime.block_on(bot);
    time_on_processor(own).saturating_sub(before)
}

/// The time that a thread has run (`/proc/[pid]/schedstat`).
fn time_on_processor(thread: &Path) -> Duration {
    let stat = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let nanoseconds = stat.split(' ').next().and_then(|time| time.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn processor_time_of_functions() -> Duration {
    let functions = processes_below(std::process::id());
    let functions = functions
        .iter()
        .filter(|process| process.name == "create-account");
    let threads = functions.flat_map(|process| {
        let tasks = fs::read_dir(format!("/proc/{}/task", process.id));
        tasks.into_iter().flatten().flatten()
    });
    threads.map(|task| time_on_processor(&task.path())).sum()
}

/// Threads of a browser come and go, so their processes are asked (`/proc/[pid]/stat`, in hundredths of a second).
fn processor_time_of_browsers() -> Duration {
    let browsers = processes_below(std::process::id());
    let browsers = browsers
        .iter()
        .filter(|process| process.name.starts_with("chrom"));
    let ticks = browsers.map(|process| process.ticks).sum::<u64>();
    Duration::from_millis(ticks * 10)
}

struct Process {
    id: u32,
    name: String,
    ticks: u64,
}

/// All processes that a process has started, and those that these have.
fn processes_below(parent: u32) -> Vec<Process> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((before, after)) = stat.rsplit_once(')') else {
            continue;
        };
        let (id, name) = before.split_once(" (").unwrap();
        let fields: Vec<_> = after.split_whitespace().collect();
        let number = |index: usize| fields[index].parse::<u64>().unwrap();
        let process = Process {
            id: id.parse().unwrap(),
            name: name.to_owned(),
            // Of its own, and of children that have ended.
            ticks: (11..=14).map(number).sum(),
        };
        all.push((u32::try_from(number(1)).unwrap(), process));
    }
    let mut found = Vec::new();
    let mut parents = vec![parent];
    while let Some(parent) = parents.pop() {
        let (children, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(of, _)| *of == parent);
        all = others;
        for (_, child) in children {
            parents.push(child.id);
            found.push(child);
        }
    }
    found
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs()
}
