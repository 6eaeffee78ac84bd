//! How large a function is when it is packed.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// A zip file's size, without some hundred bytes of zip headers.
///
/// # Errors
///
/// If the file cannot be read.
pub fn size(file: &Path) -> io::Result<f64> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    let bytes =
        fs::read(file).map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
    encoder.write_all(&bytes)?;
    let length = u32::try_from(encoder.finish()?.len()).map_err(io::Error::other)?;
    Ok(f64::from(length))
}
