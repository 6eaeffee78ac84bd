//! The move of a row to another address, in one transaction.

use std::collections::HashMap;

use addresses::EmailAddress;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use tokio::time::sleep;

use crate::clock;
use crate::table::{Condition, Item, TRUE, jitter, text};
use crate::unavailable::Unavailable;
use crate::users::change::PendingChange;
use crate::users::{NOT_CONFIRMED, Users, item, time};

impl Users {
    /// Moves the account to `new` if both rows are as they were read; `false`, after a short pause, if a concurrent write was
    /// quicker.
    pub async fn move_account(
        &self,
        change: &PendingChange,
        old: &EmailAddress,
        new: &EmailAddress,
    ) -> Result<bool, Unavailable> {
        let invalid = |_| Unavailable::new("TransactWriteItems", "invalid request");
        let unchanged = unchanged(&change.old);
        let delete = Delete::builder()
            .table_name(&self.table.name)
            .key("email", text(old.as_str()))
            .condition_expression(unchanged.expression)
            .set_expression_attribute_names(Some(unchanged.names))
            .set_expression_attribute_values(Some(unchanged.values))
            .build()
            .map_err(invalid)?;
        let replaceable = replaceable(change.new.as_ref());
        let put = Put::builder()
            .table_name(&self.table.name)
            .set_item(Some(moved(change, old, new, clock::now())))
            .set_condition_expression(replaceable.expression())
            .set_expression_attribute_values(replaceable.values())
            .build()
            .map_err(invalid)?;
        // The SDK gives each transaction a token of its own, by which DynamoDB recognises a repetition.
        let transaction = self
            .table
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().delete(delete).build())
            .transact_items(TransactWriteItem::builder().put(put).build());
        match Box::pin(transaction.send()).await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if was_overtaken(error.err()) => {
                sleep(jitter()).await;
                Ok(false)
            }
            Err(error) => Err(Unavailable::from_sdk("TransactWriteItems", &error)),
        }
    }
}

/// The row under its new address.
fn moved(change: &PendingChange, old: &EmailAddress, new: &EmailAddress, now: u64) -> Item {
    let mut moved = change.old.clone();
    let request = moved.remove("email_change");
    let requested_at = request
        .as_ref()
        .and_then(|request| request.as_m().ok()?.get("requested_at"));
    // By this the link is recognised as done if it is followed again.
    let mut done = item([("old_email", text(old.as_str()))]);
    done.extend(requested_at.map(|at| ("requested_at".to_owned(), at.clone())));
    for name in ["undeliverable", "expires_at", "contested", "sign_up"] {
        moved.remove(name);
    }
    moved.extend(item([
        ("email", text(new.as_str())),
        ("confirmed_at", time(now)),
        ("email_changed", AttributeValue::M(done)),
    ]));
    // What is known about delivery to the new address is kept.
    let undeliverable = change.new.as_ref().and_then(|row| row.get("undeliverable"));
    moved.extend(undeliverable.map(|why| ("undeliverable".to_owned(), why.clone())));
    moved
}

struct Unchanged {
    expression: String,
    names: HashMap<String, String>,
    values: Item,
}

/// The condition that a row is as it was read. DynamoDB cannot compare a whole row, so each attribute is compared.
fn unchanged(row: &Item) -> Unchanged {
    let (mut terms, mut names, mut values) = (Vec::new(), HashMap::new(), Item::new());
    for (index, (name, value)) in row.iter().enumerate() {
        terms.push(format!("#{index} = :{index}"));
        names.insert(format!("#{index}"), name.clone());
        values.insert(format!(":{index}"), value.clone());
    }
    Unchanged {
        expression: terms.join(" AND "),
        names,
        values,
    }
}

/// The condition that the new address' row may be replaced, and that it is still the same user's as when it was read.
fn replaceable(row: Option<&Item>) -> Condition {
    let mut condition = Condition::default();
    let Some(row) = row else {
        condition.and("attribute_not_exists(email)");
        return condition;
    };
    condition.and(NOT_CONFIRMED);
    condition.value(":true", TRUE);
    for name in ["user_id", "password_hash"] {
        match row.get(name) {
            Some(value) => {
                condition.and(format!("{name} = :{name}"));
                condition.value(&format!(":{name}"), value.clone());
            }
            None => condition.and(format!("attribute_not_exists({name})")),
        }
    }
    condition
}

/// Whether a transaction was cancelled only because concurrent writes were quicker.
fn was_overtaken(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        return false;
    };
    let reasons = cancelled.cancellation_reasons().iter();
    let mut codes = reasons.filter_map(|reason| reason.code());
    codes.all(|code| {
        matches!(
            code,
            "None" | "ConditionalCheckFailed" | "TransactionConflict"
        )
    })
}
