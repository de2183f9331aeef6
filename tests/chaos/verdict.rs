//! What came of a run: whether everything adds up ([`crate::proof`]), and how much the faults were felt.

use std::collections::BTreeSet;
use std::path::Path;

use jetlag::topology::{EVENTS, RETRY};
use jetlag_cli::books::Books;
use jetlag_cli::demo::{self, Rest};

use crate::customers::Answers;
use crate::fleet::Fleet;
use crate::market::Market;
use crate::proof::{self, Records};

/// What was found.
#[derive(Debug)]
pub struct Verdict {
    pub books: Books,
    /// Everything that does not add up; empty if all does.
    pub faults: Vec<String>,
    /// How much the faults were felt.
    pub felt: Felt,
}

/// What happened more than once, or later, or elsewhere, and did no harm.
#[derive(Debug, Clone, Default)]
#[expect(dead_code, reason = "told by Debug")]
pub struct Felt {
    pub restarts: u32,
    /// Requests of customers that had to be made again.
    pub repeats: usize,
    /// Attempts that were scheduled anew.
    pub retries: u64,
    /// Charges that were asked for again and not made again, since the gateway was last started.
    pub replays: u64,
    /// Answers of gateway and receiver that were lost on their way.
    pub answers_lost: u64,
    /// Messages to customers beyond the first, under the same id.
    pub notified_again: u64,
    pub dead_letters: usize,
}

/// Waits until nothing is left to be done, and balances.
pub async fn verdict(fleet: &Fleet, data: &Path, market: &Market, answers: &Answers, before: u64) -> Verdict {
    let rest =
        demo::at_rest(&fleet.operator, fleet.running.topology(), &answers.accepted, BTreeSet::new()).await;
    let accepted = answers.accepted.clone();
    let evidence =
        demo::gather(&fleet.operator, &fleet.running, &fleet.http, accepted, before).await.unwrap();
    let books = Books::balance(&evidence);
    let records = Records { ledger: data.join("gateway.jsonl"), received: data.join("receiver.jsonl") };
    let mut faults = proof::faults(market, answers, &evidence, &books, &records);
    if let Rest::Stalled(seconds) = rest {
        faults.push(format!("not at rest: nothing has moved for {seconds} s"));
    }
    let retries = fleet.operator.stream_state(RETRY).await.unwrap().last_sequence;
    let felt = Felt {
        restarts: fleet.restarts(),
        repeats: answers.repeats,
        retries,
        replays: evidence.ledger.replays,
        answers_lost: fleet.answers_lost(),
        notified_again: books.notifications.repeated(),
        dead_letters: evidence.dead_letters.len(),
    };
    Verdict { books, faults, felt }
}

/// The last sequence of EVENTS.
pub async fn last_event(fleet: &Fleet) -> u64 {
    fleet.operator.stream_state(EVENTS).await.unwrap().last_sequence
}
