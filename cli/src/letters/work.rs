//! Reading, redriving and purging dead letters, one at a time, in order.

use std::num::NonZeroU32;
use std::time::Duration;

use jetlag::DeadLetter;
use jetlag::jetstream::{Operator, OperatorError};
use jetlag::topology::DEAD_LETTERS;
use serde::Serialize;

use super::{Pick, Row};

/// How many refusals are listed; all are counted.
const REFUSALS_MAX: usize = 20;

/// What became of those that were meant.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// Sent again, or purged, and no longer in the dead letter stream.
    pub done: u64,
    /// Left where they are.
    pub left: u64,
    /// The first of those, each with the reason.
    pub refusals: Vec<Refusal>,
}

/// A dead letter that was left where it is.
#[derive(Debug, Serialize)]
pub struct Refusal {
    /// Which.
    pub sequence: u64,
    /// Why.
    pub why: String,
}

impl Outcome {
    fn refuse(&mut self, sequence: u64, why: String) {
        self.left += 1;
        if self.refusals.len() < REFUSALS_MAX {
            self.refusals.push(Refusal { sequence, why });
        }
    }
}

/// The dead letters that `pick` means, oldest first.
///
/// # Errors
/// The stream cannot be read.
pub async fn select(operator: &Operator, pick: &Pick) -> Result<Vec<Row>, OperatorError> {
    let mut rows = Vec::new();
    each(operator, pick, async |letter| {
        rows.push(Row::of(&letter));
        Ok(())
    })
    .await?;
    Ok(rows)
}

/// Sends those that `pick` means to their functions again, at most `rate` a second, and takes each out of the stream once
/// it is sent. Done again after an interruption, it goes on where it was.
///
/// # Errors
/// The stream cannot be read or written.
pub async fn redrive(
    operator: &Operator,
    pick: &Pick,
    with: Option<&[u8]>,
    rate: Option<NonZeroU32>,
    who: &str,
) -> Result<Outcome, OperatorError> {
    let mut outcome = Outcome::default();
    let mut pace = rate.map(|rate| tokio::time::interval(Duration::from_secs(1) / rate.get()));
    each(operator, pick, async |mut letter| {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        if let Some(bytes) = with {
            letter.payload = bytes.to_vec().into();
        }
        match operator.redrive(&letter, who).await {
            Ok(()) => {
                operator.remove_dead_letter(&letter).await?;
                outcome.done += 1;
            }
            Err(error) => {
                if let Some(why) = operator.denied() {
                    return Err(OperatorError::Denied(why));
                }
                let error = anyhow::Error::new(error);
                outcome.refuse(letter.sequence, format!("{error:#}"));
            }
        }
        Ok(())
    })
    .await?;
    Ok(outcome)
}

/// Takes those that `pick` means out of the stream.
///
/// # Errors
/// The stream cannot be read or written.
pub async fn purge(operator: &Operator, pick: &Pick) -> Result<Outcome, OperatorError> {
    let mut outcome = Outcome::default();
    each(operator, pick, async |letter| {
        operator.remove_dead_letter(&letter).await?;
        outcome.done += 1;
        Ok(())
    })
    .await?;
    Ok(outcome)
}

/// Does `act` to every letter that `pick` means, up to the last that is there now: what is redriven and dies again comes
/// behind that.
pub(super) async fn each(
    operator: &Operator,
    pick: &Pick,
    mut act: impl AsyncFnMut(DeadLetter) -> Result<(), OperatorError>,
) -> Result<(), OperatorError> {
    let last = operator.stream_state(DEAD_LETTERS).await?.last_sequence;
    let mut next = 1;
    while next <= last {
        let page = operator.dead_letters(next).await?;
        let Some(end) = page.last().map(|read| read.as_ref().map_or_else(|bad| bad.sequence, |l| l.sequence))
        else {
            break;
        };
        next = end + 1;
        for letter in page.into_iter().flatten().filter(|letter| letter.sequence <= last && pick.fits(letter))
        {
            act(letter).await?;
        }
    }
    Ok(())
}
