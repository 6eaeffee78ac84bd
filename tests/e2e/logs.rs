//! What the functions write down, and what they never do.

use serde_json::{Value, json};
use tests::{ANY, Fault, World};

use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, expired_link, have_account, have_contested_row,
    open_in_browser_of, reset_link, sign_up, sign_up_with,
};

/// The lines of one function, each as JSON.
fn records(lines: &[String], function: &str) -> Vec<Value> {
    let lines = lines
        .iter()
        .filter_map(|line| line.strip_prefix(&format!("{function}: ")));
    lines
        .map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"))
        })
        .collect()
}

#[tokio::test]
async fn each_request_is_one_line_that_says_what_it_came_to() {
    let world = World::start().await;

    sign_up(&world, ADA).await;
    sign_up(&world, ADA).await;
    sign_up(&world, "no address").await;
    world.get("/accounts/create").await;
    world.request("BREW", "/accounts/create").send().await;
    world
        .request("GET", "/accounts/x/y")
        .function("create-account")
        .send()
        .await;
    world
        .invoke("create-account", &json!({ "not": "HTTP" }))
        .await;
    let link = have_contested_row(&world, "bob@example.com").await;
    world.get(&link).await;
    let link = world.mail_to(ADA).link();
    world.get(&link).await;
    world.request("HEAD", &link).send().await;
    world
        .post_form(&link, &[("password", OTHER_PASSWORD)])
        .await;
    world.post_form(&link, &[("password", PASSWORD)]).await;
    world.get(&link).await;
    world.get("/accounts/confirm/no-token").await;
    world.get(&expired_link(&world, ADA)).await;
    world.post_form(&expired_link(&world, ADA), &[]).await;
    sign_up(&world, ADA).await;
    let change = |password, new_email| {
        let form = [
            ("email", ADA),
            ("password", password),
            ("new_email", new_email),
        ];
        world.request("POST", "/accounts/email").form(&form)
    };
    change(OTHER_PASSWORD, "new@example.com").send().await;
    change(PASSWORD, "bob@example.com").send().await;
    world.put_row(&json!({ "email": "eve@example.com", "email_confirmed": true }));
    change(PASSWORD, "eve@example.com").send().await;
    let asked = change(PASSWORD, "new@example.com").send().await;
    let moves = world.mail_to("new@example.com").link();
    world.get(&moves).await;
    world.request("GET", &moves).browser_of(&asked).send().await;
    world.get(&moves).await;
    let lines = world.final_logs().await;

    let outcomes = |function| {
        let records = records(&lines, function);
        let text = |record: &Value, name: &str| record[name].as_str().unwrap_or("-").to_owned();
        let outcomes = records.iter().map(|record| {
            format!(
                "{} {} {} {} {}",
                text(record, "method"),
                text(record, "route"),
                record["status"],
                text(record, "outcome"),
                text(record, "reason")
            )
        });
        outcomes.collect::<Vec<_>>()
    };
    assert_eq!(
        outcomes("create-account"),
        [
            "POST /accounts/create 303 signed-up -",
            "POST /accounts/create 303 repeated -",
            "POST /accounts/create 422 refused invalid-input",
            "GET /accounts/create 200 form -",
            "other /accounts/create 405 refused method",
            "GET none 404 refused no-route",
            "GET none 400 refused event",
            "POST /accounts/create 303 signed-up -",
            "POST /accounts/create 303 repeated -",
            "POST /accounts/create 303 has-account -",
        ]
    );
    assert_eq!(
        outcomes("confirm-email"),
        [
            "GET /accounts/confirm/{token} 200 needs-password -",
            "GET /accounts/confirm/{token} 200 needs-password -",
            "HEAD /accounts/confirm/{token} 200 needs-password -",
            "POST /accounts/confirm/{token} 422 refused wrong-password",
            "POST /accounts/confirm/{token} 303 confirmed -",
            "GET /accounts/confirm/{token} 303 confirmed-before -",
            "GET /accounts/confirm/{token} 404 refused invalid-link",
            "GET /accounts/confirm/{token} 404 refused expired",
            "POST /accounts/confirm/{token} 303 fresh-link -",
            "GET /accounts/confirm/{token} 200 needs-password -",
            "GET /accounts/confirm/{token} 303 changed -",
            "GET /accounts/confirm/{token} 303 changed-before -",
        ]
    );
    assert_eq!(
        outcomes("change-email"),
        [
            "POST /accounts/email 422 refused wrong-password",
            "POST /accounts/email 303 change-asked -",
            "POST /accounts/email 303 change-to-taken -",
            "POST /accounts/email 303 change-asked -",
        ]
    );
    for function in ["create-account", "confirm-email", "change-email"] {
        for (index, record) in records(&lines, function).iter().enumerate() {
            assert_eq!(record["level"], "INFO");
            assert_eq!(record["Function"], function);
            assert_eq!(record["cold"], index == 0);
            assert!(record["duration_us"].is_u64());
            assert!(!record["request_id"].as_str().unwrap().is_empty());
        }
    }
}

/// The metrics of a line, which is in CloudWatch's embedded format: `SignedUp 1, MailSent 1`.
fn metrics(record: &Value) -> String {
    let definitions = &record["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(definitions["Namespace"], "Accounts");
    assert_eq!(definitions["Dimensions"], json!([["Function"]]));
    assert!(record["_aws"]["Timestamp"].as_u64().unwrap() > 1_700_000_000_000);
    let metrics = definitions["Metrics"].as_array().unwrap().iter();
    let metrics = metrics.map(|metric| {
        let name = metric["Name"].as_str().unwrap();
        let is_time = name == "ConfirmedAfter";
        assert_eq!(metric["Unit"], if is_time { "Seconds" } else { "Count" });
        format!("{name} {}", record[name].as_u64().unwrap())
    });
    metrics.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn metrics_are_in_the_embedded_format() {
    let world = World::builder()
        .setting("CONFIRM_ON", "visit")
        .setting("REQUESTS_PER_NETWORK", "3")
        .start()
        .await;
    sign_up(&world, ADA).await;
    world.change_row(ADA, &json!({ "created_at": "2026-01-01T00:00:00Z" }));
    let link = format!("/accounts/confirm/{}", world.token(ADA, 100));
    world.get(&link).await;
    sign_up(&world, "no address").await;
    world.ses.always(ANY, Fault::access_denied());
    sign_up(&world, "bob@example.com").await;
    world.ses.heal();
    let reset = [("email", ADA)];
    world.post_form("/accounts/password", &reset).await;
    world.post_form("/accounts/password", &reset).await;
    let lines = world.final_logs().await;

    let records_of = |function| records(&lines, function);
    let created = records_of("create-account");
    assert_eq!(metrics(&created[0]), "SignedUp 1, MailSent 1");
    assert_eq!(metrics(&created[1]), "Refused 1");
    assert_eq!(metrics(&created[2]), "Unavailable 1, MailFailed 1");
    let confirmed = &records_of("confirm-email")[0];
    let after = confirmed["ConfirmedAfter"].as_u64().unwrap();
    assert_eq!(
        metrics(confirmed),
        format!("Confirmed 1, ConfirmedAfter {after}")
    );
    assert!((100..110).contains(&after), "{after}");
    let reset = records_of("reset-password");
    assert_eq!(metrics(&reset[0]), "MailSent 1");
    assert_eq!(metrics(&reset[1]), "Refused 1, NetworkLimited 1");
}

#[tokio::test]
async fn changes_are_counted_with_their_mails() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    let new = "new@example.com";
    let form = [("email", ADA), ("password", PASSWORD), ("new_email", new)];
    let asked = world.post_form("/accounts/email", &form).await;
    open_in_browser_of(&world, &asked, &world.mail_to(new).link()).await;
    let link = reset_link(&world, new).await;
    world
        .post_form(&link, &[("password", OTHER_PASSWORD)])
        .await;
    world.dynamodb.always(ANY, Fault::access_denied());
    world
        .post_form("/accounts/password", &[("email", new)])
        .await;
    let lines = world.final_logs().await;

    let metrics_of = |function| {
        let records = records(&lines, function);
        records.iter().map(metrics).collect::<Vec<_>>()
    };
    assert_eq!(metrics_of("change-email"), ["MailSent 2"]);
    assert_eq!(
        metrics_of("confirm-email").last().unwrap(),
        "EmailChanged 1, MailSent 1"
    );
    assert_eq!(
        metrics_of("reset-password"),
        [
            "MailSent 1",
            "PasswordChanged 1, MailSent 1",
            "Unavailable 1"
        ]
    );
}

#[tokio::test]
async fn no_line_holds_an_address_a_token_a_password_a_hash_or_a_key() {
    // Not "ada", which an id in hexadecimal may hold.
    const ULYSSES: &str = "ulysses@example.com";
    for level in ["INFO", "DEBUG", "TRACE"] {
        let world = World::builder()
            .setting("AWS_LAMBDA_LOG_LEVEL", level)
            .setting("RUST_LOG", "trace")
            .setting("RUST_BACKTRACE", "full")
            .setting("SECRET_KEY_FALLBACKS", "an older key of this service")
            .setting("RESEND_COOLDOWN", "0")
            .start()
            .await;
        let mut secrets = vec![
            "ulysses".to_owned(),
            "eve@".to_owned(),
            "example.com".to_owned(),
            PASSWORD.to_owned(),
            OTHER_PASSWORD.to_owned(),
            "chosen by the reader".to_owned(),
            "correct+horse".to_owned(),
            "argon2id".to_owned(),
            world.secret_key().to_owned(),
            "an older key".to_owned(),
            "no-reply".to_owned(),
        ];

        sign_up(&world, ULYSSES).await;
        sign_up_with(&world, ULYSSES, OTHER_PASSWORD).await;
        let link = world.mail_to(ULYSSES).link();
        world.get(&link).await;
        world
            .post_form(
                &link,
                &[
                    ("password", "chosen by the reader"),
                    ("password_again", "chosen by the reader"),
                ],
            )
            .await;
        world.get(&link).await;
        sign_up(&world, ULYSSES).await;
        let change = [
            ("email", ULYSSES),
            ("password", "chosen by the reader"),
            ("new_email", "ulysses@example.net"),
        ];
        let asked = world.post_form("/accounts/email", &change).await;
        assert_eq!(asked.status, 303);
        world
            .get(&world.mail_to("ulysses@example.net").link())
            .await;
        world
            .post_form("/accounts/password", &[("email", ULYSSES)])
            .await;
        let reset = world.mail_to(ULYSSES).links();
        let reset = reset
            .iter()
            .find(|link| link.contains("/password/"))
            .unwrap();
        world.get(reset).await;
        let chosen = [("password", "chosen another time")];
        assert_eq!(world.post_form(reset, &chosen).await.status, 303);
        secrets.push("another time".to_owned());
        secrets.push(asked.cookie().unwrap().to_owned());
        secrets.push(reset.rsplit('/').next().unwrap().to_owned());
        sign_up(&world, "ulysses@no address").await;
        sign_up_with(&world, ULYSSES, "short").await;
        world
            .post_json(
                "/accounts/create",
                &json!({ "email": ULYSSES, "password": PASSWORD }),
            )
            .await;
        world.get(&expired_link(&world, ULYSSES)).await;
        world.post_form(&expired_link(&world, ULYSSES), &[]).await;
        world.get(&format!("{link}x")).await;
        let query = format!("/accounts/create?email={ULYSSES}");
        world.get(&query).await;
        let strange = world.request(ULYSSES, "/accounts/create");
        let strange = strange
            .header("user-agent", ULYSSES)
            .header("referer", &link);
        strange.send().await;
        let nowhere = world.request("GET", "/accounts/ulysses@example.com");
        nowhere.function("create-account").send().await;
        for (proxy, fault) in [
            (&world.dynamodb, Fault::access_denied()),
            (&world.dynamodb, Fault::error(500, "InternalServerError")),
            (&world.dynamodb, Fault::DropAnswer),
            (&world.ses, Fault::error(400, "MessageRejected")),
            (&world.ses, Fault::DropCall),
        ] {
            world.delete_row("eve@example.com");
            proxy.always(ANY, fault);
            assert_eq!(sign_up(&world, "eve@example.com").await.status, 503);
            world.get(&link).await;
            proxy.heal();
        }
        secrets.extend(world.mails().iter().filter_map(|mail| {
            let link = mail
                .links()
                .into_iter()
                .find(|link| link.contains("/accounts/confirm/"))?;
            Some(link.rsplit('/').next().unwrap().to_owned())
        }));
        secrets.push(
            expired_link(&world, ULYSSES)
                .split('.')
                .next()
                .unwrap()
                .to_owned(),
        );
        for row in world.rows() {
            for name in ["user_id", "password_hash"] {
                secrets.push(row[name].as_str().unwrap().to_owned());
            }
        }
        let lines = world.final_logs().await;

        assert!(lines.len() > 20, "{level}: there is something to look at");
        for line in &lines {
            let lower_case = line.to_lowercase();
            for secret in &secrets {
                assert!(
                    !lower_case.contains(&secret.to_lowercase()),
                    "{level}: {secret} in {line}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_log_level_says_which_lines_are_written() {
    for (level, expected) in [
        (None, 3),
        (Some("TRACE"), 3),
        (Some("DEBUG"), 3),
        (Some("INFO"), 3),
        (Some("info"), 3),
        (Some("WARN"), 1),
        (Some("ERROR"), 1),
        (Some("FATAL"), 0),
    ] {
        let mut builder = World::builder();
        if let Some(level) = level {
            builder = builder.setting("AWS_LAMBDA_LOG_LEVEL", level);
        }
        let world = builder.start().await;
        sign_up(&world, ADA).await;
        sign_up(&world, "no address").await;
        world.dynamodb.always(ANY, Fault::access_denied());
        assert_eq!(sign_up(&world, ADA).await.status, 503);

        let lines = world.final_logs().await;

        assert_eq!(lines.len(), expected, "{level:?}: {lines:#?}");
        if let Some(record) = records(&lines, "create-account").last() {
            assert_eq!(record["level"], "ERROR");
            assert_eq!(record["outcome"], "unavailable");
            assert_eq!(record["reason"], "PutItem: AccessDeniedException");
        }
    }
}

#[tokio::test]
async fn each_start_is_one_line_that_says_which_version_runs() {
    for (level, expected) in [("INFO", 1), ("ERROR", 0)] {
        let world = World::builder()
            .setting("AWS_LAMBDA_LOG_LEVEL", level)
            .start()
            .await;
        world.get("/accounts/create").await;
        world.get("/accounts/create").await;
        world.final_logs().await;

        let starts = records(&world.starts(), "create-account");

        assert_eq!(starts.len(), expected, "{level}: {starts:#?}");
        for start in starts {
            assert_eq!(start["level"], "INFO");
            assert_eq!(start["version"], env!("CARGO_PKG_VERSION"));
        }
    }
}

#[tokio::test]
async fn a_start_that_fails_is_one_line() {
    let world = World::builder().without("MAIL_FROM").start().await;

    let answer = world.request("GET", "/accounts/create").try_send().await;

    assert!(answer.is_err());
    let lines = world.final_logs().await;
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(world.starts().is_empty());
}
