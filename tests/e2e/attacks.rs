//! What attackers try, beyond what the tests of each feature try already.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::{Value, json};
use signing::TimestampSigner;
use tests::{ANY, Answer, Fault, World};

use crate::life::is_password_of;
use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, expired_link, have_account, have_contested_row, is_confirmed,
    let_pass, now, sign_up, sign_up_with,
};

const ATTACKERS_PASSWORD: &str = "what only the attacker knows";

// Who has an account.

#[tokio::test]
async fn every_sign_up_makes_the_same_calls_whatever_the_address() {
    let world = World::start().await;
    let mut answers = Vec::new();
    for email in every_kind(&world).await {
        // The first mail of its kind, and one in the cooldown.
        for mails in [1, 0] {
            let limits = world.store.items_of("limits").unwrap();
            if mails == 1 {
                for item in limits {
                    let key = json!({ "limit": item["limit"] });
                    world.store.delete_from("limits", &key).unwrap();
                }
            }
            world.forget_calls();

            let mut answer = sign_up(&world, email).await;

            assert_eq!(world.calls("PutItem"), 1, "{email}");
            assert_eq!(world.calls("UpdateItem"), 2, "{email}");
            assert_eq!(world.calls("SendEmail"), mails, "{email}");
            assert_eq!(world.calls(ANY), 3 + mails, "{email}");
            answer.headers.retain(|(name, _)| name != "set-cookie");
            answers.push(answer);
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

/// Addresses of every kind.
async fn every_kind(world: &World) -> Vec<&'static str> {
    have_account(world, "confirmed@example.com").await;
    sign_up(world, "waiting@example.com").await;
    have_contested_row(world, "contested@example.com").await;
    world.put_row(&json!({ "email": "invited@example.com" }));
    let foreign = json!({
        "email": "foreign@example.com",
        "email_confirmed": true,
        "password_hash": "$2b$12$C6UzMDM.H6dfI/f/IKcEeO7ZbMJ7bUqU2uU9v9u5r5b5b5b5b5b5b",
    });
    world.put_row(&foreign);
    vec![
        "unknown@example.com",
        "confirmed@example.com",
        "waiting@example.com",
        "contested@example.com",
        "invited@example.com",
        "foreign@example.com",
    ]
}

// Somebody else's address.

/// The attacker signs up with the owner's address before, between and after the owner's own steps, in all combinations, in
/// both modes, and the owner opens the mail in the browser that signed up or in another one.
#[tokio::test]
async fn whoever_signs_up_with_somebody_elses_address_never_gets_in_and_never_keeps_them_out() {
    for mode in ["browser", "visit"] {
        let world = World::builder()
            .setting("CONFIRM_ON", mode)
            .setting("RESEND_COOLDOWN", "0")
            .start()
            .await;
        for moments in 0..32 {
            let what = format!("{mode} {moments:05b}");
            world.delete_row(ADA);
            let attack = async |moment: u32| {
                if moments & (1 << moment) != 0 {
                    let attacker = sign_up_with(&world, ADA, ATTACKERS_PASSWORD).await;
                    assert!(attacker.cookie().is_some());
                }
            };

            attack(0).await;
            let owner = sign_up_with(&world, ADA, PASSWORD).await;
            let link = world.mail_to(ADA).link();
            attack(1).await;
            let request = world.request("GET", &link);
            let visit = if moments & 16 == 0 {
                request.browser_of(&owner).send().await
            } else {
                request.send().await
            };
            attack(2).await;
            if visit.status == 200 {
                assert!(!is_confirmed(&world, ADA), "{what}");
                let choice = choose(&world, &link, PASSWORD).await;
                assert_eq!(choice.status, 303, "{what}");
            }
            attack(3).await;

            assert_eq!(world.get(&link).await.status, 303, "{what}");
            assert!(is_confirmed(&world, ADA), "{what}");
            assert!(is_password_of(&world.row(ADA).unwrap(), PASSWORD), "{what}");
        }
    }
}

/// Types a new password twice on the page of a link.
async fn choose(world: &World, link: &str, password: &str) -> Answer {
    let form = [("password", password), ("password_again", password)];
    world.post_form(link, &form).await
}

/// A mail scanner, or somebody who was sent a mail that they never asked for.
#[tokio::test]
async fn a_link_that_is_opened_by_somebody_else_confirms_no_attackers_password() {
    let world = World::start().await;
    let attacker = sign_up_with(&world, ADA, ATTACKERS_PASSWORD).await;
    let link = world.mail_to(ADA).link();

    for method in ["GET", "HEAD", "GET"] {
        let opened = world.request(method, &link).send().await;
        assert_eq!(opened.status, 200);
        assert_eq!(opened.header("set-cookie"), None);
    }
    assert!(!is_confirmed(&world, ADA));
    // What the attacker has, without the mail, is of no use.
    let cookie = attacker.cookie().unwrap();
    let value = cookie.split_once('=').unwrap().1;
    let guess = format!("/accounts/confirm/{value}");
    let guessed = world.request("GET", &guess).browser_of(&attacker);
    assert_eq!(guessed.send().await.status, 404);
    assert!(!is_confirmed(&world, ADA));
}

#[tokio::test]
async fn a_link_that_was_used_changes_nothing_whoever_finds_it() {
    let world = World::start().await;
    let link = have_contested_row(&world, ADA).await;
    assert_eq!(choose(&world, &link, PASSWORD).await.status, 303);
    let row = world.row(ADA);
    let mails = world.mails().len();
    let password = [("password", ATTACKERS_PASSWORD)];

    let answers = [
        world.get(&link).await,
        world.request("POST", &link).send().await,
        world.post_form(&link, &password).await,
        world.post_form(&link, &[("password", "short")]).await,
        choose(&world, &link, ATTACKERS_PASSWORD).await,
        choose(&world, &link, "short").await,
        world.post_form(&expired_link(&world, ADA), &password).await,
    ];

    for answer in answers {
        assert_eq!(answer.status, 303, "{}", answer.text());
    }
    assert_eq!(world.row(ADA), row);
    assert_eq!(world.mails().len(), mails);
}

#[tokio::test]
async fn no_look_alike_reaches_the_account_or_the_mailbox_of_another() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    have_account(&world, "kate@example.com").await;
    let rows = world.rows();
    let mails = world.mails().len();

    for look_alike in [
        "\u{430}da@example.com", // a Cyrillic a
        "ada@ex\u{430}mple.com",
        "ad\u{e0}@example.com",
        "ad\u{e0}@ex\u{e0}mple.com",
        "ada@ex\u{e0}mple.com",
        "\u{212a}ate@example.com", // the sign of the kelvin, whose lower case is k
        "\u{ff41}da@example.com",  // wide
        "ada\u{200b}@example.com", // a space of no width
        "ada\u{ad}@example.com",   // a soft hyphen
        "\u{202e}ada@example.com", // right to left
        "ada@example.com.",
        "ada@example.com\0",
        "ada@example.com.evil.net",
        "ada@example.com@evil.net",
        "evil.net@ada@example.com",
        "ada%40example.com@evil.net",
        "\"ada\"@example.com",
        "\"ada@example.com\"@evil.net",
        "ada(@evil.net)@example.com",
        "(x)ada@example.com",
        "ada @example.com",
        "<ada@example.com>",
        "Ada <ada@example.com>",
        "ada@[93.184.216.34]",
        "ada@example.com,eve@evil.net",
        "eve@evil.net,ada@example.com",
        "ada@example.com;eve@evil.net",
        "ada@example.com eve@evil.net",
        "ada@example.com\neve@evil.net",
        "ada@example.com\r\nBcc: eve@evil.net",
        "ada@example.com%0d%0aBcc: eve@evil.net",
    ] {
        sign_up_with(&world, look_alike, ATTACKERS_PASSWORD).await;
    }

    for row in &rows {
        assert_eq!(
            world.row(row["email"].as_str().unwrap()).as_ref(),
            Some(row)
        );
    }
    // Some are addresses, but each is only its own.
    for mail in &world.mails()[mails..] {
        assert_eq!(mail.to.len(), 1);
        assert!(mail.to[0].is_ascii() && mail.to[0] != ADA, "{:?}", mail.to);
        let domain = mail.to[0].split('@').nth(1).unwrap();
        assert!(
            domain.starts_with("xn--") || domain.ends_with("evil.net"),
            "{domain}"
        );
    }
}

// Mail bombing.

#[tokio::test]
async fn no_spelling_and_no_door_gets_an_address_mailed_twice_in_the_cooldown() {
    let world = World::start().await;
    let spellings = [
        "ada@b\u{fc}cher.example",
        "ADA@B\u{dc}CHER.EXAMPLE",
        "ada@bu\u{308}cher.example",
        "ada@xn--bcher-kva.example",
        "Ada@XN--BCHER-KVA.example",
        " ada@b\u{fc}cher.example\t",
        "ada@b\u{fc}cher\u{3002}example",
        "ada@b\u{fc}\u{ad}cher.example",
        "ada@\u{ff42}\u{fc}cher.example",
    ];

    for spelling in spellings {
        let json = json!({ "email": spelling, "password": PASSWORD });
        sign_up(&world, spelling).await;
        world.post_json("/accounts/create", &json).await;
        world.post_form(&expired_link(&world, spelling), &[]).await;
    }

    assert_eq!(world.rows().len(), 1);
    assert_eq!(world.mails().len(), 1);
}

// Injection.

#[tokio::test]
async fn nothing_that_is_sent_becomes_a_header_or_markup() {
    let world = World::start().await;
    let payloads = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'><svg/onload=alert(1)>",
        "</title><script>alert(1)</script>",
        "{{ 7 * 7 }}${7*7}<%= 7 * 7 %>",
        "javascript:alert(1)",
        "a\r\nSet-Cookie: injected=1",
        "a%0d%0aSet-Cookie:%20injected=1",
        "\u{2028}injected\u{0}",
    ];

    for payload in payloads {
        let encoded: String = form_urlencoded::byte_serialize(payload.as_bytes()).collect();
        let fields = [("email", payload), ("password", payload)];
        let named = [(payload, "x"), ("email", "x")];
        let json = json!({ "email": payload, "password": payload, payload: payload });
        let form = "/accounts/create";
        let answers = [
            world.post_form(form, &fields).await,
            world.post_form(form, &named).await,
            world.post_json(form, &json).await,
            world
                .get(&format!("{form}?email={encoded}&{encoded}={encoded}"))
                .await,
            world.get(&format!("/accounts/confirm/{encoded}")).await,
            world
                .post_form(&format!("/accounts/confirm/{encoded}"), &fields)
                .await,
            world.post_form("/accounts/email", &fields).await,
            world.post_form("/accounts/password", &fields).await,
            world.get(&format!("/accounts/password/{encoded}")).await,
            world
                .post_form(&format!("/accounts/password/{encoded}"), &fields)
                .await,
            world
                .request("GET", &format!("/{encoded}"))
                .function("create-account")
                .send()
                .await,
            world
                .request("GET", form)
                .header("accept-language", payload)
                .send()
                .await,
        ];
        for answer in &answers {
            assert_plain(answer, payload);
        }
    }
    assert!(world.mails().is_empty());
}

fn assert_plain(answer: &Answer, payload: &str) {
    let html = answer
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("text/html"));
    let text = answer.text();
    if html && payload.contains(['<', '"', '\'']) {
        assert!(!text.contains(payload), "{text}");
    }
    for markup in ["<script", "<img", "<svg", "onerror=alert(1)>"] {
        assert!(!html || !text.contains(markup), "{text}");
    }
    assert!(!text.contains("49"), "{text}");
    for (name, value) in &answer.headers {
        let is_plain = !value.contains(['\r', '\n']) && !value.contains("injected");
        assert!(is_plain && name != "set-cookie", "{name}: {value}");
    }
}

#[tokio::test]
async fn no_request_chooses_where_it_leads() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    let_pass(&world, ADA, 60);
    let link = world.mail_to(ADA).link();
    let evil = "https://evil.example.net/";

    for parameter in [
        "next",
        "redirect",
        "redirect_uri",
        "return_to",
        "url",
        "index_url",
        "sign_in_url",
    ] {
        let query = format!("?{parameter}={evil}");
        let fields = [("email", ADA), ("password", PASSWORD), (parameter, evil)];
        let create = world
            .request("POST", &format!("/accounts/create{query}"))
            .form(&fields);
        let confirm = world
            .request("POST", &format!("{link}{query}"))
            .form(&[(parameter, evil)]);
        for request in [
            create,
            confirm,
            world.request("GET", &format!("{link}{query}")),
        ] {
            let request = request
                .header("referer", evil)
                .header("x-forwarded-host", "evil.example.net");
            let answer = request
                .replace_header("host", "evil.example.net")
                .send()
                .await;

            let location = answer.header("location").unwrap();
            assert!(
                location.starts_with("https://app.example.com/accounts/"),
                "{location}"
            );
        }
    }
    for path in [
        "//evil.example.net/accounts/create",
        "/\\evil.example.net",
        "/accounts/confirm/https:%2F%2Fevil",
    ] {
        let answer = world
            .request("GET", path)
            .function("confirm-email")
            .send()
            .await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (404, None),
            "{path}"
        );
    }
    let forms = world.get("/accounts/create").await.text();
    assert!(!forms.contains("evil") && !forms.contains("action="));
}

#[tokio::test]
async fn nobody_assigns_what_the_form_does_not_ask_for() {
    let world = World::start().await;
    let wish = json!({
        "email": ADA,
        "password": PASSWORD,
        "email_confirmed": true,
        "confirmed_at": "2026-01-01T00:00:00Z",
        "password_hash": "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAA",
        "user_id": "00000000-0000-7000-8000-000000000000",
        "contested": false,
        "expires_at": 99_999_999_999_u64,
        "mailed_at": 0,
        "is_admin": true,
        "__proto__": { "is_admin": true },
        "$set": { "email_confirmed": true },
    });
    let fields: Vec<_> = wish
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (name.as_str(), value)
        })
        .collect();
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();

    for is_json in [false, true] {
        world.delete_row(ADA);
        let answer = if is_json {
            world.post_json("/accounts/create", &wish).await
        } else {
            world.post_form("/accounts/create", &fields).await
        };

        assert!(matches!(answer.status, 202 | 303), "{}", answer.text());
        let row = world.row(ADA).unwrap();
        assert_eq!(row["email_confirmed"], false);
        assert!(is_password_of(&row, PASSWORD));
        assert_ne!(row["user_id"], wish["user_id"]);
        assert!(row["expires_at"].as_i64().unwrap() < now() + 9 * 86_400);
        for name in [
            "confirmed_at",
            "contested",
            "mailed_at",
            "is_admin",
            "__proto__",
            "$set",
        ] {
            assert_eq!(row.get(name), None, "{name}");
        }
    }
}

// Tokens.

/// Tokens that only a holder of the key could make, and that say what no token of ours says.
#[tokio::test]
async fn a_genuine_signature_does_not_make_nonsense_a_link() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let row = world.row(ADA);
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let zip = |text: &[u8]| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        format!(".{}", encode(&encoder.finish().unwrap()))
    };
    let address = serde_json::to_vec(ADA).unwrap();
    let bomb = [b"\"", vec![b'a'; 16 << 20].as_slice(), b"@example.com\""].concat();
    let nested = "[".repeat(1 << 20);

    let payloads = [
        ("null", encode(b"null")),
        ("true", encode(b"true")),
        ("a number", encode(b"12")),
        ("a list", encode(format!("[{}]", json!(ADA)).as_bytes())),
        (
            "two addresses",
            encode(json!([ADA, "eve@example.com"]).to_string().as_bytes()),
        ),
        (
            "an object",
            encode(json!({ "email": ADA }).to_string().as_bytes()),
        ),
        ("a blank", encode(b"\" \"")),
        ("nothing", encode(b"\"\"")),
        ("no JSON", encode(ADA.as_bytes())),
        ("no payload", String::new()),
        ("no address", encode(b"\"ada\"")),
        (
            "a list of addresses",
            encode(b"\"ada@example.com, eve@example.com\""),
        ),
        (
            "two values",
            encode(&[&address[..], b" ", &address[..]].concat()),
        ),
        ("no UTF-8", encode(b"\"ada\xff@example.com\"")),
        ("deep JSON", encode(nested.as_bytes())),
        ("a bomb", zip(&bomb)),
        ("a deep bomb", zip(nested.repeat(8).as_bytes())),
        ("half a stream", zip(&address)[..16].to_owned()),
        ("no stream", format!(".{}", encode(&address))),
        ("only a dot", ".".to_owned()),
    ];
    world.forget_calls();
    for (what, payload) in payloads {
        for salt in ["email-confirm-key", "email-update-key"] {
            let signer = TimestampSigner::new(world.secret_key().as_bytes(), salt);
            let token = signer.sign_at(&payload, now().try_into().unwrap());
            for method in ["GET", "HEAD", "POST"] {
                let request = world.request(method, &format!("/accounts/confirm/{token}"));
                let request = request.function("confirm-email");
                let request = match method {
                    "POST" => request.form(&[("password", PASSWORD)]),
                    _ => request,
                };

                let answer = request.send().await;

                // The two addresses are what a change of address holds; nobody has asked for this one.
                assert_eq!(answer.status, 404, "{what}, {salt}");
            }
        }
    }
    assert_eq!(world.calls("SendEmail"), 0);
    assert_eq!(world.row(ADA), row);
}

#[tokio::test]
async fn a_token_of_another_key_or_purpose_is_no_link_and_reaches_nothing() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let row = world.row(ADA);
    let key = world.secret_key().to_owned();
    let payload = URL_SAFE_NO_PAD.encode(json!(ADA).to_string());
    world.forget_calls();

    for (key, salt) in [
        ("another key", "email-confirm-key"),
        ("", "email-confirm-key"),
        (&key, "email-update-key"),
        (&key, "itsdangerous"),
        (&key, "password-reset"),
        (&key, "cookie-session"),
        (&key, ""),
        (&key, "email-confirm-keysigner"),
    ] {
        let signer = TimestampSigner::new(key.as_bytes(), salt);
        let token = signer.sign_at(&payload, now().try_into().unwrap());
        for method in ["GET", "POST"] {
            let answer = world
                .request(method, &format!("/accounts/confirm/{token}"))
                .send()
                .await;
            assert_eq!(answer.status, 404, "{key} {salt}");
        }
    }
    assert!(world.is_untouched());
    assert_eq!(world.row(ADA), row);
}

// What is written down.

#[tokio::test]
async fn no_level_of_logging_makes_the_functions_write_down_a_person_or_a_secret() {
    let world = World::builder()
        .processes(2)
        .setting("RUST_LOG", "trace")
        .setting("RUST_BACKTRACE", "full")
        .setting("AWS_LAMBDA_LOG_LEVEL", "TRACE")
        .setting("AWS_LAMBDA_LOG_FORMAT", "JSON")
        .start()
        .await;
    // Failed conditions hold the whole row, and errors of the services whatever they like.
    let link = have_contested_row(&world, ADA).await;
    world.get(&link).await;
    choose(&world, &link, PASSWORD).await;
    world.get(&link).await;
    sign_up(&world, ADA).await;
    let told = |status| Fault::Answer {
        status,
        kind: "ValidationException".to_owned(),
        message: format!("{ADA} {PASSWORD} {link}"),
    };
    for status in [400, 500] {
        world.dynamodb.always(ANY, told(status));
        sign_up(&world, ADA).await;
        world.get(&link).await;
        world.dynamodb.heal();
        world.ses.always(ANY, told(status));
        sign_up_with(&world, "eve@example.com", OTHER_PASSWORD).await;
        world.ses.heal();
    }
    world.dynamodb.times(6, ANY, Fault::DropAnswer);
    sign_up(&world, "eve@example.com").await;
    let token = world.mail_to(ADA).token();
    let hash = world.row(ADA).unwrap()["password_hash"].clone();
    let user_id = world.row(ADA).unwrap()["user_id"].clone();

    let lines = world.final_logs().await.join("\n");

    for secret in [
        "ada@",
        "eve@",
        "ada%40",
        "example.com/accounts/confirm/",
        &token,
        PASSWORD,
        OTHER_PASSWORD,
        "argon2id",
        world.secret_key(),
        text(&hash),
        text(&user_id),
        "Authorization",
        "x-amz-security-token",
    ] {
        assert!(!lines.contains(secret), "{secret}: {lines}");
    }
    assert!(lines.contains("ValidationException"));
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
