//! What a demonstration found: the facts, and whether everything adds up.

use std::path::PathBuf;

use serde::Serialize;

use super::opening::Scarce;
use super::rest::Rest;
use super::shop::Stocked;
use crate::books::{Books, Finding};
use crate::orders::{self, Tally};

/// Everything that is known at the end.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The file of orders.
    pub file: PathBuf,
    /// What became of its rows and invoices.
    pub input: orders::Report,
    /// What the shop opened with.
    pub stock: StockReport,
    /// What came of placing the orders.
    pub placed: Tally,
    /// Before the orders were placed.
    pub before: Counts,
    /// After everything had ended.
    pub after: Counts,
    /// How the wait for that ended.
    pub rest: Rest,
    /// The books, with everything that does not add up.
    pub books: Books,
}

/// What the shop opened with.
#[derive(Debug, Clone, Serialize)]
pub struct StockReport {
    /// All deliveries.
    pub deliveries: usize,
    /// Those that had not arrived in an earlier run.
    pub new: usize,
    /// Different things.
    pub skus: usize,
    /// Pieces together.
    pub pieces: u64,
    /// Of these there is too little.
    pub scarce: Vec<Scarce>,
    /// How many orders would be rejected if they were handled one by one.
    pub rejected_in_file_order: usize,
}

/// What grows from run to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Orders that were placed.
    pub placed: u64,
    /// Orders that were confirmed.
    pub confirmed: u64,
    /// Orders that were cancelled.
    pub cancelled: u64,
    /// Successful charges, by the gateway.
    pub charges: u64,
    /// Declined cards, by the gateway's and the payment's agreement.
    pub declined: u64,
    /// Notifications that arrived, repetitions included.
    pub notifications: u64,
}

impl Counts {
    /// The counts of `books`.
    pub fn of(books: &Books) -> Self {
        Self {
            placed: books.orders.placed,
            confirmed: books.orders.confirmed,
            cancelled: books.orders.cancelled(),
            charges: books.money.iter().map(|money| money.charges).sum(),
            declined: books.declined,
            notifications: books.notifications.deliveries,
        }
    }

    /// What grew from `before` to `after` otherwise than the orders did: a charge for each confirmed one, a
    /// notification for each that ended, and nothing for those of earlier runs.
    pub fn compare(before: &Self, after: &Self) -> Vec<Finding> {
        let ended = |counts: &Self| counts.confirmed + counts.cancelled;
        let charges = before.charges + after.confirmed.saturating_sub(before.confirmed);
        let notifications = before.notifications + ended(after).saturating_sub(ended(before));
        let grown = [
            ("the number of charges", before.charges, after.charges, charges),
            ("the number of notifications", before.notifications, after.notifications, notifications),
        ];
        let otherwise = grown.into_iter().filter(|(_, _, after, expected)| after != expected);
        otherwise
            .map(|(what, before, after, expected)| Finding::GrewOtherwise { what, before, after, expected })
            .collect()
    }
}

impl StockReport {
    pub(super) fn of(stocked: &Stocked) -> Self {
        let opening = &stocked.opening;
        Self {
            deliveries: opening.deliveries.len(),
            new: stocked.new,
            skus: opening.skus(),
            pieces: opening.pieces(),
            scarce: opening.scarce.clone(),
            rejected_in_file_order: opening.rejected_in_file_order,
        }
    }
}

impl Report {
    /// Whether everything adds up.
    pub fn adds_up(&self) -> bool {
        self.books.findings.is_empty()
    }

    /// Adds what the books by themselves cannot know.
    pub(super) fn conclude(&mut self) {
        let mut findings = Vec::new();
        if let Rest::Stalled(seconds) = self.rest {
            findings.push(Finding::Stalled { seconds });
        }
        let not_accepted = self.placed.refused + self.placed.unanswered;
        if not_accepted > 0 {
            let why: Vec<_> = self.placed.reasons.keys().map(String::as_str).collect();
            findings.push(Finding::NotAccepted { orders: not_accepted, why: why.join("; ") });
        }
        findings.extend(Counts::compare(&self.before, &self.after));
        self.books.findings.splice(0..0, findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_charges_or_tells_somebody_twice_is_found() {
        let before =
            Counts { placed: 3, confirmed: 2, cancelled: 1, charges: 2, declined: 1, notifications: 3 };
        assert_eq!(Counts::compare(&before, &before), []);
        let grown =
            Counts { placed: 5, confirmed: 3, cancelled: 2, charges: 3, declined: 2, notifications: 5 };
        assert_eq!(Counts::compare(&before, &grown), []);
        let twice = Counts { charges: 4, notifications: 6, ..grown };
        let expected = [
            Finding::GrewOtherwise { what: "the number of charges", before: 2, after: 4, expected: 3 },
            Finding::GrewOtherwise { what: "the number of notifications", before: 3, after: 6, expected: 5 },
        ];
        assert_eq!(Counts::compare(&before, &twice), expected);
    }
}
