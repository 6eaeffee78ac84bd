//! A forgotten password: the mail, the page, the new password, and what none of them gives away.

use std::time::Duration;

use serde_json::{Value, json};
use signing::UrlSafeTimedSerializer;
use tests::{ANY, Answer, Clock, Fault, World, join_all};

use crate::life::is_password_of;
use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, have_account, have_contested_row, is_confirmed, now,
    password_of, python, sign_up, within_one_second,
};

const NEW_PASSWORD: &str = "a password that I remember";

const NOBODY: &str = "nobody@example.com";

async fn ask(world: &World, email: &str) -> Answer {
    world
        .post_form("/accounts/password", &[("email", email)])
        .await
}

/// The newest reset link that was mailed to an address.
fn link(world: &World, email: &str) -> String {
    let mails = world.mails_to(email).into_iter().rev();
    let mut links = mails.flat_map(|mail| mail.links());
    let link = links.find(|link| link.contains("/accounts/password/"));
    link.unwrap_or_else(|| panic!("no reset link to {email} among {:#?}", world.mails()))
}

async fn choose(world: &World, link: &str, password: &str) -> Answer {
    world.post_form(link, &[("password", password)]).await
}

/// A path with a reset token that was signed `age` seconds ago, or, if negative, in the future.
fn signed(world: &World, email: &str, age: i64) -> String {
    signed_with(world.secret_key(), "recover-key", email, age)
}

fn signed_with(key: &str, salt: &str, email: &str, age: i64) -> String {
    let time = (now() - age).try_into().unwrap();
    let token = UrlSafeTimedSerializer::new(key.as_bytes(), salt).dumps_at(email, time);
    format!("/accounts/password/{}", token.unwrap())
}

/// A row of an account, as other code might have written it.
fn put_account(world: &World, email: &str) {
    world.put_row(&json!({
        "email": email,
        "email_confirmed": true,
        "password_hash": "$argon2id$of-somebody",
        "user_id": "0193a5f0-0000-7000-8000-000000000000",
    }));
}

fn notices(world: &World, email: &str) -> usize {
    let mails = world.mails_to(email).into_iter();
    let is_notice = |mail: &tests::Mail| {
        mail.subject.contains("password for") && mail.subject.contains("was changed")
    };
    mails.filter(is_notice).count()
}

/// Everything that is stored.
fn stored(world: &World) -> (Vec<Value>, Vec<Value>) {
    (world.rows(), world.store.items_of("limits").unwrap())
}

/// A world in which one address can be mailed as often as a test likes.
async fn without_cooldown() -> World {
    World::builder()
        .setting("RESEND_COOLDOWN", "0")
        .start()
        .await
}

// The way.

#[tokio::test]
async fn whoever_forgot_the_password_gets_a_link_and_chooses_a_new_one() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    world.change_row(ADA, &json!({ "role": "admin" }));
    let before = world.row(ADA).unwrap();

    assert_eq!(world.get("/accounts/password").await.status, 200);
    let asked = ask(&world, " Ada@Example.com ").await;
    assert_eq!(asked.status, 303);
    assert_eq!(
        asked.header("location"),
        Some("https://app.example.com/accounts/created")
    );
    assert_eq!(asked.header("set-cookie"), None);
    assert_eq!(world.row(ADA).unwrap(), before, "asking changes nothing");

    let link = link(&world, ADA);
    assert!(link.starts_with("https://app.example.com/accounts/password/"));
    let page = world.get(&link).await;
    assert_eq!(page.status, 200);
    assert!(
        page.text()
            .contains("value=\"ada@example.com\" autocomplete=\"username\"")
    );
    assert!(page.text().contains("autocomplete=\"new-password\""));

    let chosen = choose(&world, &link, NEW_PASSWORD).await;
    assert_eq!(chosen.status, 303);
    assert_eq!(
        chosen.header("location"),
        Some("https://app.example.com/accounts/confirmed")
    );
    let mut after = world.row(ADA).unwrap();
    assert!(password_of(&after, NEW_PASSWORD) && !password_of(&after, PASSWORD));
    assert!(after["password_changed_at"].is_string());
    let changed = after.as_object_mut().unwrap();
    changed.remove("password_changed_at");
    changed.insert("password_hash".to_owned(), before["password_hash"].clone());
    assert_eq!(after, before, "nothing else changes");
    assert_eq!(notices(&world, ADA), 1);
}

#[tokio::test]
async fn a_client_that_speaks_json_does_the_same() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    let json = |answer: &Answer| -> Value { serde_json::from_slice(&answer.body).unwrap() };

    let asked = world
        .post_json("/accounts/password", &json!({ "email": ADA }))
        .await;
    assert_eq!(asked.status, 202);
    assert_eq!(
        json(&asked)["location"],
        "https://app.example.com/accounts/created"
    );
    let link = link(&world, ADA);
    let request = world
        .request("GET", &link)
        .header("accept", "application/json");
    let looked = request.send().await;
    assert_eq!(looked.status, 200);
    assert!(json(&looked)["message"].is_string());

    let short = world
        .post_json(&link, &json!({ "password": "short" }))
        .await;
    assert_eq!(short.status, 422);
    assert_eq!(json(&short)["errors"][0]["pointer"], "#/password");
    let chosen = world
        .post_json(&link, &json!({ "password": NEW_PASSWORD }))
        .await;
    assert_eq!(chosen.status, 200);
    assert_eq!(
        json(&chosen)["location"],
        "https://app.example.com/accounts/confirmed"
    );
    assert!(json(&chosen)["message"].is_string());
    assert!(is_password_of(&world.row(ADA).unwrap(), NEW_PASSWORD));

    let again = world
        .post_json(&link, &json!({ "password": OTHER_PASSWORD }))
        .await;
    assert_eq!(again.status, 404);
    assert_eq!(
        again.header("content-type"),
        Some("application/problem+json")
    );
}

#[tokio::test]
async fn python_reads_our_tokens_and_makes_tokens_that_we_read() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    ask(&world, ADA).await;
    let mailed = link(&world, ADA);
    let token = mailed.rsplit('/').next().unwrap();

    let script = "
from itsdangerous import URLSafeTimedSerializer
serializer = URLSafeTimedSerializer(input['key'])
read = serializer.loads(input['token'], salt='recover-key', max_age=60)
output = [read, serializer.dumps(read, salt='recover-key')]";
    let output = python(
        script,
        &json!({ "key": world.secret_key(), "token": token }),
    );

    assert_eq!(output[0], ADA);
    let link = format!("/accounts/password/{}", output[1].as_str().unwrap());
    assert_eq!(world.get(&link).await.status, 200);
    assert_eq!(choose(&world, &link, NEW_PASSWORD).await.status, 303);
    assert!(is_password_of(&world.row(ADA).unwrap(), NEW_PASSWORD));
}

#[tokio::test]
async fn a_row_that_waits_is_confirmed_by_the_new_password() {
    let world = World::start().await;
    sign_up(&world, "waiting@example.com").await;
    have_contested_row(&world, "contested@example.com").await;
    world.put_row(&json!({ "email": "invited@example.com", "role": "editor" }));
    world.put_row(&json!({ "email": "other@example.com", "password_hash": "$2b$12$bcrypt" }));

    for email in [
        "waiting@example.com",
        "contested@example.com",
        "invited@example.com",
        "other@example.com",
    ] {
        ask(&world, email).await;

        let chosen = choose(&world, &link(&world, email), NEW_PASSWORD).await;

        assert_eq!(chosen.status, 303, "{email}");
        let row = world.row(email).unwrap();
        assert!(is_confirmed(&world, email), "{email}");
        assert!(is_password_of(&row, NEW_PASSWORD), "{email}");
        assert!(row["confirmed_at"].is_string(), "{email}");
        assert_eq!(row["locale"], "en", "{email}");
        for gone in ["expires_at", "contested", "sign_up"] {
            assert_eq!(row.get(gone), None, "{email}: {gone}");
        }
    }
    assert_eq!(world.row("invited@example.com").unwrap()["role"], "editor");
}

#[tokio::test]
async fn the_link_of_a_sign_up_that_was_reset_confirms_nothing_and_its_password_is_gone() {
    let world = World::start().await;
    let confirms = have_contested_row(&world, ADA).await;
    ask(&world, ADA).await;
    choose(&world, &link(&world, ADA), NEW_PASSWORD).await;
    let row = world.row(ADA);

    assert_eq!(world.get(&confirms).await.status, 303);
    let posted = world
        .post_form(
            &confirms,
            &[
                ("password", OTHER_PASSWORD),
                ("password_again", OTHER_PASSWORD),
            ],
        )
        .await;

    assert_eq!(posted.status, 303);
    assert_eq!(world.row(ADA), row);
}

#[tokio::test]
async fn an_address_without_an_account_is_told_so_by_mail() {
    let world = World::start().await;

    assert_eq!(ask(&world, NOBODY).await.status, 303);

    let mail = world.mail_to(NOBODY);
    assert_eq!(mail.subject, "You have no account at app.example.com");
    assert!(mail.links().contains(&world.url("/accounts/create")));
    assert!(!mail.text().contains("/accounts/password/"));
    assert!(world.rows().is_empty());
}

#[tokio::test]
async fn an_account_that_is_asked_for_twice_is_led_here() {
    let world = without_cooldown().await;
    have_account(&world, ADA).await;
    let forgot = world.url("/accounts/password");

    sign_up(&world, ADA).await;
    assert!(world.mail_to(ADA).links().contains(&forgot));
    let form = [
        ("email", ADA),
        ("password", PASSWORD),
        ("new_email", "new@example.com"),
    ];
    world.post_form("/accounts/email", &form).await;
    assert!(world.mail_to(ADA).links().contains(&forgot));
}

// A token works once, and not for long.

#[tokio::test]
async fn a_link_works_once() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    ask(&world, ADA).await;
    let link = link(&world, ADA);
    assert_eq!(choose(&world, &link, NEW_PASSWORD).await.status, 303);
    let before = stored(&world);

    assert_eq!(world.get(&link).await.status, 404);
    assert_eq!(world.request("HEAD", &link).send().await.status, 404);
    let again = choose(&world, &link, OTHER_PASSWORD).await;

    assert_eq!(again.status, 404);
    assert!(again.text().contains("not valid any more"));
    // Where to ask for another one.
    let ask = format!("href=\"{}\"", world.url("/accounts/password"));
    assert!(again.text().contains(&ask));
    assert_eq!(stored(&world), before);
    assert_eq!(notices(&world, ADA), 1);
}

#[tokio::test]
async fn all_links_die_with_the_password_they_were_asked_for() {
    let world = without_cooldown().await;
    have_account(&world, ADA).await;
    ask(&world, ADA).await;
    let first = link(&world, ADA);
    ask(&world, ADA).await;
    let second = link(&world, ADA);

    // Made in the same second they are one and the same.
    assert_eq!(choose(&world, &second, NEW_PASSWORD).await.status, 303);

    assert_eq!(world.get(&first).await.status, 404);
    assert_eq!(choose(&world, &first, OTHER_PASSWORD).await.status, 404);
    assert!(is_password_of(&world.row(ADA).unwrap(), NEW_PASSWORD));

    // Other code, or a person who is signed in, changes it as well.
    ask(&world, ADA).await;
    let third = link(&world, ADA);
    let in_a_minute = jiff::Timestamp::from_second(now() + 60).unwrap();
    world.change_row(
        ADA,
        &json!({ "password_changed_at": in_a_minute.to_string() }),
    );
    assert_eq!(choose(&world, &third, OTHER_PASSWORD).await.status, 404);
}

#[tokio::test]
async fn a_link_asked_for_in_the_second_of_a_change_works() {
    let world = without_cooldown().await;
    have_account(&world, ADA).await;

    // The password was changed this very second, or by a machine whose clock is a little ahead.
    for ahead in [0, 3] {
        let changed_at = jiff::Timestamp::from_second(now() + ahead).unwrap();
        world.change_row(
            ADA,
            &json!({ "password_changed_at": changed_at.to_string() }),
        );
        ask(&world, ADA).await;
        let link = link(&world, ADA);
        let password = format!("{NEW_PASSWORD} {ahead}");

        assert_eq!(world.get(&link).await.status, 200, "{ahead}");
        assert_eq!(
            choose(&world, &link, &password).await.status,
            303,
            "{ahead}"
        );

        let row = world.row(ADA).unwrap();
        assert!(is_password_of(&row, &password), "{ahead}");
        let again = row["password_changed_at"].as_str().unwrap();
        assert!(again > changed_at.to_string().as_str(), "{ahead}: {again}");
        assert_eq!(world.get(&link).await.status, 404, "{ahead}");
    }
}

#[tokio::test]
async fn a_link_lives_exactly_as_long_as_reset_max_age_says() {
    for (max_age, seconds) in [(None, 3_600), (Some("1"), 1), (Some("604800"), 604_800)] {
        let mut builder = World::builder();
        if let Some(max_age) = max_age {
            builder = builder.setting("RESET_MAX_AGE", max_age);
        }
        let world = builder.start().await;
        put_account(&world, ADA);
        let look = async |age| {
            within_one_second(async || world.get(&signed(&world, ADA, age)).await).await
        };

        assert_eq!(look(seconds).await.status, 200, "{seconds}");
        assert_eq!(look(seconds + 1).await.status, 404, "{seconds}");
        let late = choose(&world, &signed(&world, ADA, seconds + 2), NEW_PASSWORD).await;
        assert_eq!(late.status, 404, "{seconds}");
        // Clocks may differ by five seconds.
        assert_eq!(look(-5).await.status, 200);
        assert_eq!(look(-6).await.status, 404);
    }
}

#[tokio::test]
async fn a_link_is_not_for_a_row_that_is_younger() {
    let world = World::start().await;
    put_account(&world, ADA);
    let made = |seconds_ago: i64| {
        let made = jiff::Timestamp::from_second(now() - seconds_ago).unwrap();
        world.change_row(ADA, &json!({ "created_at": made.to_string() }));
        world.row(ADA)
    };

    let row = made(60);
    let early = signed(&world, ADA, 70);
    assert_eq!(world.get(&early).await.status, 404);
    assert_eq!(choose(&world, &early, NEW_PASSWORD).await.status, 404);
    assert_eq!(world.row(ADA), row);

    let in_time = signed(&world, ADA, 63);
    assert_eq!(choose(&world, &in_time, NEW_PASSWORD).await.status, 303);
}

#[tokio::test]
async fn an_expired_row_that_is_still_there_is_nobodys() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    world.change_row(ADA, &json!({ "expires_at": now() - 10 }));
    let row = world.row(ADA);

    ask(&world, ADA).await;
    assert_eq!(
        world.mail_to(ADA).subject,
        "You have no account at app.example.com"
    );
    assert_eq!(
        choose(&world, &signed(&world, ADA, 0), NEW_PASSWORD)
            .await
            .status,
        404
    );
    assert_eq!(world.row(ADA), row);
}

#[tokio::test]
async fn looking_changes_nothing() {
    let world = World::start().await;
    have_contested_row(&world, ADA).await;
    ask(&world, ADA).await;
    let link = link(&world, ADA);
    let before = stored(&world);
    let mails = world.mails().len();

    assert_eq!(world.get(&link).await.status, 200);
    let head = world.request("HEAD", &link).send().await;
    assert_eq!((head.status, head.text().as_str()), (200, ""));
    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "prefetch"),
    ] {
        let prefetch = world.request("GET", &link).header(name, value);
        assert_eq!(prefetch.send().await.status, 503, "{value}");
    }
    for path in ["/accounts/password", &link] {
        assert_eq!(world.request("OPTIONS", path).send().await.status, 405);
        assert_eq!(world.request("PUT", path).send().await.status, 405);
    }

    assert_eq!(stored(&world), before);
    assert_eq!(world.mails().len(), mails);
}

#[tokio::test]
async fn a_password_that_cannot_be_taken_leaves_the_link_alive() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    ask(&world, ADA).await;
    let link = link(&world, ADA);
    let before = stored(&world);

    for bad in [
        "",
        "short",
        "         ",
        "password123",
        ADA,
        "ADA@example.com",
    ] {
        let answer = choose(&world, &link, bad).await;

        assert_eq!(answer.status, 422, "{bad}");
        assert!(answer.text().contains("id=\"password-error\""), "{bad}");
        assert!(bad.is_empty() || !answer.text().contains(&format!("\"{bad}\"")) || bad == ADA);
    }
    for body in [
        "password=a+long+password&password=another+one",
        "password=%ff",
    ] {
        let request = world.request("POST", &link).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(request.send().await.status, 400, "{body}");
    }
    assert_eq!(stored(&world), before);
    assert_eq!(notices(&world, ADA), 0);

    assert_eq!(choose(&world, &link, NEW_PASSWORD).await.status, 303);
}

#[tokio::test]
async fn an_address_that_is_none_is_said_to_be_so() {
    let world = World::start().await;

    for (email, status) in [
        ("", 422),
        ("ada", 422),
        ("a@b..c", 422),
        ("=?utf-8?q?a?=@example.com", 422),
    ] {
        let answer = ask(&world, email).await;
        assert_eq!(answer.status, status, "{email}");
        assert!(answer.text().contains("id=\"email-error\""), "{email}");
    }
    assert!(world.is_untouched());
}

// Races.

#[tokio::test]
async fn sixteen_posts_of_one_link_set_one_password_and_send_one_notice() {
    let world = World::builder().processes(4).start().await;
    have_account(&world, ADA).await;
    ask(&world, ADA).await;
    let link = link(&world, ADA);

    let passwords: Vec<_> = (0..16).map(|n| format!("{NEW_PASSWORD} {n}")).collect();
    let posts = passwords
        .iter()
        .map(|password| choose(&world, &link, password));
    let answers = join_all(posts).await;

    let done: Vec<_> = (0..16).filter(|n| answers[*n].status == 303).collect();
    let [winner] = done.as_slice() else {
        panic!("not one, but {done:?}");
    };
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.status, 303 | 404))
    );
    assert!(is_password_of(
        &world.row(ADA).unwrap(),
        &passwords[*winner]
    ));
    assert_eq!(notices(&world, ADA), 1);
}

#[tokio::test]
async fn a_sign_in_that_hashes_the_old_password_anew_does_not_stop_a_reset() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    ask(&world, ADA).await;
    let store = world.store.clone();
    let mut row = store.item(ADA).unwrap().unwrap();
    row["password_hash"] = json!({ "S": "$argon2id$of the old password" });
    // Between the read and the write.
    let rehash = Fault::before(move || {
        let (store, row) = (store.clone(), row.clone());
        async move { store.put(&row).unwrap() }
    });
    world.ses.once("SendEmail", rehash);

    let answer = choose(&world, &link(&world, ADA), NEW_PASSWORD).await;

    assert_eq!(answer.status, 303);
    assert!(is_password_of(&world.row(ADA).unwrap(), NEW_PASSWORD));
}

#[tokio::test]
async fn a_reset_does_not_bring_a_row_back_that_has_gone() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    ask(&world, ADA).await;
    let store = world.store.clone();
    let delete = Fault::before(move || {
        let store = store.clone();
        async move { store.delete(ADA).unwrap() }
    });
    world.ses.once("SendEmail", delete);

    let answer = choose(&world, &link(&world, ADA), NEW_PASSWORD).await;

    assert_eq!(answer.status, 404);
    assert_eq!(world.row(ADA), None);
}

#[tokio::test]
async fn a_sign_up_that_is_confirmed_meanwhile_gets_the_new_password() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    ask(&world, ADA).await;
    let store = world.store.clone();
    let confirm = Fault::before(move || {
        let store = store.clone();
        async move {
            let mut row = store.item(ADA).unwrap().unwrap();
            row["email_confirmed"] = json!({ "BOOL": true });
            store.put(&row).unwrap();
        }
    });
    world.ses.once("SendEmail", confirm);

    let answer = choose(&world, &link(&world, ADA), NEW_PASSWORD).await;

    assert_eq!(answer.status, 303);
    assert!(is_password_of(&world.row(ADA).unwrap(), NEW_PASSWORD));
    assert_eq!(notices(&world, ADA), 1);
}

#[tokio::test]
async fn a_pending_change_of_address_dies_with_the_old_password() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    let form = [
        ("email", ADA),
        ("password", PASSWORD),
        ("new_email", "thief@example.com"),
    ];
    let asked = world.post_form("/accounts/email", &form).await;
    assert_eq!(asked.status, 303);
    let moves = world.mail_to("thief@example.com").link();
    assert!(world.row(ADA).unwrap()["email_change"].is_object());
    ask(&world, ADA).await;

    choose(&world, &link(&world, ADA), NEW_PASSWORD).await;

    assert_eq!(world.row(ADA).unwrap().get("email_change"), None);
    let followed = world.request("GET", &moves).browser_of(&asked).send().await;
    assert_eq!(followed.status, 404);
    for password in [PASSWORD, NEW_PASSWORD] {
        assert_eq!(
            world
                .post_form(&moves, &[("password", password)])
                .await
                .status,
            404
        );
    }
    assert!(is_confirmed(&world, ADA));
    assert_eq!(world.row("thief@example.com"), None);
}

// Faults.

/// What a post does: it looks for the row, claims the notice, mails it, notes that, sets the password, and remembers the network.
const DYNAMODB_CALLS: usize = 5;

#[tokio::test]
async fn a_post_makes_the_calls_that_these_tests_fail_one_by_one() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    ask(&world, ADA).await;
    world.forget_calls();

    choose(&world, &link(&world, ADA), NEW_PASSWORD).await;

    assert_eq!(world.dynamodb.calls(ANY), DYNAMODB_CALLS);
    assert_eq!(world.ses.calls(ANY), 1);
}

#[tokio::test]
async fn one_lost_answer_goes_unnoticed_whichever_it_is() {
    for call in 0..DYNAMODB_CALLS {
        let world = World::start().await;
        have_account(&world, ADA).await;
        ask(&world, ADA).await;
        if call > 0 {
            let pass = Fault::Delay(Duration::ZERO);
            world.dynamodb.times(call, ANY, pass);
        }
        world.dynamodb.once(ANY, Fault::DropAnswer);

        let answer = choose(&world, &link(&world, ADA), NEW_PASSWORD).await;

        assert_eq!(answer.status, 303, "{call}");
        assert!(
            is_password_of(&world.row(ADA).unwrap(), NEW_PASSWORD),
            "{call}"
        );
        assert_eq!(notices(&world, ADA), 1, "{call}");
    }
}

#[tokio::test]
async fn whatever_fails_for_good_is_answered_503_and_trying_again_completes_the_job() {
    for call in 0..DYNAMODB_CALLS {
        for fault in [Fault::access_denied(), Fault::DropAnswer, Fault::DropCall] {
            let (clock, world) = Clock::of(World::builder());
            let world = world.start().await;
            have_account(&world, ADA).await;
            ask(&world, ADA).await;
            let link = link(&world, ADA);
            if call > 0 {
                let pass = Fault::Delay(Duration::ZERO);
                world.dynamodb.times(call, ANY, pass);
            }
            world.dynamodb.always(ANY, fault.clone());

            let failed = choose(&world, &link, NEW_PASSWORD).await;

            // The network is remembered if it can be.
            let is_last = call == DYNAMODB_CALLS - 1;
            assert_eq!(failed.status, if is_last { 303 } else { 503 }, "{call}");
            if !is_last {
                assert_eq!(failed.header("retry-after"), Some("60"));
            }
            world.dynamodb.heal();
            clock.advance(60);
            let again = choose(&world, &link, NEW_PASSWORD).await;
            // Whoever does not know that it worked is told to try the password.
            assert!(
                matches!(again.status, 303 | 404),
                "{call}: {}",
                again.status
            );
            let row = world.row(ADA).unwrap();
            assert!(is_password_of(&row, NEW_PASSWORD), "{call}");
            assert!((1..=2).contains(&notices(&world, ADA)), "{call}");
        }
    }
}

#[tokio::test]
async fn without_a_notice_there_is_no_new_password() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    ask(&world, ADA).await;
    let link = link(&world, ADA);
    let row = world.row(ADA);

    for fault in [
        Fault::access_denied(),
        Fault::unavailable(),
        Fault::DropCall,
    ] {
        world.ses.always("SendEmail", fault);
        assert_eq!(choose(&world, &link, NEW_PASSWORD).await.status, 503);
        assert_eq!(world.row(ADA), row);
        world.ses.heal();
    }

    // At once: the next one need not wait for the failed one.
    assert_eq!(choose(&world, &link, NEW_PASSWORD).await.status, 303);
    assert_eq!(notices(&world, ADA), 1);
}

#[tokio::test]
async fn a_link_that_could_not_be_mailed_can_be_asked_for_at_once() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    for email in [ADA, NOBODY] {
        world.ses.always("SendEmail", Fault::unavailable());
        let failed = ask(&world, email).await;
        assert_eq!(failed.status, 503, "{email}");
        assert_eq!(failed.header("retry-after"), Some("60"));
        world.ses.heal();
        let mails = world.mails_to(email).len();

        assert_eq!(ask(&world, email).await.status, 303);

        assert_eq!(world.mails_to(email).len(), mails + 1, "{email}");
    }
}

#[tokio::test]
async fn one_lost_answer_while_asking_mails_one_link() {
    for call in 0..2 {
        let world = World::start().await;
        have_account(&world, ADA).await;
        if call > 0 {
            let pass = Fault::Delay(Duration::ZERO);
            world.dynamodb.times(call, ANY, pass);
        }
        world.dynamodb.once(ANY, Fault::DropAnswer);

        assert_eq!(ask(&world, ADA).await.status, 303);

        assert_eq!(world.mails_to(ADA).len(), 2, "{call}");
        assert_eq!(
            choose(&world, &link(&world, ADA), NEW_PASSWORD)
                .await
                .status,
            303
        );
    }
}

// Who has an account.

/// Addresses of every kind, each with no mail of a reset yet.
async fn every_kind(world: &World) -> Vec<&'static str> {
    have_account(world, "confirmed@example.com").await;
    sign_up(world, "waiting@example.com").await;
    have_contested_row(world, "contested@example.com").await;
    world.put_row(&json!({ "email": "invited@example.com" }));
    put_account(world, "bounced@example.com");
    world.change_row("bounced@example.com", &json!({ "undeliverable": "bounce" }));
    vec![
        "nobody@example.com",
        "confirmed@example.com",
        "waiting@example.com",
        "contested@example.com",
        "invited@example.com",
        "bounced@example.com",
    ]
}

#[tokio::test]
async fn asking_tells_nobody_who_has_an_account() {
    let world = World::start().await;
    let kinds = every_kind(&world).await;
    let expected = ask(&world, "reference@example.com").await;
    assert_eq!(expected.status, 303);

    for email in kinds {
        world.forget_calls();
        assert_eq!(ask(&world, email).await, expected, "{email}");
        let mut calls = world.all_calls();
        calls.sort();
        assert_eq!(calls, ["GetItem", "SendEmail", "UpdateItem"], "{email}");

        // In the cooldown the same, but for the mail.
        world.forget_calls();
        assert_eq!(ask(&world, email).await, expected, "{email}");
        let mut calls = world.all_calls();
        calls.sort();
        assert_eq!(calls, ["GetItem", "UpdateItem"], "{email}");
    }
    // Who has complained gets no mail, and nobody else is told.
    put_account(&world, ADA);
    world.change_row(ADA, &json!({ "undeliverable": "complaint" }));
    assert_eq!(ask(&world, ADA).await, expected);
    assert!(world.mails_to(ADA).is_empty());
}

#[tokio::test]
async fn without_ses_the_answer_is_the_same_for_every_address() {
    let world = World::start().await;
    let kinds = every_kind(&world).await;
    world.ses.always("SendEmail", Fault::access_denied());
    let expected = ask(&world, "reference@example.com").await;
    assert_eq!(expected.status, 503);

    for email in kinds {
        assert_eq!(ask(&world, email).await, expected, "{email}");
    }
}

// Attacks.

#[tokio::test]
async fn the_owner_of_an_address_that_complained_is_not_robbed_in_silence() {
    let world = World::start().await;
    for undeliverable in [json!("complaint"), json!(true)] {
        put_account(&world, ADA);
        world.change_row(ADA, &json!({ "undeliverable": undeliverable }));
        let row = world.row(ADA);

        let answer = choose(&world, &signed(&world, ADA, 0), NEW_PASSWORD).await;

        assert_eq!(answer.status, 422, "{undeliverable}");
        assert!(answer.text().contains("no-reply@app.example.com"));
        assert_eq!(world.row(ADA), row);
        assert!(world.mails().is_empty());
    }
}

#[tokio::test]
async fn a_token_of_another_purpose_or_key_is_no_reset_link_and_reaches_nothing() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    let row = world.row(ADA);
    let key = world.secret_key().to_owned();
    let confirm = world.token(ADA, 0);

    let mut links = vec![
        format!("/accounts/password/{confirm}"),
        "/accounts/password/nonsense".to_owned(),
    ];
    for (key, salt) in [
        ("another key of somebody else", "recover-key"),
        ("", "recover-key"),
        (&key, "email-confirm-key"),
        (&key, "email-update-key"),
        (&key, "accounts-cookie"),
        (&key, "accounts-limits"),
        (&key, ""),
        (&key, "itsdangerous"),
    ] {
        links.push(signed_with(key, salt, ADA, 0));
    }
    for link in &links {
        assert_eq!(world.get(link).await.status, 404, "{link}");
        assert_eq!(
            choose(&world, link, NEW_PASSWORD).await.status,
            404,
            "{link}"
        );
    }
    // Nor is a reset link a confirmation link.
    let reset = signed(&world, ADA, 0);
    let token = reset.rsplit('/').next().unwrap();
    assert_eq!(
        world
            .get(&format!("/accounts/confirm/{token}"))
            .await
            .status,
        404
    );
    assert!(world.is_untouched());
    assert_eq!(world.row(ADA), row);
}

#[tokio::test]
async fn links_never_come_from_a_request() {
    let world = without_cooldown().await;
    have_account(&world, ADA).await;
    for (name, value) in [
        ("x-forwarded-host", "evil.example.net"),
        ("forwarded", "host=evil.example.net"),
        ("x-original-url", "https://evil.example.net/"),
        ("referer", "https://evil.example.net/"),
    ] {
        let request = world.request("POST", "/accounts/password");
        let request = request.form(&[("email", ADA), ("next", "https://evil.example.net/")]);
        let request = request.replace_header("host", "evil.example.net");

        let answer = request.header(name, value).send().await;

        assert_eq!(
            answer.header("location"),
            Some("https://app.example.com/accounts/created")
        );
        let mail = world.mail_to(ADA);
        assert!(!mail.text().contains("evil") && !mail.html().contains("evil"));
        assert!(link(&world, ADA).starts_with("https://app.example.com/accounts/password/"));
    }
}

#[tokio::test]
async fn no_spelling_gets_an_address_mailed_twice_in_the_cooldown() {
    let world = World::start().await;
    for spelling in [
        "ada@b\u{fc}cher.example",
        "ADA@B\u{dc}CHER.EXAMPLE",
        "ada@xn--bcher-kva.example",
        " ada@bu\u{308}cher.example\t",
        "\u{200b}ada@b\u{fc}cher\u{3002}example",
    ] {
        assert_eq!(ask(&world, spelling).await.status, 303);
        let json = json!({ "email": spelling });
        assert_eq!(
            world.post_json("/accounts/password", &json).await.status,
            202
        );
    }

    assert_eq!(world.mails().len(), 1);
}

#[tokio::test]
async fn another_sites_page_asks_for_nothing_and_sets_nothing() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    let before = stored(&world);

    for path in ["/accounts/password".to_owned(), signed(&world, ADA, 0)] {
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example.net"),
            ("origin", "null"),
        ] {
            let request = world.request("POST", &path).header(name, value);
            let request = request.form(&[("email", ADA), ("password", NEW_PASSWORD)]);
            assert_eq!(request.send().await.status, 403, "{path} {name}: {value}");
        }
    }
    assert_eq!(stored(&world), before);
    assert_eq!(world.mails().len(), 1);
}

#[tokio::test]
async fn the_log_tells_what_was_done_and_not_to_whom() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    ask(&world, ADA).await;
    ask(&world, ADA).await;
    ask(&world, NOBODY).await;
    let link = link(&world, ADA);
    world.get(&link).await;
    choose(&world, &link, NEW_PASSWORD).await;
    choose(&world, &link, NEW_PASSWORD).await;

    let lines = world.final_logs().await;

    let lines: Vec<_> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("reset-password: "))
        .collect();
    let outcomes: Vec<_> = lines
        .iter()
        .map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            let route = record["route"].as_str().unwrap().to_owned();
            let outcome = record["outcome"].as_str().unwrap();
            format!("{} {route} {outcome}", record["method"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        outcomes,
        [
            "POST /accounts/password reset-asked",
            "POST /accounts/password reset-asked",
            "POST /accounts/password reset-unknown",
            "GET /accounts/password/{token} needs-password",
            "POST /accounts/password/{token} password-changed",
            "POST /accounts/password/{token} refused",
        ]
    );
    let token = link.rsplit('/').next().unwrap();
    for secret in ["ada@", "nobody@", token, NEW_PASSWORD, "argon2id"] {
        assert!(!lines.concat().contains(secret), "{secret}");
    }
}
