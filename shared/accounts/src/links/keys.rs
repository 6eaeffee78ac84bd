//! The signing keys, from the environment or from Secrets Manager.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::SdkError;
use aws_types::SdkConfig;

use crate::clock;
use crate::settings::{self, InvalidSetting};
use crate::unavailable::Unavailable;

/// The fewest bytes of a key.
const MIN_KEY: usize = 16;

/// How long a key from Secrets Manager is used before it is read again, so that a rotation reaches warm functions: seconds.
const FRESH_FOR: u64 = 300;

/// The shortest time between two reads: seconds.
const READ_EVERY: u64 = 60;

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
}

/// Keys, kept as `T`, what was made of them.
pub struct KeyStore<T> {
    source: KeySource,
    derive: fn(&Keys) -> T,
    state: Mutex<State<T>>,
}

struct State<T> {
    current: Arc<T>,
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
    pub fn from_env(config: &SdkConfig, purpose: Use) -> Result<Self, InvalidSetting> {
        const KEY: &str =
            "a signing key of 16 bytes or more, unless SECRET_KEY_ARN names a secret; not both";
        const FALLBACKS: &str = "older keys of 16 bytes or more, comma-separated, newest first, without spaces around them";
        let long_enough = |key: &str| (key.len() >= MIN_KEY).then(|| key.to_owned());
        let key = settings::optional("SECRET_KEY", KEY, long_enough)?;
        let id = settings::optional("SECRET_KEY_ARN", "the ARN or name of a secret", |id| {
            Some(id.to_owned())
        })?;
        let fallbacks: Option<Vec<_>> = match purpose {
            Use::Sign => None,
            Use::SignAndVerify => settings::optional("SECRET_KEY_FALLBACKS", FALLBACKS, |keys| {
                keys.split(',')
                    .map(|key| long_enough(key).filter(|key| key.trim() == key))
                    .collect()
            })?,
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
            })),
            (Some(_), Some(_)) | (None, None) => Err(InvalidSetting::new("SECRET_KEY", KEY)),
        }
    }
}

impl<T> KeyStore<T> {
    /// Fetches the keys; a secret's previous version too, if they are to verify. `derive` makes of them what is kept.
    ///
    /// # Errors
    ///
    /// [`NoKeys`] if Secrets Manager gives none.
    pub async fn fetch(source: KeySource, derive: fn(&Keys) -> T) -> Result<Self, NoKeys> {
        let keys = match &source {
            KeySource::Environment(keys) => keys.clone(),
            KeySource::SecretsManager(secret) => secret.read().await.map_err(NoKeys)?,
        };
        let now = clock::now();
        let state = State {
            current: Arc::new(derive(&keys)),
            keys,
            fresh_until: now.saturating_add(FRESH_FOR),
            next_read: now.saturating_add(READ_EVERY),
        };
        Ok(Self {
            source,
            derive,
            state: Mutex::new(state),
        })
    }

    /// What was made of the keys; reads them again first if they have been used for some minutes. If that fails the old
    /// ones go on.
    pub async fn current(&self) -> Arc<T> {
        if let KeySource::SecretsManager(secret) = &self.source {
            let now = clock::now();
            if now >= self.lock(|state| state.fresh_until) {
                self.read_again(secret, now).await;
            }
        }
        self.lock(|state| Arc::clone(&state.current))
    }

    /// What was made of keys read just now, or `None` if they were read a moment ago or nothing has changed: for a token
    /// that the current ones do not verify.
    pub async fn renewed(&self) -> Option<Arc<T>> {
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

    /// Whether other keys came of it.
    async fn read_again(&self, secret: &Secret, now: u64) -> bool {
        self.lock(|state| {
            state.next_read = now.saturating_add(READ_EVERY);
            // Set first, so that a failing Secrets Manager delays one request in a while and not every one.
            state.fresh_until = state.next_read;
        });
        let Ok(keys) = secret.read().await else {
            return false;
        };
        self.lock(|state| {
            state.fresh_until = now.saturating_add(FRESH_FOR);
            let changed = state.keys != keys;
            if changed {
                state.current = Arc::new((self.derive)(&keys));
                state.keys = keys;
            }
            changed
        })
    }

    fn lock<R>(&self, with: impl FnOnce(&mut State<T>) -> R) -> R {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Secret {
    /// Reads the current version, and for verifying the previous one beside it.
    async fn read(&self) -> Result<Keys, Unavailable> {
        let older = async {
            match self.purpose {
                Use::Sign => Ok(None),
                Use::SignAndVerify => self.version("AWSPREVIOUS").await,
            }
        };
        let (newest, older) = tokio::try_join!(self.version("AWSCURRENT"), older)?;
        let newest = newest
            .ok_or_else(|| Unavailable::new("GetSecretValue", "ResourceNotFoundException"))?;
        Ok(Keys {
            newest,
            older: older.into_iter().chain(self.fallbacks.clone()).collect(),
        })
    }

    async fn version(&self, stage: &'static str) -> Result<Option<String>, Unavailable> {
        let call = self
            .client
            .get_secret_value()
            .secret_id(&self.id)
            .version_stage(stage);
        match call.send().await {
            Ok(value) => match value.secret_string {
                Some(key) if key.len() >= MIN_KEY => Ok(Some(key)),
                _ => Err(Unavailable::new(
                    "GetSecretValue",
                    "the secret should hold text of 16 bytes or more",
                )),
            },
            Err(SdkError::ServiceError(error)) if error.err().is_resource_not_found_exception() => {
                Ok(None)
            }
            Err(error) => Err(Unavailable::from_sdk("GetSecretValue", &error)),
        }
    }
}
