//! A collector for tests: HTTP as far as OTLP needs it, and the protobuf of what it was sent.

use std::sync::{Arc, Mutex};

use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Every request, as one that carries `M`.
pub(crate) type Received<M> = Arc<Mutex<Vec<M>>>;

/// A collector of `signal`, such as `traces`: its URL, and what it is sent.
pub(crate) async fn collector<M: Message + Default + 'static>(signal: &'static str) -> (String, Received<M>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/{signal}", listener.local_addr().unwrap());
    let received = Received::default();
    let into = Arc::clone(&received);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let (head, body) = loop {
                stream.read_buf(&mut bytes).await.unwrap();
                let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                let head = String::from_utf8(bytes[..at].to_vec()).unwrap().to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                if bytes.len() >= at + 4 + length.parse::<usize>().unwrap() {
                    break (head, bytes.split_off(at + 4));
                }
            };
            assert!(
                head.starts_with(&format!("post /v1/{signal} http/1.1"))
                    && head.contains("application/x-protobuf"),
                "{head}"
            );
            into.lock().unwrap().push(M::decode(body.as_slice()).unwrap());
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await
                .unwrap();
        }
    });
    (endpoint, received)
}
