use std::env;

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_http::{Body, Error, Request, Response, run, service_fn};
use signing::UrlSafeTimedSerializer;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let dynamodb = &aws_sdk_dynamodb::Client::new(&config);
    let ses = &aws_sdk_sesv2::Client::new(&config);
    let links =
        &UrlSafeTimedSerializer::new(env::var("SECRET_KEY")?.as_bytes(), "email-confirm-key");

    run(service_fn(async move |request: Request| {
        let token = request.uri().path().rsplit('/').next().unwrap_or_default();
        let Ok(link) = links.loads::<String>(token, Some(86_400)) else {
            return Ok::<_, Error>(
                Response::builder()
                    .status(404)
                    .body(Body::from("This link is not valid"))?,
            );
        };
        dynamodb
            .update_item()
            .table_name(env::var("USERS_TABLE")?)
            .key("email", AttributeValue::S(link.value))
            .update_expression("SET email_confirmed = :true REMOVE expires_at")
            .condition_expression("attribute_exists(email)")
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .send()
            .await?;
        if request.method() == "POST" {
            ses.send_email().send().await?;
        }
        Ok(Response::builder()
            .status(303)
            .header("location", "/")
            .body(Body::Empty)?)
    }))
    .await
}
