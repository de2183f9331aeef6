//! What a NATS server says of itself to whoever connects.

use std::io;
use std::net::SocketAddr;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;

/// The longest greeting that is read; a real one has about 400 bytes.
const GREETING_LIMIT_BYTES: u64 = 64 * 1024;

/// The part of the `INFO` line that tells one server from another.
#[derive(Debug, Deserialize)]
pub(crate) struct Greeting {
    pub(crate) server_name: String,
    #[serde(default)]
    pub(crate) jetstream: bool,
}

/// Connects to `address` and reads the first line that the server sends.
pub(crate) async fn of(address: SocketAddr) -> io::Result<Greeting> {
    let stream = TcpStream::connect(address).await?;
    let mut line = String::new();
    BufReader::new(stream).take(GREETING_LIMIT_BYTES).read_line(&mut line).await?;
    let info = line.strip_prefix("INFO ").ok_or_else(|| io::Error::other("it is not a NATS server"))?;
    serde_json::from_str(info.trim()).map_err(io::Error::other)
}
