//! A server that does not tell what a user may do: so a function goes to work, and meets what is denied when it needs it.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The field of the server's answer, and what stands there instead: just as long.
const TOLD: &[u8] = b"\"permissions\"";
const VEILED: &[u8] = b"\"p_rmissions\"";

/// Passes everything to the server at `port` and back but what it tells of permissions; gives where it listens.
pub async fn veil(port: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                let (mut from_client, to_client) = client.into_split();
                let (from_server, mut to_server) = server.into_split();
                let there = async {
                    let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                    let _ = to_server.shutdown().await;
                };
                tokio::join!(there, pass(from_server, to_client));
            });
        }
    });
    own
}

/// What may be the beginning of the field at the end of what has come waits for the rest.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let (mut held, mut some) = (Vec::new(), [0; 16 * 1024]);
    while let Ok(count @ 1..) = from.read(&mut some).await {
        held.extend_from_slice(&some[..count]);
        while let Some(at) = held.windows(TOLD.len()).position(|window| window == TOLD) {
            held[at..at + VEILED.len()].copy_from_slice(VEILED);
        }
        let waits = (1..TOLD.len()).rev().find(|count| held.ends_with(&TOLD[..*count])).unwrap_or_default();
        let rest = held.split_off(held.len() - waits);
        if to.write_all(&held).await.is_err() {
            return;
        }
        held = rest;
    }
    let _ = to.shutdown().await;
}
