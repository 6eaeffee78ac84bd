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

/// Where keys come from, and `T`, what was made of them.
pub struct KeyStore<T> {
    secret: Option<Secret>,
    fallbacks: Vec<String>,
    derive: fn(&Keys) -> T,
    state: Mutex<State<T>>,
}

struct Secret {
    client: Client,
    id: String,
    purpose: Use,
}

struct State<T> {
    current: Arc<T>,
    keys: Keys,
    /// Epoch seconds.
    fresh_until: u64,
    next_read: u64,
}

/// Why there are no keys at start.
#[derive(Debug)]
pub enum NoKeys {
    /// A setting is missing or wrong.
    Setting(InvalidSetting),
    /// Secrets Manager gave none.
    Secret(Unavailable),
}

impl fmt::Display for NoKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(invalid) => invalid.fmt(f),
            Self::Secret(unavailable) => write!(
                f,
                "SECRET_KEY_ARN: the key could not be read: {unavailable}"
            ),
        }
    }
}

impl std::error::Error for NoKeys {}

impl<T> KeyStore<T> {
    /// Reads `SECRET_KEY`, or the secret that `SECRET_KEY_ARN` names, and for [`Use::SignAndVerify`] also
    /// `SECRET_KEY_FALLBACKS` and the secret's previous version. `derive` makes of them what is kept.
    ///
    /// # Errors
    ///
    /// [`NoKeys`] names the variable.
    pub async fn from_env(
        config: &SdkConfig,
        purpose: Use,
        derive: fn(&Keys) -> T,
    ) -> Result<Self, NoKeys> {
        const KEY: &str =
            "a signing key of 16 bytes or more, unless SECRET_KEY_ARN names a secret; not both";
        const FALLBACKS: &str = "older keys of 16 bytes or more, comma-separated, newest first, without spaces around them";
        let long_enough = |key: &str| (key.len() >= MIN_KEY).then(|| key.to_owned());
        let key = settings::optional("SECRET_KEY", KEY, long_enough).map_err(NoKeys::Setting)?;
        let id = settings::optional("SECRET_KEY_ARN", "the ARN or name of a secret", |id| {
            Some(id.to_owned())
        });
        let id = id.map_err(NoKeys::Setting)?;
        let fallbacks: Option<Vec<_>> = match purpose {
            Use::Sign => None,
            Use::SignAndVerify => settings::optional("SECRET_KEY_FALLBACKS", FALLBACKS, |keys| {
                keys.split(',')
                    .map(|key| long_enough(key).filter(|key| key.trim() == key))
                    .collect()
            })
            .map_err(NoKeys::Setting)?,
        };
        let fallbacks = fallbacks.unwrap_or_default();
        let (secret, keys) = match (key, id) {
            (Some(newest), None) => (
                None,
                Keys {
                    newest,
                    older: Vec::new(),
                },
            ),
            (None, Some(id)) => {
                let secret = Secret {
                    client: Client::new(config),
                    id,
                    purpose,
                };
                let keys = secret.read().await.map_err(NoKeys::Secret)?;
                (Some(secret), keys)
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(NoKeys::Setting(InvalidSetting::new("SECRET_KEY", KEY)));
            }
        };
        let keys = with_fallbacks(keys, &fallbacks);
        let now = clock::now();
        let state = State {
            current: Arc::new(derive(&keys)),
            keys,
            fresh_until: now.saturating_add(FRESH_FOR),
            next_read: now.saturating_add(READ_EVERY),
        };
        Ok(Self {
            secret,
            fallbacks,
            derive,
            state: Mutex::new(state),
        })
    }

    /// What was made of the keys; reads them again first if they have been used for some minutes. If that fails the old
    /// ones go on.
    pub async fn current(&self) -> Arc<T> {
        let now = clock::now();
        if self.secret.is_some() && now >= self.lock(|state| state.fresh_until) {
            self.read_again(now).await;
        }
        self.lock(|state| Arc::clone(&state.current))
    }

    /// What was made of keys read just now, or `None` if they were read a moment ago or nothing has changed: for a token
    /// that the current ones do not verify.
    pub async fn renewed(&self) -> Option<Arc<T>> {
        let now = clock::now();
        if self.secret.is_none() || now < self.lock(|state| state.next_read) {
            return None;
        }
        self.read_again(now)
            .await
            .then(|| self.lock(|state| Arc::clone(&state.current)))
    }

    /// Whether other keys came of it.
    async fn read_again(&self, now: u64) -> bool {
        let Some(secret) = &self.secret else {
            return false;
        };
        self.lock(|state| {
            state.next_read = now.saturating_add(READ_EVERY);
            // Set first, so that a failing Secrets Manager delays one request in a while and not every one.
            state.fresh_until = state.next_read;
        });
        let Ok(keys) = secret.read().await else {
            return false;
        };
        let keys = with_fallbacks(keys, &self.fallbacks);
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

fn with_fallbacks(mut keys: Keys, fallbacks: &[String]) -> Keys {
    keys.older.extend_from_slice(fallbacks);
    keys
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
            older: older.into_iter().collect(),
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
