//! What is measured.

/// One way of placing orders, and what is around.
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub orders: usize,
    pub pace: Pace,
    /// How long a charge takes.
    pub gateway_ms: u32,
    /// Whether the broker syncs everything to the disk before it acknowledges.
    pub sync_always: bool,
    /// How many different things are ordered.
    pub skus: usize,
    /// Lines of an order.
    pub lines: usize,
    pub watched: Watched,
    pub only: Option<&'static str>,
    /// Sides that have no answer to what happens here.
    pub without: &'static [&'static str],
    /// Processes of each service; of one that reads the trail there is one.
    pub replicas: usize,
    /// Of how many orders in a hundred the first charge fails.
    pub failing_percent: usize,
    /// Of how many in a hundred every charge fails.
    pub lost_percent: usize,
    /// Whether the sides that export traces take part, and the same without; nobody else does then.
    pub traced: bool,
    /// How many other aggregates the stream has an event of for each order that is placed, before anything starts.
    pub aggregates: usize,
    /// Whether it runs only when it is asked for: it takes long.
    pub on_demand: bool,
}

/// How fast orders are placed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as 512 orders without the broker's answer allow.
    Burst,
    /// All of them before any function runs: how fast a backlog is worked off.
    Before,
    /// So many a second, whatever comes back.
    PerSecond(u32),
    /// For ten seconds half as many as the side's own bursts of this comparison had, whatever comes back.
    Half,
}

/// The figure that the scenario is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    Throughput,
    Latency,
    /// From exec to the first event that a process has made of one that waited.
    Start,
}

/// What spreads the orders that fail over a hundred: more failures than that in a row open a circuit breaker for 30 s.
const LOT: usize = 37;

const PLAIN: Scenario = Scenario {
    name: "burst",
    about: "orders as fast as they can be placed",
    orders: 20_000,
    pace: Pace::Burst,
    gateway_ms: 0,
    sync_always: false,
    skus: 2_000,
    lines: 2,
    watched: Watched::Throughput,
    only: None,
    without: &[],
    replicas: 1,
    failing_percent: 0,
    lost_percent: 0,
    traced: false,
    aggregates: 0,
    on_demand: false,
};

impl Scenario {
    /// How many of so many orders become dead letters.
    pub fn lost(&self, orders: usize) -> usize {
        (0..orders).filter(|number| self.is_lost(*number)).count()
    }

    /// Whether this one does. The generator and every side draw the same lots ([`LOT`]).
    pub fn is_lost(&self, number: usize) -> bool {
        number * LOT % 100 < self.lost_percent
    }

    /// Whether `side` is measured.
    pub fn is_for(&self, side: &str) -> bool {
        self.only.is_none_or(|only| only == side) && !self.without.contains(&side)
    }
}

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    PLAIN,
    Scenario {
        name: "steady",
        about: "167 orders a second (10,000 a minute), latency from when each should have been placed",
        orders: 3_000,
        pace: Pace::PerSecond(167),
        watched: Watched::Latency,
        ..PLAIN
    },
    Scenario {
        name: "half",
        about: "10 s of half the orders a second that the side had in its bursts, latency as in steady",
        pace: Pace::Half,
        watched: Watched::Latency,
        ..PLAIN
    },
    Scenario {
        name: "gateway",
        about: "orders as fast as they can be placed, and a charge takes 20 ms",
        orders: 10_000,
        gateway_ms: 20,
        ..PLAIN
    },
    Scenario {
        name: "synced",
        about: "the broker has everything on disk before it acknowledges (sync_interval: always)",
        orders: 5_000,
        sync_always: true,
        ..PLAIN
    },
    Scenario {
        name: "large",
        about: "orders of 593 lines, the longest in data/online-retail",
        orders: 300,
        lines: 593,
        ..PLAIN
    },
    Scenario {
        name: "hot",
        about: "every order wants the same thing",
        orders: 5_000,
        skus: 1,
        lines: 1,
        only: Some("jetlag shop"),
        ..PLAIN
    },
    Scenario {
        name: "hot-replicas",
        about: "every order wants the same thing; 4 processes of each function",
        orders: 5_000,
        skus: 1,
        lines: 1,
        replicas: 4,
        only: Some("jetlag shop"),
        on_demand: true,
        ..PLAIN
    },
    Scenario {
        name: "replicas",
        about: "as burst; 4 processes of each service",
        replicas: 4,
        on_demand: true,
        ..PLAIN
    },
    Scenario {
        name: "failing",
        about: "as burst; the first charge of every tenth order fails",
        failing_percent: 10,
        without: &["floor", "wire", "jetlag shop"],
        on_demand: true,
        ..PLAIN
    },
    Scenario {
        name: "letters",
        about: "as burst; no charge of every hundredth order is possible: it becomes a dead letter",
        lost_percent: 1,
        without: &["handwritten", "floor", "wire", "jetlag shop"],
        on_demand: true,
        ..PLAIN
    },
    Scenario {
        name: "start",
        about: "from exec of inventory to the event that it makes of an order that waits, 5 times a round",
        orders: 5,
        watched: Watched::Start,
        ..PLAIN
    },
    Scenario {
        name: "backlog",
        about: "a million orders wait when the functions start; worked off",
        orders: 1_000_000,
        pace: Pace::Before,
        on_demand: true,
        ..PLAIN
    },
    Scenario {
        name: "aggregates",
        about: "as burst; the stream has events of 50 other aggregates for each order: a million",
        aggregates: 50,
        on_demand: true,
        ..PLAIN
    },
    Scenario {
        name: "traced",
        about: "as burst; a collector of OpenTelemetry takes no traces, one of a hundred, and all",
        traced: true,
        on_demand: true,
        ..PLAIN
    },
];
