//! Keys that Secrets Manager keeps: at start, rotated, and out of reach.

use std::time::{Duration, Instant};

use signing::UrlSafeTimedSerializer;
use tests::{ANY, Builder, Clock, Fault, World};

use crate::steps::{ADA, PASSWORD, have_account, is_confirmed, now, sign_up};

const SECOND_KEY: &str = "the second key of a rotation";
const THIRD_KEY: &str = "the third key of another one";

/// After this long the functions read the key again.
const MINUTES: u32 = 301;

/// A world that trusts whoever opens a link, since these tests are about keys alone.
fn world() -> Builder {
    World::builder()
        .key_in_secrets_manager()
        .setting("CONFIRM_ON", "visit")
}

fn serializer(key: &str) -> UrlSafeTimedSerializer {
    UrlSafeTimedSerializer::new(key.as_bytes(), "email-confirm-key")
}

/// A link that a function with another key might have mailed a moment ago.
fn link(key: &str, email: &str) -> String {
    let now = now().try_into().unwrap();
    let token = serializer(key).dumps_at(email, now).unwrap();
    format!("/accounts/confirm/{token}")
}

/// Whether `key` signed the token of the newest mail to `email`.
fn signed_by(world: &World, email: &str, key: &str) -> bool {
    let token = world.mail_to(email).token();
    let loaded = serializer(key).loads_at::<String>(&token, None, u64::MAX);
    loaded.is_ok_and(|loaded| loaded.value == email)
}

// At start.

#[tokio::test]
async fn without_secrets_manager_the_start_fails_with_a_line_and_the_next_one_works() {
    for fault in [
        Fault::unavailable(),
        Fault::throttled(),
        Fault::access_denied(),
        Fault::error(400, "ResourceNotFoundException"),
        Fault::DropCall,
    ] {
        let world = world().start().await;
        world.secrets_manager.always(ANY, fault);

        assert!(
            world
                .request("GET", "/accounts/create")
                .try_send()
                .await
                .is_err()
        );

        let line = world.log_line("SECRET_KEY_ARN").await;
        assert!(line.contains("GetSecretValue"), "{line}");
        assert_eq!(world.logs().len(), 1, "{:?}", world.logs());
        world.secrets_manager.heal();
        assert_eq!(world.get("/accounts/create").await.status, 200);
    }
}

#[tokio::test]
async fn a_secrets_manager_that_hangs_ends_the_start_well_before_lambda_does() {
    let world = world().start().await;
    world.secrets_manager.always(ANY, Fault::Hang);
    let started = Instant::now();

    assert!(
        world
            .request("GET", "/accounts/create")
            .try_send()
            .await
            .is_err()
    );

    // Lambda gives a start ten seconds.
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    let line = world.log_line("SECRET_KEY_ARN").await;
    assert!(line.contains("timeout"), "{line}");
}

#[tokio::test]
async fn a_slow_secrets_manager_is_waited_for_and_one_failure_goes_unnoticed() {
    let world = world().start().await;
    world.secrets_manager.once(ANY, Fault::unavailable());
    world
        .secrets_manager
        .times(3, ANY, Fault::Delay(Duration::from_secs(1)));

    let (form, page) = tokio::join!(
        world.get("/accounts/create"),
        world.get("/accounts/confirmed")
    );

    assert_eq!((form.status, page.status), (200, 200));
}

#[tokio::test]
async fn a_secret_that_is_no_key_stops_the_start_and_is_not_printed() {
    for secret in ["", "fifteen bytes.."] {
        let world = world().start().await;
        world.rotate_key(secret);

        assert!(
            world
                .request("GET", "/accounts/create")
                .try_send()
                .await
                .is_err()
        );

        let line = world.log_line("SECRET_KEY_ARN").await;
        assert!(line.contains("16 bytes"), "{line}");
        assert!(!line.contains("fifteen"), "{line}");
    }
}

// Warm.

#[tokio::test]
async fn after_a_rotation_new_links_use_the_new_key_within_minutes_and_old_ones_still_confirm() {
    let (clock, world) = Clock::of(world());
    let world = world.start().await;
    let first_key = world.secret_key().to_owned();
    sign_up(&world, ADA).await;
    assert!(signed_by(&world, ADA, &first_key));
    world.get("/accounts/confirmed").await;

    world.rotate_key(SECOND_KEY);
    sign_up(&world, "bob@example.com").await;
    assert!(signed_by(&world, "bob@example.com", &first_key));
    clock.advance(MINUTES);
    sign_up(&world, "eve@example.com").await;

    assert!(signed_by(&world, "eve@example.com", SECOND_KEY));
    for email in ["eve@example.com", ADA, "bob@example.com"] {
        assert_eq!(
            world.get(&world.mail_to(email).link()).await.status,
            303,
            "{email}"
        );
        assert!(is_confirmed(&world, email));
    }
    // No process was started anew.
    let starts = world
        .logs()
        .iter()
        .filter(|line| line.contains(r#""cold":true"#))
        .count();
    assert_eq!(starts, 2);
}

#[tokio::test]
async fn after_a_rotation_links_of_every_kind_still_work() {
    let (clock, world) = Clock::of(world().setting("RESEND_COOLDOWN", "0"));
    let world = world.start().await;
    have_account(&world, ADA).await;
    let reset = async || {
        let form = [("email", ADA)];
        world.post_form("/accounts/password", &form).await;
        let links = world.mail_to(ADA).links();
        let mut links = links.into_iter();
        links
            .find(|link| link.contains("/accounts/password/"))
            .unwrap()
    };
    let form = [
        ("email", ADA),
        ("password", PASSWORD),
        ("new_email", "new@example.com"),
    ];
    let change = world.request("POST", "/accounts/email").form(&form);
    let asked = change.send().await;
    assert_eq!(asked.status, 303);
    let moves = world.mail_to("new@example.com").link();
    let sets = reset().await;

    world.rotate_key(SECOND_KEY);
    clock.advance(MINUTES);

    // A fresh one under the new key, the older one of before, and the browser's cookie beside a link.
    assert_eq!(world.get(&reset().await).await.status, 200);
    let token = reset().await.rsplit('/').next().unwrap().to_owned();
    let new = UrlSafeTimedSerializer::new(SECOND_KEY.as_bytes(), "recover-key");
    assert!(new.loads_at::<String>(&token, None, u64::MAX).is_ok());
    assert_eq!(world.get(&sets).await.status, 200);
    let followed = world.request("GET", &moves).browser_of(&asked).send().await;
    assert_eq!(followed.status, 303);
    assert!(is_confirmed(&world, "new@example.com"));
}

#[tokio::test]
async fn two_rotations_end_the_links_of_the_first_key() {
    let (clock, world) = Clock::of(world());
    let world = world.start().await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    world.get("/accounts/confirmed").await;

    world.rotate_key(SECOND_KEY);
    world.rotate_key(THIRD_KEY);
    clock.advance(MINUTES);

    assert_eq!(world.get(&link).await.status, 404);
    assert!(!is_confirmed(&world, ADA));
}

#[tokio::test]
async fn a_key_in_the_fallbacks_outlives_any_rotation() {
    let (clock, world) = Clock::of(world());
    let world = world
        .setting("SECRET_KEY_FALLBACKS", SECOND_KEY)
        .start()
        .await;
    sign_up(&world, ADA).await;
    world.get("/accounts/confirmed").await;
    world.rotate_key(THIRD_KEY);
    clock.advance(MINUTES);

    assert_eq!(world.get(&link(SECOND_KEY, ADA)).await.status, 303);
    assert!(is_confirmed(&world, ADA));
}

#[tokio::test]
async fn a_link_under_a_key_that_is_not_known_yet_makes_the_function_look_for_it() {
    let (clock, world) = Clock::of(world());
    let world = world.start().await;
    sign_up(&world, ADA).await;
    world.get("/accounts/confirmed").await;
    world.rotate_key(SECOND_KEY);
    clock.advance(61);
    world.forget_calls();

    assert_eq!(world.get(&link(SECOND_KEY, ADA)).await.status, 303);

    assert!(is_confirmed(&world, ADA));
    // The current and the previous version, once.
    assert_eq!(world.calls("GetSecretValue"), 2);
}

#[tokio::test]
async fn forged_links_make_a_function_read_the_secret_once_a_minute_and_no_more() {
    let (clock, world) = Clock::of(world());
    let world = world.start().await;
    world.get("/accounts/confirmed").await;
    world.forget_calls();

    for minute in 0..4 {
        for n in 0..20 {
            let forged = link(&format!("not a key of ours, number {n}"), ADA);
            assert_eq!(world.get(&forged).await.status, 404);
        }
        // The first minute begins with the start, which has just read it.
        assert_eq!(world.all_calls(), vec!["GetSecretValue"; 2 * minute]);
        clock.advance(60);
    }
}

#[tokio::test]
async fn warm_functions_do_without_secrets_manager() {
    for fault in [
        Fault::unavailable(),
        Fault::access_denied(),
        Fault::DropCall,
    ] {
        let (clock, world) = Clock::of(world());
        let world = world.start().await;
        sign_up(&world, ADA).await;
        world.get("/accounts/confirmed").await;
        world.secrets_manager.always(ANY, fault);
        clock.advance(MINUTES);
        world.forget_calls();

        for email in ["bob@example.com", "eve@example.com"] {
            assert_eq!(sign_up(&world, email).await.status, 303);
            assert_eq!(world.get(&world.mail_to(email).link()).await.status, 303);
        }
        assert_eq!(world.get(&world.mail_to(ADA).link()).await.status, 303);

        assert!(is_confirmed(&world, ADA) && is_confirmed(&world, "eve@example.com"));
        // Each of the two functions has tried once, and no request has waited for a second try.
        let tries = world.calls("GetSecretValue");
        assert!((2..=9).contains(&tries), "{tries}");
        world.forget_calls();
        world.secrets_manager.heal();
        world.rotate_key(SECOND_KEY);
        clock.advance(61);
        assert_eq!(sign_up(&world, "joe@example.com").await.status, 303);
        assert!(signed_by(&world, "joe@example.com", SECOND_KEY));
    }
}

#[tokio::test]
async fn a_secrets_manager_that_hangs_delays_one_request_in_a_minute() {
    let (clock, world) = Clock::of(world());
    let world = world.start().await;
    sign_up(&world, ADA).await;
    world.secrets_manager.always(ANY, Fault::Hang);
    clock.advance(MINUTES);

    assert_eq!(sign_up(&world, "bob@example.com").await.status, 303);
    let started = Instant::now();
    assert_eq!(sign_up(&world, "eve@example.com").await.status, 303);

    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_secret_that_was_deleted_or_spoilt_does_not_disturb_warm_functions() {
    let (clock, world) = Clock::of(world());
    let world = world.start().await;
    sign_up(&world, ADA).await;
    let first_key = world.secret_key().to_owned();
    world.rotate_key("too short");
    clock.advance(MINUTES);

    assert_eq!(sign_up(&world, "bob@example.com").await.status, 303);

    assert!(signed_by(&world, "bob@example.com", &first_key));
    world.secrets.delete("signing-key");
    clock.advance(MINUTES);
    assert_eq!(sign_up(&world, "eve@example.com").await.status, 303);
}
