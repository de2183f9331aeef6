//! What the processes of payment have written down about their circuit: whether the gateway is taken for down.

use std::ops::Range;
use std::time::Duration;

use jetlag::Subject;
use jetlag::topology::EVENTS;
use serde::Deserialize;

use crate::patience::{so, until};
use crate::shop::Shop;

/// How long the record may take to say what the process that wrote it knows.
const WRITTEN_LIMIT: Duration = Duration::from_secs(30);

/// As far as it is needed here; the rest of the record says when, and who tries.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "position", rename_all = "snake_case")]
enum Position {
    Open {},
    Closed {},
}

/// Sees to it that payment begins with a closed circuit and is at zero. A scenario before may have left the record open:
/// one process found the gateway down, and its inputs were answered by another one whose own circuit was closed, so that
/// nobody tried on behalf of all and wrote `closed`. The next failure would then be that of a failed try, which opens the
/// circuit for 30 s although the gateway is well. One order that is sure to be paid, of those in `range`, is that try.
pub async fn close(shop: &Shop, range: Range<usize>) -> Result<(), String> {
    let at = shop.sure(range)?;
    shop.all_at_zero().await?;
    if position(shop).await? != Some(Position::Open {}) {
        return Ok(());
    }
    shop.report.tell("payment's circuit was left open; one order closes it");
    shop.order(at..at + 1, None).await?;
    shop.all_ended().await?;
    until("payment's circuit closed", WRITTEN_LIMIT, async || {
        let position = position(shop).await?;
        so(position == Some(Position::Closed {}), || format!("{position:?}"))
    })
    .await?;
    shop.all_at_zero().await
}

/// What the record says; nothing if payment never found the gateway down.
async fn position(shop: &Shop) -> Result<Option<Position>, String> {
    let subject = Subject::of_state("payment", "_jetlag", "breaker");
    let found = shop.cluster.operator.read(EVENTS, subject.as_str(), 1).await;
    let found = found.map_err(|error| format!("{subject}: {error}"))?;
    let Some(last) = found.last() else { return Ok(None) };
    let position = serde_json::from_slice(&last.payload);
    position.map(Some).map_err(|error| format!("{subject}: {error}"))
}
