//! The signing keys, from the environment or from Secrets Manager.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::SdkError;
use aws_types::SdkConfig;

use crate::links::signers::Signers;
use crate::settings::{Environment, InvalidSetting};
use crate::unavailable::Unavailable;
use crate::{aws, clock};

/// The fewest bytes of a key.
const MIN_KEY: usize = 16;

/// How long a key from Secrets Manager is used before it is read again, so that a rotation reaches warm functions: seconds.
const FRESH_FOR: u64 = 300;

/// The shortest time between two reads: seconds.
const READ_EVERY: u64 = 60;

/// The key of the local run's settings, which everybody can read.
const LOCAL_KEY: &str = "for local use only, known to everybody";

/// The words of placeholders that people forget to replace.
const PLACEHOLDERS: [&str; 16] = [
    "change",
    "changeme",
    "me",
    "secret",
    "key",
    "secretkey",
    "password",
    "your",
    "my",
    "here",
    "placeholder",
    "example",
    "replace",
    "this",
    "insert",
    "todo",
];

/// Keys, newest first; never empty. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// The key that signs.
    pub newest: String,
    /// Older keys that still verify.
    pub older: Vec<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// Which keys a function needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The newest, to sign.
    Sign,
    /// All, to sign and to verify.
    SignAndVerify,
}

/// Where keys come from.
pub enum KeySource {
    /// `SECRET_KEY` and `SECRET_KEY_FALLBACKS`.
    Environment(Keys),
    /// `SECRET_KEY_ARN`.
    SecretsManager(Secret),
}

/// A secret in Secrets Manager.
pub struct Secret {
    client: Client,
    id: String,
    purpose: Use,
    fallbacks: Vec<String>,
    /// Whether the services are local, so that the local run's key may sign.
    is_local: bool,
}

/// The source of the keys, and the signers made from the current ones.
pub struct KeyStore {
    source: KeySource,
    state: Mutex<State>,
}

struct State {
    current: Arc<Signers>,
    keys: Keys,
    /// Epoch seconds.
    fresh_until: u64,
    next_read: u64,
}

/// Why there are no keys at start: Secrets Manager gave none.
#[derive(Debug)]
pub struct NoKeys(Unavailable);

impl fmt::Display for NoKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(unavailable) = self;
        write!(
            f,
            "SECRET_KEY_ARN: the key could not be read: {unavailable}"
        )
    }
}

impl std::error::Error for NoKeys {}

impl KeySource {
    /// Reads `SECRET_KEY` or `SECRET_KEY_ARN`, and for [`Use::SignAndVerify`] also `SECRET_KEY_FALLBACKS`. Calls nothing.
    ///
    /// # Errors
    ///
    /// [`InvalidSetting`] names the variable that is missing or wrong.
    pub fn from_env(
        environment: &Environment,
        config: &SdkConfig,
        purpose: Use,
    ) -> Result<Self, InvalidSetting> {
        const KEY: &str = "a random signing key of 16 bytes or more, unless SECRET_KEY_ARN names a secret; not both";
        const FALLBACKS: &str = "older keys of 16 bytes or more, comma-separated, newest first, without spaces around them";
        let is_local = aws::is_local(environment);
        let a_key = |key: &str| is_key(key, is_local).then(|| key.to_owned());
        let key = environment.optional("SECRET_KEY", KEY, a_key)?;
        let id = environment.optional("SECRET_KEY_ARN", "the ARN or name of a secret", |id| {
            Some(id.to_owned())
        })?;
        let fallbacks: Option<Vec<_>> = match purpose {
            Use::Sign => None,
            Use::SignAndVerify => {
                environment.optional("SECRET_KEY_FALLBACKS", FALLBACKS, |keys| {
                    keys.split(',')
                        .map(|key| a_key(key).filter(|key| key.trim() == key))
                        .collect()
                })?
            }
        };
        let fallbacks = fallbacks.unwrap_or_default();
        match (key, id) {
            (Some(newest), None) => Ok(Self::Environment(Keys {
                newest,
                older: fallbacks,
            })),
            (None, Some(id)) => Ok(Self::SecretsManager(Secret {
                client: Client::new(config),
                id,
                purpose,
                fallbacks,
                is_local,
            })),
            (Some(_), Some(_)) | (None, None) => Err(InvalidSetting::new("SECRET_KEY", KEY)),
        }
    }
}

impl KeyStore {
    /// Fetches the keys; a secret's previous version too, if they are to verify.
    pub async fn fetch(source: KeySource) -> Result<Self, NoKeys> {
        let keys = match &source {
            KeySource::Environment(keys) => keys.clone(),
            KeySource::SecretsManager(secret) => secret.read().await.map_err(NoKeys)?,
        };
        let now = clock::now();
        let state = State {
            current: Arc::new(Signers::new(&keys.newest, &keys.older)),
            keys,
            fresh_until: now.saturating_add(FRESH_FOR),
            next_read: now.saturating_add(READ_EVERY),
        };
        Ok(Self {
            source,
            state: Mutex::new(state),
        })
    }

    /// The signers; reads the keys again first if they have been used for some minutes. If that fails, the old ones stay in
    /// use.
    pub async fn current(&self) -> Arc<Signers> {
        if let KeySource::SecretsManager(secret) = &self.source {
            let now = clock::now();
            if now >= self.lock(|state| state.fresh_until) {
                self.read_again(secret, now).await;
            }
        }
        self.lock(|state| Arc::clone(&state.current))
    }

    /// For a token that the current signers do not verify: reads the keys again and returns their signers. `None` if the keys
    /// were read less than a minute ago or have not changed.
    pub async fn renewed(&self) -> Option<Arc<Signers>> {
        let KeySource::SecretsManager(secret) = &self.source else {
            return None;
        };
        let now = clock::now();
        if now < self.lock(|state| state.next_read) {
            return None;
        }
        self.read_again(secret, now)
            .await
            .then(|| self.lock(|state| Arc::clone(&state.current)))
    }

    /// Reads the keys again. `true` if they have changed.
    async fn read_again(&self, secret: &Secret, now: u64) -> bool {
        self.lock(|state| {
            state.next_read = now.saturating_add(READ_EVERY);
            // Set first: while Secrets Manager fails, it delays one request a minute and not every one.
            state.fresh_until = state.next_read;
        });
        let Ok(keys) = Box::pin(secret.read()).await else {
            return false;
        };
        self.lock(|state| {
            state.fresh_until = now.saturating_add(FRESH_FOR);
            let changed = state.keys != keys;
            if changed {
                state.current = Arc::new(Signers::new(&keys.newest, &keys.older));
                state.keys = keys;
            }
            changed
        })
    }

    fn lock<R>(&self, with: impl FnOnce(&mut State) -> R) -> R {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Secret {
    /// Reads the current version and, to verify, the previous one at the same time.
    async fn read(&self) -> Result<Keys, Unavailable> {
        let failed = |reason| Unavailable::new("GetSecretValue", reason);
        let older = async {
            match self.purpose {
                Use::Sign => Ok(None),
                Use::SignAndVerify => self.version("AWSPREVIOUS").await,
            }
        };
        let (newest, older) = tokio::try_join!(self.version("AWSCURRENT"), older)?;
        let newest = newest.ok_or_else(|| failed("ResourceNotFoundException"))?;
        if !is_key(&newest, self.is_local) {
            return Err(failed(
                "the secret should hold a random text of 16 bytes or more",
            ));
        }
        // A weak previous key is left out: it verifies nothing, and does not prevent the start.
        let older = older.filter(|key| is_key(key, self.is_local));
        Ok(Keys {
            newest,
            older: older.into_iter().chain(self.fallbacks.clone()).collect(),
        })
    }

    /// A version's text, empty if it has none; `None` if there is no such version.
    async fn version(&self, stage: &'static str) -> Result<Option<String>, Unavailable> {
        let call = self
            .client
            .get_secret_value()
            .secret_id(&self.id)
            .version_stage(stage);
        match call.send().await {
            Ok(value) => Ok(Some(value.secret_string.unwrap_or_default())),
            Err(SdkError::ServiceError(error)) if error.err().is_resource_not_found_exception() => {
                Ok(None)
            }
            Err(error) => Err(Unavailable::from_sdk("GetSecretValue", &error)),
        }
    }
}

/// Whether `key` is accepted. The local run's key is not, against Amazon's own endpoints.
fn is_key(key: &str, is_local: bool) -> bool {
    is_random(key) && (key != LOCAL_KEY || is_local)
}

/// Whether `key` is long enough and no obvious placeholder: one repeated character, or words of placeholders alone.
fn is_random(key: &str) -> bool {
    let mut characters = key.chars();
    let first = characters.next();
    let is_repeated = characters.all(|character| Some(character) == first);
    let key_in_lower_case = key.to_ascii_lowercase();
    let mut words = key_in_lower_case
        .split(|character: char| character.is_ascii() && !character.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let is_placeholder = words.all(|word| PLACEHOLDERS.contains(&word));
    key.len() >= MIN_KEY && !is_repeated && !is_placeholder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_and_repetitions_are_no_keys() {
        for key in [
            "",
            "fifteen bytes..",
            "                ",
            "aaaaaaaaaaaaaaaaaaaa",
            "changeme-changeme",
            "YOUR_SECRET_KEY_HERE",
            "----------------==",
        ] {
            assert!(!is_random(key), "{key:?}");
        }
        for key in [
            "0123456789abcdef",
            "correct horse battery staple",
            "a secret key for ada",
            "\u{43a}\u{43b}\u{44e}\u{447}-\u{43a}\u{43b}\u{44e}\u{447}",
        ] {
            assert!(is_random(key), "{key:?}");
        }
    }

    #[test]
    fn the_local_key_signs_for_local_services_only() {
        let is_local = |name, url| aws::is_local(&[(name, url)].into());

        assert!(is_local(
            "AWS_ENDPOINT_URL_DYNAMODB",
            "http://127.0.0.1:8000"
        ));
        assert!(is_local("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"));
        assert!(!is_local("AWS_ENDPOINT_URL_SESV2", "http://127.0.0.1:8025"));
        assert!(!is_local(
            "AWS_ENDPOINT_URL",
            "https://vpce-1.amazonaws.com"
        ));
        assert!(is_key(LOCAL_KEY, true));
        assert!(!is_key(LOCAL_KEY, false));
    }
}
