//! The load generator of `POST /orders`, the same for every side: so many connections that stay open, each with one request
//! at a time. Prints one line of JSON.
//!
//! It writes and reads HTTP/1.1 itself, since it shares its cores with what it measures.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The most bytes of an answer; none of the sides has more to say.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What is asked for, and what came of it.
struct Run {
    server: String,
    prefix: String,
    orders: usize,
    with_key: bool,
    next: Cell<usize>,
    latencies_ns: RefCell<Vec<u64>>,
    statuses: RefCell<BTreeMap<u16, usize>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, prefix, orders, connections, limit_s, key] = arguments.as_slice() else {
        panic!("usage: caller <host:port> <prefix> <orders> <connections> <limit in s> key|none");
    };
    let number = |text: &str| text.parse::<usize>().unwrap_or_else(|_| panic!("{text:?} is no number"));
    let orders = number(orders);
    let run = Rc::new(Run {
        server: server.clone(),
        prefix: prefix.clone(),
        orders,
        with_key: key == "key",
        next: Cell::new(0),
        latencies_ns: RefCell::new(Vec::with_capacity(orders)),
        statuses: RefCell::default(),
    });
    let limit = Duration::from_secs(number(limit_s) as u64);
    let begun = Instant::now();
    let all = join_all((0..number(connections)).map(|_| call(Rc::clone(&run))));
    let in_time = tokio::time::timeout(limit, all).await.is_ok();
    let took_s = begun.elapsed().as_secs_f64();
    let mut latencies = run.latencies_ns.take();
    latencies.sort_unstable();
    let quantile = |of: f64| {
        let at = (latencies.len().saturating_sub(1) as f64 * of) as usize;
        latencies.get(at).map_or(-1.0, |nanos| *nanos as f64 / 1e6)
    };
    let said = json!({
        "took_s": took_s, "in_time": in_time, "statuses": run.statuses.take(),
        "p50_ms": quantile(0.5), "p99_ms": quantile(0.99), "p999_ms": quantile(0.999),
    });
    println!("{said}");
}

/// One connection, until there is no order left.
async fn call(run: Rc<Run>) {
    let mut socket = TcpStream::connect(&run.server).await.expect("a server");
    socket.set_nodelay(true).expect("a socket");
    let mut answer = Vec::with_capacity(ANSWER_BYTES_MAX);
    loop {
        let number = run.next.get();
        if number >= run.orders {
            return;
        }
        run.next.set(number + 1);
        let request = request(&run, number);
        let begun = Instant::now();
        socket.write_all(request.as_bytes()).await.expect("a connection that stays");
        let status = answered(&mut socket, &mut answer).await;
        run.latencies_ns.borrow_mut().push(begun.elapsed().as_nanos() as u64);
        *run.statuses.borrow_mut().entry(status).or_default() += 1;
    }
}

/// An order of two lines.
fn request(run: &Run, number: usize) -> String {
    let (server, prefix) = (&run.server, &run.prefix);
    let order = format!("ord-{prefix}-{number:08}");
    let (customer, amount) = (number % 100_000, 20 + number % 500);
    let (first, second) = (number % 2_000, (number + 7_919) % 2_000);
    let body = format!(
        r#"{{"order_id":"{order}","customer_id":"cust-{customer:06}","amount":{amount}.50,"lines":[{{"sku":"SKU-{first:05}","quantity":1}},{{"sku":"SKU-{second:05}","quantity":2}}]}}"#
    );
    let key = if run.with_key { format!("Idempotency-Key: {order}\r\n") } else { String::new() };
    let length = body.len();
    format!(
        "POST /orders HTTP/1.1\r\nHost: {server}\r\nContent-Type: application/json\r\n{key}Content-Length: {length}\r\n\r\n{body}"
    )
}

/// Reads one answer to its end, and gives its status.
async fn answered(socket: &mut TcpStream, answer: &mut Vec<u8>) -> u16 {
    answer.clear();
    loop {
        assert!(answer.len() < ANSWER_BYTES_MAX, "an answer longer than {ANSWER_BYTES_MAX} bytes");
        assert!(socket.read_buf(answer).await.expect("a connection") > 0, "the server has hung up");
        let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&answer[..end]).expect("a head");
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        if answer.len() >= end + 4 + length.expect("an answer of known length") {
            return head.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
        }
    }
}
