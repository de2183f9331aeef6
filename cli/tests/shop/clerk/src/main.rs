//! Answers `GET /ready`, and `GET /env/NAME` with the value of a variable.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::ExitCode;

fn main() -> ExitCode {
    let port = std::env::var("PORT").unwrap_or_default();
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).expect("the port is free");
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut line = String::new();
        let _ = BufReader::new(&stream).read_line(&mut line);
        let path = line.split(' ').nth(1).unwrap_or_default();
        let (status, body) = match path.strip_prefix("/env/") {
            Some(name) => ("200 OK", std::env::var(name).unwrap_or_default()),
            None if path == "/ready" => ("200 OK", String::new()),
            None => ("404 Not Found", String::new()),
        };
        println!("{path} {status}");
        let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    }
    ExitCode::SUCCESS
}
