//! Tests that cross crates, and what several of them need.

mod grants;
mod process;
mod programs;
mod server;
pub mod together;

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

pub use grants::Lacking;
pub use process::{logged, script};
pub use programs::built;
pub use server::{Login, Server, publish, with_password};

/// How long anything may take that a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Looks until there is something to see, within [`PATIENCE`].
///
/// # Panics
/// There is nothing to see.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    until_or(look).await.unwrap_or_else(|| panic!("no {what} within {PATIENCE:?}"))
}

/// Looks until there is something to see, or [`PATIENCE`] is over: for whoever can say more about what is missing.
pub async fn until_or<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.ok()
}

/// A port that is free now. Below those that the system gives to outgoing connections, one of which could otherwise take it
/// before it is listened on.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id().wrapping_mul(64) % 16_000;
    loop {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        // Less than 28,000.
        let port = (12_000 + (first + next) % 16_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
