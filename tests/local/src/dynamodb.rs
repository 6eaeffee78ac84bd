//! A `DynamoDB`-compatible store with the tables of users and of limits.

use std::net::SocketAddr;
use std::path::Path;

use dynoxide::{Database, DynoxideError};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Error;

/// The name of the users table.
pub const USERS_TABLE: &str = "users";

/// The name of the limits' table.
pub const LIMITS_TABLE: &str = "limits";

/// The store, which is served as long as the runtime lives.
#[derive(Clone)]
pub struct Store {
    address: SocketAddr,
    database: Database,
}

impl Store {
    /// Serves a store on `listener`, in memory or in the file `data`, and creates the tables in it.
    ///
    /// # Errors
    ///
    /// A file that cannot be opened or is no store.
    pub fn start(listener: TcpListener, data: Option<&Path>) -> Result<Self, Error> {
        let database = match data {
            Some(path) => Database::new(path.to_str().ok_or("the store's path is not UTF-8")?)?,
            None => Database::memory()?,
        };
        create_table(&database, USERS_TABLE, "email")?;
        create_table(&database, LIMITS_TABLE, "limit")?;
        let address = listener.local_addr()?;
        tokio::spawn(dynoxide::server::serve_with_shutdown(
            listener,
            database.clone(),
            std::future::pending(),
        ));
        Ok(Self { address, database })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The user's row of `email` in `DynamoDB`'s JSON (`{"email": {"S": …}, …}`), read directly, not over the network.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn item(&self, email: &str) -> Result<Option<Value>, Error> {
        let request = json!({ "TableName": USERS_TABLE, "Key": { "email": { "S": email } }, "ConsistentRead": true });
        let answer = serde_json::to_value(self.database.get_item(read(request)?)?)?;
        Ok(answer.get("Item").cloned())
    }

    /// All users' rows.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn items(&self) -> Result<Vec<Value>, Error> {
        self.items_of(USERS_TABLE)
    }

    /// All items of a table.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn items_of(&self, table: &str) -> Result<Vec<Value>, Error> {
        let mut items = Vec::new();
        let mut from = Value::Null;
        loop {
            let mut request = json!({ "TableName": table, "ConsistentRead": true });
            if let (Some(request), false) = (request.as_object_mut(), from.is_null()) {
                request.insert("ExclusiveStartKey".to_owned(), from);
            }
            let answer = serde_json::to_value(self.database.scan(read(request)?)?)?;
            let page = answer.get("Items").and_then(Value::as_array);
            items.extend(page.into_iter().flatten().cloned());
            from = answer.get("LastEvaluatedKey").cloned().unwrap_or_default();
            if from.is_null() {
                return Ok(items);
            }
        }
    }

    /// Writes a user's row, given in `DynamoDB`'s JSON.
    ///
    /// # Errors
    ///
    /// An invalid item, or a failure of the store.
    pub fn put(&self, item: &Value) -> Result<(), Error> {
        self.put_into(USERS_TABLE, item)
    }

    /// Writes an item of a table, given in `DynamoDB`'s JSON.
    ///
    /// # Errors
    ///
    /// An invalid item, or a failure of the store.
    pub fn put_into(&self, table: &str, item: &Value) -> Result<(), Error> {
        let put = read(json!({ "TableName": table, "Item": item }))?;
        self.database.put_item(put)?;
        Ok(())
    }

    /// Deletes the user's row of `email`.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn delete(&self, email: &str) -> Result<(), Error> {
        self.delete_from(USERS_TABLE, &json!({ "email": { "S": email } }))
    }

    /// Deletes the item of a table with this key, given in `DynamoDB`'s JSON.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn delete_from(&self, table: &str, key: &Value) -> Result<(), Error> {
        let delete = read(json!({ "TableName": table, "Key": key }))?;
        self.database.delete_item(delete)?;
        Ok(())
    }

    /// Removes the rows whose `expires_at` has passed, which in the cloud takes up to days, and returns how many.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub fn expire(&self) -> Result<usize, Error> {
        Ok(self.database.sweep_ttl()?)
    }
}

fn create_table(database: &Database, name: &str, key: &str) -> Result<(), Error> {
    let table = database.create_table(read(json!({
        "TableName": name,
        "AttributeDefinitions": [{ "AttributeName": key, "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": key, "KeyType": "HASH" }],
        "BillingMode": "PAY_PER_REQUEST",
    }))?);
    match table {
        // A store on disk that has been used before.
        Err(DynoxideError::ResourceInUseException(_)) => return Ok(()),
        other => other?,
    };
    database.update_time_to_live(read(json!({
        "TableName": name,
        "TimeToLiveSpecification": { "AttributeName": "expires_at", "Enabled": true },
    }))?)?;
    Ok(())
}

fn read<T: DeserializeOwned>(request: Value) -> Result<T, Error> {
    Ok(serde_json::from_value(request)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").await.unwrap()
    }

    #[tokio::test]
    async fn rows_are_written_read_and_expired() {
        let store = Store::start(listener().await, None).unwrap();
        let expired =
            json!({ "email": { "S": "old@example.com" }, "expires_at": { "N": "1700000000" } });
        let kept = json!({ "email": { "S": "new@example.com" } });

        store.put(&expired).unwrap();
        store.put(&kept).unwrap();

        assert_eq!(store.item("old@example.com").unwrap(), Some(expired));
        assert_eq!(store.expire().unwrap(), 1);
        assert_eq!(store.items().unwrap(), [kept]);
    }

    #[tokio::test]
    async fn a_store_on_disk_survives() {
        let folder = std::env::temp_dir().join(format!("store-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("users.db");
        let item = json!({ "email": { "S": "a@example.com" } });

        Store::start(listener().await, Some(&file))
            .unwrap()
            .put(&item)
            .unwrap();
        let again = Store::start(listener().await, Some(&file)).unwrap();

        assert_eq!(again.item("a@example.com").unwrap(), Some(item));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
