//! Waiting for something to be so, and never for ever.

use std::time::{Duration, Instant};

/// How often it is looked.
const GLANCE: Duration = Duration::from_millis(200);

/// Looks until `look` sees something, and says what it saw last if that takes longer than `limit`.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, String> {
    let began = Instant::now();
    loop {
        match look().await {
            Ok(seen) => return Ok(seen),
            Err(last) if began.elapsed() > limit => {
                return Err(format!("gave up after {} s: {what}: {last}", limit.as_secs()));
            }
            Err(_) => tokio::time::sleep(GLANCE).await,
        }
    }
}

/// `Ok` if it is so, and otherwise what is so instead.
pub fn so(is_so: bool, instead: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(instead()) }
}
