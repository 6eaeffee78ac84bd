//! The first part of a token: JSON, compressed if that is shorter, in base64.

use std::borrow::Cow;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::encoding::{decode, decode_into, encode_onto, encoded_len};
use crate::json::write_json;
use crate::timestamp_signer::SUFFIX_LEN;

/// The most bytes that a compressed payload may decompress to. More is refused as a decompression bomb.
///
/// Longer values are not compressed, so that what was dumped can be loaded.
pub const MAX_DECOMPRESSED: usize = 64 * 1024;

/// JSON up to this length is never compressed and needs no heap.
const SHORT_JSON: usize = 127;

/// The payload of a token, in a string that has room for the rest of the token.
pub(crate) fn dump_payload<T: Serialize + ?Sized>(
    value: &T,
    ascii_only: bool,
) -> Result<String, Error> {
    let mut buffer = [0; SHORT_JSON];
    let mut rest = buffer.as_mut_slice();
    match write_json(&mut rest, value, ascii_only) {
        Ok(()) => {
            let len = SHORT_JSON - rest.len();

            Ok(encode_payload("", buffer.get(..len).unwrap_or_default()))
        }
        // It does not fit.
        Err(error) if error.is_io() => dump_long_payload(value, ascii_only),
        Err(_) => Err(Error::Unserializable),
    }
}

fn dump_long_payload<T: Serialize + ?Sized>(value: &T, ascii_only: bool) -> Result<String, Error> {
    let mut json = Vec::new();
    write_json(&mut json, value, ascii_only).map_err(|_| Error::Unserializable)?;

    match compress(&json) {
        Some(compressed) => Ok(encode_payload(".", &compressed)),
        None => Ok(encode_payload("", &json)),
    }
}

pub(crate) fn load_payload<T: DeserializeOwned>(payload: &str) -> Result<T, Error> {
    let mut buffer = [0; SHORT_JSON];
    let json = decode_payload(payload, &mut buffer).ok_or(Error::BadPayload)?;

    serde_json::from_slice(&json).map_err(|_| Error::BadPayload)
}

fn encode_payload(marker: &str, bytes: &[u8]) -> String {
    let mut payload = String::with_capacity(marker.len() + encoded_len(bytes.len()) + SUFFIX_LEN);
    payload.push_str(marker);
    encode_onto(&mut payload, bytes);

    payload
}

fn decode_payload<'a>(payload: &str, buffer: &'a mut [u8; SHORT_JSON]) -> Option<Cow<'a, [u8]>> {
    if let Some(compressed) = payload.strip_prefix('.') {
        decompress(&decode(compressed)?).map(Cow::Owned)
    } else if payload.len() <= encoded_len(SHORT_JSON) {
        decode_into(payload, buffer).map(Cow::Borrowed)
    } else {
        decode(payload).map(Cow::Owned)
    }
}

/// The JSON as zlib, if that makes the token shorter, by Python's rule.
fn compress(json: &[u8]) -> Option<Vec<u8>> {
    if json.len() > MAX_DECOMPRESSED {
        return None;
    }

    // The marker takes one byte, so compression must save two at least.
    let longest = json.len().checked_sub(2)?;
    let mut compressed = Vec::with_capacity(longest);
    let status = Compress::new(Compression::default(), true)
        .compress_vec(json, &mut compressed, FlushCompress::Finish)
        .ok()?;

    (status == Status::StreamEnd && compressed.len() <= longest).then_some(compressed)
}

/// As Python's `zlib.decompress`: one whole stream, whatever comes after it.
fn decompress(compressed: &[u8]) -> Option<Vec<u8>> {
    // One byte more, to tell a stream that ends exactly at the bound from a longer one.
    let mut json = Vec::with_capacity(MAX_DECOMPRESSED + 1);
    let status = Decompress::new(true)
        .decompress_vec(compressed, &mut json, FlushDecompress::Finish)
        .ok()?;

    (status == Status::StreamEnd && json.len() <= MAX_DECOMPRESSED).then_some(json)
}
