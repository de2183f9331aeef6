//! How fast it went, by the broker's clock.

use observe::slo;
use serde::Serialize;
use time::OffsetDateTime;

use super::account::{Account, Moment};

/// How fast orders went from placed to ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pace {
    /// Whether these are the orders of this run; else it placed none, and they are those of earlier ones.
    pub of_this_run: bool,
    /// How many orders.
    pub orders: u64,
    /// From the first that was placed to the last that ended.
    pub span_ms: u64,
    /// Orders a minute over that span.
    pub orders_per_minute: u64,
    /// The latency from placed to ended that half of them kept within.
    pub p50_ms: u64,
    /// The latency that 99 of 100 kept within.
    pub p99_ms: u64,
    /// The longest.
    pub max_ms: u64,
    /// How many of them ended within the objective ([`observe::slo::WITHIN`]).
    pub in_time: u64,
}

impl Pace {
    /// The pace of the orders that were placed after the sequence `began_after`, or of all if there are none.
    pub(super) fn of<'a>(accounts: impl Iterator<Item = &'a Account>, began_after: u64) -> Option<Self> {
        let ended: Vec<(Moment, Moment)> = accounts.filter_map(lifetime).collect();
        let new: Vec<_> = ended.iter().copied().filter(|(placed, _)| placed.sequence > began_after).collect();
        if new.is_empty() { Self::over(&ended, false) } else { Self::over(&new, true) }
    }

    fn over(lifetimes: &[(Moment, Moment)], of_this_run: bool) -> Option<Self> {
        let first = lifetimes.iter().map(|(placed, _)| placed.at).min()?;
        let last = lifetimes.iter().map(|(_, ended)| ended.at).max()?;
        let mut latencies: Vec<u64> =
            lifetimes.iter().map(|(placed, ended)| ms(placed.at, ended.at)).collect();
        latencies.sort_unstable();
        let orders = latencies.len() as u64;
        let span_ms = ms(first, last);
        let bound_ms = slo::WITHIN.as_millis();
        let in_time = latencies.iter().filter(|latency| u128::from(**latency) <= bound_ms).count() as u64;
        Some(Self {
            of_this_run,
            orders,
            span_ms,
            orders_per_minute: (orders * 60_000) / span_ms.max(1),
            p50_ms: percentile(&latencies, 50),
            p99_ms: percentile(&latencies, 99),
            max_ms: latencies.last().copied().unwrap_or_default(),
            in_time,
        })
    }
}

/// When the order was placed and when it ended, if both are still known.
fn lifetime(account: &Account) -> Option<(Moment, Moment)> {
    let (_, placed) = account.placed.first()?;
    let confirmed = account.confirmed.first().map(|(_, moment)| *moment);
    let ended = confirmed.or_else(|| account.cancelled.first().map(|(_, moment)| *moment))?;
    (placed.sequence > 0 && ended.sequence > 0).then_some((*placed, ended))
}

/// The nearest rank: the smallest value that `percent` of 100 do not exceed.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn ms(from: OffsetDateTime, to: OffsetDateTime) -> u64 {
    u64::try_from((to - from).whole_milliseconds()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_takes_longer_than_the_objective_is_not_in_time() {
        let placed = Moment { sequence: 1, at: OffsetDateTime::UNIX_EPOCH };
        let after = |took| Moment { sequence: 2, at: placed.at + took };
        let late = slo::WITHIN + Duration::from_millis(1);
        let pace = Pace::over(&[(placed, after(slo::WITHIN)), (placed, after(late))], true).unwrap();
        assert_eq!((pace.orders, pace.in_time), (2, 1));
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 99)), (50, 99));
        assert_eq!((percentile(&[7], 50), percentile(&[7], 99), percentile(&[], 50)), (7, 7, 0));
        assert_eq!((percentile(&[1, 2, 3], 50), percentile(&[1, 2, 3], 99)), (2, 3));
    }
}
