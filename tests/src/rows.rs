//! Rows of the users table as plain JSON: `{"email": "ada@example.com", "email_confirmed": true, "expires_at": 1}`.

use serde_json::{Map, Value, json};

/// A row, a JSON object; numbers are numbers, sets are lists.
pub type Row = Value;

/// The plain form of an item in `DynamoDB`'s JSON.
pub(crate) fn plain(item: &Value) -> Row {
    map(item, plain_value)
}

/// `DynamoDB`'s JSON for a plain row.
pub(crate) fn item(row: &Row) -> Value {
    map(row, typed_value)
}

fn map(object: &Value, value: impl Fn(&Value) -> Value) -> Value {
    let object = object.as_object().expect("a row is an object");
    Value::Object(
        object
            .iter()
            .map(|(name, inner)| (name.clone(), value(inner)))
            .collect::<Map<_, _>>(),
    )
}

fn plain_value(typed: &Value) -> Value {
    let (kind, value) = typed
        .as_object()
        .and_then(|typed| typed.iter().next())
        .expect("a typed value");
    match kind.as_str() {
        "N" => number(value),
        "NS" => value.as_array().into_iter().flatten().map(number).collect(),
        "NULL" => Value::Null,
        "L" => value
            .as_array()
            .into_iter()
            .flatten()
            .map(plain_value)
            .collect(),
        "M" => plain(value),
        _ => value.clone(),
    }
}

fn number(text: &Value) -> Value {
    text.as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .expect("a number")
}

fn typed_value(plain: &Value) -> Value {
    match plain {
        Value::Null => json!({ "NULL": true }),
        Value::Bool(_) => json!({ "BOOL": plain }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::String(_) => json!({ "S": plain }),
        Value::Array(list) => json!({ "L": list.iter().map(typed_value).collect::<Vec<_>>() }),
        Value::Object(_) => json!({ "M": item(plain) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_survives_both_ways() {
        let row = json!({ "email": "a@example.com", "n": 12, "ok": true, "none": null, "deep": { "list": [1, "two"] } });

        assert_eq!(plain(&item(&row)), row);
    }
}
