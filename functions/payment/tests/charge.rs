//! `charge` against a real HTTP server in Stripe's form.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may panic, and so may what serves it")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use events::{DeclineReason, InventoryReserved, PaymentDeclined, PaymentProcessed};
use jetlag::testing::{Fault, System};
use jetlag::{Environment, Event, Failure, Payload as _, Reason};
use payment::{CONTRACT, Gateway, Settlement, charge};

const APPROVED: (u16, &str) = (200, r#"{"id":"pi_1","object":"payment_intent","status":"succeeded"}"#);

/// A gateway that gives one answer and keeps what it was asked.
#[derive(Clone)]
struct Desk {
    answer: (u16, &'static str),
    delay: Duration,
    asked: Arc<Mutex<Vec<(String, HeaderMap, String)>>>,
}

impl Desk {
    async fn open(answer: (u16, &'static str), delay: Duration) -> (Self, Gateway) {
        let desk = Self { answer, delay, asked: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(Self::take).with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (desk, gateway(&url))
    }

    async fn take(State(desk): State<Self>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
        let body = String::from_utf8(body.to_vec()).unwrap();
        desk.asked.lock().unwrap().push((uri.path().into(), headers, body));
        tokio::time::sleep(desk.delay).await;
        let headers = [("location", "http://127.0.0.1:1/elsewhere"), ("retry-after", "7")];
        (StatusCode::from_u16(desk.answer.0).unwrap(), headers, desk.answer.1).into_response()
    }

    fn asked(&self) -> Vec<(String, HeaderMap, String)> {
        self.asked.lock().unwrap().clone()
    }
}

fn gateway(url: &str) -> Gateway {
    let mut env = Environment::of([
        ("PAYMENT_GATEWAY_URL", url),
        ("PAYMENT_GATEWAY_KEY", "sk_test_1"),
        ("PAYMENT_GATEWAY_TIMEOUT_MS", "500"),
    ]);
    let gateway = Gateway::from_env(&mut env);
    assert!(env.faults().is_empty(), "{:?}", env.faults());
    gateway
}

fn reserved(order_id: &str) -> Event<InventoryReserved> {
    let mut order = InventoryReserved::example();
    order.order_id = order_id.into();
    Event::of(order)
}

async fn failure(answer: (u16, &'static str)) -> Failure {
    let (_, gateway) = Desk::open(answer, Duration::ZERO).await;
    charge(&gateway, reserved("ORD-1")).await.unwrap_err()
}

#[tokio::test]
async fn an_approved_charge_is_processed_and_asked_for_in_stripes_form() {
    let (desk, gateway) = Desk::open(APPROVED, Duration::ZERO).await;
    let event = reserved("ORD 1/ä");
    let key = event.idempotency_key("charge");

    let settlement = charge(&gateway, event).await.unwrap();

    let Settlement::Processed(PaymentProcessed { order_id, payment_id, amount, .. }) = settlement else {
        panic!("{settlement:?}")
    };
    assert_eq!(
        (order_id.as_str(), payment_id.as_str(), amount.to_string().as_str()),
        ("ORD 1/ä", "pi_1", "12.50")
    );
    let [(path, headers, body)] = &desk.asked()[..] else { panic!("asked {:?}", desk.asked()) };
    assert_eq!(path, "/v1/payment_intents");
    assert_eq!(headers["authorization"], "Bearer sk_test_1");
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(headers["idempotency-key"], key.as_str());
    for part in [
        "amount=1250&",
        "currency=usd&",
        "confirm=true&",
        "payment_method=pm_card_visa&",
        "metadata%5Border_id%5D=ORD+1%2F%C3%A4",
    ] {
        assert!(body.contains(part), "{part} is not in {body}");
    }
}

#[tokio::test]
async fn a_declined_card_is_an_outcome() {
    let body = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds","message":"…"}}"#;
    let (_, gateway) = Desk::open((402, body), Duration::ZERO).await;
    let settlement = charge(&gateway, reserved("ORD-1")).await.unwrap();
    let Settlement::Declined(PaymentDeclined { reason, .. }) = settlement else { panic!("{settlement:?}") };
    assert_eq!(reason, DeclineReason::InsufficientFunds);
}

#[tokio::test]
async fn every_attempt_carries_the_same_key_and_every_order_another() {
    let (desk, gateway) = Desk::open((503, ""), Duration::ZERO).await;
    for (order, attempt) in [("ORD-1", 1), ("ORD-1", 2), ("ORD-2", 1)] {
        let mut event = reserved(order);
        event.attempt = attempt;
        charge(&gateway, event).await.unwrap_err();
    }
    let asked = desk.asked();
    let key = |at: usize| asked[at].1["idempotency-key"].clone();
    assert_eq!(key(0), key(1));
    assert_ne!(key(0), key(2));
    assert_eq!(asked[0].2, asked[1].2, "the gateway refuses one key with two bodies");
}

#[tokio::test]
async fn a_gateway_that_is_down_is_an_outage() {
    for status in [503, 429] {
        let failed = failure((status, "upstream connect error")).await;
        assert!(failed.is_outage());
        assert_eq!(failed.delay(), Some(Duration::from_secs(7)), "as Retry-After says");
    }
    let misconfigured = failure((401, "{}")).await;
    assert!(misconfigured.is_outage() && misconfigured.to_string().contains("PAYMENT_GATEWAY_KEY"));

    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let failed = charge(&gateway(&format!("http://{closed}")), reserved("ORD-1")).await.unwrap_err();
    assert!(failed.is_outage(), "{failed}");
}

#[tokio::test]
async fn a_gateway_that_does_not_answer_in_time_is_an_outage() {
    let (desk, gateway) = Desk::open(APPROVED, Duration::from_secs(60)).await;
    let started = std::time::Instant::now();
    let failed = charge(&gateway, reserved("ORD-1")).await.unwrap_err();
    assert!(failed.is_outage(), "{failed}");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(desk.asked().len(), 1);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_an_outage_whatever_its_length() {
    assert!(failure((200, "<html>It works!</html>")).await.is_outage());
    assert!(failure((200, r#"{"id":7}"#)).await.is_outage());
    let endless: &'static str = Box::leak("x".repeat(1_000_000).into_boxed_str());
    assert!(failure((200, endless)).await.to_string().contains("more than 65536 bytes"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    assert!(failure((307, "")).await.to_string().contains("307"));
}

#[tokio::test]
async fn what_no_retry_mends_is_rejected_without_the_gateways_free_text() {
    let failed = failure((
        400,
        r#"{"error":{"type":"invalid_request_error","code":"amount_too_small","message":"Bob"}}"#,
    ))
    .await;
    let told = failed.to_string();
    assert!(failed.is_reject() && told.contains("amount_too_small") && !told.contains("Bob"), "{told}");

    let (desk, gateway) = Desk::open(APPROVED, Duration::ZERO).await;
    let mut event = reserved("ORD-1");
    event.data.amount = "0.001".parse().unwrap();
    let failed = charge(&gateway, event).await.unwrap_err();
    assert!(failed.is_reject(), "{failed}");
    assert!(desk.asked().is_empty(), "nothing is asked for");
}

/// The function in its pipeline, in front of a gateway that gives one answer, with one thing that goes wrong.
async fn in_pipeline(answer: (u16, &'static str), fault: Option<Fault>) -> (System, Desk, String) {
    let (desk, gateway) = Desk::open(answer, Duration::ZERO).await;
    let mut system = System::of_seed(1).function(CONTRACT, gateway, charge);
    if let Some(fault) = fault {
        system.fault("payment", fault);
    }
    system.publish(InventoryReserved::example());
    let course = system.run_for(Duration::from_secs(600)).await.outline();
    (system, desk, course)
}

#[tokio::test]
async fn whatever_happens_to_the_process_the_gateway_sees_one_key_and_one_event_comes_of_it() {
    for fault in Fault::EACH {
        let (system, desk, course) = in_pipeline(APPROVED, Some(fault)).await;
        assert_eq!(system.events::<PaymentProcessed>().len(), 1, "{fault:?}\n{course}");
        let asked = desk.asked();
        assert!(!asked.is_empty() && asked.len() <= 2, "{fault:?}: asked {} times\n{course}", asked.len());
        let key = |at: usize| &asked[at].1["idempotency-key"];
        assert!((0..asked.len()).all(|at| key(at) == key(0)), "{fault:?}\n{course}");
    }
}

#[tokio::test]
async fn a_charge_that_no_retry_mends_is_a_dead_letter_at_once() {
    let error = r#"{"error":{"type":"invalid_request_error","code":"amount_too_small","message":"Bob"}}"#;
    let (system, desk, course) = in_pipeline((400, error), None).await;
    assert_eq!(system.dead_letters()[0].reason, Reason::Rejected.code(), "{course}");
    assert_eq!((desk.asked().len(), system.now()), (1, Duration::ZERO), "{course}");
}

#[tokio::test]
async fn a_charge_that_is_still_running_there_is_asked_for_again_until_it_is_given_up() {
    let (system, desk, course) = in_pipeline((409, "{}"), None).await;
    assert_eq!(system.dead_letters()[0].reason, Reason::AttemptsExhausted.code(), "{course}");
    assert_eq!(desk.asked().len(), 8, "{course}");
    assert!(course.contains("retry in 2.000 s"), "{course}");
}

#[tokio::test]
async fn behind_an_open_breaker_an_order_spends_no_attempt() {
    let (system, desk, course) = in_pipeline((503, ""), None).await;
    assert!(system.dead_letters().is_empty() && system.events::<PaymentProcessed>().is_empty(), "{course}");
    assert!(course.contains("given back"), "{course}");
    assert!(
        desk.asked().len() < 40,
        "the gateway is left alone: asked {} times\n{course}",
        desk.asked().len()
    );
}
