//! Reads what the books are balanced from: streams, the gateway's ledger, the receiver's count.

use std::collections::BTreeSet;
use std::time::Duration;

use audit::{Chain, HEAD};
use jetlag::jetstream::{Operator, OperatorError};
use jetlag::topology::{AUDIT, DEAD_LETTERS, EVENTS, RETRY, Topology};
use jetlag::{Stored, Subject};
use reqwest::Client;
use serde::de::DeserializeOwned;

use crate::app::Running;
use crate::books::{Evidence, Lag, Ledger, Received};
use crate::problem::{Exit, Problem};

/// Everything in EVENTS but state.
pub(super) const ALL_EVENTS: &str = "*.*.*.*";
/// Everything in AUDIT.
pub(super) const ALL_COPIES: &str = "audit.*";
/// The stock of every SKU, and the reservations.
const ALL_STOCK: &str = "state.inventory.*";
/// Everything in DLQ.
const ALL_DEAD_LETTERS: &str = "dlq.*.*";
/// How long a companion may take to tell what it counted.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Reads everything.
///
/// # Errors
/// The broker or a companion does not answer (69).
pub async fn gather(
    operator: &Operator,
    running: &Running,
    client: &Client,
    accepted: BTreeSet<String>,
    began_after: u64,
) -> Result<Evidence, Problem> {
    let mut evidence = read(operator, running.topology()).await.map_err(unreadable)?;
    evidence.ledger = tell::<Ledger>(client, running, "gateway", "ledger").await?;
    evidence.received = tell::<Received>(client, running, "receiver", "received").await?;
    (evidence.accepted, evidence.began_after) = (accepted, began_after);
    Ok(evidence)
}

/// The problem that the broker could not be read.
pub(super) fn unreadable(error: OperatorError) -> Problem {
    Problem::new(Exit::Unavailable, "the broker's streams cannot be read").because(error)
}

/// What every consumer has left to do.
pub(super) async fn lags(operator: &Operator, topology: &Topology) -> Result<Vec<Lag>, OperatorError> {
    let mut lags = Vec::new();
    for consumer in &topology.consumers {
        let (waiting, unanswered) = operator.lag(consumer.stream, &consumer.durable).await?;
        let (stream, consumer) = (consumer.stream.to_owned(), consumer.durable.clone());
        lags.push(Lag { stream, consumer, waiting, unanswered });
    }
    Ok(lags)
}

/// Reads everything that the broker has; what the world outside says is left empty.
///
/// # Errors
/// The broker does not answer.
pub async fn read(operator: &Operator, topology: &Topology) -> Result<Evidence, OperatorError> {
    // The head before the trail: what is sealed in between must not look as if it had been cut off.
    let head = operator.read(EVENTS, Subject::of_state("audit", Chain::KIND, HEAD).as_str(), 1).await?;
    Ok(Evidence {
        head: head.last().and_then(|state| serde_json::from_slice(&state.payload).ok()),
        events: operator.read(EVENTS, ALL_EVENTS, 1).await?,
        trail: operator.read(AUDIT, ALL_COPIES, 1).await?,
        state: operator.read(EVENTS, ALL_STOCK, 1).await?,
        dead_letters: operator.read(DEAD_LETTERS, ALL_DEAD_LETTERS, 1).await?,
        lags: lags(operator, topology).await?,
        retries: operator.stream_state(RETRY).await?.messages,
        ..Evidence::default()
    })
}

/// What the companion `name` answers on `/path`.
async fn tell<T: DeserializeOwned>(
    client: &Client,
    running: &Running,
    name: &str,
    path: &str,
) -> Result<T, Problem> {
    let url = running.companion(name).ok_or_else(|| {
        Problem::new(Exit::Config, format!("there is no companion `{name}`"))
            .remedy("the demonstration is of the reference application: leave its jetlag.yaml as it is")
    })?;
    let url = format!("{url}/{path}");
    let silent = |error| Problem::new(Exit::Unavailable, format!("{url} does not answer")).because(error);
    let answer =
        client.get(&url).timeout(ANSWER_LIMIT).send().await.and_then(reqwest::Response::error_for_status);
    answer.map_err(silent)?.json().await.map_err(silent)
}
