//! The report as one table for people.

use std::fmt;

use observe::slo;

use super::number::grouped;
use super::report::Report;
use crate::books::{MoneyFacts, Pace};
use crate::orders::{InvoiceFate, RowFate};

/// How many findings are listed; all are counted, and all are in `-o json`.
const FINDINGS_MAX: usize = 40;
/// How wide the names of the lines are.
const NAME_WIDTH: usize = 15;

/// Lines of a name and what it comes to; a line without a name goes on with the one before.
struct Table<'f, 'g>(&'f mut fmt::Formatter<'g>);

impl Table<'_, '_> {
    fn line(&mut self, name: &str, text: fmt::Arguments<'_>) -> fmt::Result {
        writeln!(self.0, "{name:<NAME_WIDTH$}{text}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table(f);
        self.input(&mut table)?;
        self.orders(&mut table)?;
        self.money(&mut table)?;
        self.goods(&mut table)?;
        self.records(&mut table)?;
        self.speed(&mut table)?;
        self.runs(&mut table)?;
        self.verdict(&mut table)
    }
}

impl Report {
    fn input(&self, table: &mut Table<'_, '_>) -> fmt::Result {
        table.line("input", format_args!("{}", self.file.display()))?;
        let invoices = InvoiceFate::ALL.map(|fate| (self.input.invoices_of(fate), fate.to_string()));
        table.line("  invoices", format_args!("{}: {}", grouped(self.input.invoices), counted(&invoices)))?;
        let rows = RowFate::ALL.map(|fate| (self.input.rows_of(fate), fate.to_string()));
        table.line("  lines", format_args!("{}: {}", grouped(self.input.rows), counted(&rows)))?;
        let (pieces, skus) = (grouped(self.stock.pieces), grouped(self.stock.skus as u64));
        let scarce: Vec<_> = self.stock.scarce.iter().map(|scarce| scarce.sku.as_str()).collect();
        if scarce.is_empty() {
            return table.line("  stock", format_args!("{pieces} pieces of {skus} SKUs"));
        }
        table.line(
            "  stock",
            format_args!(
                "{pieces} pieces of {skus} SKUs; too few of {}: about {} orders have to be rejected",
                scarce.join(", "),
                self.stock.rejected_in_file_order
            ),
        )
    }

    fn orders(&self, table: &mut Table<'_, '_>) -> fmt::Result {
        let orders = &self.books.orders;
        table.line("orders", format_args!("{} placed", grouped(orders.placed)))?;
        table.line("  confirmed", format_args!("{}", grouped(orders.confirmed)))?;
        let reasons: Vec<_> =
            orders.cancelled.iter().map(|(reason, count)| (*count, reason.replace('_', " "))).collect();
        let reasons = if reasons.is_empty() { String::new() } else { format!(": {}", counted(&reasons)) };
        table.line("  cancelled", format_args!("{}{reasons}", grouped(orders.cancelled())))?;
        if orders.open > 0 {
            table.line("  not ended", format_args!("{}", grouped(orders.open)))?;
        }
        Ok(())
    }

    fn money(&self, table: &mut Table<'_, '_>) -> fmt::Result {
        for money in &self.books.money {
            let MoneyFacts { charges, charged_minor, confirmed_minor, .. } = money;
            table.line(
                "money",
                format_args!(
                    "{} in {} charges by the gateway's ledger, {} in confirmed orders",
                    money.in_units(*charged_minor),
                    grouped(*charges),
                    money.in_units(*confirmed_minor)
                ),
            )?;
        }
        table.line("", format_args!("{} cards declined", grouped(self.books.declined)))
    }

    fn goods(&self, table: &mut Table<'_, '_>) -> fmt::Result {
        let stock = &self.books.stock;
        let part = |pieces: i64| match u64::try_from(pieces) {
            Ok(pieces) => grouped(pieces),
            Err(_) => pieces.to_string(),
        };
        table.line(
            "goods",
            format_args!(
                "{} arrived = {} available + {} reserved + {} sold",
                grouped(stock.received),
                part(stock.available),
                part(stock.reserved),
                part(stock.sold)
            ),
        )
    }

    fn records(&self, table: &mut Table<'_, '_>) -> fmt::Result {
        let notices = &self.books.notifications;
        table.line(
            "notifications",
            format_args!(
                "{} sent, {} received, {} twice",
                grouped(notices.sent),
                grouped(notices.received),
                grouped(notices.repeated())
            ),
        )?;
        let audit = &self.books.audit;
        table.line(
            "audit",
            format_args!(
                "{} entries, sealed up to {} by {} checkpoints",
                grouped(audit.entries),
                grouped(audit.sealed_to),
                grouped(audit.checkpoints)
            ),
        )?;
        table.line("dead letters", format_args!("{}", grouped(self.books.dead_letters)))
    }

    fn speed(&self, table: &mut Table<'_, '_>) -> fmt::Result {
        let Some(pace) = self.books.pace else { return Ok(()) };
        let Pace { of_this_run, orders, orders_per_minute, p50_ms, p99_ms, in_time, .. } = pace;
        let whose = if of_this_run { "" } else { " (of earlier runs)" };
        table.line(
            "pace",
            format_args!(
                "{} orders a minute; placed to ended p50 {} ms, p99 {} ms, over {} orders{whose}",
                grouped(orders_per_minute),
                grouped(p50_ms),
                grouped(p99_ms),
                grouped(orders)
            ),
        )?;
        let tenths = in_time * 1000 / orders.max(1);
        let allowed = 1000 - slo::BUDGET_OF_100_000 / 100;
        table.line(
            "objective",
            format_args!(
                "{} of {} orders ended within {} s: {}.{} %; {}.{} % is the objective",
                grouped(in_time),
                grouped(orders),
                slo::WITHIN_SECONDS,
                tenths / 10,
                tenths % 10,
                allowed / 10,
                allowed % 10
            ),
        )
    }

    fn runs(&self, table: &mut Table<'_, '_>) -> fmt::Result {
        let (before, after) = (self.before, self.after);
        table.line(
            "this run",
            format_args!(
                "orders {} -> {}, charges {} -> {}, notifications {} -> {}",
                grouped(before.placed),
                grouped(after.placed),
                grouped(before.charges),
                grouped(after.charges),
                grouped(before.notifications),
                grouped(after.notifications)
            ),
        )?;
        let again = self.placed.already_placed;
        if again > 0 && self.adds_up() {
            table.line(
                "",
                format_args!(
                    "{} orders were placed again: none was charged or notified twice",
                    grouped(again)
                ),
            )?;
        }
        Ok(())
    }

    fn verdict(&self, table: &mut Table<'_, '_>) -> fmt::Result {
        let findings = &self.books.findings;
        if findings.is_empty() {
            return table.line("books", format_args!("everything adds up"));
        }
        table.line("books", format_args!("{} findings", grouped(findings.len() as u64)))?;
        for finding in findings.iter().take(FINDINGS_MAX) {
            table.line("", format_args!("{finding}"))?;
        }
        let untold = findings.len().saturating_sub(FINDINGS_MAX);
        if untold > 0 {
            table.line("", format_args!("and {untold} more"))?;
        }
        Ok(())
    }
}

/// What there is of each, leaving out what there is none of.
fn counted(parts: &[(u64, String)]) -> String {
    let there = parts.iter().filter(|(count, _)| *count > 0);
    there.map(|(count, what)| format!("{} {what}", grouped(*count))).collect::<Vec<_>>().join(", ")
}
