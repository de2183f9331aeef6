//! Whether what happened to an order leads to its end.

use super::account::Account;
use super::finding::Finding;
use events::CancelReason;

/// How often each of these must have happened, for one way to end.
struct Way {
    reserved: u64,
    rejected: u64,
    released: u64,
    processed: u64,
    declined: u64,
}

/// Checks that the order was placed once, ended once, and came there on a way that there is.
pub(super) fn check(id: &str, account: &Account, findings: &mut Vec<Finding>) {
    let order = || id.to_owned();
    match account.placed.len() {
        0 => return findings.push(Finding::NobodysOrder { order: order() }),
        1 => {}
        times => findings.push(Finding::PlacedTwice { order: order(), times }),
    }
    let endings = account.endings();
    let ending = match endings.as_slice() {
        [] => return findings.push(Finding::NotEnded { order: order() }),
        [ending] => ending.clone(),
        _ => return findings.push(Finding::EndedTwice { order: order(), endings }),
    };
    let Some(way) = way(account) else { return };
    let steps = [
        ("inventory.reserved", way.reserved, account.reserved),
        ("inventory.rejected", way.rejected, account.rejected),
        ("inventory.released", way.released, account.released),
        ("payments.processed", way.processed, account.processed.len() as u64),
        ("payments.declined", way.declined, account.declined),
    ];
    for (event, expected, found) in steps.into_iter().filter(|(_, expected, found)| expected != found) {
        findings.push(Finding::Contradiction {
            order: order(),
            ending: ending.clone(),
            event,
            expected,
            found,
        });
    }
    check_amounts(id, account, findings);
}

/// The way to the order's end; `None` if its reason is not known here.
fn way(account: &Account) -> Option<Way> {
    let none = Way { reserved: 0, rejected: 0, released: 0, processed: 0, declined: 0 };
    Some(match account.cancelled.first() {
        None => Way { reserved: 1, processed: 1, ..none },
        Some((CancelReason::OutOfStock, _)) => Way { rejected: 1, ..none },
        // An order without goods has nothing to give back.
        Some((CancelReason::PaymentDeclined, _)) => {
            Way { reserved: 1, declined: 1, released: u64::from(account.has_lines()), ..none }
        }
        Some((CancelReason::Other, _)) => return None,
    })
}

fn check_amounts(id: &str, account: &Account, findings: &mut Vec<Finding>) {
    let Some((placed, _)) = account.placed.first() else { return };
    let processed =
        account.processed.iter().map(|event| ("payments.processed", event.amount, &event.currency));
    let confirmed =
        account.confirmed.iter().map(|(event, _)| ("orders.confirmed", event.amount, &event.currency));
    for (event, amount, currency) in processed.chain(confirmed) {
        if (amount, currency) != (placed.amount, &placed.currency) {
            findings.push(Finding::AmountDiffers {
                order: id.to_owned(),
                event,
                placed: format!("{} {}", placed.amount, placed.currency),
                found: format!("{amount} {currency}"),
            });
        }
    }
}
