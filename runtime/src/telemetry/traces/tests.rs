use super::*;
use crate::core::life::live;
use crate::http::double::{self, CONTRACT, Memory, OrderPlaced, OrderSeen};
use crate::subject::Subject;
use crate::telemetry::collector::double::{Received, collector as collector_of};
use crate::telemetry::metrics::{Exposition, Form};
use crate::telemetry::spans_to;
use crate::{Effects, Event, Failure, Payload};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue as Attribute, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::net::TcpListener;
use tracing_subscriber::layer::SubscriberExt;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER_TRACE: &str = "00-11111111111111111111111111111111-b7ad6b7169203331-01";

async fn collector() -> (String, Received<ExportTraceServiceRequest>) {
    collector_of("traces").await
}

fn settings(endpoint: &str) -> Settings {
    let sampling = Sampling::of("", "");
    Settings { endpoint: Some(endpoint.into()), queue_max: QUEUE_MAX, sampling, by: By::Parent }
}

fn within(settings: Settings, export_limit: Duration) -> Export {
    let ms = export_limit.as_millis().to_string();
    let collector = Environment::of([("OTEL_EXPORTER_OTLP_TIMEOUT", ms.as_str())]);
    let collector = collector::Settings::read(&mut { collector });
    Export::new(&CONTRACT.terms(), settings, &collector).unwrap().unwrap()
}

fn export_as(settings: Settings) -> Export {
    within(settings, Duration::from_secs(5))
}

fn export(endpoint: &str, export_limit: Duration) -> Export {
    within(settings(endpoint), export_limit)
}

/// Handles one order, which came with `traceparent`, and gives the broker and the attempt's own traceparent.
async fn handle(traceparent: Option<&str>, reject: bool) -> (Arc<Memory>, Option<String>) {
    handle_by(traceparent, reject, || ()).await
}

async fn handle_by(traceparent: Option<&str>, reject: bool, handler: fn()) -> (Arc<Memory>, Option<String>) {
    let seen = Arc::new(Mutex::new(None));
    let into = Arc::clone(&seen);
    let (broker, engine) = double::engine(move |(): &(), event: Event<OrderPlaced>| {
        handler();
        *into.lock().unwrap() = event.traceparent().map(str::to_owned);
        let outcome = if reject {
            Err(Failure::reject("nobody sells that"))
        } else {
            Ok(Effects::emit(OrderSeen::example()))
        };
        async move { outcome }
    });
    let json = r#"{"id":"e-1","type":"orders.placed","aggregate_id":"ORD-1","data":{"order_id":"ORD-1","amount":12},
        "timestamp":"2025-01-02T03:04:05Z","trace_id":"0af7651916cd43dd8448eb211c80319c"}"#;
    let headers = traceparent.map(|text| ("traceparent".to_owned(), text.to_owned())).into_iter().collect();
    let delivery = double::delivery(json, Subject::of_event("orders.placed", "ORD-1", "e-1"), headers);
    live(engine, delivery, None).await;
    let seen = seen.lock().unwrap().clone();
    (broker, seen)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute<'a>(attributes: &'a [Attribute], name: &str) -> &'a str {
    match attributes.iter().find(|one| one.key == name).and_then(|one| one.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{name} is {other:?} in {attributes:?}"),
    }
}

/// The span of an order being handled, and that of its wait before, as a collector is sent them.
async fn recorded(traceparent: Option<&str>, reject: bool) -> (Span, Arc<Memory>, Option<String>, String) {
    let (endpoint, received) = collector().await;
    let export = export(&endpoint, Duration::from_secs(5));
    let subscriber = tracing_subscriber::registry().with(spans_to(&export));
    let guard = tracing::subscriber::set_default(subscriber);
    let (broker, handled_under) = handle(traceparent, reject).await;
    drop(guard);
    export.stop().await;
    let mut received = received.lock().unwrap();
    let [request] = received.as_mut_slice() else { panic!("{received:?}") };
    let [resource] = request.resource_spans.as_slice() else { panic!("{request:?}") };
    let service = attribute(&resource.resource.as_ref().unwrap().attributes, "service.name").to_owned();
    let [wait, span] = resource.scope_spans[0].spans.as_slice() else { panic!("{resource:?}") };
    assert_eq!(wait.name, "queue orders.placed.*");
    assert_eq!((&wait.trace_id, &wait.parent_span_id), (&span.trace_id, &span.parent_span_id));
    // From the event's own time on; the handling follows.
    assert_eq!(wait.start_time_unix_nano, 1_735_787_045_000_000_000);
    assert!(wait.end_time_unix_nano <= span.end_time_unix_nano && wait.kind == 1, "{wait:?}");
    (span.clone(), broker, handled_under, service)
}

#[tokio::test]
async fn a_collector_receives_the_span_of_a_handled_event_and_what_follows_is_its_child() {
    let (span, broker, handled_under, service) = recorded(Some(PARENT), false).await;
    assert_eq!((span.name.as_str(), span.kind, service.as_str()), ("process orders.placed.*", 5, "watcher"));
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!((hex(&span.parent_span_id).as_str(), span.links.len()), ("b7ad6b7169203331", 0));
    for (name, value) in [
        ("messaging.system", "nats"),
        ("messaging.operation.name", "process"),
        ("messaging.destination.name", "orders.placed.ORD-1.e-1"),
        ("messaging.message.id", "e-1"),
        ("messaging.consumer.group.name", "watcher"),
        ("aggregate_id", "ORD-1"),
    ] {
        assert_eq!(attribute(&span.attributes, name), value, "{name}");
    }
    assert!(span.events.iter().any(|event| event.name == "ack"), "{span:?}");
    let own = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", hex(&span.span_id));
    assert_eq!(handled_under.as_deref(), Some(own.as_str()));
    assert_eq!(broker.events("orders.seen")[0].header("traceparent"), Some(own.as_str()));
}

#[tokio::test]
async fn a_failed_span_says_why_and_an_event_that_names_another_trace_keeps_its_own() {
    let (span, _, _, _) = recorded(Some(OTHER_TRACE), true).await;
    let status = span.status.unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "nobody sells that"));
    assert_eq!(attribute(&span.attributes, "error.type"), "rejected");
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&span.links[0].trace_id), "1".repeat(32));
}

#[tokio::test]
async fn by_link_an_input_begins_a_trace_of_its_own_that_leads_to_what_it_follows_from() {
    let (endpoint, received) = collector().await;
    let export = export_as(Settings { by: By::Link, ..settings(&endpoint) });
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans_to(&export)));
    let (broker, handled_under) = handle(Some(PARENT), false).await;
    drop(guard);
    export.stop().await;
    let received = received.lock().unwrap();
    let [wait, span] = received[0].resource_spans[0].scope_spans[0].spans.as_slice() else { panic!() };
    assert!(span.parent_span_id.is_empty() && hex(&span.trace_id) != "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&span.links[0].trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!((&wait.trace_id, &wait.parent_span_id), (&span.trace_id, &span.span_id));
    // By this the traces of one order are found.
    assert_eq!(attribute(&span.attributes, "trace_id"), "0af7651916cd43dd8448eb211c80319c");
    let own = format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id));
    assert_eq!(handled_under.as_deref(), Some(own.as_str()));
    assert_eq!(broker.events("orders.seen")[0].header("traceparent"), Some(own.as_str()));
    let mut env = Environment::of([("JETLAG_TRACES_BY", "both")]);
    let collector = collector::Settings::read(&mut env);
    Settings::read(&mut env, &collector);
    assert!(env.faults()[0].contains("JETLAG_TRACES_BY"), "{:?}", env.faults());
}

#[tokio::test]
async fn without_a_collector_the_trace_goes_on_all_the_same() {
    let (broker, handled_under) = handle(Some(PARENT), false).await;
    assert_eq!(handled_under.as_deref(), Some(PARENT));
    assert_eq!(broker.events("orders.seen")[0].header("traceparent"), Some(PARENT));
    let (broker, handled_under) = handle(None, false).await;
    let traceparent = handled_under.unwrap();
    assert!(traceparent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{traceparent}");
    assert_eq!(broker.events("orders.seen")[0].header("traceparent"), Some(traceparent.as_str()));
}

#[tokio::test]
async fn a_collector_that_never_answers_costs_spans_and_neither_the_event_nor_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let export =
        export(&format!("http://{}/v1/traces", listener.local_addr().unwrap()), Duration::from_secs(60));
    let subscriber = tracing_subscriber::registry().with(spans_to(&export));
    let guard = tracing::subscriber::set_default(subscriber);
    let (broker, _) = handle(Some(PARENT), false).await;
    assert_eq!(broker.events("orders.seen").len(), 1);
    drop(guard);
    let began = Instant::now();
    export.stop_within(Duration::from_millis(100)).await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test]
async fn spans_that_find_no_place_while_the_collector_hangs_are_counted_and_cost_no_event() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let export_limit = Duration::from_secs(60);
    let export = within(Settings { queue_max: 3, ..settings(&endpoint) }, export_limit);
    let exposition = Exposition::default();
    let counting = exposition.counting();
    let subscriber = tracing_subscriber::registry().with(spans_to(&export));
    let guard = tracing::subscriber::set_default(subscriber);
    for _ in 0..3 {
        // Two spans each: its wait and its handling.
        let (broker, _) = handle(Some(PARENT), false).await;
        assert_eq!(broker.events("orders.seen").len(), 1);
    }
    drop((guard, counting));
    let text = exposition.text(Form::Text);
    assert!(text.contains("jetlag_spans_lost_total{reason=\"queue_full\"} 3"), "{text}");
    export.stop_within(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn a_trace_that_begins_with_an_event_from_outside_is_sampled_like_any_other() {
    // Its wait, its handling, and what the handler opens within: one in another.
    let unsampled = PARENT.replace("-01", "-00");
    for (sampler, traceparent, spans) in [
        ("", None, 4),
        ("parentbased_always_off", None, 0),
        ("parentbased_traceidratio", None, 0),
        ("", Some(unsampled.as_str()), 0),
    ] {
        let (endpoint, received) = collector().await;
        let export = export_as(Settings { sampling: Sampling::of(sampler, "0"), ..settings(&endpoint) });
        // The log has every span of an input, whoever records it.
        let log = tracing_subscriber::layer::Identity::new();
        let subscriber = tracing_subscriber::registry().with(spans_to(&export)).with(log);
        let guard = tracing::subscriber::set_default(subscriber);
        let of_its_own = || tracing::info_span!("outer").in_scope(|| drop(tracing::info_span!("inner")));
        let (broker, _) = handle_by(traceparent, false, of_its_own).await;
        drop(guard);
        export.stop().await;
        let sent = received.lock().unwrap();
        let sent = sent.iter().flat_map(|request| &request.resource_spans).flat_map(|one| &one.scope_spans);
        assert_eq!(sent.map(|scope| scope.spans.len()).sum::<usize>(), spans, "{sampler} {traceparent:?}");
        // Whoever comes next decides the same.
        let flag = if spans > 0 { "-01" } else { "-00" };
        let header = broker.events("orders.seen")[0].header("traceparent").unwrap().to_owned();
        assert!(header.ends_with(flag), "{header}");
    }
}

#[tokio::test]
async fn what_is_measured_of_an_input_has_its_trace_as_an_example_if_that_is_recorded() {
    let (endpoint, _received) = collector().await;
    let export = export(&endpoint, Duration::from_secs(5));
    let unsampled = PARENT.replace("-01", "-00");
    // Its time, its wait, the attempt, and the way of its order.
    for (traceparent, exemplars) in [(PARENT, 4), (&unsampled, 0)] {
        let exposition = Exposition::default();
        let counting = exposition.counting();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans_to(&export)));
        handle(Some(traceparent), false).await;
        drop((guard, counting));
        let text = exposition.text(Form::OpenMetrics);
        let exemplar = "# {trace_id=\"0af7651916cd43dd8448eb211c80319c\"} ";
        assert_eq!(text.matches(exemplar).count(), exemplars, "{traceparent}: {text}");
    }
    export.stop().await;
}

#[tokio::test]
async fn a_call_of_a_handler_hands_on_its_own_span_and_tells_no_secret() {
    let url = "https://ada:s3cret@bank.example/hooks/token-1?key=2";
    assert_eq!(crate::Call::new("POST", url).traceparent(), None, "nobody records it");
    let (endpoint, received) = collector().await;
    let export = export(&endpoint, Duration::from_secs(5));
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans_to(&export)));
    let call = crate::Call::new("POST", url);
    let own = call.traceparent().unwrap();
    let failed = call.of(async { Err::<(), _>("s3cret in the error") }).await;
    assert!(failed.is_err());
    drop((call, guard));
    export.stop().await;
    let received = received.lock().unwrap();
    let span = &received[0].resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(own, format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id)));
    assert_eq!((span.name.as_str(), span.kind, span.status.as_ref().unwrap().code), ("POST", 3, 2));
    assert_eq!(attribute(&span.attributes, "server.address"), "bank.example");
    let all = format!("{span:?}");
    assert!(!all.contains("s3cret") && !all.contains("token-1") && !all.contains("key=2"), "{all}");
}

#[test]
fn spans_that_nobody_takes_are_counted() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let exporter = Export::exporter(&format!("http://{closed}/v1/traces"), Duration::from_secs(5)).unwrap();
    let exposition = Exposition::default();
    exposition.of(|| {
        let watched = Watched { exporter, waiting: Waiting::default(), complaints: Complaints::default() };
        // Exported at once, on this thread: the recorder is this thread's.
        let provider = SdkTracerProvider::builder().with_simple_exporter(watched).build();
        drop(opentelemetry::trace::Tracer::start(&provider.tracer("test"), "lost"));
    });
    let text = exposition.text(Form::Text);
    assert!(text.contains("jetlag_spans_lost_total{reason=\"refused\"} 1"), "{text}");
}

#[test]
fn opentelemetrys_own_variables_decide_whether_and_where() {
    let endpoint = |variables: &[(&str, &str)]| {
        let mut env = match variables {
            [] => Environment::of([]),
            [one] => Environment::of([*one]),
            [one, two] => Environment::of([*one, *two]),
            _ => unreachable!(),
        };
        let collector = collector::Settings::read(&mut env);
        Settings::read(&mut env, &collector).endpoint
    };
    let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
    assert_eq!(endpoint(&[]), None);
    assert_eq!(endpoint(&[base]).as_deref(), Some("http://c:4318/v1/traces"));
    assert_eq!(
        endpoint(&[base, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://d/t")]).as_deref(),
        Some("http://d/t")
    );
    assert_eq!(endpoint(&[base, ("OTEL_SDK_DISABLED", "TRUE")]), None);
    assert_eq!(endpoint(&[base, ("OTEL_TRACES_EXPORTER", "none")]), None);
}
