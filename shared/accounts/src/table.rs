//! A table of DynamoDB.

mod write;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

pub use self::write::ROUNDS;
pub(crate) use self::write::{Condition, Write, Written, jitter};
use crate::aws::OpenConnection;
use crate::settings::{Environment, InvalidSetting};
use crate::unavailable::Unavailable;

/// An item, as the SDK has it.
pub type Item = HashMap<String, AttributeValue>;

pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
    key: &'static str,
}

impl Table {
    /// The table that `variable` names, whose partition key is `key`.
    pub(crate) fn from_env(
        environment: &Environment,
        client: &Client,
        variable: &'static str,
        key: &'static str,
    ) -> Result<Self, InvalidSetting> {
        const EXPECTED: &str = "the name or ARN of a DynamoDB table";
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b);
        let name = |value: &str| value.bytes().all(is_name).then(|| value.to_owned());
        Ok(Self {
            client: client.clone(),
            name: environment.required(variable, EXPECTED, name)?,
            key,
        })
    }

    /// Opens the connection that the first request will use. If that fails, the request opens it.
    pub(crate) fn open_connection(&self) -> impl Future<Output = ()> + use<> {
        let config = self.client.config().to_builder();
        let client = Client::from_conf(config.interceptor(OpenConnection).build());
        let call = client.get_item().table_name(&self.name);
        async {
            let _ = call.send().await;
        }
    }

    /// The item with this key, by a consistent read.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Item>, Unavailable> {
        let get = self.client.get_item().table_name(&self.name);
        let get = get.key(self.key, text(key)).consistent_read(true);
        // The SDK's futures are large: many of them side by side would not fit on the stack.
        let output = Box::pin(get.send()).await;
        let output = output.map_err(|error| Unavailable::from_sdk("GetItem", &error))?;
        Ok(output.item)
    }
}

pub(crate) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(crate) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(crate) const TRUE: AttributeValue = AttributeValue::Bool(true);

/// A number's attribute, without the decimals that other code may write.
pub(crate) fn read_number(item: &Item, name: &str) -> Option<u64> {
    let number = item.get(name)?.as_n().ok()?;
    let whole = number
        .split_once('.')
        .map_or(number.as_str(), |(whole, _)| whole);
    whole.parse().ok()
}

/// A string's attribute.
pub(crate) fn read_text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(crate) fn is_true(item: &Item, name: &str) -> bool {
    item.get(name) == Some(&TRUE)
}
