//! How often something happens.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::status::grouped;

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;
/// The units in which a rate is said, with how often each is in a day.
const UNITS: [(&str, u64); 4] = [("/s", SECONDS_PER_DAY), ("/m", 24 * 60), ("/h", 24), ("/d", 1)];
/// More than any broker: beyond this, sums of rates mean nothing.
const PER_DAY_MAX: u64 = SECONDS_PER_DAY * 10_000_000;

/// How often something happens, as a whole number a day: every unit that a rate is said in is whole in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// So many a second.
    pub const fn per_second(count: u64) -> Self {
        Self(count.saturating_mul(SECONDS_PER_DAY))
    }

    /// How many there are within `time`, rounded up.
    pub fn within(self, time: Duration) -> u64 {
        let millis = u128::from(self.0).saturating_mul(time.as_millis());
        u64::try_from(millis.div_ceil(u128::from(SECONDS_PER_DAY) * 1000)).unwrap_or(u64::MAX)
    }

    /// How many there are in a second, rounded up.
    pub fn a_second(self) -> u64 {
        self.within(Duration::from_secs(1))
    }

    /// A part of it, rounded up.
    #[must_use]
    pub const fn part(self, one_of: u64) -> Self {
        Self(self.0.div_ceil(if one_of == 0 { 1 } else { one_of }))
    }

    /// What of it is over `other`.
    #[must_use]
    pub const fn over(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// How long it takes until there are `count`; nothing if there are never so many.
    pub fn time_for(self, count: u64) -> Option<Duration> {
        let millis = u128::from(count) * u128::from(SECONDS_PER_DAY) * 1000;
        let millis = millis.checked_div(u128::from(self.0))?;
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

impl Sum for Rate {
    fn sum<I: Iterator<Item = Self>>(rates: I) -> Self {
        Self(rates.fold(0, |sum, Self(rate)| sum.saturating_add(rate)))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let per_day = UNITS.iter().find_map(|(unit, factor)| {
            let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(*factor).filter(|rate| *rate <= PER_DAY_MAX)
        });
        per_day.map(Self).ok_or_else(|| format!("`{text}` is no rate such as 167/s, 10000/m, 50/h or 3/d"))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        match whole {
            Some((unit, factor)) => write!(f, "{}{unit}", grouped(self.0 / factor)),
            // What was derived need not be whole in anything.
            None => write!(f, "{}/s", grouped(self.a_second())),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}
