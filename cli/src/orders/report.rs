//! What became of every row and every invoice of a file.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::fate::{Broken, InvoiceFate, RowFate};

/// How many rows that cannot be read are named with their line; all are counted.
const BROKEN_ROWS_LIMIT: usize = 20;

/// The account of one file: the counts of the rows add up to all rows, those of the invoices to all invoices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// All rows, the header and blank lines not counted.
    pub rows: u64,
    /// Rows by fate.
    pub row_fates: BTreeMap<RowFate, u64>,
    /// All invoices.
    pub invoices: u64,
    /// Invoices by fate.
    pub invoice_fates: BTreeMap<InvoiceFate, u64>,
    /// The first rows that cannot be read.
    pub broken: Vec<BrokenRow>,
}

/// A row that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BrokenRow {
    /// Its line in the file, the header being line 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: Broken,
}

impl Report {
    /// How many rows had this fate.
    pub fn rows_of(&self, fate: RowFate) -> u64 {
        self.row_fates.get(&fate).copied().unwrap_or_default()
    }

    /// How many invoices had this fate.
    pub fn invoices_of(&self, fate: InvoiceFate) -> u64 {
        self.invoice_fates.get(&fate).copied().unwrap_or_default()
    }

    pub(super) fn row(&mut self, fate: RowFate) {
        *self.row_fates.entry(fate).or_default() += 1;
    }

    pub(super) fn broken_row(&mut self, line: u64, reason: Broken) {
        self.row(RowFate::Broken);
        if self.broken.len() < BROKEN_ROWS_LIMIT {
            self.broken.push(BrokenRow { line, reason });
        }
    }

    /// Counts an invoice, and `rows` readable rows of it that share one fate.
    pub(super) fn invoice(&mut self, fate: InvoiceFate, rows: usize, row_fate: RowFate) {
        self.invoices += 1;
        *self.invoice_fates.entry(fate).or_default() += 1;
        (0..rows).for_each(|_| self.row(row_fate));
    }

    #[cfg(test)]
    pub(super) fn assert_complete(&self) {
        assert_eq!(self.rows, self.row_fates.values().sum::<u64>(), "{self:?}");
        assert_eq!(self.invoices, self.invoice_fates.values().sum::<u64>(), "{self:?}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:>8}  invoices", self.invoices)?;
        for fate in InvoiceFate::ALL.into_iter().filter(|fate| self.invoices_of(*fate) > 0) {
            writeln!(formatter, "{:>8}    {fate}", self.invoices_of(fate))?;
        }
        writeln!(formatter, "{:>8}  rows", self.rows)?;
        for fate in RowFate::ALL.into_iter().filter(|fate| self.rows_of(*fate) > 0) {
            writeln!(formatter, "{:>8}    {fate}", self.rows_of(fate))?;
        }
        for row in &self.broken {
            writeln!(formatter, "          line {}: {}", row.line, row.reason)?;
        }
        let untold = self.rows_of(RowFate::Broken).saturating_sub(self.broken.len() as u64);
        if untold > 0 {
            writeln!(formatter, "          and {untold} more that cannot be read")?;
        }
        Ok(())
    }
}
