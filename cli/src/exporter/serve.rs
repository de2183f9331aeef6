//! `GET /metrics` over HTTP/1.1, one request a connection: a scraper asks for one page every few seconds.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};

use super::Exporter;
use super::sheet::MEDIA_TYPE;

/// How many requests are answered at a time; more wait at the door.
const REQUESTS_MAX: usize = 8;
/// How long one request may take, the look at the broker included.
const REQUEST_LIMIT: Duration = Duration::from_secs(15);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long nothing is accepted after the system refused.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers at `listener`. Never ends. Each request is a look at the broker; two do not look at the same time.
pub async fn serve(listener: TcpListener, exporter: Exporter) {
    let exporter = Arc::new(Mutex::new(exporter));
    let places = Arc::new(Semaphore::new(REQUESTS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let exporter = Arc::clone(&exporter);
        tokio::spawn(async move {
            // How a request ends is the client's business.
            let _ = tokio::time::timeout(REQUEST_LIMIT, answer(stream, &exporter)).await;
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream, exporter: &Mutex<Exporter>) -> std::io::Result<()> {
    let Some(line) = request_line(&mut stream).await? else { return Ok(()) };
    let (status, media_type, body) = match line.split(' ').collect::<Vec<_>>().as_slice() {
        ["GET", "/metrics", _] => ("200 OK", MEDIA_TYPE, exporter.lock().await.text().await.0),
        ["GET", "/health" | "/ready", _] => ("200 OK", "text/plain", "ok\n".to_owned()),
        ["GET", _, _] => ("404 Not Found", "text/plain", "see /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "text/plain", "GET /metrics\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// The first line of a request, once its head is there; nothing if it never is, or is too long.
async fn request_line(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if head.len() > HEAD_BYTES_MAX || stream.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    Ok(String::from_utf8_lossy(&head).lines().next().map(str::to_owned))
}
