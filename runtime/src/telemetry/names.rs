//! Every name of a metric, a span attribute or a log field, in one place.

use metrics::Unit;

/// A metric: its name, kind, unit, labels and meaning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metric {
    /// The name that Prometheus has.
    pub(crate) name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub(crate) kind: &'static str,
    /// The unit of its values.
    pub(crate) unit: Unit,
    /// The labels, each with few values.
    pub(crate) labels: &'static [&'static str],
    /// What it tells.
    pub(crate) about: &'static str,
}

/// Ends the name of the histogram of handling times, after the function's own name: `payment_process_duration_seconds`.
pub(crate) const PROCESS_DURATION_SUFFIX: &str = "_process_duration_seconds";
/// The histogram of `function`'s handling times.
pub(crate) fn process_duration(function: &str) -> String {
    format!("{}{PROCESS_DURATION_SUFFIX}", function.replace('-', "_"))
}
/// The buckets of handling times, in seconds.
pub(crate) const PROCESS_DURATION_BUCKETS: [f64; 4] = [0.1, 0.3, 1.0, 3.0];

pub(crate) const HANDLED: &str = "jetlag_handled_total";
pub(crate) const ADMITTED: &str = "jetlag_admitted_total";
pub(crate) const REDELIVERIES: &str = "jetlag_redeliveries_total";
pub(crate) const SUSPECTS: &str = "jetlag_suspects_total";
pub(crate) const LONE_RUNS: &str = "jetlag_lone_runs_total";
pub(crate) const CONVICTIONS: &str = "jetlag_convictions_total";
pub(crate) const DEAD_LETTERS: &str = "jetlag_dead_letters_total";
pub(crate) const QUEUE_TIME: &str = "jetlag_queue_time_seconds";
pub(crate) const COMMITS: &str = "jetlag_commits_total";
pub(crate) const GROUP_SIZE: &str = "jetlag_commit_group_size";
pub(crate) const BREAKER: &str = "jetlag_breaker_position";
pub(crate) const BREAKER_CHANGES: &str = "jetlag_breaker_changes_total";
pub(crate) const IN_FLIGHT: &str = "jetlag_in_flight";
pub(crate) const SLOTS: &str = "jetlag_slots";
pub(crate) const CONNECTED: &str = "jetlag_broker_connected";
pub(crate) const HTTP_DURATION: &str = "jetlag_http_request_duration_seconds";
pub(crate) const SPANS_LOST: &str = "jetlag_spans_lost_total";

/// The buckets of queue times, in seconds: from a direct hit to an hour in a backlog.
pub(crate) const QUEUE_TIME_BUCKETS: [f64; 11] =
    [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0, 300.0, 900.0, 3600.0];
/// The buckets of group sizes, up to the largest group that the broker takes.
pub(crate) const GROUP_SIZE_BUCKETS: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1000.0];
/// The buckets of HTTP requests, in seconds.
pub(crate) const HTTP_DURATION_BUCKETS: [f64; 8] = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// The fields of a log line that come first, in this order, after level, time, service and the aggregate's id.
pub(crate) const LOG_ORDER: &[&str] = &["event_id", "event_type", "trace_id", "span_id", "attempt"];
/// The fields that a log line has for itself.
pub(crate) const LOG_RESERVED: &[&str] = &["level", "time", "service", "msg"];

/// OpenTelemetry's names for spans and their attributes. Those of messaging are still in development there.
pub(crate) mod otel {
    pub(crate) const SYSTEM: &str = "messaging.system";
    pub(crate) const OPERATION_NAME: &str = "messaging.operation.name";
    pub(crate) const OPERATION_TYPE: &str = "messaging.operation.type";
    pub(crate) const DESTINATION: &str = "messaging.destination.name";
    pub(crate) const DESTINATION_TEMPLATE: &str = "messaging.destination.template";
    pub(crate) const MESSAGE_ID: &str = "messaging.message.id";
    pub(crate) const MESSAGE_BODY_SIZE: &str = "messaging.message.body.size";
    pub(crate) const CONSUMER_GROUP: &str = "messaging.consumer.group.name";
    pub(crate) const ERROR_TYPE: &str = "error.type";
    pub(crate) const HTTP_METHOD: &str = "http.request.method";
    pub(crate) const HTTP_ROUTE: &str = "http.route";
    pub(crate) const HTTP_STATUS: &str = "http.response.status_code";
}

/// Every metric but the function's own histogram of handling times.
pub(crate) const METRICS: &[Metric] = &[
    Metric {
        name: HANDLED,
        kind: "counter",
        unit: Unit::Count,
        labels: &["function", "outcome"],
        about: "Inputs handled, by outcome: success, duplicate, retry, dead_letter, released.",
    },
    Metric {
        name: ADMITTED,
        kind: "counter",
        unit: Unit::Count,
        labels: &["function", "outcome"],
        about: "Events from publishers outside, by outcome.",
    },
    Metric {
        name: REDELIVERIES,
        kind: "counter",
        unit: Unit::Count,
        labels: &["function"],
        about: "Inputs that the broker delivered again: given back, or held by a process that died.",
    },
    Metric {
        name: SUSPECTS,
        kind: "counter",
        unit: Unit::Count,
        labels: &["function"],
        about: "Inputs delivered again that nobody gave back: they may have killed their process.",
    },
    Metric {
        name: LONE_RUNS,
        kind: "counter",
        unit: Unit::Count,
        labels: &["function"],
        about: "Runs of a suspect while nothing else ran in its process.",
    },
    Metric {
        name: CONVICTIONS,
        kind: "counter",
        unit: Unit::Count,
        labels: &["function"],
        about: "Inputs whose process died in every run that they were given alone.",
    },
    Metric {
        name: DEAD_LETTERS,
        kind: "counter",
        unit: Unit::Count,
        labels: &["function", "reason"],
        about: "Dead letters written, by reason.",
    },
    Metric {
        name: QUEUE_TIME,
        kind: "histogram",
        unit: Unit::Seconds,
        labels: &["function"],
        about: "From an event's own time to the end of its handling.",
    },
    Metric {
        name: COMMITS,
        kind: "counter",
        unit: Unit::Count,
        labels: &["function", "outcome"],
        about: "Commits, by outcome: committed, already, dead, stale, exists, full, unavailable.",
    },
    Metric {
        name: GROUP_SIZE,
        kind: "histogram",
        unit: Unit::Count,
        labels: &[],
        about: "Inputs in one group commit.",
    },
    Metric {
        name: BREAKER,
        kind: "gauge",
        unit: Unit::Count,
        labels: &["function"],
        about: "The circuit breaker: 0 closed, 1 half open, 2 open.",
    },
    Metric {
        name: BREAKER_CHANGES,
        kind: "counter",
        unit: Unit::Count,
        labels: &["function", "position"],
        about: "Moves of the circuit breaker, by the position that it moved to: closed, half_open, open.",
    },
    Metric {
        name: IN_FLIGHT,
        kind: "gauge",
        unit: Unit::Count,
        labels: &["function"],
        about: "Inputs that this process holds.",
    },
    Metric {
        name: SLOTS,
        kind: "gauge",
        unit: Unit::Count,
        labels: &["function"],
        about: "Inputs that this process handles at a time at most.",
    },
    Metric {
        name: CONNECTED,
        kind: "gauge",
        unit: Unit::Count,
        labels: &["function"],
        about: "Whether the process is connected to the broker: 1 or 0.",
    },
    Metric {
        name: HTTP_DURATION,
        kind: "histogram",
        unit: Unit::Seconds,
        labels: &["function", "route", "status"],
        about: "HTTP requests, from their head to the answer, by route and status.",
    },
    Metric {
        name: SPANS_LOST,
        kind: "counter",
        unit: Unit::Count,
        labels: &[],
        about: "Spans that the trace collector did not take.",
    },
];
