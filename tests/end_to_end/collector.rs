//! A collector of traces: one of our own, which knows HTTP as far as OTLP needs it and the protobuf of what it is sent; or the
//! real one.

mod real;

pub use real::spans_in;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;
use real::Real;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A span as a person reads it.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub name: String,
    pub id: String,
    pub parent: String,
    pub trace: String,
    pub kind: i32,
    pub is_error: bool,
    pub began: u64,
    pub ended: u64,
    pub links: Vec<String>,
    pub events: Vec<String>,
    pub attributes: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub struct Collector {
    kept: Kept,
    pub url: String,
}

/// Where its spans are.
#[derive(Debug, Clone)]
enum Kept {
    Here(Arc<Mutex<Vec<Span>>>),
    There(Arc<Real>),
}

impl Collector {
    /// One that takes everything.
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let taken = Arc::clone(&spans);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let spans = Arc::clone(&taken);
                // A process that is killed while it sends leaves half of a request.
                tokio::spawn(async move { take(stream, &spans).await.ok() });
            }
        });
        Self { kept: Kept::Here(spans), url }
    }

    /// The OpenTelemetry Collector, as a process, with the configuration of this repository.
    pub async fn real() -> Self {
        let (real, url) = Real::start().await;
        Self { kept: Kept::There(Arc::new(real)), url }
    }

    /// Everything that came so far.
    pub fn all(&self) -> Vec<Span> {
        match &self.kept {
            Kept::Here(spans) => spans.lock().unwrap().clone(),
            Kept::There(real) => real.spans(),
        }
    }

    /// The spans of one trace, once each of them has its parent here (or `root` as its parent), and each of `needed` is there.
    pub async fn tree(&self, trace: &str, root: &str, needed: &[(&str, &str)]) -> Vec<Span> {
        let mut seen = Vec::new();
        let found = tests::until_or(async || {
            let spans: Vec<Span> = self.all().into_iter().filter(|span| span.trace == trace).collect();
            let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
            // A receipt names no span: what audit does with it follows from one that stands in.
            let is_of_receipt = |span: &&Span| span.service == "audit" && span.name.contains(" done.");
            let orphan = spans
                .iter()
                .filter(|span| !is_of_receipt(span))
                .find(|span| span.parent != root && !ids.contains(span.parent.as_str()));
            let is_there = |(service, name): &&(&str, &str)| {
                spans.iter().any(|span| (span.service.as_str(), span.name.as_str()) == (*service, *name))
            };
            let missing = needed.iter().find(|one| !is_there(one));
            let is_whole = orphan.is_none() && missing.is_none();
            seen = spans
                .iter()
                .map(|span| format!("{} {} < {}", span.service, span.name, span.parent))
                .collect();
            seen.push(format!("missing {missing:?}, orphan {orphan:?}"));
            is_whole.then_some(spans)
        })
        .await;
        found.unwrap_or_else(|| panic!("no whole trace: {seen:#?}"))
    }
}

async fn take(mut stream: TcpStream, spans: &Mutex<Vec<Span>>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let body = end.and_then(|at| {
            let head = String::from_utf8_lossy(&bytes[..at]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            let from = at + 4;
            bytes.get(from..from + length.parse::<usize>().ok()?).map(|body| (from, body.to_vec()))
        });
        if let Some((from, body)) = body {
            let request = ExportTraceServiceRequest::decode(body.as_slice()).expect("OTLP");
            spans.lock().unwrap().extend(spans_of(&request));
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await?;
            bytes.drain(..from + body.len());
        } else if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
}

fn spans_of(request: &ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource in &request.resource_spans {
        let service = resource.resource.iter().flat_map(|r| &r.attributes);
        let service = named(service).remove("service.name").unwrap_or_default();
        for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
            spans.push(Span {
                service: service.clone(),
                name: span.name.clone(),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                trace: hex(&span.trace_id),
                kind: span.kind,
                is_error: span.status.as_ref().is_some_and(|status| status.code == 2),
                began: span.start_time_unix_nano,
                ended: span.end_time_unix_nano,
                links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
                events: span.events.iter().map(|event| event.name.clone()).collect(),
                attributes: named(span.attributes.iter()),
            });
        }
    }
    spans
}

fn named<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<&AnyValue>| match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.map(|one| (one.key.clone(), text(one.value.as_ref()))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
