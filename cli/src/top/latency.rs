//! How long inputs take, as the processes here tell on `/metrics`: counts by bucket, so a quantile is at most as exact as they.

use std::collections::{BTreeMap, VecDeque};
use std::str::FromStr;
use std::time::Duration;

use futures::future::join_all;
use reqwest::Client;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::http;
use crate::problem::Problem;
use crate::status::Snapshot;

/// How long a process has to tell its metrics. One that does not has no latency in this look.
const ANSWER_MAX: Duration = Duration::from_millis(700);
/// Over how many looks latency is told.
const LOOKS: usize = 30;
/// What ends the name of the histogram, after the function's.
const SUFFIX: &str = "_process_duration_seconds_bucket{";

/// How many runs took at most so many milliseconds, cumulative; the last bucket, which has no bound, is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Bound in milliseconds to runs.
    bounds: BTreeMap<u64, u64>,
    /// All runs.
    all: u64,
}

/// Half of the runs, and 99 of a hundred, took at most this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// Half of them.
    pub p50: Bound,
    /// 99 of a hundred.
    pub p99: Bound,
}

/// What the buckets know of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// At most so many milliseconds.
    AtMost(u64),
    /// More than the largest bound, in milliseconds.
    Over(u64),
}

/// Reads the metrics of processes.
#[derive(Debug)]
pub struct Meters {
    client: Client,
}

/// The latest counts of each function.
#[derive(Debug, Default)]
pub struct Latencies {
    seen: BTreeMap<String, VecDeque<Buckets>>,
}

impl Meters {
    /// For processes on this machine.
    ///
    /// # Errors
    /// There is no HTTP client.
    pub fn new() -> Result<Self, Problem> {
        Ok(Self { client: http::client(ANSWER_MAX, |client| client.timeout(ANSWER_MAX))? })
    }

    /// The counts of every function whose processes run here, summed over them.
    pub async fn read(&self, snapshot: &Snapshot) -> BTreeMap<String, Buckets> {
        let reads = snapshot.functions.iter().filter_map(|function| {
            let urls: Vec<String> =
                function.processes.iter().flatten().filter_map(|process| process.url.clone()).collect();
            (!urls.is_empty()).then_some(async move {
                let texts = join_all(urls.iter().map(|url| self.text(url))).await;
                let mut sum = Buckets::default();
                texts.iter().flatten().for_each(|text| sum.add(text, &function.name));
                (function.name.clone(), sum)
            })
        });
        join_all(reads).await.into_iter().collect()
    }

    async fn text(&self, url: &str) -> Option<String> {
        let answer = self.client.get(format!("{url}/metrics")).send().await.ok()?;
        answer.text().await.ok()
    }
}

impl Buckets {
    /// Adds what `metrics` tells of `function`, whatever came of the runs.
    fn add(&mut self, metrics: &str, function: &str) {
        let name = format!("{}{SUFFIX}", function.replace('-', "_"));
        for line in metrics.lines() {
            let Some((labels, count)) = line.strip_prefix(&name).and_then(|rest| rest.split_once("} "))
            else {
                continue;
            };
            let bound = labels.split("le=\"").nth(1).and_then(|rest| rest.split('"').next());
            let (Some(bound), Ok(count)) = (bound, count.trim().parse::<u64>()) else { continue };
            if bound == "+Inf" {
                self.all += count;
            } else if let Some(ms) = milliseconds(bound) {
                *self.bounds.entry(ms).or_default() += count;
            }
        }
    }

    /// What was counted since `earlier`; all of it if a process has begun anew.
    fn since(&self, earlier: &Self) -> Self {
        let bounds = self.bounds.iter().map(|(bound, count)| {
            Some((*bound, count.checked_sub(earlier.bounds.get(bound).copied().unwrap_or_default())?))
        });
        let since = (bounds.collect::<Option<_>>(), self.all.checked_sub(earlier.all));
        match since {
            (Some(bounds), Some(all)) => Self { bounds, all },
            _ => self.clone(),
        }
    }

    fn latency(&self) -> Option<Latency> {
        Some(Latency { p50: self.bound(50)?, p99: self.bound(99)? })
    }

    /// What so many of a hundred took at most.
    fn bound(&self, percent: u64) -> Option<Bound> {
        let (last, _) = self.bounds.last_key_value()?;
        let wanted = (self.all * percent).div_ceil(100);
        if self.all == 0 {
            return None;
        }
        let within = self.bounds.iter().find(|(_, count)| **count >= wanted);
        Some(within.map_or(Bound::Over(*last), |(bound, _)| Bound::AtMost(*bound)))
    }
}

fn milliseconds(seconds: &str) -> Option<u64> {
    (Decimal::from_str(seconds).ok()? * Decimal::ONE_THOUSAND).to_u64()
}

impl Latencies {
    /// Notes what was read now.
    pub fn note(&mut self, read: BTreeMap<String, Buckets>) {
        self.seen.retain(|name, _| read.contains_key(name));
        for (name, buckets) in read {
            let seen = self.seen.entry(name).or_default();
            if seen.back().is_some_and(|last| buckets.all < last.all) {
                seen.clear();
            }
            seen.push_back(buckets);
            if seen.len() > LOOKS {
                seen.pop_front();
            }
        }
    }

    /// The latency of `function` over the looks that are remembered, or since its processes began if nothing ran in them.
    pub fn of(&self, function: &str) -> Option<Latency> {
        let seen = self.seen.get(function)?;
        let (first, last) = (seen.front()?, seen.back()?);
        last.since(first).latency().or_else(|| last.latency())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(counts: [u64; 4]) -> String {
        let line = |(bound, count)| {
            format!("big_till_process_duration_seconds_bucket{{status=\"success\",le=\"{bound}\"}} {count}\n")
        };
        let lines: String = ["0.1", "0.3", "1", "+Inf"].into_iter().zip(counts).map(line).collect();
        format!("# HELP x\njetlag_slots{{function=\"big-till\"}} 64\n{lines}")
    }

    fn read(counts: [u64; 4]) -> BTreeMap<String, Buckets> {
        let mut buckets = Buckets::default();
        buckets.add(&metrics(counts), "big-till");
        [("big-till".to_owned(), buckets)].into()
    }

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket_over_the_looks_that_are_remembered() {
        let mut latencies = Latencies::default();
        latencies.note(read([0, 0, 0, 0]));
        assert_eq!(latencies.of("big-till"), None, "nothing ran");
        latencies.note(read([98, 99, 100, 100]));
        let latency = latencies.of("big-till").unwrap();
        assert_eq!((latency.p50, latency.p99), (Bound::AtMost(100), Bound::AtMost(300)));
        for _ in 0..LOOKS {
            latencies.note(read([98, 99, 100, 101]));
        }
        let since_begin = latencies.of("big-till").unwrap();
        assert_eq!(since_begin.p99, Bound::AtMost(1_000), "nothing ran of late: since the beginning");
        latencies.note(read([98, 99, 100, 102]));
        assert_eq!(latencies.of("big-till").unwrap().p50, Bound::Over(1_000), "of late, one that took long");
        latencies.note(read([1, 1, 1, 1]));
        assert_eq!(latencies.of("big-till").unwrap().p99, Bound::AtMost(100), "it was started again");
        latencies.note(BTreeMap::new());
        assert_eq!(latencies.of("big-till"), None, "nothing of it runs any more");
    }

    #[test]
    fn processes_and_outcomes_are_summed() {
        let mut sum = Buckets::default();
        sum.add(&metrics([1, 2, 3, 4]), "big-till");
        sum.add(&metrics([1, 2, 3, 4]).replace("success", "error"), "big-till");
        sum.add(&metrics([9, 9, 9, 9]), "till");
        assert_eq!(sum, Buckets { bounds: [(100, 2), (300, 4), (1_000, 6)].into(), all: 8 });
    }
}
