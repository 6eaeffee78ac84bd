//! Connections that a start opens while Secrets Manager is asked for the key, so that the first request finds them open.

use tests::{Fault, OPENING, Proxy, World, eventually};

use crate::steps::{ADA, is_confirmed, sign_up};

/// A world whose Secrets Manager gives the key only when each of `others` has answered what opens a connection.
async fn world_that_waits_for(others: fn(&World) -> Vec<Proxy>) -> World {
    let world = World::builder()
        .key_in_secrets_manager()
        .setting("CONFIRM_ON", "visit")
        .start()
        .await;
    let others = others(&world);
    let hold = Fault::before(move || {
        let others = others.clone();
        async move {
            eventually("connections beside the call", || {
                others
                    .iter()
                    .all(|other| other.answers() == 1)
                    .then_some(())
            })
            .await;
        }
    });
    world.secrets_manager.always("GetSecretValue", hold);
    world
}

#[tokio::test]
async fn a_sign_up_finds_its_connections_open() {
    let world = world_that_waits_for(|world| vec![world.dynamodb.clone(), world.ses.clone()]).await;

    assert_eq!(world.get("/accounts/create").await.status, 200);
    assert_eq!(world.calls(OPENING), 2);
    assert_eq!(sign_up(&world, ADA).await.status, 303);

    assert_eq!(world.mails_to(ADA).len(), 1);
    assert_eq!(
        (world.dynamodb.connections(), world.ses.connections()),
        (1, 1)
    );
}

#[tokio::test]
async fn a_confirmation_finds_its_connection_open_and_opens_none_for_mail() {
    let world = world_that_waits_for(|world| vec![world.dynamodb.clone()]).await;
    world.put_row(&serde_json::json!({ "email": ADA, "password_hash": "$argon2id$" }));

    assert_eq!(world.get("/accounts/confirmed").await.status, 200);
    let link = format!("/accounts/confirm/{}", world.token(ADA, 1));
    assert_eq!(world.get(&link).await.status, 303);

    assert!(is_confirmed(&world, ADA));
    assert_eq!(
        (world.dynamodb.connections(), world.ses.connections()),
        (1, 0)
    );
}

#[tokio::test]
async fn a_connection_that_cannot_be_opened_disturbs_neither_the_start_nor_a_request() {
    for fault in [
        Fault::Hang,
        Fault::DropCall,
        Fault::unavailable(),
        Fault::access_denied(),
    ] {
        let world = World::builder()
            .key_in_secrets_manager()
            .setting("CONFIRM_ON", "visit")
            .start()
            .await;
        world.dynamodb.always(OPENING, fault.clone());
        world.ses.always(OPENING, fault);

        assert_eq!(sign_up(&world, ADA).await.status, 303);
        assert_eq!(world.get(&world.mail_to(ADA).link()).await.status, 303);

        assert!(is_confirmed(&world, ADA));
        // Once for each function and service, and never again.
        eventually("the openings", || (world.calls(OPENING) == 3).then_some(())).await;
        let lines = world.logs();
        assert!(
            lines.iter().all(|line| line.contains("\"level\":\"INFO\"")),
            "{lines:#?}"
        );
    }
}

#[tokio::test]
async fn with_the_key_at_hand_nothing_is_opened_before_it_is_needed() {
    let world = World::start().await;

    assert_eq!(world.get("/accounts/create").await.status, 200);
    assert_eq!(world.get("/accounts/confirmed").await.status, 200);

    assert_eq!(
        (world.dynamodb.connections(), world.ses.connections()),
        (0, 0)
    );
}
