//! One conditional write, and what came of it.

use std::borrow::Cow;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure::AllOld};
use tokio::time::sleep;

use crate::clock;
use crate::table::{Item, Table, text};
use crate::unavailable::Unavailable;

/// How often an operation is attempted while concurrent ones keep winning.
pub const ROUNDS: usize = 8;

/// The result of a conditional write. If its answer was lost, the SDK repeats the write, and the condition may refuse the
/// repetition. A caller that must recognise this looks for a value of its own in the item.
#[must_use]
pub(crate) enum Written {
    Done,
    /// The condition did not hold. The item, if there is one.
    Refused(Option<Item>),
}

/// A condition and the values that it names.
#[derive(Clone, Default)]
pub(crate) struct Condition {
    terms: Vec<Cow<'static, str>>,
    values: Item,
}

/// A write that is being put together; [`Write::send`] sends it.
#[must_use]
pub(crate) struct Write<'a> {
    table: &'a Table,
    what: What,
    condition: Condition,
}

enum What {
    /// Writes the whole item.
    Put(Item),
    /// Changes attributes of the item with this key.
    Update {
        key: String,
        set: Vec<String>,
        remove: Vec<&'static str>,
    },
}

impl Table {
    pub(crate) fn put(&self, item: Item) -> Write<'_> {
        self.write(What::Put(item))
    }

    pub(crate) fn update(&self, key: impl Into<String>) -> Write<'_> {
        self.write(What::Update {
            key: key.into(),
            set: Vec::new(),
            remove: Vec::new(),
        })
    }

    fn write(&self, what: What) -> Write<'_> {
        Write {
            table: self,
            what,
            condition: Condition::default(),
        }
    }
}

impl Condition {
    /// Adds a term that must hold too.
    pub(crate) fn and(&mut self, term: impl Into<Cow<'static, str>>) {
        self.terms.push(term.into());
    }

    /// Gives `name`, which begins with a colon, a value.
    pub(crate) fn value(&mut self, name: &str, value: AttributeValue) {
        self.values.insert(name.to_owned(), value);
    }

    /// In parentheses, since each term may hold an `OR`.
    pub(crate) fn expression(&self) -> Option<String> {
        (!self.terms.is_empty()).then(|| format!("({})", self.terms.join(") AND (")))
    }

    pub(crate) fn values(&self) -> Option<Item> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}

impl Write<'_> {
    /// Sets an attribute to a value.
    pub(crate) fn set(mut self, name: &str, value: AttributeValue) -> Self {
        self.condition.value(&format!(":{name}"), value);
        self.set_to(name, &format!(":{name}"))
    }

    /// Sets an attribute to what an expression gives.
    pub(crate) fn set_to(mut self, name: &str, expression: &str) -> Self {
        if let What::Update { set, .. } = &mut self.what {
            set.push(format!("{name} = {expression}"));
        }
        self
    }

    pub(crate) fn remove(mut self, names: &[&'static str]) -> Self {
        if let What::Update { remove, .. } = &mut self.what {
            remove.extend(names);
        }
        self
    }

    /// Writes only if `term` holds too.
    pub(crate) fn only_if(mut self, term: impl Into<Cow<'static, str>>) -> Self {
        self.condition.and(term);
        self
    }

    /// Gives `name`, which begins with a colon, a value.
    pub(crate) fn value(mut self, name: &str, value: AttributeValue) -> Self {
        self.condition.value(name, value);
        self
    }

    /// Sends it. Retries while a transaction holds the item, which the SDK does not do by itself.
    pub(crate) async fn send(self) -> Result<Written, Unavailable> {
        for _ in 0..ROUNDS {
            match self.send_once().await {
                Err(conflict) if conflict.reason() == "TransactionConflictException" => {
                    sleep(jitter()).await;
                }
                written => return written,
            }
        }
        let operation = match self.what {
            What::Put(_) => "PutItem",
            What::Update { .. } => "UpdateItem",
        };
        Err(Unavailable::new(operation, "contention"))
    }

    async fn send_once(&self) -> Result<Written, Unavailable> {
        match &self.what {
            What::Put(item) => self.put(item.clone()).await,
            What::Update { key, set, remove } => self.update(key, set, remove).await,
        }
    }

    async fn put(&self, item: Item) -> Result<Written, Unavailable> {
        let put = self.table.client.put_item().table_name(&self.table.name);
        let put = put
            .set_item(Some(item))
            .set_condition_expression(self.condition.expression())
            .set_expression_attribute_values(self.condition.values())
            .return_values_on_condition_check_failure(AllOld);
        match Box::pin(put.send()).await {
            Ok(_) => Ok(Written::Done),
            Err(SdkError::ServiceError(error))
                if error.err().is_conditional_check_failed_exception() =>
            {
                match error.into_err() {
                    PutItemError::ConditionalCheckFailedException(failed) => {
                        Ok(Written::Refused(failed.item))
                    }
                    _ => Ok(Written::Refused(None)),
                }
            }
            Err(error) => Err(Unavailable::from_sdk("PutItem", &error)),
        }
    }

    async fn update(
        &self,
        key: &str,
        set: &[String],
        remove: &[&str],
    ) -> Result<Written, Unavailable> {
        let clause = |verb: &str, parts: String| match &*parts {
            "" => String::new(),
            parts => format!("{verb} {parts} "),
        };
        let expression = clause("SET", set.join(", ")) + &clause("REMOVE", remove.join(", "));
        let update = self.table.client.update_item().table_name(&self.table.name);
        let update = update
            .key(self.table.key, text(key))
            .update_expression(expression.trim_end())
            .set_condition_expression(self.condition.expression())
            .set_expression_attribute_values(self.condition.values())
            .return_values_on_condition_check_failure(AllOld);
        match Box::pin(update.send()).await {
            Ok(_) => Ok(Written::Done),
            Err(SdkError::ServiceError(error))
                if error.err().is_conditional_check_failed_exception() =>
            {
                match error.into_err() {
                    UpdateItemError::ConditionalCheckFailedException(failed) => {
                        Ok(Written::Refused(failed.item))
                    }
                    _ => Ok(Written::Refused(None)),
                }
            }
            Err(error) => Err(Unavailable::from_sdk("UpdateItem", &error)),
        }
    }
}

/// 20 to 70 ms, so that operations that collided do not collide again.
pub(crate) fn jitter() -> Duration {
    Duration::from_millis(20 + u64::from(clock::nanosecond() / 1_000 % 50))
}
