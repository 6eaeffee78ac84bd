//! URL-safe base64 without padding, in its one canonical spelling.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Up to this encoded length, a buffer on the stack takes half the time of `encode_string`, which clears a kibibyte
/// first.
const SHORT: usize = 64;

pub(crate) const fn encoded_len(bytes: usize) -> usize {
    bytes / 3 * 4 + (bytes % 3 * 4).div_ceil(3)
}

pub(crate) fn encode_onto(text: &mut String, bytes: &[u8]) {
    let mut buffer = [0; SHORT];

    match encode_into(bytes, &mut buffer) {
        Some(short) => text.push_str(short),
        None => URL_SAFE_NO_PAD.encode_string(bytes, text),
    }
}

fn encode_into<'a>(bytes: &[u8], buffer: &'a mut [u8]) -> Option<&'a str> {
    let len = URL_SAFE_NO_PAD.encode_slice(bytes, buffer).ok()?;

    str::from_utf8(buffer.get(..len)?).ok()
}

/// Decodes `text` to the start of `buffer`; `None` also if it does not fit.
pub(crate) fn decode_into<'a>(text: &str, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let len = URL_SAFE_NO_PAD.decode_slice(text, buffer).ok()?;

    buffer.get(..len)
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
