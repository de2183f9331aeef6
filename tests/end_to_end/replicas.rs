//! Several processes of the payment function before a gateway that is away: one of them asks, and the others wait.

use std::collections::BTreeSet;

use jetlag::topology::DEAD_LETTERS;
use serde_json::Value;
use tests::until;

use crate::replica::Replica;
use crate::shop::Opened;

/// How long the breaker waits before a probe, instead of 30 s.
const OPEN_FOR_MS: u64 = 2_000;
/// How much earlier than after that a probe may come: processes round, and the gateway counts in milliseconds.
const EARLY_MAX_MS: u64 = 150;
/// Orders that come before the breaker opens, and while it is open.
const ORDERS: [usize; 2] = [60, 30];
/// How many periods the outage lasts at least.
const PROBES: usize = 4;

/// The gateway's own account.
struct Gateway<'o> {
    opened: &'o Opened,
    url: String,
}

impl Gateway<'_> {
    async fn switch(&self, outage: bool) {
        let control = self.opened.client.put(format!("{}/control", self.url));
        let answer = control.json(&serde_json::json!({"outage": outage})).send().await.unwrap();
        assert!(answer.status().is_success());
    }

    async fn told(&self, path: &str) -> Value {
        self.opened.client.get(format!("{}{path}", self.url)).send().await.unwrap().json().await.unwrap()
    }

    /// When it was asked in vain, in milliseconds.
    async fn turned_away(&self) -> Vec<u64> {
        let told = self.told("/turned-away").await;
        told["at_ms"].as_array().unwrap().iter().map(|at| at.as_u64().unwrap()).collect()
    }
}

/// Whether the breaker may have been open in between.
fn is_next_period(pair: &[u64]) -> bool {
    pair[1] - pair[0] >= OPEN_FOR_MS - EARLY_MAX_MS
}

async fn breaker(opened: &Opened, url: &str) -> (u16, Value) {
    let ready = opened.client.get(format!("{url}/ready")).send().await.unwrap();
    (ready.status().as_u16(), ready.json::<Value>().await.unwrap()["breaker"].take())
}

async fn all_stand(opened: &Opened, urls: &[String], position: &str) {
    for url in urls {
        until(&format!("{position} breaker at {url}"), async || {
            let (status, breaker) = breaker(opened, url).await;
            assert_eq!(status, 200, "an open breaker is not unready: {breaker}");
            let is_timed = breaker["since"].is_string() && breaker["until"].is_string();
            assert_eq!(is_timed, breaker["position"] != "closed", "{breaker}");
            (breaker["position"] == position).then_some(())
        })
        .await;
    }
}

async fn place(opened: &Opened, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let order = format!(r#"{{"order_id":"O-{number}","customer_id":"C","amount":10,"currency":"GBP"}}"#);
        assert_eq!(opened.post("/orders", order).await.0, 202);
    }
}

#[tokio::test]
async fn one_of_several_processes_asks_a_gateway_that_is_away_and_every_order_is_charged_once_when_it_is_back()
 {
    let opened = Opened::with(&[("JETLAG_BREAKER_OPEN_MS", &OPEN_FOR_MS.to_string())]).await;
    let gateway = Gateway { opened: &opened, url: opened.shop.running().companion("gateway").unwrap() };
    let mut replicas =
        vec![Replica::start(&opened, "payment").await, Replica::start(&opened, "payment").await];
    let mut urls = vec![opened.shop.running().url("payment").unwrap()];
    urls.extend(replicas.iter().map(|replica| replica.url().to_owned()));

    gateway.switch(true).await;
    place(&opened, 0..ORDERS[0]).await;
    all_stand(&opened, &urls, "open").await;
    // From here on every process knows, and with the first probe what was under way has come to its end.
    let known = until("first probe", async || {
        let asked = gateway.turned_away().await;
        let is_probe = asked.windows(2).next_back().is_some_and(is_next_period);
        is_probe.then_some(asked.len() - 1)
    })
    .await;

    // A process that starts during the outage, as KEDA starts one when orders queue.
    let late = Replica::start(&opened, "payment").await;
    urls.push(late.url().to_owned());
    replicas.push(late);
    place(&opened, ORDERS[0]..ORDERS[0] + ORDERS[1]).await;
    all_stand(&opened, &urls, "open").await;
    let probes = until("probes", async || {
        let probes = gateway.turned_away().await.split_off(known);
        (probes.len() > PROBES).then_some(probes)
    })
    .await;
    for pair in probes.windows(2) {
        let processes = urls.len();
        assert!(
            is_next_period(pair),
            "{processes} processes ask once in {OPEN_FOR_MS} ms together: {probes:?}"
        );
    }
    let metrics =
        opened.client.get(format!("{}/metrics", urls[0])).send().await.unwrap().text().await.unwrap();
    let opened_how_often = "jetlag_breaker_changes_total{function=\"payment\",position=\"open\"} ";
    assert!(metrics.contains(opened_how_often), "{metrics}");
    assert!(!metrics.contains(&format!("{opened_how_often}0\n")), "{metrics}");
    assert_eq!(opened.events("payments.*.*.*").await.len(), 0);

    gateway.switch(false).await;
    let orders = ORDERS.iter().sum();
    until("confirmed orders", async || {
        (opened.events("orders.confirmed.*.*").await.len() == orders).then_some(())
    })
    .await;
    all_stand(&opened, &urls, "closed").await;
    let ledger = gateway.told("/ledger").await;
    let charges = ledger["charges"].as_array().unwrap();
    let charged: BTreeSet<&str> = charges.iter().map(|charge| charge["order_id"].as_str().unwrap()).collect();
    assert_eq!((charges.len(), charged.len()), (orders, orders), "each is charged once");
    assert_eq!(opened.operator.stream_state(DEAD_LETTERS).await.unwrap().messages, 0);
    drop(replicas);
    opened.shop.close().await;
}
