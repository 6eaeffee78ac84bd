//! A change of address, from the form to the moved row.

use std::time::Duration;

use serde_json::{Value, json};
use signing::UrlSafeTimedSerializer;
use tests::{ANY, Answer, Builder, Clock, Fault, World, join_all, processor_time};

use crate::steps::{
    OTHER_PASSWORD, PASSWORD, have_account, let_pass, mails_of_kind, now, open_in_browser_of,
    sign_up, sign_up_with, twice, without_cookie_value,
};

const OLD: &str = "old@example.com";
const NEW: &str = "new@example.com";
const COOLDOWN: i64 = 60;
const WRONG: &str = "not the password at all";

/// A world with a confirmed account, made the way that people make one, and without a cooldown.
async fn world_with_account() -> World {
    with_account(World::builder().setting("RESEND_COOLDOWN", "0")).await
}

async fn with_account(builder: Builder) -> World {
    let world = builder.start().await;
    have_account(&world, OLD).await;
    world
}

/// The fields of the form.
fn fields<'a>(
    email: &'a str,
    password: &'a str,
    new_email: &'a str,
) -> [(&'static str, &'a str); 3] {
    [
        ("email", email),
        ("password", password),
        ("new_email", new_email),
    ]
}

async fn ask(world: &World, email: &str, password: &str, new_email: &str) -> Answer {
    let form = fields(email, password, new_email);
    world.post_form("/accounts/email", &form).await
}

/// Asks from a network that no test has used before.
async fn ask_from(world: &World, source_ip: &str, email: &str, password: &str) -> Answer {
    let form = fields(email, password, NEW);
    let request = world.request("POST", "/accounts/email").form(&form);
    let (function, mut event) = request.event();
    event["requestContext"]["http"]["sourceIp"] = json!(source_ip);
    world.invoke(&function, &event).await
}

/// Asks, and returns the answer with its cookie and the link in the mail to the new address.
async fn have_link(world: &World) -> (Answer, String) {
    let asked = ask(world, OLD, PASSWORD, NEW).await;
    assert_eq!(asked.status, 303, "{}", asked.text());
    let link = world.mail_to(NEW).link();
    world.forget_calls();
    (asked, link)
}

async fn type_password(world: &World, link: &str, password: &str) -> Answer {
    world.post_form(link, &[("password", password)]).await
}

fn location(answer: &Answer) -> &str {
    answer.header("location").unwrap_or_default()
}

/// What is the same in two answers that must not tell anything apart, for different `email`s.
fn alike(answer: &Answer, email: &str) -> (u16, Vec<(String, String)>, String) {
    let text = answer.text().replace(email, "ADDRESS");
    (answer.status, answer.headers.clone(), text)
}

fn serializer(world: &World, salt: &str) -> UrlSafeTimedSerializer {
    UrlSafeTimedSerializer::new(world.secret_key().as_bytes(), salt)
}

/// The mails to the old address with this in the subject.
fn told(world: &World, subject: &str) -> usize {
    let mails = world.mails_to(OLD);
    mails
        .iter()
        .filter(|mail| mail.subject.contains(subject))
        .count()
}

const ASKED: &str = "A new address for your account";
const CHANGED: &str = "has changed";

// From the browser that asked.

#[tokio::test]
async fn the_link_moves_the_whole_account_in_the_browser_that_asked() {
    for mode in ["browser", "visit"] {
        let builder = World::builder().setting("CONFIRM_ON", mode);
        let world = with_account(builder).await;
        world.change_row(
            OLD,
            &json!({ "plan": "gold", "tags": ["a", "b"], "nested": { "x": 1 } }),
        );
        let before = world.row(OLD).unwrap();

        let (asked, link) = have_link(&world).await;
        let followed = open_in_browser_of(&world, &asked, &link).await;

        assert_eq!(
            (asked.status, location(&asked)),
            (303, world.url("/accounts/created").as_str())
        );
        assert_eq!(
            (followed.status, location(&followed)),
            (303, world.url("/accounts/confirmed").as_str())
        );
        assert_eq!(world.row(OLD), None);
        let after = world.row(NEW).unwrap();
        for kept in [
            "user_id",
            "password_hash",
            "created_at",
            "email_confirmed",
            "locale",
            "plan",
            "tags",
            "nested",
        ] {
            assert_eq!(after[kept], before[kept], "{kept}");
        }
        assert_eq!(after["email"], NEW);
        assert_eq!(after.get("email_change"), None);
        assert_eq!(after.get("expires_at"), None);
    }
}

#[tokio::test]
async fn a_json_client_with_its_cookie_is_the_one_that_asked() {
    let world = world_with_account().await;
    let body = json!({ "email": OLD, "password": PASSWORD, "new_email": NEW });

    let asked = world.post_json("/accounts/email", &body).await;
    let link = world.mail_to(NEW).link();
    let open = world
        .request("GET", &link)
        .header("accept", "application/json");
    let followed = open.browser_of(&asked).send().await;

    assert_eq!(asked.status, 202);
    assert_eq!(followed.status, 200);
    let done: Value = serde_json::from_str(&followed.text()).unwrap();
    assert_eq!(done["location"], world.url("/accounts/confirmed"));
    assert!(world.row(NEW).is_some());
}

#[tokio::test]
async fn the_old_address_is_told_when_it_is_asked_for_and_when_it_is_done() {
    let world = world_with_account().await;
    let before = world.mails_to(OLD).len();

    let (asked, link) = have_link(&world).await;
    let first = world.mails_to(OLD).split_off(before);
    open_in_browser_of(&world, &asked, &link).await;
    let second = world.mails_to(OLD).split_off(before + 1);

    assert_eq!(first.len(), 1);
    assert!(first[0].subject.contains(ASKED));
    assert!(first[0].text().contains("If it was not you"));
    assert!(!first[0].text().contains("/accounts/confirm/"));
    assert_eq!(second.len(), 1);
    assert!(second[0].subject.contains(CHANGED));
    assert!(second[0].text().contains("If it was not you"));
}

#[tokio::test]
async fn following_the_link_twice_is_harmless_and_redirects_both_times() {
    let world = world_with_account().await;
    let (asked, link) = have_link(&world).await;

    let first = open_in_browser_of(&world, &asked, &link).await;
    let (row, mails) = (world.row(NEW), world.mails().len());
    let second = open_in_browser_of(&world, &asked, &link).await;
    let elsewhere = world.get(&link).await;

    assert_eq!(
        (first.status, second.status, elsewhere.status),
        (303, 303, 303)
    );
    assert_eq!(world.row(NEW), row);
    assert_eq!(world.mails().len(), mails);
}

#[tokio::test]
async fn the_move_is_one_read_one_notice_and_one_transaction() {
    let world = world_with_account().await;
    let (asked, link) = have_link(&world).await;

    open_in_browser_of(&world, &asked, &link).await;

    assert_eq!(
        world.all_calls(),
        // The updates claim the notice, remember that it went out, and note the network for the new address.
        [
            "BatchGetItem",
            "UpdateItem",
            "UpdateItem",
            "TransactWriteItems",
            "UpdateItem",
            "SendEmail"
        ]
    );
}

// From anywhere else.

#[tokio::test]
async fn from_elsewhere_the_page_names_the_account_masked_and_asks_for_its_password() {
    for mode in ["browser", "visit"] {
        let builder = World::builder().setting("CONFIRM_ON", mode);
        let world = with_account(builder).await;
        let (_, link) = have_link(&world).await;
        let rows = world.rows();

        let page = world.get(&link).await;
        let json = world
            .request("GET", &link)
            .header("accept", "application/json");
        let json = json.send().await;

        assert_eq!((page.status, json.status), (200, 200), "{mode}");
        assert!(page.text().contains("o…d@example.com"), "{}", page.text());
        assert!(page.text().contains(NEW));
        assert!(!page.text().contains(OLD) && !json.text().contains(OLD));
        assert!(page.text().contains("name=\"password\""));
        assert!(!page.text().contains("name=\"password_again\""));
        assert_eq!(world.rows(), rows);
        assert_eq!(told(&world, CHANGED), 0);
    }
}

#[tokio::test]
async fn the_accounts_password_moves_it_from_anywhere_and_no_other_does() {
    let world = world_with_account().await;
    let (_, link) = have_link(&world).await;
    let rows = world.rows();

    let nothing = world.post_form(&link, &[]).await;
    let wrong = type_password(&world, &link, WRONG).await;
    let chosen = world.post_form(&link, &twice(OTHER_PASSWORD)).await;

    assert_eq!(
        (nothing.status, wrong.status, chosen.status),
        (422, 422, 422)
    );
    assert!(wrong.text().contains("o…d@example.com") && !wrong.text().contains(WRONG));
    assert_eq!(world.rows(), rows);
    assert_eq!(told(&world, CHANGED), 0);

    let right = type_password(&world, &link, PASSWORD).await;

    assert_eq!(
        (right.status, location(&right)),
        (303, world.url("/accounts/confirmed").as_str())
    );
    assert!(world.row(NEW).is_some() && world.row(OLD).is_none());
    assert_eq!(told(&world, CHANGED), 1);
}

#[tokio::test]
async fn a_json_client_changes_the_address_by_the_password() {
    let world = world_with_account().await;
    let (_, link) = have_link(&world).await;

    let wrong = world.post_json(&link, &json!({ "password": WRONG })).await;
    let right = world
        .post_json(&link, &json!({ "password": PASSWORD }))
        .await;

    let problem: Value = serde_json::from_str(&wrong.text()).unwrap();
    assert_eq!(
        (wrong.status, &problem["errors"][0]["pointer"]),
        (422, &json!("#/password"))
    );
    let done: Value = serde_json::from_str(&right.text()).unwrap();
    assert_eq!(right.status, 200);
    assert_eq!(done["location"], world.url("/accounts/confirmed"));
}

#[tokio::test]
async fn the_cookie_of_another_request_or_sign_up_or_account_is_that_of_another_browser() {
    let world = world_with_account().await;
    have_account(&world, "mallory@example.com").await;
    let earlier = ask(&world, OLD, PASSWORD, NEW).await;
    let signed_up = sign_up_with(&world, NEW, OTHER_PASSWORD).await;
    let other = ask(&world, "mallory@example.com", PASSWORD, NEW).await;
    let (asked, link) = have_link(&world).await;
    let rows = world.rows();

    for answer in [earlier, signed_up, other] {
        let page = open_in_browser_of(&world, &answer, &link).await;
        assert_eq!(page.status, 200);
    }
    let both = world
        .request("GET", &link)
        .browser_of(&asked)
        .browser_of(&asked);
    assert_eq!(both.send().await.status, 200, "two cookies count as none");

    assert_eq!(world.rows(), rows);
    assert_eq!(open_in_browser_of(&world, &asked, &link).await.status, 303);
}

#[tokio::test]
async fn head_and_a_prefetch_change_nothing() {
    let world = world_with_account().await;
    let (asked, link) = have_link(&world).await;
    let rows = world.rows();

    let elsewhere = world.request("HEAD", &link).send().await;
    let here = world.request("HEAD", &link).browser_of(&asked).send().await;
    let prefetch = world
        .request("GET", &link)
        .header("sec-purpose", "prefetch");
    let prefetch = prefetch.browser_of(&asked).send().await;

    assert_eq!(
        (elsewhere.status, here.status, prefetch.status),
        (200, 303, 503)
    );
    assert_eq!(world.rows(), rows);
    assert_eq!(told(&world, CHANGED), 0);
}

// What ends a link.

#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    AddressTaken,
    AddressInvited,
    NewerRequest,
    NewerRequestFromElsewhere,
    PasswordReset,
    PasswordWrittenByOtherCode,
    AccountMadeAgain,
    AccountDeleted,
    AccountMoved,
}

async fn happen(world: &World, meanwhile: Meanwhile) {
    match meanwhile {
        Meanwhile::AddressTaken => have_account(world, NEW).await,
        Meanwhile::AddressInvited => world.put_row(&json!({ "email": NEW, "role": "admin" })),
        Meanwhile::NewerRequest => {
            ask(world, OLD, PASSWORD, "third@example.com").await;
        }
        Meanwhile::NewerRequestFromElsewhere => {
            ask_from(world, "198.51.100.1", OLD, PASSWORD).await;
            ask(world, OLD, PASSWORD, "third@example.com").await;
        }
        Meanwhile::PasswordReset => {
            let asked = world
                .post_form("/accounts/password", &[("email", OLD)])
                .await;
            assert_eq!(asked.status, 303);
            let links = world.mail_to(OLD).links();
            let link = links
                .iter()
                .find(|link| link.contains("/accounts/password/"));
            let set = world
                .post_form(link.unwrap(), &[("password", OTHER_PASSWORD)])
                .await;
            assert_eq!(set.status, 303);
        }
        Meanwhile::PasswordWrittenByOtherCode => {
            have_account(world, "model@example.com").await;
            let other = &world.row("model@example.com").unwrap()["password_hash"];
            world.change_row(OLD, &json!({ "password_hash": other }));
            world.delete_row("model@example.com");
        }
        Meanwhile::AccountMadeAgain => {
            world.delete_row(OLD);
            have_account(world, OLD).await;
        }
        Meanwhile::AccountDeleted => world.delete_row(OLD),
        Meanwhile::AccountMoved => {
            let asked = ask(world, OLD, PASSWORD, "third@example.com").await;
            let link = world.mail_to("third@example.com").link();
            assert_eq!(open_in_browser_of(world, &asked, &link).await.status, 303);
        }
    }
}

#[tokio::test]
async fn a_link_dies_with_the_password_a_newer_request_a_taken_address_and_the_account() {
    for meanwhile in [
        Meanwhile::AddressTaken,
        Meanwhile::AddressInvited,
        Meanwhile::NewerRequest,
        Meanwhile::NewerRequestFromElsewhere,
        Meanwhile::PasswordReset,
        Meanwhile::PasswordWrittenByOtherCode,
        Meanwhile::AccountMadeAgain,
        Meanwhile::AccountDeleted,
        Meanwhile::AccountMoved,
    ] {
        let world = world_with_account().await;
        let (asked, link) = have_link(&world).await;
        happen(&world, meanwhile).await;
        let (rows, notices) = (world.rows(), told(&world, CHANGED));

        let here = open_in_browser_of(&world, &asked, &link).await;
        let elsewhere = world.get(&link).await;
        let typed = type_password(&world, &link, PASSWORD).await;

        assert_eq!(
            (here.status, elsewhere.status, typed.status),
            (404, 404, 404),
            "{meanwhile:?}"
        );
        assert_eq!(world.rows(), rows, "{meanwhile:?}");
        assert_eq!(told(&world, CHANGED), notices, "{meanwhile:?}");
    }
}

#[tokio::test]
async fn a_new_password_leaves_nothing_of_the_old_one_in_the_row() {
    let world = world_with_account().await;
    have_link(&world).await;
    let hash = world.row(OLD).unwrap()["password_hash"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        !world.row(OLD).unwrap()["email_change"]
            .to_string()
            .contains(&hash)
    );

    happen(&world, Meanwhile::PasswordReset).await;

    let row = world.row(OLD).unwrap();
    assert_eq!(row.get("email_change"), None);
    assert!(!row.to_string().contains(&hash));
}

#[tokio::test]
async fn a_request_as_the_first_version_kept_it_needs_the_password() {
    let world = world_with_account().await;
    let row = world.row(OLD).unwrap();
    let (hash, at) = (&row["password_hash"], now() - 60);
    world.change_row(
        OLD,
        &json!({ "email_change": { "new_email": NEW, "requested_at": at, "password_hash": hash } }),
    );
    let token = serializer(&world, "email-update-key");
    let token = token.dumps_at(&[OLD, NEW], at.try_into().unwrap()).unwrap();
    let link = format!("/accounts/confirm/{token}");

    assert_eq!(world.get(&link).await.status, 200);
    assert_eq!(type_password(&world, &link, PASSWORD).await.status, 303);
    assert!(world.row(NEW).is_some());
}

#[tokio::test]
async fn a_token_that_python_would_make_is_read_for_a_waiting_request() {
    let world = world_with_account().await;
    let (asked, _) = have_link(&world).await;

    let token = serializer(&world, "email-update-key");
    let token = token
        .dumps(&[" Old@Example.com", "NEW@example.com"])
        .unwrap();
    let link = format!("/accounts/confirm/{token}");
    let followed = open_in_browser_of(&world, &asked, &link).await;

    assert_eq!(followed.status, 303);
    assert!(world.row(NEW).is_some());
}

#[tokio::test]
async fn a_token_without_a_request_of_another_purpose_or_to_itself_is_refused() {
    let world = world_with_account().await;
    let change = serializer(&world, "email-update-key");
    let sign_up = serializer(&world, "email-confirm-key");
    let rows = world.rows();

    for token in [
        change.dumps(&[OLD, NEW]).unwrap(),
        change.dumps(&[OLD, OLD]).unwrap(),
        change.dumps(OLD).unwrap(),
        change.dumps(&[OLD, NEW, NEW]).unwrap(),
        sign_up.dumps(&[OLD, NEW]).unwrap(),
    ] {
        let link = format!("/accounts/confirm/{token}");
        assert_eq!(world.get(&link).await.status, 404);
        assert_eq!(type_password(&world, &link, PASSWORD).await.status, 404);
    }
    assert_eq!(world.rows(), rows);
}

#[tokio::test]
async fn an_expired_link_says_so_and_offers_no_fresh_one() {
    let world = world_with_account().await;
    let (asked, _) = have_link(&world).await;
    let signed: u64 = (now() - 86_410).try_into().unwrap();
    let token = serializer(&world, "email-update-key");
    let token = token.dumps_at(&[OLD, NEW], signed).unwrap();
    let link = format!("/accounts/confirm/{token}");

    let page = open_in_browser_of(&world, &asked, &link).await;
    let typed = type_password(&world, &link, PASSWORD).await;

    assert_eq!((page.status, typed.status), (404, 404));
    assert!(page.text().contains("expired") && !page.text().contains("<form"));
    assert!(world.row(OLD).is_some());
}

// The form.

#[tokio::test]
async fn json_clients_are_answered_in_json() {
    let world = world_with_account().await;
    let body =
        |password, new_email| json!({ "email": OLD, "password": password, "new_email": new_email });

    let asked = world
        .post_json("/accounts/email", &body(PASSWORD, NEW))
        .await;
    let wrong = world
        .post_json("/accounts/email", &body("wrong", "x@@y"))
        .await;

    assert_eq!(asked.status, 202);
    assert_eq!(wrong.status, 422);
    assert_eq!(
        wrong.header("content-type"),
        Some("application/problem+json")
    );
    let problem: Value = serde_json::from_str(&wrong.text()).unwrap();
    assert_eq!(problem["errors"][0]["pointer"], "#/new_email");
}

#[tokio::test]
async fn the_form_is_a_page_that_keeps_the_addresses_and_never_the_password() {
    let world = world_with_account().await;

    let form = world.get("/accounts/email").await;
    let again = ask(&world, OLD, WRONG, NEW).await;

    assert_eq!(form.status, 200);
    for field in ["name=\"email\"", "name=\"password\"", "name=\"new_email\""] {
        assert!(form.text().contains(field), "{field}");
    }
    assert_eq!(again.status, 422);
    assert!(again.text().contains(OLD) && again.text().contains(NEW));
    assert!(again.text().contains("no-reply@app.example.com"));
    assert!(!again.text().contains(WRONG));
    assert_eq!(again.cookie(), None);
}

/// Rows that somebody may try a password at from a network that nobody knows, and what is tried.
async fn have_targets(world: &World) -> [(&'static str, &'static str); 6] {
    sign_up(world, "waiting@example.com").await;
    let confirmed = |email: &str, hash: &str| json!({ "email": email, "user_id": email, "email_confirmed": true, "password_hash": hash });
    // The hashes of other frameworks.
    let bcrypt = "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW";
    let werkzeug = "scrypt:32768:8:1$zPOFQrCCzAuPVdnb$6fe1b6b6c0c7a7c2f9a1d2";
    world.put_row(&confirmed("bcrypt@example.com", bcrypt));
    world.put_row(&confirmed("werkzeug@example.com", werkzeug));
    world.put_row(&json!({ "email": "invited@example.com", "role": "admin" }));
    world.forget_calls();
    [
        (OLD, WRONG),
        ("unknown@example.com", PASSWORD),
        ("waiting@example.com", PASSWORD),
        ("bcrypt@example.com", "secret"),
        ("werkzeug@example.com", PASSWORD),
        ("invited@example.com", PASSWORD),
    ]
}

const STRANGER: &str = "192.0.2.1";

#[tokio::test]
async fn a_wrong_password_and_an_address_without_one_are_alike_and_cost_alike() {
    let world = world_with_account().await;
    let targets = have_targets(&world).await;
    let (mails, rows) = (world.mails().len(), world.rows());

    let mut answers = Vec::new();
    for (email, password) in targets {
        world.forget_calls();
        let answer = ask_from(&world, STRANGER, email, password).await;
        // Some calls are made at once.
        let mut calls = world.all_calls();
        calls.sort_unstable();
        answers.push((alike(&answer, email), calls));
    }

    assert_eq!(answers[0].0.0, 422);
    assert_eq!(
        answers[0].1,
        ["GetItem", "UpdateItem", "UpdateItem", "UpdateItem"]
    );
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    assert_eq!(world.mails().len(), mails);
    assert_eq!(world.rows(), rows);
}

/// What a request costs the processor: the median of several, so that one which was disturbed does not count.
async fn work<F: Future<Output = Answer>>(request: impl Fn() -> F) -> f64 {
    let mut times = Vec::new();
    for _ in 0..9 {
        let before = processor_time("change-email");
        assert_eq!(request().await.status, 422);
        times.push(
            processor_time("change-email")
                .saturating_sub(before)
                .as_secs_f64(),
        );
    }
    times.sort_by(f64::total_cmp);
    times[4]
}

#[tokio::test]
async fn every_try_costs_one_hash_for_whatever_address_and_after_too_many_tries_too() {
    let world = world_with_account().await;
    let targets = have_targets(&world).await;
    let ask = async |email: &str, password: &str| ask_from(&world, STRANGER, email, password).await;
    // Warms up.
    ask(OLD, WRONG).await;
    let without = work(|| ask("not an address", PASSWORD)).await;
    // The ninth and tenth are the last that count.
    let one = work(|| ask(OLD, WRONG)).await - without;
    assert!(
        one > 2.0 * without,
        "a hash is most of the work: {one} against {without}"
    );

    let mut all = vec![("too many", work(|| ask(OLD, PASSWORD)).await)];
    for (email, password) in targets.into_iter().skip(1) {
        all.push((email, work(|| ask(email, password)).await));
    }

    for (what, work) in all {
        let hashes = (work - without) / one;
        assert!((0.5..1.5).contains(&hashes), "{what}: {hashes} hashes");
    }
}

// Attempts.

/// A world whose clock stands at the beginning of an hour, so that none ends within the test.
async fn at_the_full_hour(builder: Builder) -> (Clock, World) {
    let (clock, builder) = Clock::of(builder);
    let left = 3_600 - now() % 3_600;
    clock.advance((left + 1).try_into().unwrap());
    (clock, with_account(builder).await)
}

#[tokio::test]
async fn ten_attempts_an_hour_from_one_network_and_nobody_is_shut_out_of_another() {
    let (clock, world) = at_the_full_hour(World::builder()).await;
    let ask_from =
        async |source_ip: &str, password: &str| ask_from(&world, source_ip, OLD, password).await;

    let wrong = ask_from("198.51.100.7", WRONG).await;
    for _ in 1..10 {
        assert_eq!(ask_from("198.51.100.7", WRONG).await.status, 422);
    }

    let too_many = ask_from("198.51.100.8", PASSWORD).await;
    assert_eq!(alike(&too_many, OLD), alike(&wrong, OLD));
    assert_eq!(
        told(&world, ASKED),
        0,
        "the network has used up its attempts"
    );
    assert_eq!(ask_from("192.0.2.1", PASSWORD).await.status, 303);
    clock.advance(3_600);
    assert_eq!(ask_from("198.51.100.7", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn an_account_that_moved_still_knows_its_networks_and_its_old_address_does_not() {
    const AT_HOME: &str = "192.0.2.1";
    let (clock, world) = at_the_full_hour(World::builder()).await;
    let asked = ask_from(&world, AT_HOME, OLD, PASSWORD).await;
    assert_eq!(asked.status, 303);
    // Somewhere else.
    let moved = open_in_browser_of(&world, &asked, &world.mail_to(NEW).link()).await;
    assert_eq!(moved.status, 303);
    clock.advance(3_600);
    let third = async |source_ip: &str, email: &str, password: &str| {
        let form = fields(email, password, "third@example.com");
        let request = world.request("POST", "/accounts/email").form(&form);
        let (function, mut event) = request.event();
        event["requestContext"]["http"]["sourceIp"] = json!(source_ip);
        world.invoke(&function, &event).await.status
    };
    for email in [OLD, NEW] {
        for network in 0..100 {
            let source_ip = format!("198.51.{network}.7");
            assert_eq!(third(&source_ip, email, WRONG).await, 422);
        }
    }
    let again = sign_up_with(&world, OLD, PASSWORD).await;
    let link = world.mail_to(OLD).link();
    assert_eq!(open_in_browser_of(&world, &again, &link).await.status, 303);

    // Whoever has the old address now is another account.
    assert_eq!(third(AT_HOME, OLD, PASSWORD).await, 422);
    assert_eq!(third(AT_HOME, NEW, PASSWORD).await, 303);
}

#[tokio::test]
async fn the_eleventh_attempt_at_the_links_page_is_a_wrong_one_and_the_browser_that_asked_still_can()
 {
    let (_clock, world) = at_the_full_hour(World::builder()).await;
    let (asked, link) = have_link(&world).await;
    let type_from = async |source_ip: &str, password: &str| {
        let request = world.request("POST", &link).form(&[("password", password)]);
        let (function, mut event) = request.event();
        event["requestContext"]["http"]["sourceIp"] = json!(source_ip);
        world.invoke(&function, &event).await
    };
    for _ in 0..10 {
        assert_eq!(type_from(STRANGER, WRONG).await.status, 422);
    }

    assert_eq!(type_from(STRANGER, PASSWORD).await.status, 422);
    assert!(world.row(OLD).is_some());

    assert_eq!(open_in_browser_of(&world, &asked, &link).await.status, 303);
}

/// Attack 5 on the first version, which forgot the count of one network when there were fifty more.
#[tokio::test]
async fn a_hundred_networks_check_no_more_than_a_hundred_passwords_and_shut_nobody_out() {
    let builder = World::builder().processes(2);
    let (_clock, world) = at_the_full_hour(builder).await;
    let network = |n: usize| format!("198.{}.100.1", 18 + n);
    // The owner signed up in one network, and has asked for a change in another.
    assert_eq!(
        ask_from(&world, "192.0.2.1", OLD, PASSWORD).await.status,
        303
    );
    let before = told(&world, ASKED);

    let first = network(0);
    for _ in 0..10 {
        assert_eq!(ask_from(&world, &first, OLD, WRONG).await.status, 422);
    }
    // One of the hundred was the owner's.
    for networks in (1..90).collect::<Vec<_>>().chunks(8) {
        let networks: Vec<_> = networks.iter().map(|n| network(*n)).collect();
        let asked = networks.iter().map(|ip| ask_from(&world, ip, OLD, WRONG));
        for answer in join_all(asked).await {
            assert_eq!(answer.status, 422);
        }
    }

    for used_up in [first, network(1), network(150)] {
        let answer = ask_from(&world, &used_up, OLD, PASSWORD).await;
        assert_eq!(answer.status, 422, "{used_up}");
    }
    assert_eq!(told(&world, ASKED), before);
    for owners in ["203.0.113.200", "192.0.2.200"] {
        let_pass(&world, NEW, COOLDOWN);
        let answer = ask_from(&world, owners, OLD, PASSWORD).await;
        assert_eq!(answer.status, 303, "{owners}");
    }
}

#[tokio::test]
async fn attempts_at_the_same_time_all_count() {
    let builder = World::builder().processes(4);
    let (_clock, world) = at_the_full_hour(builder).await;
    world.function("change-email").warm_up(4).await.unwrap();
    world.dynamodb.times(16, "UpdateItem", Fault::together(4));

    let attempts = (0..16).map(|_| ask_from(&world, STRANGER, OLD, WRONG));
    for answer in join_all(attempts).await {
        assert_eq!(answer.status, 422);
    }

    // An attempt may count twice if its call was slow and repeated, and never not at all.
    let counted = attempts_counted(&world);
    assert_eq!(counted.iter().max(), Some(&10), "{counted:?}");
    let answer = ask_from(&world, STRANGER, OLD, PASSWORD).await;
    assert_eq!((answer.status, told(&world, ASKED)), (422, 0));
}

/// How many attempts each counter has.
fn attempts_counted(world: &World) -> Vec<u64> {
    let items = world.store.items_of("limits").unwrap();
    let attempts = items.iter().filter(|item| {
        item["limit"]["S"]
            .as_str()
            .unwrap()
            .starts_with("attempts#")
    });
    attempts
        .map(|item| item["n"]["N"].as_str().unwrap().parse().unwrap())
        .collect()
}

// Mails, and what holds them back.

#[tokio::test]
async fn a_taken_address_is_not_revealed_and_its_owner_gets_a_notice_without_a_link() {
    let world = world_with_account().await;
    have_account(&world, "taken@example.com").await;

    let free = without_cookie_value(ask(&world, OLD, PASSWORD, NEW).await);
    let notices = world.mails_to(OLD).len();
    world.forget_calls();
    let taken = without_cookie_value(ask(&world, OLD, PASSWORD, "taken@example.com").await);

    assert_eq!(taken, free);
    assert_eq!(
        world.mails_to(OLD).len(),
        notices + 1,
        "the old mailbox does not tell either"
    );
    let notice = world.mail_to("taken@example.com");
    assert!(notice.subject.contains("Somebody tried"));
    assert!(
        !notice.text().contains("/accounts/confirm/")
            && !notice.html().contains("/accounts/confirm/")
    );
}

#[tokio::test]
async fn a_waiting_sign_up_does_not_make_an_address_taken() {
    let world = world_with_account().await;
    sign_up_with(&world, NEW, OTHER_PASSWORD).await;
    let user_id = world.row(OLD).unwrap()["user_id"].clone();

    let (asked, link) = have_link(&world).await;
    let followed = open_in_browser_of(&world, &asked, &link).await;

    assert_eq!(followed.status, 303);
    let row = world.row(NEW).unwrap();
    assert_eq!(row["user_id"], user_id);
    for gone in ["contested", "sign_up", "expires_at"] {
        assert_eq!(row.get(gone), None, "{gone}");
    }
    assert_eq!(world.row(OLD), None);
}

/// Attack 4 on the first version: with a new address that has had its mails, a right password was found in silence.
#[tokio::test]
async fn a_right_password_that_the_mail_limit_holds_back_is_answered_as_a_wrong_one_and_told() {
    let world = with_account(World::builder()).await;
    for number in 0..3 {
        have_account(&world, &format!("victim-{number}@example.com")).await;
    }
    // The attacker has the new address mailed first.
    have_account(&world, "mallory@example.com").await;
    assert_eq!(
        ask(&world, "mallory@example.com", PASSWORD, NEW)
            .await
            .status,
        303
    );

    for number in 0..3 {
        let victim = format!("victim-{number}@example.com");
        let mails = world.mails_to(&victim).len();
        let wrong = ask(&world, &victim, WRONG, NEW).await;
        assert_eq!(world.mails_to(&victim).len(), mails);
        let row = world.row(&victim);

        let right = ask(&world, &victim, PASSWORD, NEW).await;

        assert_eq!(wrong.status, 422);
        assert_eq!(right, wrong);
        assert_eq!(
            world.mails_to(&victim).len(),
            mails + 1,
            "the owner is told"
        );
        assert!(world.mail_to(&victim).subject.contains(ASKED));
        assert_eq!(world.row(&victim), row);
    }
    assert_eq!(world.mails_to(NEW).len(), 1);
}

#[tokio::test]
async fn a_request_that_is_held_back_leaves_the_earlier_one_alive() {
    let world = with_account(World::builder()).await;
    let (asked, link) = have_link(&world).await;

    let second = ask(&world, OLD, PASSWORD, NEW).await;
    let signed_up = sign_up_with(&world, NEW, OTHER_PASSWORD).await;

    assert_eq!((second.status, signed_up.status), (422, 303));
    assert_eq!(told(&world, ASKED), 2);
    assert_eq!(
        world.mails_to(NEW).len(),
        2,
        "a sign-up's mail does not wait for a change's"
    );
    assert_eq!(open_in_browser_of(&world, &asked, &link).await.status, 303);
}

#[tokio::test]
async fn an_owner_may_ask_for_ten_changes_a_day_and_is_told_of_each() {
    let (clock, world) = at_the_full_hour(World::builder()).await;
    let new = |number: usize| format!("new-{number}@example.com");
    for number in 0..10 {
        let asked = ask(&world, OLD, PASSWORD, &new(number)).await;
        assert_eq!(asked.status, 303, "{number}");
    }
    // Ten attempts an hour are another limit.
    clock.advance(3_600);

    let eleventh = ask(&world, OLD, PASSWORD, &new(10)).await;

    assert_eq!(eleventh.status, 422);
    assert_eq!(told(&world, ASKED), 11);
    assert!(world.mails_to(&new(10)).is_empty());
    clock.advance(86_400);
    assert_eq!(ask(&world, OLD, PASSWORD, &new(10)).await.status, 303);
}

#[tokio::test]
async fn a_request_whose_link_could_not_be_mailed_is_none_of_the_ten() {
    let (clock, world) = at_the_full_hour(World::builder()).await;
    let new = |number: usize| format!("new-{number}@example.com");
    for number in 0..9 {
        let asked = ask(&world, OLD, PASSWORD, &new(number)).await;
        assert_eq!(asked.status, 303, "{number}");
    }
    // The notice leaves, and the link does not.
    world.ses.once(ANY, Fault::Delay(Duration::ZERO));
    world.ses.once(ANY, Fault::error(400, "MessageRejected"));
    assert_eq!(ask(&world, OLD, PASSWORD, &new(9)).await.status, 503);
    // Ten attempts an hour are another limit.
    clock.advance(3_600);

    assert_eq!(ask(&world, OLD, PASSWORD, &new(9)).await.status, 303);
    assert_eq!(ask(&world, OLD, PASSWORD, &new(10)).await.status, 422);
}

/// Attack 6 on the first version: mails that a stranger causes used up those that the owner needs.
#[tokio::test]
async fn a_strangers_sign_ups_and_requests_suppress_no_mail_that_another_person_needs() {
    let world = with_account(World::builder()).await;
    // As many as there can be of each kind, with the owner's address and with the new one.
    for _ in 0..12 {
        for email in [OLD, NEW] {
            let_pass(&world, email, COOLDOWN);
            sign_up_with(&world, email, OTHER_PASSWORD).await;
            world
                .post_form("/accounts/password", &[("email", email)])
                .await;
        }
    }
    for kind in ["sign-up", "reset"] {
        let mails = mails_of_kind(&world, kind, OLD).unwrap();
        assert_ne!(mails["m10"]["N"], "0", "{kind}: used up");
    }

    let (asked, link) = have_link(&world).await;
    let followed = open_in_browser_of(&world, &asked, &link).await;

    assert_eq!(followed.status, 303);
    assert_eq!((told(&world, ASKED), told(&world, CHANGED)), (1, 1));

    // Ten requests for an address do not keep its owner from signing up.
    have_account(&world, "mallory@example.com").await;
    for _ in 0..10 {
        let_pass(&world, "victim@example.com", COOLDOWN);
        ask(
            &world,
            "mallory@example.com",
            PASSWORD,
            "victim@example.com",
        )
        .await;
    }
    let mails = world.mails_to("victim@example.com").len();
    let signed_up = sign_up(&world, "victim@example.com").await;
    assert_eq!(world.mails_to("victim@example.com").len(), mails + 1);
    let link = world.mail_to("victim@example.com").link();
    assert_eq!(
        open_in_browser_of(&world, &signed_up, &link).await.status,
        303
    );
}

#[tokio::test]
async fn without_the_notice_nothing_else_goes_out_or_is_kept() {
    let world = with_account(World::builder()).await;
    let row = world.row(OLD);
    world.ses.once(ANY, Fault::error(400, "MessageRejected"));

    let asked = ask(&world, OLD, PASSWORD, NEW).await;

    assert_eq!(asked.status, 503);
    assert_eq!(world.calls("SendEmail"), 1);
    let mail = &world.ses.requests("SendEmail")[0];
    assert_eq!(mail["Destination"]["ToAddresses"], json!([OLD]));
    assert!(world.mails_to(NEW).is_empty());
    assert_eq!(world.row(OLD), row);
    assert_eq!(ask(&world, OLD, PASSWORD, NEW).await.status, 303);
}

#[tokio::test]
async fn without_the_second_notice_the_account_stays_where_it_is() {
    let world = world_with_account().await;
    let (asked, link) = have_link(&world).await;
    world.ses.once(ANY, Fault::error(400, "MessageRejected"));

    let failed = open_in_browser_of(&world, &asked, &link).await;

    assert_eq!((failed.status, world.calls("TransactWriteItems")), (503, 0));
    assert!(world.row(OLD).is_some());
    assert_eq!(open_in_browser_of(&world, &asked, &link).await.status, 303);
    assert_eq!(told(&world, CHANGED), 1);
}

#[tokio::test]
async fn mail_that_comes_back_is_no_obstacle_and_a_complaint_is() {
    for (undeliverable, status) in [
        (json!("bounce"), 303),
        (json!("complaint"), 422),
        // As the first version wrote it.
        (json!(true), 422),
    ] {
        let world = world_with_account().await;
        world.change_row(OLD, &json!({ "undeliverable": undeliverable }));
        let (row, mails) = (world.row(OLD), world.mails().len());
        let wrong = ask(&world, OLD, WRONG, NEW).await;

        let asked = ask(&world, OLD, PASSWORD, NEW).await;

        assert_eq!(asked.status, status, "{undeliverable}");
        if status == 422 {
            assert_eq!(asked, wrong);
            assert_eq!(world.row(OLD), row);
            assert_eq!(world.mails().len(), mails);
        } else {
            assert_eq!(told(&world, ASKED), 1);
            let link = world.mail_to(NEW).link();
            assert_eq!(open_in_browser_of(&world, &asked, &link).await.status, 303);
            assert_eq!(told(&world, CHANGED), 1);
            assert_eq!(world.row(NEW).unwrap().get("undeliverable"), None);
        }
    }
}

#[tokio::test]
async fn a_complaint_after_the_request_stops_the_change() {
    let world = world_with_account().await;
    let (asked, link) = have_link(&world).await;
    world.change_row(OLD, &json!({ "undeliverable": "complaint" }));
    let rows = world.rows();

    let here = open_in_browser_of(&world, &asked, &link).await;
    let typed = type_password(&world, &link, PASSWORD).await;

    assert_eq!((here.status, typed.status), (422, 422));
    assert_eq!(world.rows(), rows);
    assert_eq!(told(&world, CHANGED), 0);
}

#[tokio::test]
async fn a_new_address_that_has_complained_gets_no_mail() {
    for confirmed in [true, false] {
        let world = world_with_account().await;
        sign_up(&world, NEW).await;
        world.change_row(
            NEW,
            &json!({ "undeliverable": "complaint", "email_confirmed": confirmed }),
        );
        let mails = world.mails_to(NEW).len();

        assert_eq!(ask(&world, OLD, PASSWORD, NEW).await.status, 303);

        assert_eq!(world.mails_to(NEW).len(), mails, "{confirmed}");
    }
}

// Rows as large as they may be.

#[tokio::test]
async fn a_row_of_a_hundred_and_forty_attributes_moves_and_a_larger_one_is_refused_when_it_asks() {
    let world = world_with_account().await;
    let fill = |attributes: usize| {
        let present = world.row(OLD).unwrap().as_object().unwrap().len();
        let filling = (present..attributes).map(|n| (format!("a{n}"), json!(n)));
        world.change_row(OLD, &Value::Object(filling.collect()));
        let row = world.row(OLD).unwrap();
        assert_eq!(row.as_object().unwrap().len(), attributes);
        row
    };
    fill(140);
    world.change_row(OLD, &json!({ "one_more": 1 }));
    let row = world.row(OLD);

    let wrong = ask(&world, OLD, WRONG, NEW).await;
    let too_large = ask(&world, OLD, PASSWORD, NEW).await;

    assert_eq!(wrong.status, 422);
    assert_eq!(too_large, wrong);
    assert_eq!(world.row(OLD), row);
    assert_eq!(told(&world, ASKED), 1);

    world.change_row(OLD, &json!({ "one_more": null }));
    sign_up_with(&world, NEW, OTHER_PASSWORD).await;
    let (asked, link) = have_link(&world).await;
    world.change_row(OLD, &json!({ "one_more": 1 }));
    for method in ["HEAD", "GET"] {
        let opened = world.request(method, &link).browser_of(&asked);
        assert_eq!(opened.send().await.status, 404, "{method}");
    }
    world.change_row(OLD, &json!({ "one_more": null }));
    assert_eq!(open_in_browser_of(&world, &asked, &link).await.status, 303);
    assert_eq!(world.row(NEW).unwrap()["a139"], 139);
    let largest = world
        .dynamodb
        .requests(ANY)
        .iter()
        .flat_map(operators)
        .max();
    let largest = largest.unwrap();
    assert!((270..=300).contains(&largest), "{largest} operators");
}

/// How many operators and functions each expression of a request has.
fn operators(request: &Value) -> Vec<usize> {
    match request {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(expression) if name.ends_with("Expression") => {
                    let is_operator = |word: &&str| {
                        [
                            "=", "<>", "<", "<=", ">", ">=", "+", "-", "AND", "OR", "NOT",
                        ]
                        .contains(word)
                    };
                    let words = expression.split_whitespace().filter(is_operator).count();
                    let functions = [
                        "exists(",
                        "contains(",
                        "size(",
                        "begins_with(",
                        "attribute_type(",
                    ];
                    let functions = functions.map(|name| expression.matches(name).count());
                    vec![words + functions.iter().sum::<usize>()]
                }
                value => operators(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(operators).collect(),
        _ => Vec::new(),
    }
}

// Faults.

/// The answers and the world after the answer of the call with this number was lost; `None` if there is no such call.
async fn lose_answer(number: usize, follow: bool) -> Option<(World, u16)> {
    let world = with_account(World::builder()).await;
    let link = if follow {
        Some(have_link(&world).await)
    } else {
        None
    };
    for _ in 0..number {
        world.dynamodb.once(ANY, Fault::Delay(Duration::ZERO));
    }
    world.dynamodb.once(ANY, Fault::DropAnswer);
    let before = world.dynamodb.calls(ANY);
    let answer = match &link {
        Some((asked, link)) => open_in_browser_of(&world, asked, link).await,
        None => ask(&world, OLD, PASSWORD, NEW).await,
    };
    let was_lost = world.dynamodb.calls(ANY) - before > number + 1;
    world.dynamodb.heal();
    was_lost.then_some((world, answer.status))
}

#[tokio::test]
async fn whichever_answer_to_a_request_is_lost_it_is_counted_once_and_mails_once() {
    let mut number = 0;
    while let Some((world, status)) = lose_answer(number, false).await {
        assert_eq!(status, 303, "{number}");
        assert_eq!(
            (told(&world, ASKED), world.mails_to(NEW).len()),
            (1, 1),
            "{number}"
        );
        for counted in attempts_counted(&world) {
            assert_eq!(counted, 1, "{number}");
        }
        for (kind, email) in [("sign-up", OLD), ("change", NEW)] {
            let mails = mails_of_kind(&world, kind, email).unwrap();
            assert_eq!(mails["m2"]["N"], "0", "{number}: {kind}");
        }
        number += 1;
    }
    assert!(number >= 6, "{number} calls");
}

#[tokio::test]
async fn whichever_answer_is_lost_while_the_link_is_followed_there_is_one_move_and_one_notice() {
    let mut number = 0;
    while let Some((world, status)) = lose_answer(number, true).await {
        assert_eq!(status, 303, "{number}");
        assert_eq!(world.rows().len(), 1, "{number}");
        assert!(world.row(NEW).is_some(), "{number}");
        assert_eq!(told(&world, CHANGED), 1, "{number}");
        number += 1;
    }
    assert!(number >= 3, "{number} calls");
}

#[tokio::test]
async fn a_failing_service_is_a_503_and_asking_again_completes_the_job() {
    for operation in ["GetItem", "UpdateItem", "SendEmail"] {
        let world = with_account(World::builder()).await;
        world.dynamodb.always(operation, Fault::access_denied());
        world
            .ses
            .always(operation, Fault::error(400, "MessageRejected"));

        let failed = ask(&world, OLD, PASSWORD, NEW).await;
        world.dynamodb.heal();
        world.ses.heal();
        let asked = ask(&world, OLD, PASSWORD, NEW).await;

        assert_eq!((failed.status, asked.status), (503, 303), "{operation}");
        assert!(failed.header("retry-after").is_some());
        let link = world.mail_to(NEW).link();
        let followed = open_in_browser_of(&world, &asked, &link).await;
        assert_eq!(followed.status, 303, "{operation}");
    }
}

#[tokio::test]
async fn a_link_that_could_not_be_mailed_or_kept_gives_its_place_back() {
    let mail_fails = |world: &World| {
        world.ses.once(ANY, Fault::Delay(Duration::ZERO));
        world.ses.once(ANY, Fault::error(400, "MessageRejected"));
    };
    let write_fails = |world: &World| {
        let before = world.dynamodb.calls(ANY);
        assert_eq!(before, 0);
        world
            .dynamodb
            .times(6, "UpdateItem", Fault::Delay(Duration::ZERO));
        world.dynamodb.once("UpdateItem", Fault::access_denied());
    };
    for (what, fail) in [
        ("mail", &mail_fails as &dyn Fn(&World)),
        ("request", &write_fails),
    ] {
        let world = with_account(World::builder()).await;
        fail(&world);

        let failed = ask_from(&world, STRANGER, OLD, PASSWORD).await;

        assert_eq!(failed.status, 503, "{what}");
        assert!(world.mails_to(NEW).is_empty(), "{what}");
        let mails = mails_of_kind(&world, "change", NEW).unwrap();
        assert_eq!(mails["m1"]["N"], "0", "{what}: the claim is lifted");
        assert_eq!(ask(&world, OLD, PASSWORD, NEW).await.status, 303, "{what}");
    }
}

#[tokio::test]
async fn a_failure_while_the_link_is_followed_is_made_good_by_following_it_again() {
    for operation in [
        "BatchGetItem",
        "TransactWriteItems",
        "SendEmail",
        "UpdateItem",
    ] {
        let world = world_with_account().await;
        let (asked, link) = have_link(&world).await;
        world.dynamodb.always(operation, Fault::access_denied());
        world
            .ses
            .always(operation, Fault::error(400, "MessageRejected"));

        let failed = open_in_browser_of(&world, &asked, &link).await;
        world.dynamodb.heal();
        world.ses.heal();
        let followed = open_in_browser_of(&world, &asked, &link).await;

        assert_eq!((failed.status, followed.status), (503, 303), "{operation}");
        assert!(
            world.row(NEW).is_some() && world.row(OLD).is_none(),
            "{operation}"
        );
        assert_eq!(told(&world, CHANGED), 1, "{operation}");
    }
}

#[tokio::test]
async fn a_transaction_in_the_way_is_another_round() {
    let world = world_with_account().await;
    let conflict = || Fault::error(400, "TransactionConflictException");
    world.dynamodb.times(3, "UpdateItem", conflict());
    let (asked, link) = have_link(&world).await;

    world.dynamodb.times(2, "UpdateItem", conflict());
    world.dynamodb.times(
        2,
        "TransactWriteItems",
        Fault::error(400, "TransactionCanceledException"),
    );
    let followed = open_in_browser_of(&world, &asked, &link).await;

    assert_eq!(followed.status, 303);
    assert_eq!(world.calls("TransactWriteItems"), 3);
    assert_eq!((told(&world, ASKED), told(&world, CHANGED)), (1, 1));
    assert!(world.row(NEW).is_some());
}

// What happens at once and in between.

#[tokio::test]
async fn a_password_that_changes_before_the_request_is_kept_ends_the_request() {
    let world = world_with_account().await;
    let wrong = ask(&world, OLD, WRONG, NEW).await;
    // Whichever write it is that keeps the request: the row has changed when it arrives.
    let store = world.store.clone();
    let change = Fault::before(move || {
        let mut item = store.item(OLD).unwrap().unwrap();
        item["password_hash"] = json!({ "S": "another hash" });
        store.put(&item).unwrap();
        std::future::ready(())
    });
    world.dynamodb.once("GetItem", Fault::Delay(Duration::ZERO));
    world.dynamodb.once("GetItem", change);

    let asked = ask(&world, OLD, PASSWORD, NEW).await;

    assert_eq!(asked, wrong);
    assert!(world.mails_to(NEW).is_empty());
    assert_eq!(world.row(OLD).unwrap().get("email_change"), None);
    assert_eq!(told(&world, ASKED), 1);
}

#[tokio::test]
async fn of_two_accounts_that_want_one_address_one_gets_it() {
    let builder = World::builder()
        .setting("RESEND_COOLDOWN", "0")
        .processes(2);
    let world = with_account(builder).await;
    have_account(&world, "second@example.com").await;
    let mut links = Vec::new();
    for email in [OLD, "second@example.com"] {
        let asked = ask(&world, email, PASSWORD, NEW).await;
        links.push((asked, world.mail_to(NEW).link()));
    }
    world.function("confirm-email").warm_up(2).await.unwrap();
    world
        .dynamodb
        .times(2, "TransactWriteItems", Fault::together(2));

    let follow = |(asked, link)| open_in_browser_of(&world, asked, link);
    let answers = join_all(links.iter().map(|(asked, link)| follow((asked, link)))).await;

    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 404]);
    assert_eq!(world.rows().len(), 2);
}

#[tokio::test]
async fn a_link_followed_sixteen_times_at_once_moves_the_account_once_and_sends_one_notice() {
    let builder = World::builder()
        .setting("RESEND_COOLDOWN", "0")
        .processes(16);
    let world = with_account(builder).await;
    let (asked, link) = have_link(&world).await;
    let before = world.row(OLD).unwrap();
    world.function("confirm-email").warm_up(16).await.unwrap();
    world
        .dynamodb
        .times(16, "BatchGetItem", Fault::together(16));

    let follow = |_| open_in_browser_of(&world, &asked, &link);
    let answers = join_all((0..16).map(follow)).await;

    for answer in answers {
        assert_eq!(answer.status, 303);
    }
    assert_eq!(world.rows().len(), 1);
    assert_eq!(world.row(NEW).unwrap()["user_id"], before["user_id"]);
    assert_eq!(told(&world, CHANGED), 1);
}

#[tokio::test]
async fn what_other_code_writes_meanwhile_is_moved_as_well() {
    let world = world_with_account().await;
    let (asked, link) = have_link(&world).await;
    world.change_row(OLD, &json!({ "visits": 1 }));
    let store = world.store.clone();
    world.dynamodb.once(
        "TransactWriteItems",
        Fault::before(move || {
            let mut item = store.item(OLD).unwrap().unwrap();
            item["visits"] = json!({ "N": "2" });
            store.put(&item).unwrap();
            std::future::ready(())
        }),
    );

    assert_eq!(open_in_browser_of(&world, &asked, &link).await.status, 303);

    assert_eq!(world.row(NEW).unwrap()["visits"], 2);
}

#[tokio::test]
async fn a_request_that_takes_the_place_of_another_while_its_link_is_followed_ends_it() {
    let world = world_with_account().await;
    let (asked, link) = have_link(&world).await;
    let store = world.store.clone();
    world.dynamodb.once(
        "TransactWriteItems",
        Fault::before(move || {
            let mut item = store.item(OLD).unwrap().unwrap();
            item["email_change"]["M"]["id"] = json!({ "S": "another browser's" });
            store.put(&item).unwrap();
            std::future::ready(())
        }),
    );

    assert_eq!(open_in_browser_of(&world, &asked, &link).await.status, 404);

    assert!(world.row(OLD).is_some());
    assert!(world.row(NEW).is_none());
}

#[tokio::test]
async fn a_link_that_is_followed_again_while_the_account_moves_is_not_said_to_be_dead() {
    let world = world_with_account().await;
    let (asked, link) = have_link(&world).await;
    open_in_browser_of(&world, &asked, &link).await;
    let moved = world.store.item(NEW).unwrap().unwrap();
    // A batch that reads the new row before the move and the old one after it sees neither.
    let hide = world.store.clone();
    let show = world.store.clone();
    world.dynamodb.once(
        "BatchGetItem",
        Fault::before(move || {
            hide.delete(NEW).unwrap();
            std::future::ready(())
        }),
    );
    world.dynamodb.once(
        "BatchGetItem",
        Fault::before(move || {
            show.put(&moved).unwrap();
            std::future::ready(())
        }),
    );

    assert_eq!(open_in_browser_of(&world, &asked, &link).await.status, 303);

    assert_eq!(told(&world, CHANGED), 1);
}

#[tokio::test]
async fn a_sign_up_with_the_new_address_in_between_loses_nothing() {
    let world = world_with_account().await;
    let (asked, change) = have_link(&world).await;
    let signed_up = sign_up_with(&world, NEW, OTHER_PASSWORD).await;
    let sign_up = world.mail_to(NEW).link();
    let user_id = world.row(OLD).unwrap()["user_id"].clone();

    assert_eq!(
        open_in_browser_of(&world, &asked, &change).await.status,
        303
    );
    assert_eq!(
        open_in_browser_of(&world, &signed_up, &sign_up)
            .await
            .status,
        303,
        "the address is confirmed already"
    );

    assert_eq!(world.row(NEW).unwrap()["user_id"], user_id);
    assert_eq!(world.rows().len(), 1);
}
