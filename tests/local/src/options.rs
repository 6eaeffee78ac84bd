//! The command line.

use std::path::PathBuf;

use lexopt::prelude::{Long, Short, ValueExt};

/// What `--help` prints.
pub const HELP: &str = "\
Runs the service on this machine: the functions behind their routes, a store, and an inbox for their mails.

Usage: cargo run -p local [-- OPTIONS]

Options:
      --port PORT           the service's port [default: 3000]
      --inbox-port PORT     the inbox's port, where SES is too [default: 8025]
      --dynamodb-port PORT  the store's port [default: 8000]
      --data DIR            keeps users and mails in this folder; without it, in memory
      --processes N         how many requests a function handles side by side [default: 4]
      --services-only       starts the store and the inbox, but no function: for `cargo lambda watch`
      --gallery DIR         writes all pages and mails in all languages into this folder, and ends
      --release             builds the functions with optimisations
  -h, --help                prints this

Environment variables of the functions that are set when this starts, such as APP_NAME or CONFIRM_ON, are handed to
them in place of the defaults for local use. CHALLENGE=turnstile (or hcaptcha) shows a stand-in of the provider.";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// The service's port.
    pub port: u16,
    /// The port of SES and its inbox.
    pub inbox_port: u16,
    /// The store's port.
    pub dynamodb_port: u16,
    /// Where to keep users and mails.
    pub data: Option<PathBuf>,
    /// How many processes of a function may run side by side.
    pub processes: usize,
    /// Whether the functions run elsewhere.
    pub services_only: bool,
    /// Where to write the gallery of pages and mails.
    pub gallery: Option<PathBuf>,
    /// Whether the functions are built with optimisations.
    pub release: bool,
    /// Whether only the help is asked for.
    pub help: bool,
}

impl Options {
    /// Reads the command line.
    ///
    /// # Errors
    ///
    /// An unknown option, or an invalid value.
    pub fn read(mut arguments: lexopt::Parser) -> Result<Self, lexopt::Error> {
        let mut options = Self {
            port: 3000,
            inbox_port: 8025,
            dynamodb_port: 8000,
            data: None,
            processes: 4,
            services_only: false,
            gallery: None,
            release: false,
            help: false,
        };
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("port") => options.port = arguments.value()?.parse()?,
                Long("inbox-port") => options.inbox_port = arguments.value()?.parse()?,
                Long("dynamodb-port") => options.dynamodb_port = arguments.value()?.parse()?,
                Long("data") => options.data = Some(arguments.value()?.into()),
                Long("processes") => options.processes = arguments.value()?.parse_with(positive)?,
                Long("services-only") => options.services_only = true,
                Long("gallery") => options.gallery = Some(arguments.value()?.into()),
                Long("release") => options.release = true,
                Short('h') | Long("help") => options.help = true,
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(options)
    }
}

fn positive(text: &str) -> Result<usize, &'static str> {
    match text.parse() {
        Ok(number @ 1..=1000) => Ok(number),
        _ => Err("it must be a number from 1 to 1000"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Options, lexopt::Error> {
        Options::read(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn options_are_read() {
        let options = read(&["--port", "0", "--data=here", "--services-only"]).unwrap();

        assert_eq!(options.port, 0);
        assert_eq!(options.data, Some("here".into()));
        assert!(options.services_only);
        assert_eq!(options.inbox_port, 8025);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for wrong in [
            ["--port", "x"],
            ["--prot", "1"],
            ["--processes", "0"],
            ["word", "word"],
        ] {
            assert!(read(&wrong).is_err(), "{wrong:?}");
        }
    }
}
