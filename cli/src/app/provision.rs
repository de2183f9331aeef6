//! Makes the streams and consumers of the functions, before the first of them starts.

use std::path::Path;
use std::time::Duration;

use jetlag::Description;
use jetlag::jetstream::{Connection, Operator, ProvisionError, Provisioned};
use jetlag::topology::{Sizing, Topology};

use crate::problem::{Exit, Problem};

/// How long an event can be handled, looked up and recognised as a duplicate.
const HORIZON: Duration = Duration::from_secs(24 * 60 * 60);
/// What events and state may take on a developer's machine, well within the broker's file store.
const EVENTS_BYTES_MAX: i64 = 4 * 1024 * 1024 * 1024;
/// How long making everything may take; each request has a smaller limit of its own.
const PROVISION_LIMIT: Duration = Duration::from_secs(60);

/// What the functions need of a broker on this machine.
pub(crate) fn topology(functions: &[Description]) -> Topology {
    Topology::of(
        functions,
        &Sizing { replicas: 1, horizon: HORIZON, events_bytes_max: EVENTS_BYTES_MAX, ..Sizing::default() },
    )
}

/// Makes what is missing and says in one line what that was.
///
/// # Errors
/// What is there differs from what is needed (78), or the broker refuses or does not answer (69).
pub(crate) async fn provision(url: &str, topology: &Topology, data: &Path) -> Result<String, Problem> {
    let unavailable =
        || Problem::new(Exit::Unavailable, format!("the broker at {url} cannot be provisioned"));
    let work = async {
        let operator =
            Operator::connect(&Connection::to(url)).await.map_err(|error| unavailable().because(error))?;
        operator.provision(topology).await.map_err(|error| match error {
            differs @ ProvisionError::Differs { .. } => {
                let what = format!("the streams in `{}` are not as the functions need them", data.display());
                Problem::new(Exit::Config, what).because(differs).remedy(
                    "another version made them: run that one, or use another data directory with --data",
                )
            }
            other => unavailable().because(other),
        })
    };
    let provisioned = tokio::time::timeout(PROVISION_LIMIT, work).await.map_err(|_| {
        unavailable()
            .because(std::io::Error::other(format!("not done within {} s", PROVISION_LIMIT.as_secs())))
    })??;
    Ok(in_words(&provisioned))
}

fn in_words(provisioned: &Provisioned) -> String {
    let Provisioned { created, extended, unchanged } = provisioned;
    let mut parts = Vec::new();
    let streams: Vec<_> = created.iter().filter_map(|what| what.strip_prefix("stream ")).collect();
    if !streams.is_empty() {
        parts.push(format!("made {}", streams.join(", ")));
    }
    let consumers = created.len().saturating_sub(streams.len());
    if consumers > 0 {
        parts.push(format!("made {consumers} {}", if consumers == 1 { "consumer" } else { "consumers" }));
    }
    if !extended.is_empty() {
        parts.push(format!("gave new subjects to {}", extended.join(", ")));
    }
    if !unchanged.is_empty() {
        parts.push(format!("{} were there", unchanged.len()));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_told_in_one_line() {
        let words = |made: &[&str], there: usize| {
            let created = made.iter().map(|what| (*what).to_owned()).collect();
            in_words(&Provisioned {
                created,
                unchanged: vec!["x".to_owned(); there],
                ..Provisioned::default()
            })
        };
        let made = ["stream EVENTS", "stream RETRY", "consumer order on EVENTS"];
        assert_eq!(words(&made, 0), "made EVENTS, RETRY; made 1 consumer");
        assert_eq!(words(&[], 16), "16 were there");
    }
}
