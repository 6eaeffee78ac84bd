//! Whom the functions believe that it is AWS: `AWS_CA_BUNDLE`, and the system's roots for endpoints of one's own.

use tests::{Tls, World};

const FORM: [(&str, &str); 2] = [
    ("email", "ada@example.com"),
    ("password", "correct horse battery"),
];

/// A sign-up's status where the store is behind TLS, and `variable` names a file with the `certificates`.
async fn sign_up(tls: &Tls, variable: &str, certificates: &str) -> u16 {
    let world = World::builder()
        .setting("AWS_ENDPOINT_URL_DYNAMODB", &tls.url())
        .setting(variable, &tls.bundle(certificates))
        .start()
        .await;
    tls.pass_to(world.store.address());

    let answer = world.post_form("/accounts/create", &FORM).await;

    assert_eq!(answer.status == 303, world.row("ada@example.com").is_some());
    answer.status
}

#[tokio::test]
async fn an_authority_in_the_bundle_is_trusted() {
    let tls = Tls::start().await;

    let status = sign_up(&tls, "AWS_CA_BUNDLE", tls.authority()).await;

    assert_eq!(status, 303);
}

#[tokio::test]
async fn certificates_that_cannot_be_used_do_not_spoil_a_bundle() {
    let tls = Tls::start().await;
    let unusable = "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
    let bundle = format!("# Our authority\n{unusable}{}{unusable}", tls.authority());

    let status = sign_up(&tls, "AWS_CA_BUNDLE", &bundle).await;

    assert_eq!(status, 303);
}

#[tokio::test]
async fn an_authority_that_is_not_in_the_bundle_is_not_trusted() {
    let (tls, other) = (Tls::start().await, Tls::start().await);

    let status = sign_up(&tls, "AWS_CA_BUNDLE", other.authority()).await;

    assert_eq!(status, 503);
}

#[tokio::test]
async fn the_systems_roots_are_trusted_for_endpoints_of_ones_own() {
    let tls = Tls::start().await;

    let status = sign_up(&tls, "SSL_CERT_FILE", tls.authority()).await;

    assert_eq!(status, 303);
}
