//! A change of address, from the form to the moved row.

use serde_json::{Value, json};
use tests::{Answer, Builder, Fault, World, join_all};

const PASSWORD: &str = "correct horse battery";
const OLD: &str = "old@example.com";
const NEW: &str = "new@example.com";

/// A world with a confirmed account, made the way that people make one, and without a cooldown.
async fn world_with_account() -> World {
    with_account(World::builder().setting("RESEND_COOLDOWN", "0")).await
}

async fn with_account(builder: Builder) -> World {
    let world = builder.start().await;
    add_account(&world, OLD).await;
    world.forget_calls();
    world
}

async fn add_account(world: &World, email: &str) {
    let fields = [("email", email), ("password", PASSWORD)];
    world.post_form("/accounts/create", &fields).await;
    let link = world.mail_to(email).link();
    assert_eq!(world.get(&link).await.status, 303);
}

async fn ask(world: &World, email: &str, password: &str, new_email: &str) -> Answer {
    let fields = [
        ("email", email),
        ("password", password),
        ("new_email", new_email),
    ];
    world.post_form("/accounts/email", &fields).await
}

fn location(answer: &Answer) -> &str {
    answer.header("location").unwrap_or_default()
}

#[tokio::test]
async fn the_link_to_the_new_address_moves_the_whole_account() {
    let world = world_with_account().await;
    world.change_row(
        OLD,
        &json!({ "plan": "gold", "tags": ["a", "b"], "nested": { "x": 1 } }),
    );
    let before = world.row(OLD).unwrap();

    let asked = ask(&world, OLD, PASSWORD, NEW).await;
    let followed = world.get(&world.mail_to(NEW).link()).await;

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

#[tokio::test]
async fn the_old_address_is_told_when_it_is_asked_for_and_when_it_is_done() {
    let world = world_with_account().await;
    let before = world.mails_to(OLD).len();

    ask(&world, OLD, PASSWORD, NEW).await;
    let asked = world.mails_to(OLD).split_off(before);
    world.get(&world.mail_to(NEW).link()).await;
    let done = world.mails_to(OLD).split_off(before + 1);

    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].text().contains("If it was not you"),
        "{}",
        asked[0].text()
    );
    assert!(!asked[0].text().contains("/accounts/confirm/"));
    assert_eq!(done.len(), 1);
    assert!(done[0].subject.contains("has changed"));
    assert!(done[0].text().contains("If it was not you"));
}

#[tokio::test]
async fn following_the_link_twice_is_harmless_and_redirects_both_times() {
    let world = world_with_account().await;
    ask(&world, OLD, PASSWORD, NEW).await;
    let link = world.mail_to(NEW).link();

    let first = world.get(&link).await;
    let (row, mails) = (world.row(NEW), world.mails().len());
    let second = world.get(&link).await;

    assert_eq!((first.status, second.status), (303, 303));
    assert_eq!(world.row(NEW), row);
    assert_eq!(world.mails().len(), mails);
}

#[tokio::test]
async fn the_move_is_one_read_and_one_transaction() {
    let world = world_with_account().await;
    ask(&world, OLD, PASSWORD, NEW).await;
    let link = world.mail_to(NEW).link();
    world.forget_calls();

    world.get(&link).await;

    assert_eq!(
        world.all_calls(),
        // The last write remembers that the notice to the old address is out.
        [
            "BatchGetItem",
            "TransactWriteItems",
            "UpdateItem",
            "SendEmail"
        ]
    );
}

#[tokio::test]
async fn json_clients_are_answered_in_json() {
    let world = world_with_account().await;

    let asked = world
        .post_json(
            "/accounts/email",
            &json!({ "email": OLD, "password": PASSWORD, "new_email": NEW }),
        )
        .await;
    let wrong = world
        .post_json(
            "/accounts/email",
            &json!({ "email": OLD, "password": "wrong", "new_email": "x@@y" }),
        )
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
    let again = ask(&world, OLD, "not the password", NEW).await;

    assert_eq!(form.status, 200);
    for field in ["name=\"email\"", "name=\"password\"", "name=\"new_email\""] {
        assert!(form.text().contains(field), "{field}");
    }
    assert_eq!(again.status, 422);
    assert!(again.text().contains(OLD) && again.text().contains(NEW));
    assert!(!again.text().contains("not the password"));
}

#[tokio::test]
async fn a_wrong_password_an_unknown_address_and_an_unconfirmed_one_are_alike_and_cost_alike() {
    let world = world_with_account().await;
    world
        .post_form(
            "/accounts/create",
            &[("email", "waiting@example.com"), ("password", PASSWORD)],
        )
        .await;
    let mails = world.mails().len();

    let mut answers = Vec::new();
    for (email, password) in [
        (OLD, "wrong password"),
        ("unknown@example.com", PASSWORD),
        ("waiting@example.com", PASSWORD),
    ] {
        world.forget_calls();
        let answer = ask(&world, email, password, NEW).await;
        let body = answer.text().replace(email, "ADDRESS");
        answers.push((
            answer.status,
            answer.headers.clone(),
            body,
            world.all_calls(),
        ));
    }

    assert_eq!(answers[0].0, 422);
    assert_eq!(answers[0].3, ["GetItem", "UpdateItem"]);
    assert_eq!(answers[1], answers[0]);
    assert_eq!(answers[2], answers[0]);
    assert_eq!(world.mails().len(), mails);
    assert_eq!(world.row("unknown@example.com"), None);
}

#[tokio::test]
async fn ten_tries_an_hour_from_one_network_and_nobody_is_shut_out_of_another() {
    let world = world_with_account().await;
    let ask_from = async |source_ip: &str, password: &str| {
        let fields = [("email", OLD), ("password", password), ("new_email", NEW)];
        let (_, mut event) = world
            .request("POST", "/accounts/email")
            .form(&fields)
            .event();
        event["requestContext"]["http"]["sourceIp"] = json!(source_ip);
        world.invoke("change-email", &event).await.status
    };

    for _ in 0..10 {
        assert_eq!(ask_from("203.0.113.7", "wrong password").await, 422);
    }

    assert_eq!(
        ask_from("203.0.113.8", PASSWORD).await,
        422,
        "the network has used up its tries"
    );
    assert_eq!(
        ask_from("198.51.100.1", PASSWORD).await,
        303,
        "the owner's network has not"
    );
    world.change_row(
        OLD,
        &json!({ "password_tries": { "203.0.113.0/24": [10, 1_700_000_000] } }),
    );
    assert_eq!(
        ask_from("203.0.113.7", PASSWORD).await,
        303,
        "an hour later it has tries again"
    );
}

#[tokio::test]
async fn tries_at_the_same_time_all_count() {
    let world = with_account(
        World::builder()
            .setting("RESEND_COOLDOWN", "0")
            .processes(16),
    )
    .await;

    join_all((0..16).map(|_| ask(&world, OLD, "wrong password", NEW))).await;

    assert_eq!(ask(&world, OLD, PASSWORD, NEW).await.status, 422);
}

#[tokio::test]
async fn a_taken_address_is_not_revealed_and_its_owner_gets_a_notice_without_a_link() {
    let world = world_with_account().await;
    add_account(&world, "taken@example.com").await;

    let free = ask(&world, OLD, PASSWORD, NEW).await;
    let notices = world.mails_to(OLD).len();
    let taken = ask(&world, OLD, PASSWORD, "taken@example.com").await;

    assert_eq!(
        (taken.status, &taken.headers, taken.text()),
        (free.status, &free.headers, free.text())
    );
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
    world
        .post_form(
            "/accounts/create",
            &[("email", NEW), ("password", "somebody else's")],
        )
        .await;
    let user_id = world.row(OLD).unwrap()["user_id"].clone();

    ask(&world, OLD, PASSWORD, NEW).await;
    let followed = world.get(&world.mail_to(NEW).link()).await;

    assert_eq!(followed.status, 303);
    assert_eq!(world.row(NEW).unwrap()["user_id"], user_id);
    assert_eq!(world.row(OLD), None);
}

#[tokio::test]
async fn a_link_that_outlived_its_purpose_changes_nothing() {
    for (what, spoil) in [
        ("address taken meanwhile", json!({ "taken": true })),
        (
            "asked again for another address",
            json!({ "again": "third@example.com" }),
        ),
        ("password changed", json!({ "password": true })),
        (
            "account re-created under the old address",
            json!({ "recreated": true }),
        ),
        ("account deleted", json!({ "deleted": true })),
    ] {
        let world = world_with_account().await;
        ask(&world, OLD, PASSWORD, NEW).await;
        let link = world.mail_to(NEW).link();
        if spoil.get("taken").is_some() {
            add_account(&world, NEW).await;
        }
        if let Some(third) = spoil["again"].as_str() {
            ask(&world, OLD, PASSWORD, third).await;
        }
        if spoil.get("password").is_some() {
            world.change_row(OLD, &json!({ "password_hash": "$argon2id$other" }));
        }
        if spoil.get("recreated").is_some() {
            world.delete_row(OLD);
            add_account(&world, OLD).await;
        }
        if spoil.get("deleted").is_some() {
            world.delete_row(OLD);
        }
        let rows = world.rows();

        let followed = world.get(&link).await;

        assert_eq!(followed.status, 404, "{what}");
        assert_eq!(world.rows(), rows, "{what}");
    }
}

#[tokio::test]
async fn a_token_that_python_would_make_is_read_for_a_waiting_request() {
    let world = world_with_account().await;
    ask(&world, OLD, PASSWORD, NEW).await;

    let token =
        signing::UrlSafeTimedSerializer::new(world.secret_key().as_bytes(), "email-update-key");
    let token = token
        .dumps(&[" Old@Example.com", "NEW@example.com"])
        .unwrap();
    let followed = world.get(&format!("/accounts/confirm/{token}")).await;

    assert_eq!(followed.status, 303);
    assert!(world.row(NEW).is_some());
}

#[tokio::test]
async fn a_token_without_a_request_of_another_purpose_or_to_itself_is_refused() {
    let world = world_with_account().await;
    let change =
        signing::UrlSafeTimedSerializer::new(world.secret_key().as_bytes(), "email-update-key");
    let sign_up =
        signing::UrlSafeTimedSerializer::new(world.secret_key().as_bytes(), "email-confirm-key");
    let rows = world.rows();

    for token in [
        change.dumps(&[OLD, NEW]).unwrap(),
        change.dumps(&[OLD, OLD]).unwrap(),
        change.dumps(OLD).unwrap(),
        change.dumps(&[OLD, NEW, NEW]).unwrap(),
        sign_up.dumps(&[OLD, NEW]).unwrap(),
    ] {
        assert_eq!(
            world
                .get(&format!("/accounts/confirm/{token}"))
                .await
                .status,
            404
        );
    }
    assert_eq!(world.rows(), rows);
}

#[tokio::test]
async fn an_expired_link_says_so_and_offers_no_fresh_one() {
    let world = world_with_account().await;
    ask(&world, OLD, PASSWORD, NEW).await;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let token =
        signing::UrlSafeTimedSerializer::new(world.secret_key().as_bytes(), "email-update-key")
            .dumps_at(&[OLD, NEW], now - 86_410)
            .unwrap();

    let page = world.get(&format!("/accounts/confirm/{token}")).await;

    assert_eq!(page.status, 404);
    assert!(page.text().contains("expired") && !page.text().contains("<form"));
}

#[tokio::test]
async fn head_and_the_button_page_change_nothing_until_the_button_is_pressed() {
    let world = World::builder()
        .setting("RESEND_COOLDOWN", "0")
        .setting("CONFIRM_ON", "button")
        .start()
        .await;
    world
        .post_form(
            "/accounts/create",
            &[("email", OLD), ("password", PASSWORD)],
        )
        .await;
    world
        .request("POST", &world.mail_to(OLD).link())
        .send()
        .await;
    ask(&world, OLD, PASSWORD, NEW).await;
    let link = world.mail_to(NEW).link();

    let head = world.request("HEAD", &link).send().await;
    let page = world.get(&link).await;
    assert!(world.row(OLD).is_some());
    let pressed = world.request("POST", &link).send().await;

    assert_eq!((head.status, page.status, pressed.status), (200, 200, 303));
    assert!(world.row(OLD).is_none());
}

#[tokio::test]
async fn the_cooldown_and_the_daily_ten_hold_for_a_new_address_that_nobody_has() {
    let world = with_account(World::builder()).await;
    world.change_row(
        OLD,
        &json!({ "mailed_at": 1_700_000_000, "recent_mails": [] }),
    );

    let first = ask(&world, OLD, PASSWORD, NEW).await;
    let second = ask(&world, OLD, PASSWORD, NEW).await;
    let sign_up = world
        .post_form(
            "/accounts/create",
            &[("email", NEW), ("password", PASSWORD)],
        )
        .await;

    assert_eq!(
        (first.status, second.status, sign_up.status),
        (303, 303, 303)
    );
    assert_eq!(
        world.mails_to(NEW).len(),
        1,
        "the second request and the sign-up wait for the cooldown"
    );
    let link = world.mails_to(NEW)[0].link();
    assert_eq!(
        world.get(&link).await.status,
        303,
        "and the first request goes on"
    );
}

#[tokio::test]
async fn no_link_goes_out_when_the_old_address_can_get_no_notice() {
    let world = with_account(World::builder()).await;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let ten: Vec<_> = (0..10).map(|n| now - 600 + n).collect();
    world.change_row(OLD, &json!({ "mailed_at": ten[9], "recent_mails": ten }));

    let asked = ask(&world, OLD, PASSWORD, NEW).await;

    assert_eq!(asked.status, 303);
    assert!(world.mails_to(NEW).is_empty());
}

#[tokio::test]
async fn a_lost_answer_of_the_transaction_is_no_second_change() {
    let world = world_with_account().await;
    ask(&world, OLD, PASSWORD, NEW).await;
    let link = world.mail_to(NEW).link();
    let told = world.mails_to(OLD).len();
    world.dynamodb.once("TransactWriteItems", Fault::DropAnswer);

    let followed = world.get(&link).await;

    assert_eq!(followed.status, 303);
    assert_eq!(world.rows().len(), 1);
    assert_eq!(world.mails_to(OLD).len(), told + 1);
}

#[tokio::test]
async fn lost_answers_of_the_other_writes_are_recognised() {
    for operation in ["UpdateItem", "PutItem"] {
        let world = with_account(World::builder()).await;
        world.change_row(
            OLD,
            &json!({ "mailed_at": 1_700_000_000, "recent_mails": [] }),
        );
        world.dynamodb.times(2, operation, Fault::DropAnswer);

        let asked = ask(&world, OLD, PASSWORD, NEW).await;

        assert_eq!(asked.status, 303, "{operation}");
        assert_eq!(world.mails_to(NEW).len(), 1, "{operation}");
        assert_eq!(
            world.get(&world.mail_to(NEW).link()).await.status,
            303,
            "{operation}"
        );
    }
}

#[tokio::test]
async fn a_failing_service_is_a_503_and_asking_again_completes_the_job() {
    for operation in ["GetItem", "UpdateItem", "PutItem", "SendEmail"] {
        let world = with_account(World::builder()).await;
        world.change_row(
            OLD,
            &json!({ "mailed_at": 1_700_000_000, "recent_mails": [] }),
        );
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
        assert_eq!(
            world.get(&world.mail_to(NEW).link()).await.status,
            303,
            "{operation}"
        );
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
        ask(&world, OLD, PASSWORD, NEW).await;
        let link = world.mail_to(NEW).link();
        let told = world.mails_to(OLD).len();
        world.dynamodb.always(operation, Fault::access_denied());
        world
            .ses
            .always(operation, Fault::error(400, "MessageRejected"));

        let failed = world.get(&link).await;
        world.dynamodb.heal();
        world.ses.heal();
        let followed = world.get(&link).await;

        assert_eq!((failed.status, followed.status), (503, 303), "{operation}");
        assert!(
            world.row(NEW).is_some() && world.row(OLD).is_none(),
            "{operation}"
        );
        assert!(
            world.mails_to(OLD).len() > told,
            "{operation}: the notice is out"
        );
    }
}

#[tokio::test]
async fn of_two_accounts_that_want_one_address_one_gets_it() {
    let world = with_account(
        World::builder()
            .setting("RESEND_COOLDOWN", "0")
            .processes(2),
    )
    .await;
    add_account(&world, "second@example.com").await;
    let mut links = Vec::new();
    for email in [OLD, "second@example.com"] {
        ask(&world, email, PASSWORD, NEW).await;
        links.push(world.mail_to(NEW).link());
    }
    world.function("confirm-email").warm_up(2).await.unwrap();
    world
        .dynamodb
        .times(2, "TransactWriteItems", Fault::together(2));

    let answers = join_all(links.iter().map(|link| world.get(link))).await;

    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 404]);
    assert_eq!(world.rows().len(), 2);
}

#[tokio::test]
async fn a_link_followed_sixteen_times_at_once_moves_the_account_once() {
    let world = with_account(
        World::builder()
            .setting("RESEND_COOLDOWN", "0")
            .processes(16),
    )
    .await;
    ask(&world, OLD, PASSWORD, NEW).await;
    let link = world.mail_to(NEW).link();
    world.function("confirm-email").warm_up(16).await.unwrap();

    let answers = join_all((0..16).map(|_| world.get(&link))).await;

    assert!(answers.iter().all(|answer| answer.status == 303));
    assert_eq!(world.rows().len(), 1);
}

#[tokio::test]
async fn what_other_code_writes_meanwhile_is_moved_as_well() {
    let world = world_with_account().await;
    ask(&world, OLD, PASSWORD, NEW).await;
    let link = world.mail_to(NEW).link();
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

    assert_eq!(world.get(&link).await.status, 303);

    assert_eq!(world.row(NEW).unwrap()["visits"], 2);
}

#[tokio::test]
async fn a_sign_up_with_the_new_address_in_between_loses_nothing() {
    let world = world_with_account().await;
    ask(&world, OLD, PASSWORD, NEW).await;
    let change = world.mail_to(NEW).link();
    world
        .post_form(
            "/accounts/create",
            &[("email", NEW), ("password", "another password")],
        )
        .await;
    let sign_up = world.mail_to(NEW).link();
    let user_id = world.row(OLD).unwrap()["user_id"].clone();

    assert_eq!(world.get(&change).await.status, 303);
    assert_eq!(
        world.get(&sign_up).await.status,
        303,
        "the address is confirmed already"
    );

    assert_eq!(world.row(NEW).unwrap()["user_id"], user_id);
    assert_eq!(world.rows().len(), 1);
}

#[tokio::test]
async fn an_old_address_whose_mail_comes_back_can_be_left_and_a_new_one_gets_no_mail() {
    let world = world_with_account().await;
    world.change_row(OLD, &json!({ "undeliverable": true }));
    let told = world.mails_to(OLD).len();

    ask(&world, OLD, PASSWORD, NEW).await;
    world.get(&world.mail_to(NEW).link()).await;
    world.put_row(&json!({ "email": "gone@example.com", "undeliverable": true }));
    let asked = ask(&world, NEW, PASSWORD, "gone@example.com").await;

    assert_eq!(world.mails_to(OLD).len(), told);
    assert_eq!(world.row(NEW).unwrap().get("undeliverable"), None);
    assert_eq!(asked.status, 303);
    assert!(world.mails_to("gone@example.com").is_empty());
}
