//! Every series of this process, behind the facade `metrics`.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use metrics::atomics::AtomicU64;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use opentelemetry::metrics::Meter;

use crate::telemetry::metrics::buckets::Buckets;
use crate::telemetry::metrics::push::{self, Twin};
use crate::telemetry::names;

/// The series that were asked for so far. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    cells: Arc<RwLock<HashMap<Key, Cell>>>,
    /// Who is told of each series besides.
    meter: Option<Meter>,
}

/// What one series counts.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Counter(Arc<AtomicU64>),
    /// A float by its bits.
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Buckets>),
}

impl Series {
    /// None yet; each that comes is made known to `meter`.
    pub(crate) fn told_to(meter: Option<Meter>) -> Self {
        Self { meter, ..Self::default() }
    }

    /// All of them, by name and then by labels.
    pub(crate) fn read(&self) -> Vec<(Key, Cell)> {
        let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<(Key, Cell)> = cells.iter().map(|(key, cell)| (key.clone(), cell.clone())).collect();
        drop(cells);
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    /// The series of `key`, which is `new` if nobody has asked for it before.
    fn cell(&self, key: &Key, new: impl FnOnce() -> Cell) -> Cell {
        if let Some(known) = self.cells.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return known.clone();
        }
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let cell = new();
            self.meter.iter().for_each(|meter| push::observe(meter, key, &cell));
            cell
        };
        cells.entry(key.clone()).or_insert_with(new).clone()
    }
}

/// A name that is asked for as two kinds is counted as the first.
impl Recorder for Series {
    // What each metric is stands in `names`.
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.cell(key, || Cell::Counter(Arc::default())) {
            Cell::Counter(counter) => Counter::from_arc(counter),
            Cell::Gauge(_) | Cell::Histogram(_) => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.cell(key, || Cell::Gauge(Arc::default())) {
            Cell::Gauge(gauge) => Gauge::from_arc(gauge),
            Cell::Counter(_) | Cell::Histogram(_) => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let new = || {
            let bounds = names::bounds(key.name());
            let twin = self.meter.as_ref().map(|meter| Twin::of(meter, key, bounds));
            Cell::Histogram(Arc::new(Buckets::new(bounds, twin)))
        };
        match self.cell(key, new) {
            Cell::Histogram(buckets) => Histogram::from_arc(buckets),
            Cell::Counter(_) | Cell::Gauge(_) => Histogram::noop(),
        }
    }
}
