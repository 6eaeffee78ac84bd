//! Mail, through SES.

use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use aws_sdk_sesv2::types::{
    Body, ConfigurationOverrides, Content, Destination, EmailContent, FeatureStatus, Message,
    MessageHeader, TrackingConfigurationOverrides,
};
use aws_sdk_sesv2::{Client, Config};
use aws_types::SdkConfig;

use crate::aws::OpenConnection;
use addresses::EmailAddress;

use crate::mail::mails::Mail;
use crate::mail::sender::Sender;
use crate::settings::{Environment, InvalidSetting};
use crate::unavailable::Unavailable;

/// How long SES may take, all attempts included. One that timed out is not repeated, since it may have sent the mail.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Sends mail.
pub struct Mailer {
    config: Config,
    /// Made by the first mail: it would be a quarter of a start, and most processes of `confirm-email` send none.
    client: OnceLock<Client>,
    from: String,
    configuration_set: Option<String>,
    /// The configuration set of security notices.
    notices_set: Option<String>,
}

impl Mailer {
    /// Reads `SES_CONFIGURATION_SET` and `SES_NOTICES_CONFIGURATION_SET`.
    pub fn from_env(
        environment: &Environment,
        config: &SdkConfig,
        sender: &Sender,
    ) -> Result<Self, InvalidSetting> {
        const SET: &str = "the name of an SES configuration set: letters, digits, - and _";
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let name = |value: &str| value.bytes().all(is_name).then(|| value.to_owned());
        let configuration_set = environment.optional("SES_CONFIGURATION_SET", SET, name)?;
        let notices_set = environment.optional("SES_NOTICES_CONFIGURATION_SET", SET, name)?;
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(TIMEOUT)
            .operation_timeout(TIMEOUT);
        let config = aws_sdk_sesv2::config::Builder::from(config)
            .timeout_config(timeouts.build())
            .build();
        Ok(Self {
            config,
            client: OnceLock::new(),
            from: sender.mailbox(),
            notices_set: notices_set.or_else(|| configuration_set.clone()),
            configuration_set,
        })
    }

    /// Opens the connection that the first mail will use. If that fails, the mail opens it.
    pub fn open_connection(&self) -> impl Future<Output = ()> + use<> {
        let config = self.config.to_builder();
        let client = Client::from_conf(config.interceptor(OpenConnection).build());
        let call = client.send_email();
        async {
            let _ = call.send().await;
        }
    }

    /// Sends `mail` to one address. After an error SES may have taken the mail all the same, but did not say so in time.
    pub async fn send(&self, to: &EmailAddress, mail: Mail) -> Result<(), Unavailable> {
        self.send_by(self.configuration_set.as_ref(), to, mail)
            .await
    }

    /// Sends a security notice, which no ceiling on mail holds back.
    pub async fn send_notice(&self, to: &EmailAddress, mail: Mail) -> Result<(), Unavailable> {
        self.send_by(self.notices_set.as_ref(), to, mail).await
    }

    async fn send_by(
        &self,
        configuration_set: Option<&String>,
        to: &EmailAddress,
        mail: Mail,
    ) -> Result<(), Unavailable> {
        let message =
            message(mail).map_err(|_| Unavailable::new("SendEmail", "invalid request"))?;
        let client = self
            .client
            .get_or_init(|| Client::from_conf(self.config.clone()));
        let call = client
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(to.as_str()).build())
            .content(EmailContent::builder().simple(message).build())
            .set_configuration_set_name(configuration_set.cloned())
            .configuration_overrides(untracked());
        let sent = Box::pin(call.send()).await;
        sent.map(|_| ())
            .map_err(|error| Unavailable::from_sdk("SendEmail", &error))
    }
}

/// Tracking would lead every link, with its token, through a server of AWS. `ses:no-track` in the templates prevents it in
/// the HTML part only. This prevents it in the text part too, whatever the account or the configuration set says.
fn untracked() -> ConfigurationOverrides {
    let tracking = TrackingConfigurationOverrides::builder()
        .click_tracking_enabled(FeatureStatus::Disabled)
        .open_tracking_enabled(FeatureStatus::Disabled)
        .build();
    ConfigurationOverrides::builder().tracking(tracking).build()
}

fn message(mail: Mail) -> Result<Message, aws_sdk_sesv2::error::BuildError> {
    let content = |data: String| Content::builder().data(data).charset("UTF-8").build();
    let body = Body::builder()
        .html(content(mail.html)?)
        .text(content(mail.text)?)
        .build();
    // RFC 3834, 5: keeps vacation notices from answering.
    let auto = MessageHeader::builder()
        .name("Auto-Submitted")
        .value("auto-generated")
        .build()?;
    Ok(Message::builder()
        .subject(content(mail.subject)?)
        .body(body)
        .headers(auto)
        .build())
}
