//! A mail server that delivers to nobody: RFC 5321 as far as a sender can tell.
//!
//! The `session` decides what each command means and touches no socket, the `envelope` collects
//! the mail, the `line` reader enforces the limits on what a sender may send, and the
//! `connection` moves bytes between them. There is no TLS and no authentication, and no address
//! is ever refused.

mod connection;
mod envelope;
mod line;
mod session;

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet, time::sleep};

use super::post::Post;

/// How many mail connections are served at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 256;
/// How long to wait after a failed accept, which means that file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves mail until the task is aborted, which ends its connections as well.
pub(crate) async fn serve(listener: TcpListener, post: Arc<Post>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    // The semaphore is never closed, so this loop ends only with its task.
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let post = Arc::clone(&post);
                connections.spawn(async move {
                    // A connection that breaks is the sender's to retry.
                    let _ = connection::converse(stream, &post).await;
                    drop(permit);
                });
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}
