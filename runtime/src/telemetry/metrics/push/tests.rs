use super::*;
use crate::telemetry::collector::double::collector;
use crate::telemetry::metrics::{Exposition, Form};
use crate::{AnyEvent, Contract, Nothing};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, number_data_point};
use std::collections::BTreeMap;
use std::time::Instant;

const CONTRACT: Contract<AnyEvent, Nothing> = Contract::new("stock-taker", "Tests.");

fn push<const N: usize>(variables: [(&str, &str); N]) -> Option<Push> {
    let mut env = Environment::of(variables);
    let collector = collector::Settings::read(&mut env);
    let settings = Settings::read(&mut env, &collector);
    assert_eq!(env.faults(), [""; 0]);
    Push::new(&CONTRACT.terms(), settings, &collector).unwrap()
}

/// Counts one of each kind, twice where there are labels.
fn count(exposition: &Exposition) {
    exposition.of(|| {
        for outcome in ["success", "retry", "success"] {
            metrics::counter!(names::HANDLED, "function" => "stock-taker", "outcome" => outcome).increment(1);
        }
        metrics::gauge!(names::SLOTS, "function" => "stock-taker").set(64.0);
        for seconds in [0.1, 0.2, 40.0] {
            metrics::histogram!(names::process_duration("stock-taker"), "function" => "stock-taker")
                .record(seconds);
        }
    });
}

/// What was sent, a line for each series.
fn lines(requests: &[ExportMetricsServiceRequest]) -> BTreeMap<String, String> {
    let scopes = requests.iter().flat_map(|r| &r.resource_metrics).flat_map(|r| &r.scope_metrics);
    let mut lines = BTreeMap::new();
    for metric in scopes.flat_map(|scope| &scope.metrics) {
        let name = |attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue]| {
            let mut of: Vec<String> =
                attributes.iter().map(|one| format!("{}={:?}", one.key, one.value)).collect();
            of.sort();
            assert!(of.iter().all(|one| one.contains("StringValue")), "{of:?}");
            let labels = of.iter().map(|one| one.split('"').nth(1).unwrap()).collect::<Vec<_>>().join(",");
            format!("{} {labels} [{}]", metric.name, metric.unit)
        };
        let number = |value: &Option<number_data_point::Value>| format!("{:?}", value.unwrap());
        let cumulative = AggregationTemporality::Cumulative as i32;
        match metric.data.as_ref().unwrap() {
            Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality == cumulative, "{sum:?}");
                lines.extend(sum.data_points.iter().map(|p| (name(&p.attributes), number(&p.value))));
            }
            Data::Gauge(gauge) => {
                lines.extend(gauge.data_points.iter().map(|p| (name(&p.attributes), number(&p.value))));
            }
            Data::Histogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality, cumulative);
                lines.extend(histogram.data_points.iter().map(|p| {
                    (name(&p.attributes), format!("{:?} {:?}", p.explicit_bounds, p.bucket_counts))
                }));
            }
            other => panic!("{other:?}"),
        }
    }
    lines
}

#[tokio::test]
async fn what_is_sent_has_the_names_labels_and_buckets_that_are_scraped() {
    let (endpoint, received) = collector::<ExportMetricsServiceRequest>("metrics").await;
    let push = push([
        ("OTEL_METRICS_EXPORTER", "otlp,prometheus"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.strip_suffix("/v1/metrics").unwrap()),
    ]);
    let push = push.unwrap();
    let exposition = Exposition::told_to(Some(&push));
    count(&exposition);
    push.stop().await;
    let received = received.lock().unwrap();
    let service = received[0].resource_metrics[0].resource.as_ref().unwrap();
    assert!(format!("{:?}", service.attributes).contains("StringValue(\"stock-taker\")"), "{service:?}");
    let expected = [
        ("jetlag_handled_total stock-taker,retry []", "AsInt(1)"),
        ("jetlag_handled_total stock-taker,success []", "AsInt(2)"),
        ("jetlag_slots stock-taker []", "AsDouble(64.0)"),
        ("stock_taker_process_duration_seconds stock-taker [s]", "[0.1, 0.3, 1.0, 3.0] [1, 1, 0, 0, 1]"),
    ];
    let expected: BTreeMap<String, String> =
        expected.iter().map(|(series, value)| ((*series).to_owned(), (*value).to_owned())).collect();
    assert_eq!(lines(&received), expected);
    // Whoever scrapes sees the same.
    let text = exposition.text(Form::Text);
    assert!(
        text.contains("stock_taker_process_duration_seconds_count{function=\"stock-taker\"} 3"),
        "{text}"
    );
}

#[tokio::test]
async fn a_collector_that_hangs_costs_nothing_but_what_is_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/metrics", listener.local_addr().unwrap());
    let push = push([
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint.as_str()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
    ]);
    let push = push.unwrap();
    let exposition = Exposition::told_to(Some(&push));
    count(&exposition);
    // An export is under way, and has no answer.
    let _held = listener.accept().await.unwrap();
    let text = exposition.text(Form::Text);
    assert!(text.contains("jetlag_slots{function=\"stock-taker\"} 64"), "{text}");
    let began = Instant::now();
    push.stop_within(Duration::from_millis(100)).await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn metrics_are_sent_where_it_is_said() {
    let read = |variables: [(&str, &str); 2]| {
        let mut env = Environment::of(variables);
        let collector = collector::Settings::read(&mut env);
        (Settings::read(&mut env, &collector).endpoint, env.faults().len())
    };
    let (base, otlp) = (("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/"), ("OTEL_METRICS_EXPORTER", "otlp"));
    let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://d/m");
    assert_eq!(read([base, own]), (None, 0), "nobody asked for it");
    assert_eq!(read([base, otlp]), (Some("http://c:4318/v1/metrics".into()), 0));
    assert_eq!(read([own, otlp]), (Some("http://d/m".into()), 0));
    assert_eq!(read([otlp, ("", "")]), (Some(ENDPOINT.into()), 0));
    assert_eq!(read([otlp, ("OTEL_SDK_DISABLED", "true")]), (None, 0));
    assert_eq!(read([base, ("OTEL_METRICS_EXPORTER", "none")]), (None, 0));
    assert_eq!(read([base, ("OTEL_METRICS_EXPORTER", "console")]), (None, 1));
}
