//! Places orders by `POST /orders`: at most so many at a time, each tried again within its patience.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use backon::BackoffBuilder;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::order::Order;
use crate::http;
use crate::problem::Problem;

/// How long one request may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How long a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The first wait between two attempts; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait between two attempts, unless the server asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// What a rate is counted in.
const SECOND: Duration = Duration::from_secs(1);
/// How much of an answer is read.
const ANSWER_LIMIT_BYTES: usize = 64 * 1024;
/// How much of an answer that is no problem document is repeated.
const EXCERPT_CHARS: usize = 200;
/// Makes a second request of the same order harmless.
const KEY_HEADER: &str = "Idempotency-Key";
/// Says that the order was there already.
const REPLAYED_HEADER: &str = "Idempotent-Replayed";

/// Where and how orders are placed.
#[derive(Debug, Clone)]
pub struct Placement {
    /// Such as `http://127.0.0.1:8080`.
    pub url: String,
    /// How many requests are under way at a time; at least one.
    pub concurrency: usize,
    /// How long one order is tried.
    pub patience: Duration,
    /// How many orders are begun in a second; as many as the answers allow if this is `None`.
    pub orders_per_second: Option<NonZeroU32>,
}

/// What became of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was accepted.
    Placed,
    /// It had been accepted before.
    AlreadyPlaced,
    /// It was refused, and would be again.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the answer says.
        why: String,
    },
    /// Its fate is not known: no answer, or none but "later", for as long as the patience lasted.
    Unanswered {
        /// The last that was heard.
        why: String,
    },
}

/// How often each outcome was met.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All orders.
    pub orders: u64,
    /// Orders that were accepted.
    pub placed: u64,
    /// Orders that had been accepted before.
    pub already_placed: u64,
    /// Orders that were refused.
    pub refused: u64,
    /// Orders whose fate is not known.
    pub unanswered: u64,
    /// Requests beyond the first of each order.
    pub retries: u64,
    /// Milliseconds from the first request to the last answer.
    pub elapsed_ms: u64,
    /// Why orders were refused or not answered, and how often.
    pub reasons: BTreeMap<String, u64>,
}

/// A problem document, RFC 9457.
#[derive(Debug, Deserialize)]
struct ProblemDocument {
    title: Option<String>,
    detail: Option<String>,
}

/// Why an order was not even tried.
const NOT_SENT: &str = "not sent, as the orders before it were not answered";
/// No count of orders.
const NOT_ABANDONED: u64 = u64::MAX;

/// One answer, read.
enum Answer {
    Final(Outcome),
    Later { why: String, after: Option<Duration> },
}

/// Places every order, and calls `each` once for each, as its outcome is known.
///
/// # Errors
/// No HTTP client can be made. What befalls a single order is in the tally.
pub async fn place_all(
    orders: Vec<Order>,
    placement: &Placement,
    mut each: impl FnMut(&Order, &Outcome),
) -> Result<Tally, Problem> {
    let client = http::client(CONNECT_LIMIT, |builder| {
        let builder = builder.timeout(ANSWER_LIMIT);
        // A proxy cannot reach this machine's own loopback interface.
        if is_loopback(&placement.url) { builder.no_proxy() } else { builder }
    })?;
    let placer = Arc::new(Placer {
        client,
        endpoint: format!("{}/orders", placement.url.trim_end_matches('/')),
        patience: placement.patience,
        decided: AtomicU64::new(0),
        abandoned: AtomicU64::new(NOT_ABANDONED),
    });
    let started = Instant::now();
    let mut tally = Tally::default();
    let mut under_way = JoinSet::new();
    let mut orders = orders.into_iter();
    let mut beat = placement.orders_per_second.map(|rate| tokio::time::interval(SECOND / rate.get()));
    loop {
        while under_way.len() < placement.concurrency.max(1)
            && let Some(order) = orders.next()
        {
            if let Some(beat) = &mut beat {
                beat.tick().await;
            }
            let placer = Arc::clone(&placer);
            under_way.spawn(async move {
                let (outcome, attempts) = placer.place(&order).await;
                (order, outcome, attempts)
            });
        }
        let Some(done) = under_way.join_next().await else { break };
        match done {
            Ok((order, outcome, attempts)) => {
                tally.count(&outcome, attempts);
                each(&order, &outcome);
            }
            Err(error) => {
                tally.count(&Outcome::Unanswered { why: format!("a fault of this program: {error}") }, 1);
            }
        }
    }
    tally.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(tally)
}

struct Placer {
    client: Client,
    endpoint: String,
    patience: Duration,
    /// Orders whose fate is known.
    decided: AtomicU64,
    /// [`Self::decided`] when an order was given up; as long as it stays at that, no further order is tried.
    abandoned: AtomicU64,
}

impl Placer {
    /// Tries until the outcome is final or the patience is used up; returns it with the number of attempts.
    async fn place(&self, order: &Order) -> (Outcome, u64) {
        let decided_before = self.decided.load(Ordering::Relaxed);
        if self.abandoned.load(Ordering::Relaxed) == decided_before {
            return (Outcome::Unanswered { why: NOT_SENT.to_owned() }, 0);
        }
        let deadline = Instant::now() + self.patience;
        let mut waits = backon::ExponentialBuilder::new()
            .with_min_delay(FIRST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_jitter()
            .without_max_times()
            .build();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (why, after) = match self.attempt(order).await {
                Answer::Final(outcome) => {
                    self.decided.fetch_add(1, Ordering::Relaxed);
                    return (outcome, attempts);
                }
                Answer::Later { why, after } => (why, after),
            };
            let wait = waits.next().unwrap_or(LONGEST_WAIT).max(after.unwrap_or_default());
            if Instant::now() + wait >= deadline {
                // Nobody was answered for as long as this order was tried: the others need not find that out anew,
                // each at the cost of its own patience.
                if self.decided.load(Ordering::Relaxed) == decided_before {
                    self.abandoned.store(decided_before, Ordering::Relaxed);
                }
                return (Outcome::Unanswered { why }, attempts);
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, order: &Order) -> Answer {
        let request = self.client.post(&self.endpoint).header(KEY_HEADER, &order.order_id).json(order);
        match request.send().await {
            Ok(response) => answer(response).await,
            Err(error) => Answer::Later { why: root_cause(&error), after: None },
        }
    }
}

async fn answer(response: reqwest::Response) -> Answer {
    let status = response.status();
    let after = retry_after(response.headers());
    // Of a conflict: an earlier attempt, whose answer did not come, is still under way.
    let later = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        || status == StatusCode::CONFLICT && after.is_some();
    if later {
        return Answer::Later { why: said(response).await, after };
    }
    let replayed = response.headers().get(REPLAYED_HEADER).is_some_and(|value| value == "true");
    Answer::Final(match status {
        StatusCode::OK | StatusCode::ACCEPTED if replayed => Outcome::AlreadyPlaced,
        StatusCode::ACCEPTED => Outcome::Placed,
        _ => Outcome::Refused { status: status.as_u16(), why: said(response).await },
    })
}

fn is_loopback(url: &str) -> bool {
    let host =
        reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Seconds only: the other form, a date, would trust two clocks.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The status, and what the body says: title and detail of a problem document, else its beginning.
async fn said(mut response: reqwest::Response) -> String {
    let status = response.status();
    let mut body = Vec::new();
    while body.len() < ANSWER_LIMIT_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    let text = match serde_json::from_slice(&body) {
        Ok(ProblemDocument { title: Some(title), detail: Some(detail) }) => format!("{title}: {detail}"),
        Ok(ProblemDocument { title: Some(text), .. } | ProblemDocument { detail: Some(text), .. }) => text,
        _ => String::from_utf8_lossy(&body).trim().to_owned(),
    };
    let text: String = text.chars().take(EXCERPT_CHARS).collect();
    if text.is_empty() { status.to_string() } else { format!("{} {text}", status.as_u16()) }
}

/// The innermost error says why (`Connection refused`); the outer ones repeat the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

impl Tally {
    /// Whether every order is placed now.
    pub fn is_complete(&self) -> bool {
        self.refused == 0 && self.unanswered == 0
    }

    fn count(&mut self, outcome: &Outcome, attempts: u64) {
        self.orders += 1;
        self.retries += attempts.saturating_sub(1);
        let why = match outcome {
            Outcome::Placed => return self.placed += 1,
            Outcome::AlreadyPlaced => return self.already_placed += 1,
            Outcome::Refused { why, .. } => {
                self.refused += 1;
                why
            }
            Outcome::Unanswered { why } => {
                self.unanswered += 1;
                why
            }
        };
        *self.reasons.entry(why.clone()).or_default() += 1;
    }
}
