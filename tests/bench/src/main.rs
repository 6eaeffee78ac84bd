//! Measures the functions as Lambda runs them; the script `run` beside Cargo.toml builds what this needs.

mod aws;
mod budget;
mod compare;
mod counts;
mod first;
mod growth;
mod http;
mod lambda;
mod package;
mod process;
mod table;
mod variant;

use std::io;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
bench compare FUNCTIONS OTHERS    the functions in a folder beside the programs hello, naive and naive.py in another
bench first FUNCTIONS             the first request over TLS
bench growth FUNCTIONS            with instances side by side, and with users in the table
bench budget FUNCTIONS FILE       packages and instructions against those in FILE
bench set-budget FUNCTIONS FILE   writes FILE";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> io::Result<bool> {
    let aws = aws::start()?;
    match arguments {
        ["compare", functions, others] => {
            compare::print_all(Path::new(functions), Path::new(others), aws)?;
            Ok(true)
        }
        ["first", functions] => {
            first::print_all(Path::new(functions), aws)?;
            Ok(true)
        }
        ["growth", functions] => {
            growth::instances(Path::new(functions), aws)?;
            growth::users(Path::new(functions), aws)?;
            Ok(true)
        }
        ["budget", functions, file] => {
            budget::check(Path::new(functions), Path::new(file), false, aws)
        }
        ["set-budget", functions, file] => {
            budget::check(Path::new(functions), Path::new(file), true, aws)
        }
        _ => Err(io::Error::other(USAGE)),
    }
}
