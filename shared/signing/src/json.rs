//! JSON spelled as Python's `json.dumps(value, separators=(",", ":"))` does.

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
        write_float(writer, &format!("{value:?}"))
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write_float(writer, &shortest(value))
    }
}

/// The shortest spelling that is read as `value`. If two are equally near to it, Python takes the even one and Rust's `{:?}` the
/// greater one: 0.125 in the last two places is `.12` and `.13`.
fn shortest(value: f64) -> String {
    let spelled = format!("{value:?}");
    let (mantissa, exponent) = spelled.split_once('e').unwrap_or((&spelled, ""));
    let decimals = mantissa
        .split_once('.')
        .map_or(0, |(_, decimals)| decimals.len());
    // With so many decimals Rust rounds as Python does.
    let rounded = if exponent.is_empty() {
        format!("{value:.decimals$}")
    } else {
        format!("{value:.decimals$e}")
    };

    if rounded.parse() == Ok(value) {
        rounded
    } else {
        spelled
    }
}

/// Rust's `{:?}` and Python's `repr` differ only in the exponent: `1e16` and `1e+16`, `1e-5` and `1e-05`.
fn write_float<W: ?Sized + io::Write>(writer: &mut W, spelled: &str) -> io::Result<()> {
    match spelled.split_once('e') {
        Some((digits, exponent)) => {
            let exponent: i32 = exponent.parse().map_err(io::Error::other)?;

            write!(writer, "{digits}e{exponent:+03}")
        }
        None => writer.write_all(spelled.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each as Python spells it.
    #[test]
    fn floats_are_spelled_as_python_spells_them() {
        for (value, python) in [
            (-1_823_534_060_348_817.0 / 8.0, "-227941757543602.12"),
            (1_823_534_060_348_819.0 / 8.0, "227941757543602.38"),
            (1e16, "1e+16"),
            (1e-5, "1e-05"),
            (1e22, "1e+22"),
            (5e-324, "5e-324"),
            (0.1, "0.1"),
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
        ] {
            let mut json = Vec::new();
            write_json(&mut json, &value, false).unwrap();

            assert_eq!(String::from_utf8(json).unwrap(), python);
        }
    }
}
