#![doc = include_str!("../README.md")]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]

mod encoding;
mod error;
mod json;
mod payload;
mod signer;
mod timestamp_signer;
mod url_safe_timed_serializer;

pub use error::Error;
pub use payload::MAX_DECOMPRESSED;
pub use signer::Signer;
pub use timestamp_signer::TimestampSigner;
pub use url_safe_timed_serializer::{Loaded, UrlSafeTimedSerializer};
