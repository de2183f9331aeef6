//! The five functions as a system, and the world outside.

use std::net::SocketAddr;

use events::{Amount, CancelReason, Line, OrderCancelled, OrderPlaced};
use inventory::Stock;
use jetlag::testing::System;
use jetlag::{Environment, Payload};
use notification::Notifier;
use payment::Gateway;
use serde_json::{Value, json};
use world::gateway::DeclineRules;

/// An amount that the card is not good for.
pub const TOO_DEAR: &str = "2000";
/// In cents.
const CARD_LIMIT: u64 = 100_000;

/// A shop.
pub struct Shop {
    pub system: System,
    gateway: SocketAddr,
    receiver: SocketAddr,
    http: reqwest::Client,
}

impl Shop {
    pub async fn open(seed: u64) -> Self {
        // Whoever was first has done it for all.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let rules = DeclineRules { over_minor: Some(CARD_LIMIT), ..DeclineRules::default() };
        let gateway = world::gateway::open(rules).await.unwrap();
        let receiver = world::receiver::open().await.unwrap();
        let (gateway_url, notify_url) = (format!("http://{gateway}"), format!("http://{receiver}/notify"));
        let mut env = Environment::of([
            ("PAYMENT_GATEWAY_URL", gateway_url.as_str()),
            ("PAYMENT_GATEWAY_KEY", "sk_test"),
            ("NOTIFY_URL", notify_url.as_str()),
        ]);
        let (cards, notifier) = (Gateway::from_env(&mut env), Notifier::from_env(&mut env));
        assert!(env.faults().is_empty(), "{:?}", env.faults());
        let system = System::of_seed(seed)
            .function(order::CONTRACT, (), order::decide)
            .function(inventory::CONTRACT, (), inventory::keep)
            .function(payment::CONTRACT, cards, payment::charge)
            .function(notification::CONTRACT, notifier, notification::notify)
            .function(audit::CONTRACT, (), audit::seal);
        Self { system, gateway, receiver, http: reqwest::Client::new() }
    }

    pub fn with_stock(mut self, sku: &str, stock: Stock) -> Self {
        self.system = self.system.with_state("inventory", sku, &stock);
        self
    }

    pub fn stock(&self, sku: &str) -> Stock {
        self.system.state("inventory", sku).unwrap()
    }

    /// Every order that was cancelled, and why.
    pub fn cancelled(&self) -> Vec<(String, CancelReason)> {
        let cancelled = self.system.events::<OrderCancelled>().into_iter();
        cancelled.map(|order| (order.order_id, order.reason)).collect()
    }

    pub async fn gateway_is_down(&self, outage: bool) {
        let control = format!("http://{}/control", self.gateway);
        let answer = self.http.put(control).json(&json!({ "outage": outage })).send().await.unwrap();
        assert!(answer.status().is_success());
    }

    /// Every charge in the gateway's own books: the order and the cents.
    pub async fn charged(&self) -> Vec<(String, u64)> {
        let books = self.asked(&format!("http://{}/ledger", self.gateway)).await;
        let charge = |charge: &Value| {
            (charge["order_id"].as_str().unwrap().to_owned(), charge["amount"].as_u64().unwrap())
        };
        books["charges"].as_array().unwrap().iter().map(charge).collect()
    }

    /// How many different messages have arrived.
    pub async fn notified(&self) -> u64 {
        let summary = self.asked(&format!("http://{}/received", self.receiver)).await;
        summary["distinct"].as_u64().unwrap()
    }

    async fn asked(&self, url: &str) -> Value {
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }
}

pub fn order(order_id: &str, amount: &str, lines: &[(&str, u32)]) -> OrderPlaced {
    let line = |&(sku, quantity): &(&str, u32)| Line { sku: sku.into(), quantity };
    OrderPlaced {
        order_id: order_id.into(),
        amount: amount.parse::<Amount>().unwrap(),
        lines: Some(lines.iter().map(line).collect()),
        ..OrderPlaced::example()
    }
}
