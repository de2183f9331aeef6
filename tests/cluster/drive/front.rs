//! The way in by Knative's ingress, under the name that it routes by.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::customers::Counter;
use crate::market::Wish;
use crate::patience::so;
use crate::requests::orders;
use crate::shop::Shop;

/// The name of the Service in the domain of the lab.
const HOST: &str = "order.jetlag.example.com";
/// How long an answer may take, from zero pods too.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A client that finds the ingress under the name of the Service.
#[derive(Debug)]
pub struct Front {
    pub http: reqwest::Client,
    pub url: String,
}

/// How many requests had which answer.
#[derive(Debug, Default)]
pub struct Answers {
    good: usize,
    others: BTreeMap<String, usize>,
}

impl Answers {
    pub fn in_words(&self) -> String {
        let others: usize = self.others.values().sum();
        if others == 0 {
            format!("{}, 0", self.good)
        } else {
            format!("{}, {:?}", self.good + others, self.others)
        }
    }

    pub fn all_good(&self) -> Result<(), String> {
        so(self.good > 0 && self.others.is_empty(), || {
            format!("not all requests were answered: {}", self.in_words())
        })
    }
}

impl Front {
    pub fn of(shop: &Shop) -> Result<Self, String> {
        let ingress: SocketAddr =
            shop.cluster.place.ingress.parse().map_err(|error| format!("CLUSTER_INGRESS: {error}"))?;
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).resolve(HOST, ingress).build();
        let http = http.map_err(|error| error.to_string())?;
        Ok(Self { http, url: format!("http://{HOST}:{}", ingress.port()) })
    }

    /// For customers, who place orders here as elsewhere.
    pub fn counter(&self, shop: &Shop) -> Counter {
        Counter {
            http: self.http.clone(),
            operator: shop.cluster.operator.clone(),
            doors: vec![self.url.clone()],
        }
    }

    /// Places the order `at`, and says how many milliseconds that took.
    pub async fn place(&self, shop: &Shop, at: usize) -> Result<u64, String> {
        let Some(Wish::Request { order, .. }) = shop.market.wishes.get(at) else {
            return Err(format!("the wish {at} is no order"));
        };
        let body = serde_json::to_string(order).map_err(|error| error.to_string())?;
        let began = Instant::now();
        let status = self.post(&order.order_id, body).await;
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        so(status == "202", || format!("{status} to the order {}", order.order_id))?;
        shop.accept(&order.order_id)?;
        Ok(took)
    }

    /// Makes the requests of `range` again and again, `concurrency` at a time, until `stop`.
    pub async fn repeat(
        &self,
        shop: &Shop,
        range: Range<usize>,
        concurrency: usize,
        stop: &AtomicBool,
    ) -> Result<Answers, String> {
        let orders = orders(shop, range);
        so(orders.len() >= concurrency, || "there is too little to repeat".to_owned())?;
        // Each has orders of its own: one that is under way already is answered 409.
        let worker = async |number: usize| {
            let own = orders.iter().skip(number).step_by(concurrency).cycle();
            let mut answers = Answers::default();
            for (id, body) in own.take_while(|_| !stop.load(Ordering::Relaxed)) {
                match self.post(id, body.clone()).await.as_str() {
                    "202" => answers.good += 1,
                    other => *answers.others.entry(other.to_owned()).or_default() += 1,
                }
            }
            answers
        };
        let all = futures::future::join_all((0..concurrency).map(worker)).await;
        Ok(all.into_iter().fold(Answers::default(), |mut sum, one| {
            sum.good += one.good;
            for (what, count) in one.others {
                *sum.others.entry(what).or_default() += count;
            }
            sum
        }))
    }

    /// The status of the answer, or what there is in place of one.
    async fn post(&self, id: &str, body: String) -> String {
        let request = self.http.post(format!("{}/orders", self.url)).timeout(ANSWER_LIMIT);
        let request = request.header("idempotency-key", id).header("content-type", "application/json");
        match request.body(body).send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                match answer.bytes().await {
                    Ok(_) => status.to_string(),
                    Err(_) => format!("{status}, and half a body"),
                }
            }
            Err(error) if error.is_timeout() => "no answer in time".to_owned(),
            Err(error) if error.is_connect() => "no connection".to_owned(),
            Err(_) => "the connection was lost".to_owned(),
        }
    }
}
