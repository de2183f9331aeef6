//! Places what the market asks for, over HTTP and through INTAKE, and keeps at it until it is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jetlag::jetstream::Operator;
use jetlag_cli::orders::Order;
use rust_decimal::Decimal;
use tokio::task::JoinSet;

use crate::market::{Wish, event};

/// How long one request may take; then it is made again.
const ANSWER_LIMIT: Duration = Duration::from_secs(4);
/// The wait before it is made again.
const AGAIN: Duration = Duration::from_millis(250);
/// How long one wish is tried.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the customers know at the end.
#[derive(Debug, Default)]
pub struct Answers {
    /// Orders that were accepted.
    pub accepted: BTreeSet<String>,
    /// Events that must have become dead letters: their bytes, how often they were published at most, and the reason.
    pub dead: BTreeMap<String, (usize, &'static str)>,
    /// What was not answered as it should have been.
    pub wrong: Vec<String>,
    /// Requests beyond the first of each wish.
    pub repeats: usize,
    /// Why they were made: the status of the answer before, or that there was none.
    pub again: BTreeMap<String, usize>,
    /// How many wishes were placed.
    pub placed: usize,
    /// From the first request to the last answer.
    pub took: Duration,
}

/// How the wishes are placed.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How many are under way at a time.
    pub concurrency: usize,
    /// How many are begun in a second; as many as the answers allow if this is `None`.
    pub per_second: Option<NonZeroU32>,
}

/// Where orders are taken.
#[derive(Debug, Clone)]
pub struct Counter {
    pub http: reqwest::Client,
    pub operator: Operator,
    /// The addresses that take `POST /orders`.
    pub doors: Vec<String>,
}

struct Desk {
    counter: Counter,
    next_door: AtomicUsize,
    answers: Mutex<Answers>,
}

/// Places every wish, or those that are reached before `enough`; `placed` counts them. The first of them is the number
/// `first` of its market.
pub async fn place(
    counter: Counter,
    wishes: &[Wish],
    first: usize,
    pace: &Pace,
    enough: &AtomicBool,
    placed: &AtomicUsize,
) -> Answers {
    let desk =
        Arc::new(Desk { counter, next_door: AtomicUsize::new(0), answers: Mutex::new(Answers::default()) });
    let began = Instant::now();
    let mut beat = pace.per_second.map(|rate| tokio::time::interval(Duration::from_secs(1) / rate.get()));
    let mut under_way = JoinSet::new();
    for (number, wish) in (first..).zip(wishes) {
        if enough.load(Ordering::Relaxed) {
            break;
        }
        if let Some(beat) = &mut beat {
            beat.tick().await;
        }
        if under_way.len() >= pace.concurrency
            && let Some(done) = under_way.join_next().await
        {
            done.unwrap();
            placed.fetch_add(1, Ordering::Relaxed);
        }
        let (desk, wish) = (Arc::clone(&desk), wish.clone());
        under_way.spawn(async move { desk.serve(number, wish).await });
    }
    while let Some(done) = under_way.join_next().await {
        done.unwrap();
        placed.fetch_add(1, Ordering::Relaxed);
    }
    let desk = Arc::into_inner(desk).unwrap();
    let mut answers = desk.answers.into_inner().unwrap();
    answers.placed = placed.load(Ordering::Relaxed);
    answers.took = began.elapsed();
    answers
}

impl Desk {
    async fn serve(&self, number: usize, wish: Wish) {
        match wish {
            Wish::Request { order, clashes } => {
                let body = serde_json::to_string(&order).unwrap();
                let status = self.request(&order.order_id, &body).await;
                self.note(|answers| match status {
                    202 => {
                        answers.accepted.insert(order.order_id.clone());
                    }
                    status => answers.wrong.push(format!("{status} to the order {}", order.order_id)),
                });
                if clashes && status == 202 {
                    let clash = Order { amount: order.amount + Decimal::ONE, ..order };
                    let payload = event(&format!("clash-{number}"), &clash);
                    self.bad_event(number, payload, "already_exists").await;
                }
            }
            Wish::Event { order, twice } => {
                let event = event(&format!("event-{number}"), &order);
                let mut published = self.publish(&format!("m-{number}"), &event).await;
                if twice {
                    published += self.publish(&format!("again-{number}"), &event).await;
                }
                self.note(|answers| {
                    if published > 0 {
                        answers.accepted.insert(order.order_id.clone());
                    } else {
                        answers.wrong.push(format!("the event of {} was never taken", order.order_id));
                    }
                });
            }
            Wish::BadRequest { body } => {
                let status = self.request(&format!("bad-{number}"), &body).await;
                if status != 422 {
                    self.note(|answers| answers.wrong.push(format!("{status} to {body}")));
                }
            }
            Wish::BadEvent { payload, reason } => self.bad_event(number, payload, reason).await,
        }
    }

    /// The status of the answer, at last.
    async fn request(&self, key: &str, body: &str) -> u16 {
        let (began, mut last) = (Instant::now(), 0);
        while began.elapsed() < PATIENCE {
            let doors = &self.counter.doors;
            let door = &doors[self.next_door.fetch_add(1, Ordering::Relaxed) % doors.len()];
            let request = self.counter.http.post(format!("{door}/orders")).timeout(ANSWER_LIMIT);
            let request = request.header("idempotency-key", key).header("content-type", "application/json");
            let why = match request.body(body.to_owned()).send().await {
                Ok(answer) => {
                    last = answer.status().as_u16();
                    // An earlier attempt, whose answer did not come, is still under way: a conflict that passes.
                    let passes = last == 409 && answer.headers().contains_key("retry-after");
                    // The body too: half an answer is none.
                    if answer.bytes().await.is_ok() && last < 500 && !passes {
                        return last;
                    }
                    last.to_string()
                }
                Err(error) if error.is_timeout() => "no answer in time".to_owned(),
                Err(error) if error.is_connect() => "no connection".to_owned(),
                Err(_) => "the connection was lost".to_owned(),
            };
            self.note(|answers| answers.is_made_again(why));
            tokio::time::sleep(AGAIN).await;
        }
        last
    }

    /// Publishes until the broker says that it has it; returns how often that was tried, 0 if it never said so.
    async fn publish(&self, message_id: &str, payload: &str) -> usize {
        let began = Instant::now();
        let mut attempts = 0;
        while began.elapsed() < PATIENCE {
            attempts += 1;
            let payload = payload.as_bytes().to_vec().into();
            let publishing = self.counter.operator.publish("orders.placed", message_id, payload);
            if let Ok(Ok(())) = tokio::time::timeout(ANSWER_LIMIT, publishing).await {
                return attempts;
            }
            self.note(|answers| answers.is_made_again("not stored".to_owned()));
            tokio::time::sleep(AGAIN).await;
        }
        0
    }

    async fn bad_event(&self, number: usize, payload: String, reason: &'static str) {
        let published = self.publish(&format!("bad-{number}"), &payload).await;
        self.note(|answers| {
            if published == 0 {
                answers.wrong.push(format!("never taken: {payload}"));
            }
            answers.dead.insert(payload, (published, reason));
        });
    }

    fn note(&self, note: impl FnOnce(&mut Answers)) {
        note(&mut self.answers.lock().unwrap());
    }
}

impl Answers {
    fn is_made_again(&mut self, why: String) {
        self.repeats += 1;
        *self.again.entry(why).or_default() += 1;
    }
}
