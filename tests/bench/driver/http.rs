//! One request to a server on this machine, without a client library.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The status of the answer to a GET; nothing if there is none.
pub async fn status(server: &str, path: &str) -> Option<u16> {
    let mut socket = TcpStream::connect(server).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.ok()?;
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

/// The body of the answer, which must be 200. HTTP/1.0, so that it comes in one piece and the connection ends with it.
pub async fn ask(server: &str, method: &str, path: &str, body: &str) -> Vec<u8> {
    let mut socket = TcpStream::connect(server).await.expect("a server");
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {server}\r\nContent-Type: application/json");
    let request = format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}");
    socket.write_all(request.as_bytes()).await.expect("a server that listens");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.expect("an answer");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("an answer");
    let head = String::from_utf8_lossy(&answer[..end]);
    assert!(head.split(' ').nth(1) == Some("200"), "{server}{path}: {head}");
    answer.split_off(end + 4)
}
