use super::*;
use crate::http::double::{Answer, Client};
use std::sync::atomic::Ordering;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const ORDER: &str = r#"{"order_id":"ORD-1","amount":12}"#;

async fn keyed(client: &Client, key: &str, body: &str) -> Answer {
    client.post("/orders", &[("idempotency-key", key)], body.to_owned()).await
}

#[tokio::test]
async fn an_order_is_placed_and_the_answer_says_where_it_is() {
    let client = Client::new(true);
    let answer = client.post("/orders", &[("traceparent", TRACEPARENT)], ORDER).await;
    assert_eq!((answer.status, answer.header("location")), (202, "/orders/ORD-1"));
    assert!(answer.text.starts_with(r#"{"order_id":"ORD-1","event_id":""#), "{}", answer.text);
    assert_eq!(answer.header("idempotent-replayed"), "");
    let [placed] = client.broker.events("orders.placed").try_into().unwrap();
    let event = Envelope::read(&placed.payload).unwrap();
    assert_eq!(
        (event.id.as_str(), event.subject()),
        (answer.json()["event_id"].as_str().unwrap(), placed.subject.clone())
    );
    assert_eq!(event.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(placed.header("traceparent"), Some(TRACEPARENT));
    assert_eq!(placed.header(headers::FUNCTION), Some("watcher"));
}

#[tokio::test]
async fn an_order_without_an_id_is_given_one_and_a_trace() {
    let client = Client::new(true);
    let (one, two) = (
        client.post("/orders", &[], r#"{"amount":1}"#).await,
        client.post("/orders", &[], r#"{"amount":1}"#).await,
    );
    assert_eq!((one.status, two.status), (202, 202));
    assert_ne!(one.json()["order_id"], two.json()["order_id"]);
    assert_ne!(one.json()["trace_id"], two.json()["trace_id"]);
    assert_eq!(one.json()["trace_id"].as_str().unwrap().len(), 32);
    let parent = client.broker.events("orders.placed")[0].header("traceparent").unwrap().to_owned();
    assert!(parent.contains(one.json()["trace_id"].as_str().unwrap()), "{parent}");
}

#[tokio::test]
async fn the_same_key_gives_the_same_answer_and_one_event() {
    let client = Client::new(true);
    let first = keyed(&client, "k 1", r#"{"amount":12}"#).await;
    for again in [r#"{"amount":12}"#, r#"{ "amount" : 12 }"#] {
        let again = keyed(&client, "k 1", again).await;
        assert_eq!((again.status, &again.text), (202, &first.text));
        assert_eq!(
            (again.header("idempotent-replayed"), again.header("location")),
            ("true", first.header("location"))
        );
    }
    assert_ne!(keyed(&client, "k 2", r#"{"amount":12}"#).await.text, first.text);
    assert_eq!(client.broker.events("orders.placed").len(), 2);
}

#[tokio::test]
async fn a_key_stands_for_one_request_whichever_id_the_others_bring() {
    for (one, other) in [
        (r#"{"amount":12}"#, r#"{"amount":13000}"#),
        (r#"{"amount":12}"#, ORDER),
        (ORDER, r#"{"amount":12}"#),
        (ORDER, r#"{"order_id":"ORD-2","amount":12}"#),
        (ORDER, r#"{"order_id":"ORD-1","amount":14}"#),
    ] {
        let client = Client::new(true);
        assert_eq!(keyed(&client, "k", one).await.status, 202);
        assert_eq!(
            keyed(&client, "k", other).await.refused(),
            (422, "idempotency_key_reused".into()),
            "{one} {other}"
        );
        assert_eq!(client.broker.events("orders.placed").len(), 1);
    }
}

#[tokio::test]
async fn of_requests_at_the_same_time_with_one_key_one_becomes_an_order() {
    let client = Client::new(true);
    let bodies: Vec<String> =
        (0..16).map(|at| format!(r#"{{"order_id":"ORD-{}","amount":12}}"#, at % 4)).collect();
    // Each at a process of its own: none knows what is under way at another.
    let clients: Vec<Client> = bodies.iter().map(|_| client.beside()).collect();
    let requests = clients.iter().zip(&bodies).map(|(client, body)| keyed(client, "k", body));
    let answers = futures::future::join_all(requests).await;
    let placed = client.broker.events("orders.placed");
    assert_eq!(placed.len(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 4);
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.status == 202 && answer.header("idempotent-replayed").is_empty())
            .count(),
        1
    );
}

#[tokio::test]
async fn a_key_whose_request_is_under_way_in_this_process_is_told_so_and_is_free_again_after_it() {
    let client = Client::new(true);
    let requests = (0..4).map(|_| keyed(&client, "k", ORDER));
    let mut answers = futures::future::join_all(requests).await;
    let first = answers.remove(0);
    assert_eq!(first.status, 202, "{first:?}");
    for answer in answers {
        assert_eq!(answer.refused(), (409, "idempotency_key_in_flight".into()));
        assert_eq!(answer.header("retry-after"), "1");
    }
    let again = keyed(&client, "k", ORDER).await;
    assert_eq!((again.status, &again.text, again.header("idempotent-replayed")), (202, &first.text, "true"));
    // One whose client goes away keeps nobody out.
    let sender = keyed(&client, "gone", r#"{"order_id":"ORD-2","amount":1}"#);
    tokio::select! {
        biased;
        _ = sender => panic!("the broker waits a turn"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(keyed(&client, "gone", r#"{"order_id":"ORD-2","amount":1}"#).await.status, 202);
}

#[tokio::test]
async fn an_order_id_is_placed_once_with_or_without_a_key() {
    let client = Client::new(true);
    let first = client.post("/orders", &[], ORDER).await;
    for again in [client.post("/orders", &[], ORDER).await, keyed(&client, "k", ORDER).await] {
        assert_eq!(
            (again.status, &again.text, again.header("idempotent-replayed")),
            (202, &first.text, "true")
        );
    }
    let other = r#"{"order_id":"ORD-1","amount":99}"#;
    assert_eq!(client.post("/orders", &[], other).await.refused(), (409, "already_exists".into()));
    assert_eq!(keyed(&client, "k2", other).await.refused(), (409, "already_exists".into()));
    assert_eq!(client.broker.events("orders.placed").len(), 1);
}

#[tokio::test]
async fn bad_bodies_are_told_everything_that_is_wrong() {
    let client = Client::new(true);
    let faults = client.post("/orders", &[], r#"{"order_id":"","amount":0}"#).await;
    assert_eq!(faults.refused(), (422, "invalid_request".into()));
    assert_eq!(faults.json()["errors"].as_array().unwrap().len(), 2);
    assert_eq!(faults.json()["errors"][0]["pointer"], "/amount");
    let not_json = client.post("/orders", &[], "{\n  \"amount\": }").await;
    assert_eq!(not_json.refused(), (400, "not_json".into()));
    assert!(not_json.json()["detail"].as_str().unwrap().contains("line 2 column 13"), "{}", not_json.text);
    for (body, code) in
        [("", 400), ("{", 400), ("null", 422), ("[]", 422), ("{}", 422), (r#"{"amount":"x"}"#, 422)]
    {
        assert_eq!(client.post("/orders", &[], body).await.refused().0, code, "{body}");
    }
    for id in [&"x".repeat(10_000), "a\\nb", "a\\u0000"] {
        let answer = client.post("/orders", &[], format!(r#"{{"order_id":"{id}","amount":1}}"#)).await;
        assert_eq!(answer.refused(), (422, "invalid_request".into()));
    }
    assert_eq!(client.broker.all(Stream::Events).len(), 0);
}

#[tokio::test]
async fn an_id_of_any_characters_has_a_path_of_its_own() {
    let client = Client::new(true);
    for (id, path) in [
        ("a.b c", "/orders/a%2Eb%20c"),
        ("*", "/orders/%2A"),
        (">", "/orders/%3E"),
        ("../x", "/orders/%2E%2E%2Fx"),
    ] {
        let answer = client.post("/orders", &[], format!(r#"{{"order_id":"{id}","amount":1}}"#)).await;
        assert_eq!((answer.status, answer.header("location")), (202, path));
        assert_eq!(answer.json()["order_id"], id);
    }
    assert!(
        client.broker.events("orders.placed").iter().all(|one| one.subject.as_str().split('.').count() == 4)
    );
}

#[tokio::test]
async fn keys_and_media_types_that_cannot_be_used_are_refused() {
    let client = Client::new(true);
    for key in ["", &"k".repeat(256), "a\tb", "ü"] {
        assert_eq!(
            keyed(&client, key, ORDER).await.refused(),
            (400, "idempotency_key_invalid".into()),
            "{key:?}"
        );
    }
    let two = client.post("/orders", &[("idempotency-key", "a"), ("idempotency-key", "b")], ORDER).await;
    assert_eq!(two.refused(), (400, "idempotency_key_invalid".into()));
    let form = client.post("/orders", &[("content-type", "application/x-www-form-urlencoded")], ORDER).await;
    assert_eq!(
        (form.refused(), form.header("accept-post")),
        ((415, "unsupported_media_type".into()), ACCEPTS)
    );
    assert_eq!(keyed(&client, &"k".repeat(255), ORDER).await.status, 202);
}

#[tokio::test]
async fn a_broker_that_is_full_or_away_is_told_and_the_same_key_may_come_again() {
    let client = Client::new(true);
    client.broker.full.store(true, Ordering::SeqCst);
    assert_eq!(keyed(&client, "k", ORDER).await.refused(), (503, "stream_full".into()));
    client.broker.full.store(false, Ordering::SeqCst);
    client.broker.silent.store(true, Ordering::SeqCst);
    assert_eq!(keyed(&client, "k", ORDER).await.refused(), (503, "unavailable".into()));
    client.broker.silent.store(false, Ordering::SeqCst);
    // What was stored without an answer is found again, and is this request's own.
    client.broker.mute.store(true, Ordering::SeqCst);
    assert_eq!(keyed(&client, "k", ORDER).await.status, 202);
    client.broker.mute.store(false, Ordering::SeqCst);
    assert_eq!(keyed(&client, "k", ORDER).await.header("idempotent-replayed"), "true");
    assert_eq!(client.broker.events("orders.placed").len(), 1);
}

#[tokio::test]
async fn a_panic_in_the_functions_own_code_is_an_answer() {
    let answer = Client::new(true).post("/orders", &[], r#"{"amount":13}"#).await;
    assert_eq!(answer.refused(), (500, "internal".into()));
    assert!(!answer.text.contains("unlucky"));
}
