//! A bootstrap for the tests of the Runtime API: it does what its event says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    if std::env::var_os("FAIL_TO_START").is_some() {
        return Err("told to fail".into());
    }
    loop {
        let (headers, event) = call("GET", "invocation/next", "")?;
        let id = headers
            .lines()
            .find_map(|line| line.strip_prefix("lambda-runtime-aws-request-id: "))
            .ok_or("no request id")?;
        println!("event: {event}");
        match event.as_str() {
            "exit" => std::process::exit(3),
            "abort" => std::process::abort(),
            "hang" => std::thread::sleep(std::time::Duration::from_mins(10)),
            "error" => drop(call("POST", &format!("invocation/{id}/error"), "it broke")?),
            "variables" => {
                let names: Vec<_> = std::env::vars().map(|(name, _)| name).collect();
                call(
                    "POST",
                    &format!("invocation/{id}/response"),
                    &names.join(" "),
                )?;
            }
            _ => drop(call(
                "POST",
                &format!("invocation/{id}/response"),
                &std::process::id().to_string(),
            )?),
        }
    }
}

fn call(method: &str, path: &str, body: &str) -> Result<(String, String)> {
    let host = std::env::var("AWS_LAMBDA_RUNTIME_API")?;
    let mut stream = TcpStream::connect(&host)?;
    let length = body.len();
    write!(
        stream,
        "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = BufReader::new(stream);
    let mut headers = String::new();
    while answer.read_line(&mut headers)? > 2 {}
    let mut body = String::new();
    answer.read_to_string(&mut body)?;
    Ok((headers, body))
}
