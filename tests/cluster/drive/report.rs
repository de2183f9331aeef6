//! What was seen, told as it happens and once more at the end.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Everything that was seen.
#[derive(Debug)]
pub struct Report {
    began: Instant,
    rows: Mutex<Vec<Row>>,
}

#[derive(Debug, Clone)]
struct Row {
    scenario: u8,
    what: String,
    seen: String,
}

impl Report {
    pub fn new() -> Self {
        Self { began: Instant::now(), rows: Mutex::default() }
    }

    /// Says what begins.
    pub fn begin(&self, scenario: u8, what: &str) {
        println!("\n{:7.1} s  {scenario}. {what}", self.began.elapsed().as_secs_f64());
    }

    /// Says what happens.
    pub fn tell(&self, what: &str) {
        println!("{:7.1} s     {what}", self.began.elapsed().as_secs_f64());
    }

    /// Says what was seen, and keeps it for the table.
    pub fn saw(&self, scenario: u8, what: impl Into<String>, seen: impl Into<String>) {
        let row = Row { scenario, what: what.into(), seen: seen.into() };
        self.tell(&format!("{}: {}", row.what, row.seen));
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).push(row);
    }

    /// The table of all that was seen.
    pub fn table(&self) -> String {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let width = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or_default();
        rows.iter().map(|row| format!("{}  {:width$}  {}\n", row.scenario, row.what, row.seen)).collect()
    }
}
