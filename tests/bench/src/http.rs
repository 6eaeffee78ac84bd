//! A blocking HTTP/1.1 server that costs as little as one can, so that what is measured is its client.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// A request.
pub struct Request {
    /// Request line and headers.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The method and the target.
    #[must_use]
    pub fn line(&self) -> (&str, &str) {
        let mut words = self.head.split(' ');
        (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        )
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The answer to a request: more headers, each with its line end, and the body. The status is always 200.
pub type Answer = (String, Vec<u8>);

/// Answers requests on a free port, each connection in a thread of its own.
///
/// # Errors
///
/// If no port is free.
pub fn serve<F>(answer: F) -> io::Result<SocketAddr>
where
    F: Fn(&Request) -> io::Result<Answer> + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // A connection that breaks ends its thread.
            thread::spawn(move || answer_all(stream, answer.as_ref()));
        }
    });
    Ok(address)
}

fn answer_all(
    mut stream: TcpStream,
    answer: &dyn Fn(&Request) -> io::Result<Answer>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer)? {
        let (headers, body) = answer(&request)?;
        let mut bytes = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend(body);
        stream.write_all(&bytes)?;
    }
    Ok(())
}

/// Reads one request; `None` at the end of the connection.
fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let head_length = loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end;
        }
        if !fill(stream, buffer)? {
            return Ok(None);
        }
    };
    let rest = buffer.split_off(head_length + 4);
    let head = String::from_utf8_lossy(&std::mem::replace(buffer, rest)).into_owned();
    let mut request = Request {
        head,
        body: Vec::new(),
    };
    let length = request
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    while buffer.len() < length {
        if !fill(stream, buffer)? {
            return Ok(None);
        }
    }
    let rest = buffer.split_off(length);
    request.body = std::mem::replace(buffer, rest);
    Ok(Some(request))
}

fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; 16 * 1024];
    let length = stream.read(&mut chunk)?;
    buffer.extend(chunk.iter().take(length));
    Ok(length > 0)
}
