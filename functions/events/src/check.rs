//! What is wrong with a payload: every fault, each at its place, up to a limit.

use std::collections::BTreeSet;
use std::fmt;

use jetlag::{Fault, ID_BYTES_MAX};

use crate::{Amount, Currency, LINES_MAX, Line, MoneyFault, QUANTITY_MAX, SKU_BYTES_MAX, SKUS_MAX};

/// How many faults are told; a body of thousands of bad lines does not become an answer of thousands.
pub const FAULTS_MAX: usize = 50;

/// Collects faults, so that a sender hears of all of them at once.
#[derive(Debug, Default)]
pub struct Check {
    faults: Vec<Fault>,
    untold: usize,
}

impl Check {
    /// The check that the payloads about an order and its money share.
    pub(crate) fn of_order(order_id: &str, customer_id: &str, amount: Amount, currency: &Currency) -> Self {
        let mut check = Self::default();
        check.order(order_id, customer_id, amount, currency);
        check
    }

    pub(crate) fn order(&mut self, order_id: &str, customer_id: &str, amount: Amount, currency: &Currency) {
        self.id("/order_id", order_id);
        self.id("/customer_id", customer_id);
        self.money(amount, currency);
    }

    /// Notes a fault at `pointer` (a JSON pointer).
    pub fn fault(&mut self, pointer: &str, detail: impl fmt::Display) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault::at(pointer, detail.to_string()));
        } else {
            self.untold = self.untold.saturating_add(1);
        }
    }

    /// Notes a fault unless `holds`.
    pub fn that(&mut self, holds: bool, pointer: &str, detail: impl fmt::Display) {
        if !holds {
            self.fault(pointer, detail);
        }
    }

    /// An id of an order, a customer, a payment: 1 to [`ID_BYTES_MAX`] bytes without control characters.
    pub fn id(&mut self, pointer: &str, id: &str) {
        self.text(pointer, id, ID_BYTES_MAX);
    }

    /// Money: more than zero, at most [`AMOUNT_MAX`](crate::AMOUNT_MAX), in a known currency, in whole minor units.
    pub fn money(&mut self, amount: Amount, currency: &Currency) {
        for fault in amount.faults(currency) {
            let pointer = if fault == MoneyFault::UnknownCurrency { "/currency" } else { "/amount" };
            self.fault(pointer, fault);
        }
    }

    /// The lines of an order: 1 to [`LINES_MAX`], naming at most [`SKUS_MAX`] SKUs.
    pub fn lines(&mut self, lines: &[Line]) {
        self.that(!lines.is_empty(), "/lines", "it must have at least one line, or be left out");
        if lines.len() > LINES_MAX {
            return self.fault(
                "/lines",
                format_args!("it must have at most {LINES_MAX} lines, but has {}", lines.len()),
            );
        }
        let skus = lines.iter().map(|line| &line.sku).collect::<BTreeSet<_>>().len();
        self.that(
            skus <= SKUS_MAX,
            "/lines",
            format_args!("it must name at most {SKUS_MAX} different SKUs, but names {skus}"),
        );
        for (at, line) in lines.iter().enumerate() {
            self.sku(&format!("/lines/{at}/sku"), &line.sku);
            self.quantity(&format!("/lines/{at}/quantity"), line.quantity);
        }
    }

    /// A SKU: 1 to [`SKU_BYTES_MAX`] bytes without control characters.
    pub fn sku(&mut self, pointer: &str, sku: &str) {
        self.text(pointer, sku, SKU_BYTES_MAX);
    }

    /// A quantity: 1 to [`QUANTITY_MAX`].
    pub fn quantity(&mut self, pointer: &str, quantity: u32) {
        self.that(
            (1..=QUANTITY_MAX).contains(&quantity),
            pointer,
            format_args!("it must be 1 to {QUANTITY_MAX}, but is {quantity}"),
        );
    }

    /// Every fault that was noted.
    ///
    /// # Errors
    /// There was one.
    pub fn verdict(mut self) -> Result<(), Vec<Fault>> {
        if self.untold > 0 {
            self.faults.push(Fault::at("", format!("and {} faults more", self.untold)));
        }
        if self.faults.is_empty() { Ok(()) } else { Err(self.faults) }
    }

    /// Every fault in one sentence, as [`jetlag::Payload::validate`] wants it.
    ///
    /// # Errors
    /// There was one.
    pub fn in_words(self) -> Result<(), String> {
        self.verdict().map_err(|faults| {
            let told = |fault: &Fault| format!("{}: {}", fault.pointer, fault.detail);
            faults.iter().map(told).collect::<Vec<_>>().join("; ")
        })
    }

    fn text(&mut self, pointer: &str, text: &str, bytes_max: usize) {
        self.that(
            (1..=bytes_max).contains(&text.len()),
            pointer,
            format_args!("it must have 1 to {bytes_max} bytes, but has {}", text.len()),
        );
        self.that(!text.chars().any(char::is_control), pointer, "it must not have control characters");
    }
}
