//! What a payment function may rely on, and what it must put up with.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use reqwest::Response;
use serde_json::{Value, json};

use crate::running::{Running, client};

/// An answer as far as tests compare it.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    replayed: bool,
    /// The very bytes, because a replay is to be the same.
    body: String,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let replayed = response.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
        Answer { status: response.status().as_u16(), replayed, body: response.text().await.unwrap() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn error(&self) -> Value {
        self.json()["error"].clone()
    }
}

fn request(gateway: &Running, path: &str, key: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
    client()
        .post(format!("{}{path}", gateway.url))
        .bearer_auth("sk_test_world")
        .header("Idempotency-Key", key)
        .form(form)
}

async fn post(gateway: &Running, path: &str, key: &str, form: &[(&str, &str)]) -> Answer {
    Answer::of(request(gateway, path, key, form).send().await.unwrap()).await
}

fn order(amount: &str) -> [(&str, &str); 5] {
    [
        ("amount", amount),
        ("currency", "gbp"),
        ("confirm", "true"),
        ("payment_method", "pm_card_visa"),
        ("metadata[order_id]", "order-1"),
    ]
}

async fn pay(gateway: &Running, key: &str, amount: &str) -> Answer {
    post(gateway, "/v1/payment_intents", key, &order(amount)).await
}

async fn ledger(gateway: &Running) -> Value {
    gateway.get("/ledger").await
}

async fn charges(gateway: &Running) -> usize {
    ledger(gateway).await["charges"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_payment_is_answered_in_stripes_form_and_stands_in_the_ledger() {
    let gateway = Running::gateway(&[]);
    let answer = pay(&gateway, "key-1", "1999").await;
    assert_eq!((answer.status, answer.replayed), (200, false));
    let intent = answer.json();
    assert_eq!(intent["object"], "payment_intent");
    assert_eq!(intent["status"], "succeeded");
    assert_eq!(intent["amount"], json!(1999));
    assert_eq!(intent["currency"], "gbp");
    assert_eq!(intent["metadata"], json!({"order_id": "order-1"}));
    assert!(intent["id"].as_str().unwrap().starts_with("pi_"));

    let mut dollars = order("250");
    dollars[1] = ("currency", "usd");
    post(&gateway, "/v1/payment_intents", "key-2", &dollars).await;
    let ledger = ledger(&gateway).await;
    assert_eq!(ledger["total"], json!({"gbp": 1999, "usd": 250}));
    assert_eq!((&ledger["declines"], &ledger["replays"]), (&json!(0), &json!(0)));
    let charge = &ledger["charges"][0];
    assert_eq!(charge["payment_intent"], intent["id"]);
    assert_eq!(charge["idempotency_key"], "key-1");
    assert_eq!(charge["order_id"], "order-1");
    assert_eq!((&charge["amount"], &charge["currency"]), (&json!(1999), &json!("gbp")));
    assert!(charge["created"].is_u64());
}

#[tokio::test]
async fn the_same_request_is_answered_the_same_and_charges_once() {
    let gateway = Running::gateway(&[]);
    let first = pay(&gateway, "key", "1999").await;
    let again = pay(&gateway, "key", "1999").await;
    assert_eq!(again, Answer { replayed: true, ..first });
    let ledger = ledger(&gateway).await;
    assert_eq!((&ledger["total"], &ledger["replays"]), (&json!({"gbp": 1999}), &json!(1)));
}

#[tokio::test]
async fn a_key_belongs_to_its_parameters_even_those_that_mean_nothing() {
    let gateway = Running::gateway(&[]);
    pay(&gateway, "key", "1999").await;
    let mut form = order("1999").to_vec();
    form.push(("statement_descriptor", "JETLAG"));
    for form in [form, order("2000").to_vec()] {
        let answer = post(&gateway, "/v1/payment_intents", "key", &form).await;
        assert_eq!((answer.status, &answer.error()["type"]), (400, &json!("idempotency_error")));
    }
    assert_eq!(charges(&gateway).await, 1);
}

#[tokio::test]
async fn of_requests_at_the_same_time_one_charges_and_the_others_conflict() {
    let gateway = Running::gateway(&["--latency-ms", "2000"]);
    let requests: Vec<_> = (0..8)
        .map(|_| request(&gateway, "/v1/payment_intents", "key", &order("1999")).send())
        .map(tokio::spawn)
        .collect();
    let mut statuses = Vec::new();
    for request in requests {
        let answer = Answer::of(request.await.unwrap().unwrap()).await;
        if answer.status == 409 {
            assert_eq!(answer.error()["code"], "idempotency_key_in_use");
        }
        statuses.push(answer.status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    assert!(pay(&gateway, "key", "1999").await.replayed);
    assert_eq!(charges(&gateway).await, 1);
}

#[tokio::test]
async fn a_client_that_loses_patience_is_charged_once_and_finds_out_by_asking_again() {
    let gateway = Running::gateway(&["--latency-ms", "2000"]);
    let impatient = request(&gateway, "/v1/payment_intents", "key", &order("1999"));
    assert!(impatient.timeout(Duration::from_millis(1000)).send().await.is_err());
    gateway.control(json!({"latency_ms": 0})).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    let answer = loop {
        let answer = pay(&gateway, "key", "1999").await;
        if answer.status != 409 || Instant::now() > deadline {
            break answer;
        }
    };
    assert_eq!((answer.status, answer.replayed), (200, true));
    assert_eq!(charges(&gateway).await, 1);
}

#[tokio::test]
async fn declines_are_in_stripes_form_remembered_and_free_of_charge() {
    let gateway = Running::gateway(&["--decline-over", "5000", "--decline-ending", "02"]);
    let first = pay(&gateway, "over", "5001").await;
    assert_eq!(first.status, 402);
    let error = first.error();
    assert_eq!((&error["type"], &error["code"]), (&json!("card_error"), &json!("card_declined")));
    assert_eq!(error["decline_code"], "insufficient_funds");
    assert!(error["message"].is_string());
    assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
    assert_eq!(pay(&gateway, "over", "5001").await, Answer { replayed: true, ..first });

    assert_eq!(pay(&gateway, "ending", "1302").await.error()["decline_code"], "generic_decline");
    for (card, code) in [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ] {
        let mut form = order("100");
        form[3] = ("payment_method", card);
        let answer = post(&gateway, "/v1/payment_intents", card, &form).await;
        assert_eq!((answer.status, &answer.error()["decline_code"]), (402, &json!(code)));
    }
    let ledger = ledger(&gateway).await;
    assert_eq!(ledger["charges"], json!([]));
    assert_eq!((&ledger["declines"], &ledger["replays"]), (&json!(4), &json!(1)));
}

#[tokio::test]
async fn an_intent_is_charged_when_it_is_confirmed() {
    let gateway = Running::gateway(&[]);
    let form = [("amount", "700"), ("currency", "gbp"), ("payment_method", "pm_card_chargeDeclined")];
    let created = post(&gateway, "/v1/payment_intents", "create", &form).await.json();
    assert_eq!(created["status"], "requires_confirmation");
    assert_eq!(charges(&gateway).await, 0);

    let path = format!("/v1/payment_intents/{}", created["id"].as_str().unwrap());
    let confirm = format!("{path}/confirm");
    assert_eq!(post(&gateway, &confirm, "confirm-1", &[]).await.status, 402);
    let another_card = [("payment_method", "pm_card_visa")];
    let confirmed = post(&gateway, &confirm, "confirm-2", &another_card).await;
    assert_eq!((confirmed.status, &confirmed.json()["status"]), (200, &json!("succeeded")));
    assert!(post(&gateway, &confirm, "confirm-2", &another_card).await.replayed);
    let late = post(&gateway, &confirm, "confirm-3", &another_card).await;
    assert_eq!((late.status, &late.error()["code"]), (400, &json!("payment_intent_unexpected_state")));
    assert_eq!(charges(&gateway).await, 1);

    // A confirmation needs neither a body nor a key.
    let created = post(&gateway, "/v1/payment_intents", "create-2", &order("5")[..2]).await.json();
    let path = format!("/v1/payment_intents/{}", created["id"].as_str().unwrap());
    let bare = client().post(format!("{}{path}/confirm", gateway.url)).bearer_auth("sk_test_world");
    assert_eq!(bare.send().await.unwrap().status(), 200);
    let read = client().get(format!("{}{path}", gateway.url)).bearer_auth("sk_test_world");
    let read = Answer::of(read.send().await.unwrap()).await;
    assert_eq!((read.status, &read.json()["status"]), (200, &json!("succeeded")));
}

#[tokio::test]
async fn an_outage_is_not_remembered() {
    let gateway = Running::gateway(&["--outage"]);
    let during = pay(&gateway, "key", "1999").await;
    assert_eq!((during.status, &during.error()["type"]), (503, &json!("api_error")));
    gateway.control(json!({"outage": false})).await;
    let after = pay(&gateway, "key", "1999").await;
    assert_eq!((after.status, after.replayed), (200, false));
    gateway.control(json!({"outage": true})).await;
    assert_eq!(pay(&gateway, "key", "1999").await.status, 503);
    let turned_away = client().get(format!("{}/turned-away", gateway.url)).send().await.unwrap();
    let turned_away = Answer::of(turned_away).await.json();
    assert_eq!((&turned_away["count"], turned_away["at_ms"].as_array().unwrap().len()), (&json!(2), 2));
}

#[tokio::test]
async fn injected_failures_come_before_the_charge_and_run_out() {
    let gateway = Running::gateway(&[]);
    gateway.control(json!({"fail_next": 2})).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(pay(&gateway, "key", "1999").await.status);
        assert_eq!(charges(&gateway).await, usize::from(statuses.len() == 3));
    }
    assert_eq!(statuses, [500, 500, 200]);
    assert_eq!(
        gateway.get("/control").await,
        json!({"outage": false, "latency_ms": 0, "fail_next": 0, "retry_after_s": 0, "hang": false})
    );
}

#[tokio::test]
async fn a_failure_can_ask_to_be_left_alone() {
    let gateway = Running::gateway(&["--fail-next", "1", "--retry-after-s", "30"]);
    let asked = request(&gateway, "/v1/payment_intents", "key", &order("1999")).send().await.unwrap();
    assert_eq!((asked.status().as_u16(), asked.headers()["retry-after"].to_str().unwrap()), (500, "30"));
    let paid = request(&gateway, "/v1/payment_intents", "key", &order("1999")).send().await.unwrap();
    assert_eq!((paid.status().as_u16(), paid.headers().get("retry-after")), (200, None));
}

#[tokio::test]
async fn a_gateway_that_hangs_charges_nothing() {
    let gateway = Running::gateway(&["--hang"]);
    let held = request(&gateway, "/v1/payment_intents", "key", &order("1999"));
    assert!(held.timeout(Duration::from_millis(300)).send().await.unwrap_err().is_timeout());
    gateway.control(json!({"hang": false})).await;
    assert_eq!(charges(&gateway).await, 0);
    let after = pay(&gateway, "key", "1999").await;
    assert_eq!((after.status, after.replayed), (200, false));
}

#[tokio::test]
async fn a_killed_gateway_forgets_nothing_it_has_answered() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("gateway.jsonl");
    let gateway = Running::gateway_on(&data);
    let paid = pay(&gateway, "paid", "1999").await;
    let mut form = order("300");
    form[3] = ("payment_method", "pm_card_chargeDeclined");
    let declined = post(&gateway, "/v1/payment_intents", "declined", &form).await;
    let before = ledger(&gateway).await;
    gateway.kill();
    // The kill came in the middle of a write.
    let mut file = std::fs::File::options().append(true).open(&data).unwrap();
    file.write_all(br#"{"at_s":1,"intent":{"id":"pi_"#).unwrap();
    drop(file);

    let gateway = Running::gateway_on(&data);
    assert_eq!(ledger(&gateway).await, before);
    assert_eq!(pay(&gateway, "paid", "1999").await, Answer { replayed: true, ..paid });
    let again = post(&gateway, "/v1/payment_intents", "declined", &form).await;
    assert_eq!(again, Answer { replayed: true, ..declined });
    assert_eq!(pay(&gateway, "paid", "2000").await.status, 400);
    assert_eq!(pay(&gateway, "new", "1").await.status, 200);
    gateway.kill();
    assert_eq!(ledger(&Running::gateway_on(&data)).await["total"], json!({"gbp": 2000}));
}

#[tokio::test]
async fn refusals_are_in_stripes_form_and_not_remembered() {
    let gateway = Running::gateway(&[]);
    let url = format!("{}/v1/payment_intents", gateway.url);
    let keyless = client().post(&url).form(&order("1999")).send().await.unwrap();
    let answer = Answer::of(keyless).await;
    assert_eq!((answer.status, &answer.error()["type"]), (401, &json!("invalid_request_error")));

    let answer = pay(&gateway, "key", "nineteen").await;
    let error = answer.error();
    assert_eq!((answer.status, &error["type"]), (400, &json!("invalid_request_error")));
    assert_eq!((&error["param"], &error["code"]), (&json!("amount"), &json!("parameter_invalid_integer")));
    assert_eq!(pay(&gateway, "key", "1999").await.status, 200);

    let json_body = client().post(&url).bearer_auth("sk_test_world").json(&json!({"amount": 1}));
    assert_eq!(json_body.send().await.unwrap().status(), 400);
    let unknown = client().get(format!("{url}/pi_none")).bearer_auth("sk_test_world");
    let answer = Answer::of(unknown.send().await.unwrap()).await;
    assert_eq!((answer.status, &answer.error()["code"]), (404, &json!("resource_missing")));
    let long_key = "k".repeat(256);
    assert_eq!(pay(&gateway, &long_key, "1999").await.status, 400);
}

#[tokio::test]
async fn a_change_of_control_that_makes_no_sense_is_refused() {
    let gateway = Running::gateway(&[]);
    for change in [json!({"latency_ms": 60_001}), json!({"latncy_ms": 1}), json!({"outage": "yes"})] {
        let request = client().put(format!("{}/control", gateway.url)).json(&change);
        assert!(request.send().await.unwrap().status().is_client_error(), "{change}");
    }
}
