//! Medians, spreads and ratios of what was measured, as a table.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::run::Measured;
use crate::scenarios::{Scenario, Watched};
use crate::sides::{PROMISES, SIDES, Side};

/// The least, the middle and the most of what good runs have shown.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

/// One side in one scenario.
#[derive(Serialize)]
pub struct Summary {
    pub scenario: &'static str,
    pub side: &'static str,
    /// How many runs count, and how many do not because something was wrong.
    pub good: usize,
    pub bad: usize,
    pub figures: BTreeMap<&'static str, Spread>,
    /// The median of the figure that the scenario is about, as a multiple of each peer's.
    pub times: BTreeMap<&'static str, f64>,
}

struct Figure {
    name: &'static str,
    title: &'static str,
    digits: usize,
    /// Which scenarios have it; all, if nothing is said.
    only: Option<Watched>,
    of: fn(&Measured) -> Vec<f64>,
}

const ORDERS: &str = "orders_per_s";
const P50: &str = "p50_ms";
const START: &str = "start_ms";

const fn figure(
    name: &'static str,
    title: &'static str,
    digits: usize,
    only: Option<Watched>,
    of: fn(&Measured) -> Vec<f64>,
) -> Figure {
    Figure { name, title, digits, only, of }
}

const FIGURES: [Figure; 21] = [
    figure("orders", "orders a run", 0, None, |run| vec![run.orders as f64]),
    figure(ORDERS, "orders/s", 0, Some(Watched::Throughput), |run| vec![run.orders_per_s]),
    figure(P50, "p50 ms", 1, Some(Watched::Latency), |run| vec![run.p50_ms]),
    figure("p99_ms", "p99 ms", 1, Some(Watched::Latency), |run| vec![run.p99_ms]),
    figure("p999_ms", "p99.9 ms", 1, Some(Watched::Latency), |run| vec![run.p999_ms]),
    figure(START, "exec to event ms", 1, Some(Watched::Start), |run| run.start_ms.clone()),
    figure("functions_cpu_s", "CPU s/1000: functions", 3, None, |run| vec![run.functions_cpu_s]),
    figure("broker_cpu_s", "CPU s/1000: broker", 3, None, |run| vec![run.broker_cpu_s]),
    figure("companions_cpu_s", "CPU s/1000: gateway etc.", 3, None, |run| vec![run.companions_cpu_s]),
    figure("generator_cpu_s", "CPU s/1000: generator", 3, None, |run| vec![run.generator_cpu_s]),
    figure("functions_waits", "waits/order: functions", 1, None, |run| vec![run.functions_waits]),
    figure("broker_waits", "waits/order: broker", 1, None, |run| vec![run.broker_waits]),
    figure("messages_in", "messages/order: to broker", 1, None, |run| vec![run.messages_in]),
    figure("messages_out", "messages/order: from it", 1, None, |run| vec![run.messages_out]),
    figure("idle_cpu_pct", "idle % of a core: functions", 2, Some(Watched::Start), |run| {
        vec![run.idle_cpu_pct]
    }),
    figure("broker_idle_cpu_pct", "idle % of a core: broker", 2, Some(Watched::Start), |run| {
        vec![run.broker_idle_cpu_pct]
    }),
    figure("idle_mib", "MiB, idle function", 1, None, |run| vec![run.idle_mib]),
    figure("peak_mib", "MiB, largest peak", 1, None, |run| vec![run.peak_mib]),
    figure("broker_peak_mib", "MiB, broker's peak", 0, None, |run| vec![run.broker_peak_mib]),
    figure("load", "load before", 1, None, |run| vec![run.load]),
    figure("others_pct", "others' share %", 0, None, |run| vec![run.others_pct]),
];

impl Figure {
    fn belongs_to(&self, scenario: &Scenario) -> bool {
        // Five orders say nothing of what a thousand cost.
        let of_load = self.name.ends_with("cpu_s")
            || self.name.ends_with("waits")
            || self.name.starts_with("messages")
            || self.name == "others_pct";
        match self.only {
            Some(watched) => watched == scenario.watched,
            None => scenario.watched != Watched::Start || !of_load,
        }
    }
}

impl Scenario {
    /// The figure that it is about, and whether more of it is better.
    pub fn headline(&self) -> (&'static str, bool) {
        match self.watched {
            Watched::Throughput => (ORDERS, true),
            Watched::Latency => (P50, false),
            Watched::Start => (START, false),
        }
    }
}

/// What the figure `name` is called where it is shown.
pub fn title(name: &str) -> &'static str {
    FIGURES.iter().find(|figure| figure.name == name).map_or("", |figure| figure.title)
}

pub fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let (first, last) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    };
    Some(Spread { median, min: first, max: last })
}

/// What the runs of `scenario` have shown, side by side.
pub fn summarise(scenario: &Scenario, runs: &[Measured]) -> Vec<Summary> {
    let of_side = |side: &Side| -> Vec<&Measured> {
        runs.iter().filter(|run| run.scenario == scenario.name && run.side == side.name).collect()
    };
    let sides = SIDES.iter().filter(|side| !of_side(side).is_empty());
    let mut all: Vec<Summary> = sides
        .map(|side| {
            let (good, bad): (Vec<_>, Vec<_>) =
                of_side(side).into_iter().partition(|run| run.faults.is_empty());
            let figures = FIGURES.iter().filter(|figure| figure.belongs_to(scenario)).filter_map(|figure| {
                Some((figure.name, spread(good.iter().flat_map(|run| (figure.of)(run)).collect())?))
            });
            Summary {
                scenario: scenario.name,
                side: side.name,
                good: good.len(),
                bad: bad.len(),
                figures: figures.collect(),
                times: BTreeMap::new(),
            }
        })
        .collect();
    let (headline, _) = scenario.headline();
    let medians: Vec<(&'static str, f64)> = all
        .iter()
        .filter(|summary| SIDES.iter().any(|side| side.name == summary.side && !side.is_jetlag()))
        .filter_map(|summary| Some((summary.side, summary.figures.get(headline)?.median)))
        .collect();
    for summary in &mut all {
        let Some(own) = summary.figures.get(headline) else { continue };
        summary.times = medians.iter().map(|(peer, median)| (*peer, own.median / median)).collect();
    }
    all
}

/// A table: what each side promises, then what it has shown, as the median and in brackets the least and the most.
pub fn table(scenario: &Scenario, summaries: &[Summary]) -> String {
    let (headline, more_is_better) = scenario.headline();
    let side_of = |summary: &Summary| SIDES.iter().find(|side| side.name == summary.side).expect("a side");
    let mut rows: Vec<Vec<String>> = Vec::new();
    let titles = summaries.iter().map(|summary| summary.side.to_owned());
    rows.push([String::new()].into_iter().chain(titles).collect());
    for (at, promise) in PROMISES.iter().enumerate() {
        for line in 0..2 {
            let cell = |summary: &Summary| {
                let parts: Vec<&str> = side_of(summary).promises[at].split('|').collect();
                (*parts.get(line).unwrap_or(&"")).to_owned()
            };
            let cells: Vec<String> = summaries.iter().map(cell).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                let title = if line == 0 { (*promise).to_owned() } else { String::new() };
                rows.push([title].into_iter().chain(cells).collect());
            }
        }
    }
    rows.push(Vec::new());
    for figure in FIGURES.iter().filter(|figure| figure.belongs_to(scenario)) {
        let cell = |summary: &Summary| {
            let Some(spread) = summary.figures.get(figure.name) else { return "-".to_owned() };
            let Spread { median, min, max } = spread;
            let digits = figure.digits;
            if summary.good == 1 && min == max {
                format!("{median:.digits$}")
            } else {
                format!("{median:.digits$} ({min:.digits$}-{max:.digits$})")
            }
        };
        rows.push([figure.title.to_owned()].into_iter().chain(summaries.iter().map(cell)).collect());
        if figure.name == headline {
            let better = if more_is_better { "more" } else { "less" };
            let peers: Vec<&str> =
                summaries.iter().filter(|one| !side_of(one).is_jetlag()).map(|one| one.side).collect();
            for peer in peers {
                let cell = |summary: &Summary| {
                    let times = summary.times.get(peer);
                    times.map_or_else(|| "-".to_owned(), |times| format!("{times:.2} x"))
                };
                let title = format!("  of {peer}'s ({better} is better)");
                rows.push([title].into_iter().chain(summaries.iter().map(cell)).collect());
            }
        }
    }
    let runs = |summary: &Summary| match summary.bad {
        0 => format!("{}, all orders once", summary.good),
        bad => format!("{}, and {bad} WRONG", summary.good),
    };
    rows.push(["runs".to_owned()].into_iter().chain(summaries.iter().map(runs)).collect());
    aligned(&rows)
}

/// Rows of cells, each column as wide as its widest.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
