use super::*;
use crate::core::breaker::Standing;
use crate::http::body::BODY_BYTES_MAX;
use crate::http::double::{Client, Memory, OrderPlaced, site};
use crate::http::guard::{BODIES_BYTES_MAX, REQUESTS_MAX};
use crate::{Endpoint, View};
use axum::body::Body;
use futures::StreamExt;
use std::net::SocketAddr;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn probes_are_answered_before_there_is_a_broker_and_the_rest_says_when_to_come_again() {
    let client = Client::new(false);
    for path in ["/health", "/health/liveness"] {
        let alive = client.ask("GET", path, &[], "").await;
        assert_eq!(
            (alive.status, alive.text.as_str()),
            (200, r#"{"status":"ok","service":"watcher","version":"1.2.3"}"#)
        );
    }
    let metrics = client.ask("GET", "/metrics", &[], "").await;
    let tells = "jetlag_slots{function=\"watcher\"} 64\n";
    assert!(metrics.status == 200 && metrics.text.ends_with(tells), "{metrics:?}");
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    let accept = [("accept", "text/plain;q=0.5"), ("accept", "application/openmetrics-text; version=1.0.0")];
    let metrics = client.ask("GET", "/metrics", &accept, "").await;
    assert!(metrics.text.ends_with(&format!("{tells}# EOF\n")), "{metrics:?}");
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    for path in ["/", "/orders"] {
        assert_eq!(client.post(path, &[], "{}").await.refused(), (503, "starting".into()));
    }
}

#[tokio::test]
async fn readiness_tells_each_condition_and_an_open_breaker_is_not_one() {
    let (_, site) = site(true);
    let (engine, readiness) = (Arc::clone(&site.engine), site.readiness.clone());
    let router = router(site, &TaskTracker::new());
    let client = Client::around(router);
    let ready = client.ask("GET", "/ready", &[], "").await;
    assert_eq!((ready.status, &ready.json()["conditions"]["broker"]["detail"]), (503, &"not yet".into()));
    readiness.holds("broker", "connected to n1");
    let ready = client.ask("GET", "/health/readiness", &[], "").await;
    assert_eq!(
        (ready.status, &ready.json()["conditions"]["broker"]["detail"]),
        (200, &"connected to n1".into())
    );
    let closed = serde_json::json!({"position": "closed"});
    assert_eq!((&ready.json()["status"], &ready.json()["breaker"]), (&"ready".into(), &closed));
    let now = tokio::time::Instant::now();
    let until = now + Duration::from_secs(30);
    engine.get().unwrap().breaker.circuit().adopt(Standing::Open { since: now, until }, now);
    let ready = client.ask("GET", "/ready", &[], "").await;
    let told = &ready.json()["breaker"];
    assert_eq!((ready.status, &ready.json()["status"]), (200, &"ready".into()));
    assert_eq!(told["position"], "open");
    let at = |name: &str| OffsetDateTime::parse(told[name].as_str().unwrap(), &Rfc3339).unwrap();
    let lasts = at("until") - at("since");
    assert!((29.0..31.0).contains(&lasts.as_seconds_f64()), "{told}");
}

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let client = Client::new(true);
    assert_eq!(client.ask("GET", "/nothing", &[], "").await.refused(), (404, "not_found".into()));
    assert_eq!(client.ask("GET", "/orders/ORD-1/lines", &[], "").await.refused(), (404, "not_found".into()));
    for (method, path, allow) in [
        ("GET", "/orders", "POST"),
        ("DELETE", "/", "POST"),
        ("POST", "/health", "GET,HEAD"),
        ("PUT", "/orders/x", "GET,HEAD"),
    ] {
        let answer = client.ask(method, path, &[], "").await;
        assert_eq!((answer.refused(), answer.header("allow")), ((405, "method_not_allowed".into()), allow));
    }
    let large = client.post("/orders", &[], vec![b' '; BODY_BYTES_MAX + 1]).await;
    assert_eq!(large.refused(), (413, "too_large".into()));
    let chunks =
        futures::stream::iter(vec![Ok::<_, std::io::Error>(vec![b' '; BODY_BYTES_MAX]), Ok(vec![b' '])]);
    assert_eq!(client.post("/", &[], Body::from_stream(chunks)).await.refused(), (413, "too_large".into()));
    let broken = futures::stream::iter(vec![Ok(vec![b'{']), Err(std::io::Error::other("gone"))]);
    assert_eq!(client.post("/", &[], Body::from_stream(broken)).await.refused(), (400, "incomplete".into()));
}

#[tokio::test]
async fn no_more_are_let_in_than_there_are_places_and_probes_need_none() {
    let client = Client::new(true);
    let never = || Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let mut held = tokio::task::JoinSet::new();
    for _ in 0..REQUESTS_MAX {
        let client = client.clone();
        held.spawn(async move { client.post("/orders", &[], never()).await });
    }
    let sent_away = async {
        while client.post("/orders", &[], "{").await.status != 429 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HEAD_LIMIT, sent_away).await.expect("the places are taken");
    assert_eq!(client.post("/orders", &[], "{").await.refused(), (429, "too_many_requests".into()));
    assert_eq!(client.ask("GET", "/health", &[], "").await.status, 200);
    held.shutdown().await;
    assert_eq!(client.post("/orders", &[], "{").await.refused(), (400, "not_json".into()));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_not_waited_for() {
    let body = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let answer = Client::new(true).post("/orders", &[], body).await;
    assert_eq!(answer.refused(), (408, "too_slow".into()));
}

/// Each within its own limit, and too much of them together: one more is sent away, and there is room again when they end.
#[tokio::test]
async fn all_bodies_together_have_a_limit() {
    let client = Client::new(true);
    let mut held = tokio::task::JoinSet::new();
    for _ in 0..BODIES_BYTES_MAX / BODY_BYTES_MAX {
        let client = client.clone();
        let first = futures::stream::iter([Ok::<_, std::io::Error>(vec![b' '; BODY_BYTES_MAX])]);
        let body = Body::from_stream(first.chain(futures::stream::pending()));
        held.spawn(async move { client.post("/orders", &[], body).await });
    }
    let sent_away = async {
        while client.post("/orders", &[], "{").await.status != 429 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HEAD_LIMIT, sent_away).await.expect("the room is taken");
    assert_eq!(client.post("/", &[], "{").await.refused(), (429, "too_many_requests".into()));
    held.shutdown().await;
    assert_eq!(client.post("/orders", &[], "{").await.refused(), (400, "not_json".into()));
}

#[test]
fn paths_that_cannot_be_served_are_told() {
    let endpoint = |path| Endpoint::post(path, |order: OrderPlaced, _| Ok(order));
    let view = |path| View::of(path, |_, _: &[crate::Event<OrderPlaced>]| None::<u8>);
    let ways = |endpoints: &[&'static str], views: &[&'static str]| Ways {
        endpoints: endpoints.iter().map(|path| endpoint(path)).collect(),
        views: views.iter().map(|path| view(path)).collect(),
    };
    let all = ["/orders", "/orders", "orders", "/{id}", "/a/*b", "/", "/health", "/a/", "", "/openapi.json"];
    let faults = ways(&all, &["/", "/orders", "/orders", "/a/"]).faults(true);
    assert_eq!(faults.len(), 12, "{faults:#?}");
    let fine = ways(&["/", "/orders/new_1.2", "/orders"], &["/orders"]);
    assert_eq!(fine.faults(false), Vec::<String>::new());
    let any = View::of("/all", |_, _: &[crate::Event<crate::AnyEvent>]| None::<u8>);
    assert_eq!(Ways { endpoints: vec![], views: vec![any] }.faults(true).len(), 1);
}

async fn serving() -> (Arc<Engine<Memory>>, SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
    let (_, site) = site(true);
    let engine = Arc::clone(site.engine().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let served = tokio::spawn(serve(listener, site, stop.clone()));
    (engine, address, stop, served)
}

fn request(body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn what_came_in_is_finished_when_the_server_stops_and_idle_connections_are_closed() {
    let (engine, address, stop, served) = serving().await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut buffer = [0; 1024];
    assert!(idle.read(&mut buffer).await.unwrap() > 0);
    let mut busy = TcpStream::connect(address).await.unwrap();
    let event = r#"{"id":"e-1","type":"orders.placed","aggregate_id":"O","data":{"order_id":"O","amount":1000},"timestamp":"2025-01-02T03:04:05Z"}"#;
    busy.write_all(request(event).as_bytes()).await.unwrap();
    let slots = engine.seats.free_slots();
    let running = async {
        while engine.seats.free_slots() == slots {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(HEAD_LIMIT, running).await.expect("the handler runs");
    stop.cancel();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 Accepted"), "{answer}");
    assert_eq!(idle.read(&mut buffer).await.unwrap(), 0);
    tokio::time::timeout(DRAIN_LIMIT, served).await.expect("it stops").unwrap();
    assert_eq!(engine.broker.events("orders.seen").len(), 1);
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let (_, address, stop, served) = serving().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        BODY_BYTES_MAX + 1
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(HEAD_LIMIT, client.read_to_string(&mut answer))
        .await
        .expect("it is closed")
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large"), "{answer}");
    assert!(answer.contains(r#""code":"too_large""#), "{answer}");
    stop.cancel();
    served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_cut_off_when_the_server_stops() {
    let (_, address, stop, served) = serving().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{").await.unwrap();
    tokio::task::yield_now().await;
    stop.cancel();
    let began = tokio::time::Instant::now();
    served.await.unwrap();
    assert!(began.elapsed() <= DRAIN_LIMIT + Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_half_a_preface_or_half_a_head_is_not_waited_for() {
    for said in ["", "PRI * HTTP/2.0\r\n", "POST / HTTP/1.1\r\nHost: x\r\n"] {
        let (_, address, stop, served) = serving().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(said.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let closed = tokio::time::timeout(HEAD_LIMIT * 4, client.read_to_string(&mut answer)).await;
        // Closed or reset: what it said was never answered.
        let _ = closed.unwrap_or_else(|_| panic!("{said:?} is waited for"));
        assert!(answer.is_empty(), "{answer}");
        stop.cancel();
        served.await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_closes_its_side_after_its_request_is_answered() {
    let (_, address, stop, served) = serving().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let event = r#"{"id":"e-1","type":"orders.placed","aggregate_id":"O","data":{"order_id":"O","amount":1000},"timestamp":"2025-01-02T03:04:05Z"}"#;
    client.write_all(request(event).as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 Accepted"), "{answer}");
    stop.cancel();
    served.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_was_made_before_the_stop_is_still_answered() {
    let (_, address, stop, served) = serving().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    stop.cancel();
    client.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    served.await.unwrap();
}

/// Over HTTP/2 from the first byte on, as Knative's proxy speaks it: two requests at a time on one connection, and what is
/// under way is finished when the server stops.
#[tokio::test]
async fn http_2_is_spoken_to_who_speaks_it() {
    let (engine, address, stop, served) = serving().await;
    let stream = hyper_util::rt::TokioIo::new(TcpStream::connect(address).await.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let (sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, Body>(executor, stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let post = |id: &str, amount: u32| {
        let event = format!(
            r#"{{"id":"{id}","type":"orders.placed","aggregate_id":"{id}","data":{{"order_id":"{id}","amount":{amount}}},"timestamp":"2025-01-02T03:04:05Z"}}"#
        );
        let request =
            hyper::Request::post(format!("http://{address}/")).header("content-type", "application/json");
        sender.clone().send_request(request.body(Body::from(event)).unwrap())
    };
    let (slow, quick) = (post("slow", 1000), post("quick", 1));
    assert_eq!(quick.await.unwrap().status(), 202);
    let slow = tokio::spawn(slow);
    stop.cancel();
    assert_eq!(slow.await.unwrap().unwrap().status(), 202);
    drop(sender);
    tokio::time::timeout(DRAIN_LIMIT, served).await.expect("it stops").unwrap();
    connection.await.unwrap().unwrap();
    assert_eq!(engine.broker.events("orders.seen").len(), 2);
}
