//! What customers were told, against how their orders ended.

use std::collections::BTreeSet;

use serde::Serialize;

use super::account::{Account, Accounts};
use super::finding::Finding;
use super::world::Received;

/// Messages to customers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NoticeFacts {
    /// Different messages that were sent, by the events.
    pub sent: u64,
    /// Everything that arrived.
    pub deliveries: u64,
    /// Different messages that arrived.
    pub received: u64,
}

impl NoticeFacts {
    /// Deliveries beyond the first of each message.
    pub const fn repeated(&self) -> u64 {
        self.deliveries.saturating_sub(self.received)
    }
}

/// Checks that each end was told once, and that what was sent is what arrived.
pub(super) fn check(accounts: &Accounts, received: &Received, findings: &mut Vec<Finding>) -> NoticeFacts {
    let mut messages = BTreeSet::new();
    for (id, account) in &accounts.orders {
        messages.extend(account.notified.iter().map(|notice| notice.message_id.as_str()));
        check_order(id, account, findings);
    }
    let sent = messages.len() as u64;
    if received.distinct != sent {
        findings.push(Finding::NoticesDiffer { sent, received: received.distinct });
    }
    if received.total != received.distinct || !received.duplicates.is_empty() {
        findings.push(Finding::ReceivedTwice {
            deliveries: received.total,
            messages: received.distinct,
            ids: received.duplicates.clone(),
        });
    }
    NoticeFacts { sent, deliveries: received.total, received: received.distinct }
}

fn check_order(id: &str, account: &Account, findings: &mut Vec<Finding>) {
    let confirmed = account.confirmed.iter().map(|_| "orders.confirmed");
    let cancelled = account.cancelled.iter().map(|_| "orders.cancelled");
    let endings: Vec<&str> = confirmed.chain(cancelled).collect();
    let told: Vec<String> = account.notified.iter().map(|notice| notice.about.clone()).collect();
    if told == endings {
        return;
    }
    let order = id.to_owned();
    findings.push(if told.is_empty() {
        Finding::NotNotified { order }
    } else {
        let endings = account.endings();
        let ending = if endings.is_empty() { "not ended".to_owned() } else { endings.join(", ") };
        Finding::Misinformed { order, ending, told }
    });
}
