//! Who is compared: what runs, where orders go in and come out, and what each promises.

use std::path::{Path, PathBuf};

use crate::scenarios::Scenario;

/// The steps of the pipeline, in their order, with the types of event that they are given and make.
pub const SERVICES: [Service; 5] = [
    Service { name: "inventory", input: "orders.placed", output: "inventory.reserved" },
    Service { name: "payment", input: "inventory.reserved", output: "payments.processed" },
    Service { name: "order", input: "payments.processed", output: "orders.confirmed" },
    Service { name: "notification", input: "orders.confirmed", output: "notifications.sent" },
    Service { name: "audit", input: ">", output: "" },
];

/// The types of event of which each order has one in the end.
pub const TYPES: [&str; 5] =
    ["orders.placed", "inventory.reserved", "payments.processed", "orders.confirmed", "notifications.sent"];

/// A step.
pub struct Service {
    pub name: &'static str,
    pub input: &'static str,
    pub output: &'static str,
}

/// What is told of each side before any figure.
pub const PROMISES: [&str; 7] = [
    "written in",
    "an input twice",
    "after a failure",
    "at the end of it",
    "gateway down",
    "of one order",
    "besides",
];

/// One side of the comparison.
pub struct Side {
    pub name: &'static str,
    /// For each of [`PROMISES`]; lines are broken at `|`.
    pub promises: [&'static str; 7],
    pub program: Program,
    /// Where the generator publishes; `{order}` and `{event}` stand for their ids.
    pub placed: &'static str,
    /// Where it sees confirmed orders.
    pub confirmed: &'static str,
    /// The streams that must have nothing left, with the consumers that must be there before the start.
    pub streams: &'static [(&'static str, usize)],
    /// The share of the traces that it exports, as OpenTelemetry's sampler is told it; nothing, if it exports none.
    pub sampled: Option<&'static str>,
}

/// Where its five programs are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// One Go program for all services.
    Go(&'static str),
    /// One Rust program for all services.
    Rust(&'static str),
    /// The application's own functions, with its gateway and its receiver.
    Functions,
}

const EVENTS: &[(&str, usize)] = &[("EVENTS", 5)];

const JETLAG: Side = Side {
    name: "jetlag",
    promises: [
        "Rust, Jetlag",
        "no effect for 24 h,|by expectation",
        "scheduled in the broker,|5 attempts",
        "dead letter",
        "breaker of all processes",
        "one at a time",
        "Prometheus, traces,|a copy for the audit",
    ],
    program: Program::Rust("same"),
    placed: "orders.placed.{order}.{event}",
    confirmed: "orders.confirmed.>",
    streams: &[("EVENTS", 4), ("AUDIT", 1), ("RETRY", 4)],
    sampled: None,
};

/// All sides, in the order in which they run.
pub const SIDES: &[Side] = &[
    Side {
        name: "watermill",
        promises: [
            "Go, Watermill's router",
            "dropped for 2 min,|by message id",
            "3 more in the process,|then delivered again",
            "dead letter",
            "breaker of one process",
            "no order",
            "Prometheus",
        ],
        program: Program::Go("watermill"),
        placed: "orders.placed",
        confirmed: "orders.confirmed",
        streams: EVENTS,
        sampled: None,
    },
    Side {
        name: "handwritten",
        promises: [
            "Go, as in the article",
            "dropped for 2 min,|by message id",
            "delivered again,|5 times",
            "forgotten",
            "breaker of one process",
            "no order",
            "Prometheus",
        ],
        program: Program::Go("handwritten"),
        placed: "orders.placed",
        confirmed: "orders.confirmed",
        streams: EVENTS,
        sampled: None,
    },
    Side {
        name: "floor",
        promises: [
            "Rust, async-nats bare",
            "dropped for 2 min,|by message id",
            "the process ends",
            "forgotten after 5",
            "nothing",
            "no order",
            "nothing",
        ],
        program: Program::Rust("floor"),
        placed: "orders.placed",
        confirmed: "orders.confirmed",
        streams: EVENTS,
        sampled: None,
    },
    Side {
        name: "wire",
        promises: [
            "Rust, a socket",
            "dropped for 2 min,|by message id",
            "the process ends",
            "forgotten after 5",
            "nothing",
            "no order",
            "nothing",
        ],
        program: Program::Rust("wire"),
        placed: "orders.placed",
        confirmed: "orders.confirmed",
        streams: EVENTS,
        sampled: None,
    },
    JETLAG,
    Side { name: "jetlag 1%", sampled: Some("0.01"), ..JETLAG },
    Side { name: "jetlag 100%", sampled: Some("1"), ..JETLAG },
    Side {
        name: "jetlag shop",
        promises: [
            "Rust, Jetlag",
            "no effect for 24 h,|by expectation",
            "scheduled in the broker,|8 attempts",
            "dead letter",
            "breaker of all processes",
            "one at a time",
            "the same; admission,|stock, HTTP, audit's seal",
        ],
        program: Program::Functions,
        placed: "orders.placed",
        confirmed: "orders.confirmed.>",
        streams: &[("EVENTS", 4), ("AUDIT", 1), ("INTAKE", 2), ("RETRY", 4)],
        sampled: None,
    },
];

impl Side {
    /// Whether it takes part in `scenario`.
    pub fn belongs_to(&self, scenario: &Scenario) -> bool {
        let is_kind = if scenario.traced { self.program == JETLAG.program } else { self.sampled.is_none() };
        is_kind && scenario.is_for(self.name)
    }

    /// The program of one service.
    pub fn path(&self, service: &str, built: &Built) -> PathBuf {
        match self.program {
            Program::Go(name) => built.go.join(name),
            Program::Rust(name) => built.rust.join(name),
            Program::Functions => built.rust.join(service),
        }
    }

    /// The streams that must have nothing left at the end.
    pub fn streams(&self) -> impl Iterator<Item = &'static str> {
        self.streams.iter().map(|(stream, _)| *stream)
    }

    /// Whether streams and consumers are Jetlag's own.
    pub fn is_jetlag(&self) -> bool {
        matches!(self.program, Program::Functions | Program::Rust("same"))
    }
}

/// Where the build put everything.
pub struct Built {
    pub go: PathBuf,
    pub rust: PathBuf,
    pub broker: PathBuf,
}

impl Built {
    /// The OpenTelemetry Collector.
    pub fn collector(&self) -> PathBuf {
        self.go.join("collector")
    }

    pub fn generator(&self) -> PathBuf {
        self.go.join("generator")
    }
}

/// The workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(Path::parent).expect("a workspace")
}
