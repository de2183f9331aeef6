//! Every name of a metric, a span attribute or a log field, in one place. The table in docs/telemetry.md, the alerts and the
//! dashboards are made from this list.

/// A metric: its name, kind, unit, labels and meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The name that Prometheus has.
    pub name: &'static str,
    /// What it is to Prometheus.
    pub kind: Kind,
    /// The unit of its values.
    pub unit: Unit,
    /// The labels, each with few values.
    pub labels: &'static [&'static str],
    /// Who tells it.
    pub teller: Teller,
    /// What it tells.
    pub about: &'static str,
}

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// It grows, and begins at 0 with its process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts of values, by these upper bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word that Prometheus has for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// The unit of a metric's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds.
    Seconds,
    /// Seconds since the beginning of 1970, or 0 for never.
    UnixSeconds,
    /// Bytes.
    Bytes,
    /// Hundredths.
    Percent,
    /// 1 for yes and 0 for no.
    YesNo,
}

impl Unit {
    /// The word that the documentation has for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Seconds => "s",
            Self::UnixSeconds => "s since 1970, 0 never",
            Self::Bytes => "bytes",
            Self::Percent => "%",
            Self::YesNo => "1 or 0",
        }
    }
}

/// Who tells a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teller {
    /// Each process of a function, on its `/metrics`.
    Process,
    /// `jetlag metrics`, which reads the broker: also of functions of which no process runs.
    Broker,
    /// Both: what one of them tells of a function is about all of its processes.
    Both,
}

/// Ends the name of the histogram of handling times, after the function's own name: `payment_process_duration_seconds`.
pub const PROCESS_DURATION_SUFFIX: &str = "_process_duration_seconds";
/// The histogram of `function`'s handling times. Its labels are `function` and `status`.
pub fn process_duration(function: &str) -> String {
    format!("{}{PROCESS_DURATION_SUFFIX}", function.replace('-', "_"))
}
/// The buckets of handling times, in seconds.
pub const PROCESS_DURATION_BUCKETS: [f64; 4] = [0.1, 0.3, 1.0, 3.0];
/// What it tells.
pub const PROCESS_DURATION_ABOUT: &str =
    "From an input's coming to its outcome being durable, by status: success, error.";
const PROCESS_DURATION: &Metric = &histogram(
    PROCESS_DURATION_SUFFIX,
    Unit::Seconds,
    &PROCESS_DURATION_BUCKETS,
    &["function", "status"],
    PROCESS_DURATION_ABOUT,
);

/// The names of metrics. [`METRICS`] says what each is.
mod metric {
    #![allow(missing_docs, reason = "METRICS says what each is")]

    pub const HANDLED: &str = "jetlag_handled_total";
    pub const ADMITTED: &str = "jetlag_admitted_total";
    pub const ATTEMPTS: &str = "jetlag_attempts";
    pub const REDELIVERIES: &str = "jetlag_redeliveries_total";
    pub const SUSPECTS: &str = "jetlag_suspects_total";
    pub const LONE_RUNS: &str = "jetlag_lone_runs_total";
    pub const CONVICTIONS: &str = "jetlag_convictions_total";
    pub const DEAD_LETTERS: &str = "jetlag_dead_letters_total";
    pub const QUEUE_TIME: &str = "jetlag_queue_time_seconds";
    pub const JOURNEY: &str = "jetlag_journey_seconds";
    pub const COMMITS: &str = "jetlag_commits_total";
    pub const GROUP_SIZE: &str = "jetlag_commit_group_size";
    pub const BREAKER: &str = "jetlag_breaker_position";
    pub const BREAKER_OPENED: &str = "jetlag_breaker_opened_timestamp_seconds";
    pub const BREAKER_CHANGES: &str = "jetlag_breaker_changes_total";
    pub const IN_FLIGHT: &str = "jetlag_in_flight";
    pub const SLOTS: &str = "jetlag_slots";
    pub const PROCESSES_MAX: &str = "jetlag_processes_max";
    pub const INFO: &str = "jetlag_function_info";
    pub const CONNECTED: &str = "jetlag_broker_connected";
    pub const CONNECTIONS_LOST: &str = "jetlag_broker_connections_lost_total";
    pub const CONSUMERS_THERE: &str = "jetlag_consumers_there";
    pub const PULLS: &str = "jetlag_pulls_total";
    pub const ADMISSION: &str = "jetlag_admission_open";
    pub const EVENTS_FILL: &str = "jetlag_events_stream_fill_percent";
    pub const HTTP_DURATION: &str = "jetlag_http_request_duration_seconds";
    pub const SPANS_LOST: &str = "jetlag_spans_lost_total";

    pub const LAG: &str = "jetlag_lag";
    pub const LAG_IN_FLIGHT: &str = "jetlag_lag_in_flight";
    pub const LAG_AGAIN: &str = "jetlag_lag_redelivered";
    pub const PULLS_WAITING: &str = "jetlag_pulls_waiting";
    pub const OLDEST: &str = "jetlag_oldest_input_age_seconds";
    pub const RETRIES_WAITING: &str = "jetlag_retries_waiting";
    pub const DEAD_LETTERS_KEPT: &str = "jetlag_dead_letters";
    pub const STREAM_MESSAGES: &str = "jetlag_stream_messages";
    pub const STREAM_BYTES: &str = "jetlag_stream_bytes";
    pub const STREAM_FILL: &str = "jetlag_stream_fill_percent";
    pub const FINDING: &str = "jetlag_finding";
    pub const BROKER_ANSWERS: &str = "jetlag_broker_answers";
    pub const BROKER_MEMORY: &str = "jetlag_broker_memory_bytes";
    pub const BROKER_STORAGE_FILL: &str = "jetlag_broker_storage_fill_percent";
    pub const AUDIT_FAULTS: &str = "jetlag_audit_faults";
    pub const AUDIT_VERIFIED: &str = "jetlag_audit_verified_timestamp_seconds";
}

pub use metric::*;

/// From a direct hit to an hour in a backlog, in seconds; 5 s is what an order may take.
const TIMES: &[f64] = &[0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];
/// Up to the largest group that the broker takes.
const GROUPS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1000.0];
/// Of HTTP requests, in seconds.
const REQUESTS: &[f64] = &[0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
/// Attempts.
const TRIES: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 12.0, 20.0];

/// The metric of this name. That of handling times has the function's own name before its suffix.
pub(crate) fn find(name: &str) -> Option<&'static Metric> {
    let known = METRICS.iter().find(|metric| metric.name == name);
    known.or_else(|| name.ends_with(PROCESS_DURATION_SUFFIX).then_some(PROCESS_DURATION))
}

/// The bounds of the histogram of this name. One that is not in the list, as a handler may have its own, is of times.
pub(crate) fn bounds(name: &str) -> &'static [f64] {
    match find(name).map(|metric| metric.kind) {
        Some(Kind::Histogram(bounds)) => bounds,
        Some(Kind::Counter | Kind::Gauge) | None => TIMES,
    }
}

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
    pub(crate) const BATCH_COUNT: &str = "messaging.batch.message_count";
    pub(crate) const CONSUMER_GROUP: &str = "messaging.consumer.group.name";
    pub(crate) const ERROR_TYPE: &str = "error.type";
    pub(crate) const HTTP_METHOD: &str = "http.request.method";
    pub(crate) const HTTP_ROUTE: &str = "http.route";
    pub(crate) const HTTP_STATUS: &str = "http.response.status_code";
    pub(crate) const SERVER: &str = "server.address";
    pub(crate) const SERVER_PORT: &str = "server.port";
    /// What became of an input or a commit. Jetlag's own, as the convention has none.
    pub(crate) const OUTCOME: &str = "jetlag.outcome";
}

const fn counter(name: &'static str, labels: &'static [&'static str], about: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit: Unit::Count, labels, teller: Teller::Process, about }
}

const fn gauge(
    name: &'static str,
    unit: Unit,
    labels: &'static [&'static str],
    teller: Teller,
    about: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, labels, teller, about }
}

const fn histogram(
    name: &'static str,
    unit: Unit,
    buckets: &'static [f64],
    labels: &'static [&'static str],
    about: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Histogram(buckets), unit, labels, teller: Teller::Process, about }
}

const FUNCTION: &[&str] = &["function"];
const LANE: &[&str] = &["function", "stream"];
const OUTCOME: &[&str] = &["function", "outcome"];
const STREAM: &[&str] = &["stream"];

/// Every metric but the function's own histogram of handling times.
pub const METRICS: &[Metric] = &[
    counter(
        HANDLED,
        OUTCOME,
        "Inputs handled, by outcome: success, duplicate, retry, dead_letter, released.",
    ),
    counter(ADMITTED, OUTCOME, "Events from publishers outside, by outcome."),
    histogram(
        ATTEMPTS,
        Unit::Count,
        TRIES,
        FUNCTION,
        "The attempt with which an input came to its end, success or dead letter.",
    ),
    counter(
        REDELIVERIES,
        FUNCTION,
        "Inputs that the broker delivered again: given back, or held by a process that died.",
    ),
    counter(
        SUSPECTS,
        FUNCTION,
        "Inputs delivered again that nobody gave back: a process died, or its drain was cut off, while it had them.",
    ),
    counter(LONE_RUNS, FUNCTION, "Runs of a suspect while nothing else ran in its process."),
    counter(CONVICTIONS, FUNCTION, "Inputs whose process died in every run that they were given alone."),
    counter(DEAD_LETTERS, &["function", "reason"], "Dead letters written, by reason."),
    histogram(
        QUEUE_TIME,
        Unit::Seconds,
        TIMES,
        FUNCTION,
        "From an event's own time to the end of its handling.",
    ),
    histogram(
        JOURNEY,
        Unit::Seconds,
        TIMES,
        FUNCTION,
        "From the first event of a trace, such as an order being placed, to the commit of what follows from it here.",
    ),
    counter(
        COMMITS,
        OUTCOME,
        "Commits, by outcome: committed, already, dead, stale, exists, full, unavailable.",
    ),
    histogram(
        GROUP_SIZE,
        Unit::Count,
        GROUPS,
        &[],
        "Inputs in one group commit. A commit of one event alone is in none.",
    ),
    gauge(
        BREAKER,
        Unit::Count,
        FUNCTION,
        Teller::Process,
        "The circuit breaker: 0 closed, 1 half open, 2 open.",
    ),
    gauge(
        BREAKER_OPENED,
        Unit::UnixSeconds,
        FUNCTION,
        Teller::Both,
        "Since when the circuit breaker is open.",
    ),
    counter(
        BREAKER_CHANGES,
        &["function", "position"],
        "Moves of the circuit breaker, by the position that it moved to: closed, half_open, open.",
    ),
    gauge(IN_FLIGHT, Unit::Count, FUNCTION, Teller::Process, "Inputs that this process holds."),
    gauge(
        SLOTS,
        Unit::Count,
        FUNCTION,
        Teller::Process,
        "Inputs that this process handles at a time at most.",
    ),
    gauge(
        PROCESSES_MAX,
        Unit::Count,
        FUNCTION,
        Teller::Process,
        "Processes that the contract lets the function have at most.",
    ),
    gauge(INFO, Unit::YesNo, &["function", "version"], Teller::Process, "The version that runs; always 1."),
    gauge(
        CONNECTED,
        Unit::YesNo,
        FUNCTION,
        Teller::Process,
        "Whether the process is connected to the broker.",
    ),
    counter(CONNECTIONS_LOST, FUNCTION, "How often the process lost its connection to the broker."),
    gauge(
        CONSUMERS_THERE,
        Unit::YesNo,
        FUNCTION,
        Teller::Process,
        "Whether JetStream answers, takes what is published, and has the function's consumers.",
    ),
    counter(PULLS, LANE, "Requests for inputs."),
    gauge(
        ADMISSION,
        Unit::YesNo,
        FUNCTION,
        Teller::Process,
        "Whether new events are taken in: 0 while the stream of events is nearly full.",
    ),
    gauge(
        EVENTS_FILL,
        Unit::Percent,
        FUNCTION,
        Teller::Process,
        "How much of the bytes of the stream of events is taken, as a function that admits sees it.",
    ),
    histogram(
        HTTP_DURATION,
        Unit::Seconds,
        REQUESTS,
        &["function", "route", "status"],
        "HTTP requests, from their head to the answer, by route and status.",
    ),
    counter(
        SPANS_LOST,
        &["reason"],
        "Spans that no trace has: refused by the collector, or queue_full while it is slow or away.",
    ),
    gauge(
        LAG,
        Unit::Count,
        LANE,
        Teller::Both,
        "Inputs that are not delivered, or delivered and not answered for. KEDA scales on it.",
    ),
    gauge(LAG_IN_FLIGHT, Unit::Count, LANE, Teller::Both, "What of the lag processes have."),
    gauge(LAG_AGAIN, Unit::Count, LANE, Teller::Both, "What of the lag was delivered more than once."),
    gauge(
        PULLS_WAITING,
        Unit::Count,
        LANE,
        Teller::Both,
        "Requests for inputs that stand at the broker: a process that has room asks.",
    ),
    gauge(
        OLDEST,
        Unit::Seconds,
        FUNCTION,
        Teller::Broker,
        "How long the oldest input waits that the function has not answered for; 0 if there is none.",
    ),
    gauge(
        RETRIES_WAITING,
        Unit::Count,
        FUNCTION,
        Teller::Broker,
        "Failed attempts that wait for their time.",
    ),
    gauge(
        DEAD_LETTERS_KEPT,
        Unit::Count,
        FUNCTION,
        Teller::Broker,
        "Dead letters that nobody has dealt with yet.",
    ),
    gauge(STREAM_MESSAGES, Unit::Count, STREAM, Teller::Broker, "Messages in a stream."),
    gauge(STREAM_BYTES, Unit::Bytes, STREAM, Teller::Broker, "Their bytes."),
    gauge(
        STREAM_FILL,
        Unit::Percent,
        STREAM,
        Teller::Broker,
        "How much of the bytes that the stream may have is taken; only of a stream with a limit.",
    ),
    gauge(
        FINDING,
        Unit::YesNo,
        &["kind", "place"],
        Teller::Broker,
        "What `jetlag status` finds wrong, by its kind and the function or stream; only while it is so.",
    ),
    gauge(BROKER_ANSWERS, Unit::YesNo, &[], Teller::Broker, "Whether the broker answered the last look."),
    gauge(BROKER_MEMORY, Unit::Bytes, &[], Teller::Broker, "Memory of the server's process; with --monitor."),
    gauge(
        BROKER_STORAGE_FILL,
        Unit::Percent,
        &[],
        Teller::Broker,
        "How much of the server's own limit of file storage is taken; with --monitor.",
    ),
    gauge(
        AUDIT_FAULTS,
        Unit::Count,
        &[],
        Teller::Broker,
        "Faults that the last verification of the audit trail found; with --verify-audit.",
    ),
    gauge(
        AUDIT_VERIFIED,
        Unit::UnixSeconds,
        &[],
        Teller::Broker,
        "When the audit trail was last read from end to end; with --verify-audit.",
    ),
];
