//! The wall clock, as the two servers write it down.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, the unit of every `created` in Stripe's API.
pub(crate) fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// Milliseconds since 1970, fine enough to order two deliveries of one message.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
