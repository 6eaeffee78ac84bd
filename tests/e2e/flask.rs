//! An application as in "Explore Flask", chapter 12, with `CONFIRM_ON=visit`, and one that shares the key.

use serde_json::{Value, json};
use tests::World;

use crate::steps::{
    ADA, PASSWORD, is_confirmed, open_in_browser_of, password_of, python, reset_link, sign_up,
    twice, visit_world,
};

/// A token as Flask makes it: `URLSafeTimedSerializer(key).dumps(payload, salt=salt)`.
fn dumps(world: &World, payload: &Value, salt: &str) -> String {
    let script = "
from itsdangerous import URLSafeTimedSerializer
output = URLSafeTimedSerializer(input['key']).dumps(input['payload'], salt=input['salt'])
";
    let input = json!({ "key": world.secret_key(), "payload": payload, "salt": salt });
    python(script, &input).as_str().unwrap().to_owned()
}

/// What Flask reads in the token at the end of a link.
fn loads(world: &World, link: &str, salt: &str) -> Value {
    let script = "
from itsdangerous import URLSafeTimedSerializer
output = URLSafeTimedSerializer(input['key']).loads(input['token'], salt=input['salt'], max_age=86400)
";
    let token = link.rsplit('/').next().unwrap();
    python(
        script,
        &json!({ "key": world.secret_key(), "token": token, "salt": salt }),
    )
}

#[tokio::test]
async fn signing_up_the_mail_and_the_link_are_as_in_the_book() {
    let world = World::builder()
        .setting("CONFIRM_ON", "visit")
        .setting("INDEX_URL", "https://myapp.com/")
        .setting("SIGN_IN_URL", "https://myapp.com/signin")
        .start()
        .await;

    // 12.1: create the user, mail the link, redirect to the index.
    let form = world.get("/accounts/create").await;
    assert_eq!(form.status, 200);
    let signed_up = sign_up(&world, ADA).await;
    assert_eq!(signed_up.status, 303);
    assert_eq!(signed_up.header("location"), Some("https://myapp.com/"));
    let row = world.row(ADA).unwrap();
    assert_eq!(row["email_confirmed"], false);
    assert!(password_of(&row, PASSWORD));
    let link = world.mail_to(ADA).link();
    assert_eq!(loads(&world, &link, "email-confirm-key"), ADA);

    // The confirmation view: 404 for a bad token, else confirmed, and off to sign in. No cookie, no question.
    assert_eq!(world.get(&format!("{link}x")).await.status, 404);
    assert!(!is_confirmed(&world, ADA));
    let confirmed = world.get(&link).await;
    assert_eq!(confirmed.status, 303);
    assert_eq!(
        confirmed.header("location"),
        Some("https://myapp.com/signin")
    );
    assert!(is_confirmed(&world, ADA));
    assert!(password_of(&world.row(ADA).unwrap(), PASSWORD));

    // 12.4: forgotten passwords.
    let reset = reset_link(&world, ADA).await;
    assert_eq!(loads(&world, &reset, "recover-key"), ADA);
    assert_eq!(world.get(&reset).await.status, 200);
    let set = world.post_form(&reset, &[("password", "a new beginning")]);
    let set = set.await;
    assert_eq!(set.header("location"), Some("https://myapp.com/signin"));
    assert!(password_of(&world.row(ADA).unwrap(), "a new beginning"));
}

#[tokio::test]
async fn a_sign_up_link_that_flask_made_confirms_a_row_that_flask_made() {
    let world = visit_world().await;
    world.put_row(&json!({ "email": ADA, "password_hash": "$2b$12$x", "email_confirmed": false }));
    let token = dumps(&world, &json!(ADA), "email-confirm-key");

    let confirmed = world.get(&format!("/accounts/confirm/{token}")).await;

    assert_eq!(confirmed.status, 303);
    let row = world.row(ADA).unwrap();
    assert_eq!(row["email_confirmed"], true);
    assert_eq!(row["password_hash"], "$2b$12$x");
}

#[tokio::test]
async fn in_browser_mode_a_sign_up_link_that_flask_made_takes_a_password() {
    let world = World::start().await;
    world.put_row(&json!({ "email": ADA, "password_hash": "$2b$12$x" }));
    let token = dumps(&world, &json!(ADA), "email-confirm-key");
    let link = format!("/accounts/confirm/{token}");

    assert_eq!(world.get(&link).await.status, 200);
    // We cannot check Flask's own hash.
    let one = world.post_form(&link, &[("password", PASSWORD)]).await;
    assert_eq!(one.status, 422);
    assert!(!is_confirmed(&world, ADA));
    let both = world.post_form(&link, &twice(PASSWORD)).await;
    assert_eq!(both.status, 303);
    assert!(password_of(&world.row(ADA).unwrap(), PASSWORD));
}

#[tokio::test]
async fn a_reset_link_that_flask_made_sets_a_password_once() {
    let world = visit_world().await;
    let row = json!({ "email": ADA, "password_hash": "$2b$12$x", "email_confirmed": true });
    world.put_row(&row);
    let token = dumps(&world, &json!(ADA), "recover-key");
    let link = format!("/accounts/password/{token}");

    assert_eq!(world.get(&link).await.status, 200);
    let set = world.post_form(&link, &[("password", PASSWORD)]).await;
    let again = world.post_form(&link, &[("password", "once more, please")]);

    assert_eq!((set.status, again.await.status), (303, 404));
    assert!(password_of(&world.row(ADA).unwrap(), PASSWORD));
}

#[tokio::test]
async fn a_change_link_that_flask_made_works_while_a_request_waits_in_our_row() {
    let world = visit_world().await;
    let signed_up = sign_up(&world, ADA).await;
    open_in_browser_of(&world, &signed_up, &world.mail_to(ADA).link()).await;
    let new = "new@example.com";
    let link = || {
        let token = dumps(&world, &json!([ADA, new]), "email-update-key");
        format!("/accounts/confirm/{token}")
    };

    assert_eq!(world.get(&link()).await.status, 404, "nobody asked");
    let fields = [("email", ADA), ("password", PASSWORD), ("new_email", new)];
    let asked = world.post_form("/accounts/email", &fields).await;
    let ours = world.mail_to(new).link();
    assert_eq!(loads(&world, &ours, "email-update-key"), json!([ADA, new]));
    let moved = open_in_browser_of(&world, &asked, &link()).await;

    assert_eq!(moved.status, 303);
    assert!(is_confirmed(&world, new));
    assert_eq!(world.row(ADA), None);
}
