//! What a sign-up is answered with.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};
use tests::{Answer, World, own_processor_time, processor_time};

use crate::model::is_password_of;
use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, have_account, have_contested_row, let_pass, password_of,
    sign_up, sign_up_with, without_cookie_value,
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

fn problem(answer: &Answer) -> Value {
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{}",
        answer.text()
    );
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn a_browser_is_sent_to_the_index_url() {
    let world = World::start().await;

    let answer = sign_up(&world, ADA).await;

    assert_eq!(answer.status, 303);
    assert_eq!(
        answer.header("location"),
        Some("https://app.example.com/accounts/created")
    );
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn a_client_that_sends_or_prefers_json_gets_202() {
    let world = World::start().await;
    let fields = [("email", ADA), ("password", PASSWORD)];
    let json = json!({ "email": ADA, "password": PASSWORD });
    let request = || world.request("POST", "/accounts/create");

    for (what, request) in [
        ("JSON", request().json(&json)),
        (
            "JSON and */*",
            request().json(&json).header("accept", "*/*"),
        ),
        (
            "JSON asked for",
            request().form(&fields).header("accept", JSON),
        ),
        (
            "JSON preferred",
            request()
                .form(&fields)
                .header("accept", "text/html;q=0.5, application/json"),
        ),
    ] {
        let answer = request.send().await;

        assert_eq!(answer.status, 202, "{what}");
        assert_eq!(answer.header("content-type"), Some(JSON), "{what}");
        assert_eq!(answer.header("location"), None, "{what}");
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(body["message"].is_string(), "{what}");
        let index_url = "https://app.example.com/accounts/created";
        assert_eq!(body["location"], index_url, "{what}");
    }
}

#[tokio::test]
async fn a_browser_gets_pages_whatever_else_it_accepts() {
    let world = World::start().await;

    for accept in [
        "*/*",
        "text/html",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "application/json;q=0.5, text/html",
        "",
    ] {
        let request = world.request("POST", "/accounts/create");
        let request = request.form(&[("email", ADA), ("password", PASSWORD)]);

        let answer = request.header("accept", accept).send().await;

        assert_eq!(answer.status, 303, "{accept}");
    }
}

/// Every way in which an address can be known or unknown.
async fn world_with_every_kind_of_address(confirm_on: &str) -> (World, [&'static str; 11]) {
    let builder = World::builder().setting("CONFIRM_ON", confirm_on);
    let world = builder.start().await;
    sign_up(&world, "waiting@example.com").await;
    let_pass(&world, "waiting@example.com", 60);
    sign_up(&world, "cooling-down@example.com").await;
    have_contested_row(&world, "contested@example.com").await;
    let_pass(&world, "contested@example.com", 60);
    have_account(&world, "confirmed@example.com").await;
    let_pass(&world, "confirmed@example.com", 60);
    have_account(&world, "confirmed-cooling-down@example.com").await;
    sign_up(&world, "expired@example.com").await;
    let_pass(&world, "expired@example.com", 30 * 86_400);
    world.put_row(&json!({ "email": "foreign@example.com", "password_hash": "$argon2id$x" }));
    world.put_row(&json!({ "email": "invited@example.com", "role": "admin" }));
    world.put_row(&json!({ "email": "reserved@example.com", "mail_claim": "x", "mailed_at": 1 }));
    let bounced = json!({
        "email": "bounced@example.com", "password_hash": "$argon2id$x", "email_confirmed": true, "undeliverable": "bounce",
    });
    world.put_row(&bounced);
    let addresses = [
        "new@example.com",
        "waiting@example.com",
        "cooling-down@example.com",
        "contested@example.com",
        "confirmed@example.com",
        "confirmed-cooling-down@example.com",
        "expired@example.com",
        "foreign@example.com",
        "invited@example.com",
        "reserved@example.com",
        "bounced@example.com",
    ];
    (world, addresses)
}

#[tokio::test]
async fn the_answer_does_not_tell_who_has_an_account() {
    let fields = |email: &str| json!({ "email": email, "password": OTHER_PASSWORD });

    for (is_json, confirm_on) in [(false, "browser"), (true, "browser"), (false, "visit")] {
        let (world, addresses) = world_with_every_kind_of_address(confirm_on).await;
        let mails = world.mails().len();
        let mut answers = Vec::new();
        for email in addresses {
            let answer = if is_json {
                world.post_json("/accounts/create", &fields(email)).await
            } else {
                sign_up_with(&world, email, OTHER_PASSWORD).await
            };
            let text = format!("{:?} {}", answer.headers, answer.text());
            let local_part = email.split('@').next().unwrap();
            assert!(!text.contains(local_part), "{text}");
            assert!(!text.contains("/accounts/confirm/"), "{text}");
            assert!(answer.cookie().is_some(), "{email}");
            answers.push(without_cookie_value(answer));
        }

        assert_eq!(answers[0].status, if is_json { 202 } else { 303 });
        for (answer, email) in answers.iter().zip(addresses) {
            assert_eq!(answer, &answers[0], "{email}");
        }
        // All but the two that cool down.
        assert_eq!(world.mails().len(), mails + addresses.len() - 2);
    }
}

/// Skipping the hash of an address that has an account already would tell it from others.
#[tokio::test]
async fn every_accepted_sign_up_costs_a_hash_whatever_the_address() {
    let (world, addresses) = world_with_every_kind_of_address("browser").await;
    let waiting = world.row("waiting@example.com").unwrap();
    // The least of several: the first one also gets its memory from the system.
    let hashes = (0..5).map(|_| {
        let before = own_processor_time();
        assert!(is_password_of(&waiting, PASSWORD));
        own_processor_time().saturating_sub(before)
    });
    let hash = hashes.min().unwrap();

    for email in addresses {
        let before = processor_time("create-account");
        sign_up(&world, email).await;
        let cost = processor_time("create-account").saturating_sub(before);

        // All the rest of a sign-up is less than half of it.
        assert!(
            cost > hash.mul_f64(0.7),
            "{email}: {cost:?}, a hash: {hash:?}"
        );
    }
}

#[tokio::test]
async fn invalid_input_is_answered_with_what_is_wrong_and_changes_nothing() {
    let world = World::start().await;
    let long = "x".repeat(129);

    for (fields, wrong) in [
        (json!({}), vec!["email", "password"]),
        (json!({ "email": ADA }), vec!["password"]),
        (json!({ "password": PASSWORD }), vec!["email"]),
        (json!({ "email": "", "password": PASSWORD }), vec!["email"]),
        (
            json!({ "email": "ada", "password": PASSWORD }),
            vec!["email"],
        ),
        (
            json!({ "email": "ada@localhost", "password": PASSWORD }),
            vec!["email"],
        ),
        (
            json!({ "email": "ada@127.0.0.1", "password": PASSWORD }),
            vec!["email"],
        ),
        (
            json!({ "email": "ada@[127.0.0.1]", "password": PASSWORD }),
            vec!["email"],
        ),
        (
            json!({ "email": "\"ada\"@example.com", "password": PASSWORD }),
            vec!["email"],
        ),
        (
            json!({ "email": "ada(x)@example.com", "password": PASSWORD }),
            vec!["email"],
        ),
        (
            json!({ "email": "äda@example.com", "password": PASSWORD }),
            vec!["email"],
        ),
        (
            json!({ "email": "a@example.com,b@example.com", "password": PASSWORD }),
            vec!["email"],
        ),
        (
            json!({ "email": "a@example.com\r\nBcc: b@example.com", "password": PASSWORD }),
            vec!["email"],
        ),
        (
            json!({ "email": format!("{}@example.com", "a".repeat(65)), "password": PASSWORD }),
            vec!["email"],
        ),
        (json!({ "email": ADA, "password": "" }), vec!["password"]),
        (
            json!({ "email": ADA, "password": "7 chars" }),
            vec!["password"],
        ),
        (json!({ "email": ADA, "password": long }), vec!["password"]),
        (
            json!({ "email": ADA, "password": "            " }),
            vec!["password"],
        ),
        (
            json!({ "email": ADA, "password": "password123" }),
            vec!["password"],
        ),
        (
            json!({ "email": ADA, "password": "Ada@Example.com" }),
            vec!["password"],
        ),
        (
            json!({ "email": "ada.lovelace@example.com", "password": "Ada.Lovelace" }),
            vec!["password"],
        ),
        (
            json!({ "email": "=?utf-8?q?x?=@example.com", "password": PASSWORD }),
            vec!["email"],
        ),
        (
            json!({ "email": "ada", "password": "short" }),
            vec!["email", "password"],
        ),
    ] {
        let pairs = fields.as_object().unwrap().iter();
        let pairs: Vec<_> = pairs
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();

        let page = world.post_form("/accounts/create", &pairs).await;
        let json = world.post_json("/accounts/create", &fields).await;

        assert_eq!((page.status, json.status), (422, 422), "{fields}");
        let problem = problem(&json);
        assert_eq!(problem["status"], 422);
        assert!(problem["title"].is_string());
        let errors = problem["errors"].as_array().unwrap();
        let pointers: Vec<_> = errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect();
        let expected: Vec<_> = wrong.iter().map(|field| format!("#/{field}")).collect();
        assert_eq!(pointers, expected, "{fields}");
        for field in ["email", "password"] {
            let error = format!("id=\"{field}-error\"");
            assert_eq!(
                page.text().contains(&error),
                wrong.contains(&field),
                "{fields}"
            );
        }
        for error in errors {
            assert!(page.text().contains(error["detail"].as_str().unwrap()));
        }
    }
    assert!(world.is_untouched());
}

#[tokio::test]
async fn a_refused_address_is_told_why() {
    let world = World::start().await;
    let long_domain = format!("{}example", "label.".repeat(50));

    for (email, why) in [
        ("", "This is missing."),
        ("ada", "Enter an address like name@example.com."),
        ("\u{e4}da@example.com", "letters before the @"),
        ("ada..l@example.com", "no two dots in a row"),
        (".ada@example.com", "no two dots in a row"),
        ("ada.@example.com", "no two dots in a row"),
        ("ada@example", "The last part is missing"),
        ("ada@127.0.0.1", "The last part is missing"),
        (
            &format!("{}@example.com", "a".repeat(65)),
            "This is too long for an address.",
        ),
        (
            &format!("ada@{long_domain}"),
            "This is too long for an address.",
        ),
        ("ada lovelace@example.com", "without spaces"),
    ] {
        let page = sign_up(&world, email).await;
        let fields = json!({ "email": email, "password": PASSWORD });
        let json = problem(&world.post_json("/accounts/create", &fields).await);

        assert_eq!(page.status, 422, "{email}");
        assert!(page.text().contains(why), "{email}: {}", page.text());
        let detail = json["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(why), "{email}: {detail}");
    }
    assert!(world.is_untouched());
}

#[tokio::test]
async fn what_browsers_accept_and_pastes_bring_along_is_accepted() {
    let world = World::start().await;

    for (typed, canonical) in [
        ("ada@ab--cd.com", "ada@ab--cd.com"),
        ("x@r3---sn.example.com", "x@r3---sn.example.com"),
        ("\u{200b}b@example.com", "b@example.com"),
        ("\u{feff}c@example.com", "c@example.com"),
        ("\u{202a}d@example.com\u{202c}", "d@example.com"),
    ] {
        assert_eq!(sign_up(&world, typed).await.status, 303, "{canonical}");
        assert!(world.row(canonical).is_some(), "{canonical}");
    }
}

#[tokio::test]
async fn a_byte_order_mark_before_json_is_skipped() {
    let world = World::start().await;
    let json = json!({ "email": ADA, "password": PASSWORD });
    let request = world.request("POST", "/accounts/create");
    let request = request.header("content-type", JSON);

    let answer = request.body(format!("\u{feff}{json}")).send().await;

    assert_eq!(answer.status, 202);
    assert!(world.row(ADA).is_some());
}

#[tokio::test]
async fn json_of_another_type_is_invalid_and_not_unreadable() {
    let world = World::start().await;

    for value in [
        json!(null),
        json!(1),
        json!(true),
        json!([ADA]),
        json!({ "a": ADA }),
    ] {
        let fields = json!({ "email": value, "password": value });

        let answer = world.post_json("/accounts/create", &fields).await;

        assert_eq!(answer.status, 422, "{value}");
        assert_eq!(problem(&answer)["errors"].as_array().unwrap().len(), 2);
    }
    assert!(world.is_untouched());
}

#[tokio::test]
async fn the_form_comes_back_with_what_was_typed_but_not_the_password() {
    let world = World::start().await;
    let typed = "O'Neill <script>\"&@example";

    let page = sign_up_with(&world, typed, "s3cret!").await.text();

    assert!(
        page.contains("value=\"O&#39;Neill &#60;script&#62;&#34;&#38;@example\""),
        "{page}"
    );
    assert!(!page.contains("s3cret!"));
    assert!(!page.contains("<script"));
    let email = page.find("id=\"email\"").unwrap();
    let email_error = page.find("id=\"email-error\"").unwrap();
    let password = page.find("id=\"password\"").unwrap();
    let password_error = page.find("id=\"password-error\"").unwrap();
    assert!(email < email_error && email_error < password && password < password_error);
}

#[tokio::test]
async fn an_unreadable_body_is_refused_and_changes_nothing() {
    let world = World::start().await;
    let two_addresses =
        "email=ada%40example.com&email=bob%40example.com&password=correct+horse+battery";
    let twice_in_json = r#"{"email":"ada@example.com","password":"correct horse battery","email":"ada@example.com"}"#;

    for (content_type, body) in [
        (FORM, two_addresses.as_bytes()),
        (
            FORM,
            b"email=a%40example.com&password=correct+horse&password=correct+horse",
        ),
        (
            FORM,
            b"email=a%40example.com&%65mail=b%40example.com&password=correct+horse",
        ),
        (
            FORM,
            b"email=%ff%40example.com&password=correct+horse+battery",
        ),
        (
            FORM,
            b"email=\xff%40example.com&password=correct+horse+battery",
        ),
        (JSON, twice_in_json.as_bytes()),
        (
            JSON,
            br#"{"email":"a@example.com","\u0065mail":"b@example.com","password":"correct horse"}"#,
        ),
        (JSON, b""),
        (JSON, b"null"),
        (JSON, b"[]"),
        (JSON, b"\"ada@example.com\""),
        (JSON, b"{\"email\":"),
        (JSON, b"{} trailing"),
        (JSON, b"{\"email\":\"\xff\"}"),
        (
            JSON,
            b"{\"email\":\"a@example.com\",\"password\":\"correct horse\",\"x\":\"\xff\"}",
        ),
        (FORM, b"email=a%40example.com&password=correct+horse&x=%ff"),
        (JSON, &b"[".repeat(10_000)),
        (
            JSON,
            b"email=ada%40example.com&password=correct+horse+battery",
        ),
    ] {
        let request = world.request("POST", "/accounts/create");
        let request = request.header("content-type", content_type).body(body);

        let answer = request.send().await;

        let body = String::from_utf8_lossy(body);
        assert_eq!(answer.status, 400, "{body}");
        if content_type == JSON {
            assert_eq!(problem(&answer)["status"], 400, "{body}");
        } else {
            assert!(answer.text().starts_with("<!doctype html>"), "{body}");
        }
    }
    assert!(world.is_untouched());
}

#[tokio::test]
async fn a_body_of_16_kib_is_read_and_one_byte_more_is_too_large() {
    let world = World::start().await;
    let form = "email=ada%40example.com&password=correct+horse+battery&x=";
    let padded = |length: usize| format!("{form}{}", "x".repeat(length - form.len()));

    for (length, status) in [(16 * 1024, 303), (16 * 1024 + 1, 413), (1024 * 1024, 413)] {
        for is_base64 in [false, true] {
            let request = world.request("POST", "/accounts/create");
            let request = request.header("content-type", FORM);
            let body = padded(length);
            let (function, mut event) = request.body(body.clone()).event();
            if !is_base64 {
                event["body"] = body.into();
                event["isBase64Encoded"] = false.into();
            }

            let answer = world.invoke(&function, &event).await;

            assert_eq!(answer.status, status, "{length} {is_base64}");
        }
    }
    let request = world.request("POST", "/accounts/create");
    let request = request.header("content-type", JSON).body(padded(20_000));
    assert_eq!(problem(&request.send().await)["status"], 413);
    assert_eq!(world.rows().len(), 1);
}

#[tokio::test]
async fn a_body_of_another_type_is_refused_and_changes_nothing() {
    let world = World::start().await;

    for content_type in [
        None,
        Some(""),
        Some("text/plain"),
        Some("text/plain; charset=utf-8; application/json"),
        Some("multipart/form-data; boundary=x"),
        Some("application/jsonp"),
        Some("application/json; charset=utf-16"),
        Some("application/x-www-form-urlencoded; charset=iso-8859-1"),
    ] {
        let request = world.request("POST", "/accounts/create");
        let mut request = request.body("email=ada%40example.com&password=correct+horse+battery");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }

        let answer = request.send().await;

        assert_eq!(answer.status, 415, "{content_type:?}");
    }
    assert!(world.is_untouched());
}

#[tokio::test]
async fn content_types_are_read_as_http_writes_them() {
    let world = World::start().await;
    let json = json!({ "email": ADA, "password": PASSWORD }).to_string();
    let form = "email=ada%40example.com&password=correct+horse+battery".to_owned();

    for (content_type, body, status) in [
        ("application/json; charset=utf-8", &json, 202),
        ("Application/JSON;Charset=\"UTF-8\"", &json, 202),
        (
            "application/x-www-form-urlencoded; charset=UTF-8",
            &form,
            303,
        ),
        ("APPLICATION/X-WWW-FORM-URLENCODED", &form, 303),
    ] {
        let request = world.request("POST", "/accounts/create");
        let request = request
            .header("content-type", content_type)
            .body(body.as_str());

        assert_eq!(request.send().await.status, status, "{content_type}");
    }
}

#[tokio::test]
async fn a_field_that_the_form_does_not_have_is_ignored() {
    let world = World::start().await;
    let fields = [
        ("email", ADA),
        ("password", PASSWORD),
        ("email_confirmed", "true"),
        ("user_id", "mine"),
        ("x", "1"),
        ("x", "2"),
    ];
    let json = json!({
        "email": "bob@example.com", "password": PASSWORD, "email_confirmed": true, "user_id": "mine", "admin": { "x": [1] },
    });

    assert_eq!(
        world.post_form("/accounts/create", &fields).await.status,
        303
    );
    assert_eq!(world.post_json("/accounts/create", &json).await.status, 202);

    for email in [ADA, "bob@example.com"] {
        let row = world.row(email).unwrap();
        assert_eq!(row["email_confirmed"], false);
        assert_ne!(row["user_id"], "mine");
        assert_eq!(row.get("admin"), None);
        assert_eq!(row.get("x"), None);
    }
}

#[tokio::test]
async fn fields_in_the_query_are_no_fields() {
    let world = World::start().await;
    let path = "/accounts/create?email=ada%40example.com&password=correct+horse+battery";

    let answer = world.post_form(path, &[]).await;
    let page = world.get(path).await;

    assert_eq!(answer.status, 422);
    assert_eq!(page.status, 200);
    assert!(!page.text().contains(ADA));
    assert!(world.is_untouched());
}

#[tokio::test]
async fn every_spelling_of_an_address_is_one_account_and_one_mailbox() {
    let world = World::start().await;

    for typed in [
        "user@xn--bcher-kva.example",
        " User@B\u{fc}cher.example ",
        "USER@BU\u{308}CHER.EXAMPLE",
        "user@b\u{fc}cher\u{3002}example",
        "\u{a0}user@\u{ff42}\u{fc}cher.example\r\n",
    ] {
        assert_eq!(sign_up(&world, typed).await.status, 303, "{typed}");
    }

    let rows = world.rows();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["email"], "user@xn--bcher-kva.example");
    let mails = world.mails();
    assert_eq!(
        mails.len(),
        1,
        "the others are in the cooldown of the first"
    );
    assert_eq!(mails[0].to, ["user@xn--bcher-kva.example"]);
}

#[tokio::test]
async fn a_password_is_the_same_however_its_characters_are_composed() {
    let world = World::start().await;

    sign_up_with(&world, ADA, "Gru\u{308}\u{df}e vom Bu\u{308}cherwurm").await;

    let row = world.row(ADA).unwrap();
    assert!(password_of(&row, "Gr\u{fc}\u{df}e vom B\u{fc}cherwurm"));
    assert!(!password_of(
        &row,
        "Gru\u{308}\u{df}e vom Bu\u{308}cherwurm"
    ));
}

#[tokio::test]
async fn passwords_are_judged_by_length_and_by_how_common_they_are_alone() {
    let world = World::builder()
        .setting("RESEND_COOLDOWN", "0")
        .start()
        .await;

    for password in [
        "8-lettrs",
        "aaaaaaaab",
        "  spaces at both ends  ",
        &"\u{1f600}".repeat(128),
        "\u{5bc6}\u{7801}\u{5bc6}\u{7801}\u{5bc6}\u{7801}\u{5bc6}\u{7801}",
    ] {
        world.delete_row(ADA);

        assert_eq!(
            sign_up_with(&world, ADA, password).await.status,
            303,
            "{password}"
        );
    }
    assert_eq!(
        sign_up_with(&world, "bob@example.com", "PassWord123")
            .await
            .status,
        422
    );
    assert_eq!(
        sign_up_with(
            &world,
            "bob@example.com",
            "a\u{308}o\u{308}u\u{308}e\u{301}"
        )
        .await
        .status,
        422
    );
}

#[tokio::test]
async fn the_browser_that_asked_gets_a_cookie_of_the_kind_that_the_site_allows() {
    for (base_url, name, secure) in [
        ("https://app.example.com", "__Host-accounts", "; Secure"),
        ("https://app.example.com/v1", "__Host-accounts", "; Secure"),
        ("http://localhost:3000", "accounts", ""),
    ] {
        let world = World::builder()
            .setting("BASE_URL", base_url)
            .setting("CONFIRM_MAX_AGE", "7200")
            .start()
            .await;

        let form = sign_up(&world, ADA).await;
        let json = json!({ "email": "bob@example.com", "password": PASSWORD });
        let json = world.post_json("/accounts/create", &json).await;

        for answer in [form, json] {
            let cookies = answer
                .headers
                .iter()
                .filter(|(name, _)| name == "set-cookie");
            let cookies: Vec<_> = cookies.map(|(_, value)| value.clone()).collect();
            assert_eq!(cookies.len(), 1, "{base_url}");
            let (pair, attributes) = cookies[0].split_once("; ").unwrap();
            assert_eq!(pair.split('=').next(), Some(name));
            assert_eq!(
                attributes,
                format!("Max-Age=7200; Path=/; HttpOnly; SameSite=Lax{secure}")
            );
        }
    }
}

#[tokio::test]
async fn the_cookie_is_opaque_and_another_one_each_time() {
    let world = World::start().await;

    let first = sign_up(&world, ADA).await;
    let second = sign_up(&world, ADA).await;

    let row = world.row(ADA).unwrap();
    let link = world.mail_to(ADA).token();
    assert_ne!(first.cookie(), second.cookie());
    for answer in [&first, &second] {
        let value = answer.cookie().unwrap().split_once('=').unwrap().1;
        let payload = value.split('.').next().unwrap();
        let payload = BASE64.decode(payload).unwrap();
        let payload = String::from_utf8(payload).unwrap();
        assert_eq!(payload.len(), 38, "a quoted UUID: {payload}");
        for known in [row["user_id"].as_str().unwrap(), ADA, &link] {
            assert!(!payload.contains(known), "{payload}");
        }
        // A cookie is no link, nor a link a cookie.
        for path in ["confirm", "password"] {
            let link = format!("/accounts/{path}/{value}");
            assert_eq!(world.get(&link).await.status, 404, "{path}");
        }
    }
}

#[tokio::test]
async fn what_is_not_accepted_sets_no_cookie() {
    let world = World::start().await;

    for answer in [
        world.get("/accounts/create").await,
        sign_up(&world, "no address").await,
        sign_up_with(&world, ADA, "short").await,
        world.get("/accounts/created").await,
    ] {
        assert_eq!(answer.header("set-cookie"), None, "{}", answer.status);
    }
}
