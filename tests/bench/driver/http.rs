//! One request to a server on this machine, without a client library.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The body of the answer, which must be 200. HTTP/1.0, so that it comes in one piece and the connection ends with it.
pub async fn ask(server: &str, method: &str, path: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(server).await.expect("a server");
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {server}\r\nContent-Type: application/json");
    let request = format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}");
    socket.write_all(request.as_bytes()).await.expect("a server that listens");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    assert!(head.split(' ').nth(1) == Some("200"), "{server}{path}: {head}");
    body.to_owned()
}
