//! JSON spelled as Python's `json.dumps(value, separators=(",", ":"))` does.

use std::fmt::Debug;
use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

pub(crate) fn write_json<T: Serialize + ?Sized>(
    writer: impl io::Write,
    value: &T,
    ascii_only: bool,
) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(
        writer,
        PythonFormatter { ascii_only },
    ))
}

struct PythonFormatter {
    ascii_only: bool,
}

impl Formatter for PythonFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if !self.ascii_only {
            return writer.write_all(fragment.as_bytes());
        }

        for character in fragment.chars() {
            if matches!(character, ' '..='~') {
                write!(writer, "{character}")?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }

        Ok(())
    }

    fn write_f32<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        write_float(writer, value)
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write_float(writer, value)
    }
}

/// Rust's `{:?}` and Python's `repr` differ only in the exponent: `1e16` and `1e+16`, `1e-5` and `1e-05`.
fn write_float<W: ?Sized + io::Write>(writer: &mut W, value: impl Debug) -> io::Result<()> {
    let spelled = format!("{value:?}");
    match spelled.split_once('e') {
        Some((digits, exponent)) => {
            let exponent: i32 = exponent.parse().map_err(io::Error::other)?;

            write!(writer, "{digits}e{exponent:+03}")
        }
        None => writer.write_all(spelled.as_bytes()),
    }
}
