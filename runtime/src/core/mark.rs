//! The mark of an input that may kill its process: what earlier deliveries of it came to, kept in the broker.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::core::broker::{Broker, Delivery, Expect, Keep, Message, PublishError, Stream};
use crate::state::Unavailable;
use crate::subject::Subject;

/// How often a change is tried whose fate is not known, and the wait between two tries.
const TRIES_MAX: u32 = 30;
const TRY_DELAY: Duration = Duration::from_millis(500);

/// What is known of an input beyond one process's life. It belongs to the cause, so that it holds for every attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Runs alone that began and have not come back: their processes died, or they are under way.
    pub(crate) lone_runs: Vec<LoneRun>,
    /// The delivery that was given back last by a process that had nothing against it.
    pub(crate) released: Option<Occasion>,
    /// Whether it has been given up for its lone runs.
    pub(crate) is_convicted: bool,
}

/// One run of a handler that nothing ran beside.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct LoneRun {
    pub(crate) of: Occasion,
    /// Until when it may be under way, in milliseconds since 1970.
    pub(crate) until_unix_ms: i64,
}

/// One delivery of one message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Occasion {
    pub(crate) stream: String,
    pub(crate) sequence: u64,
    pub(crate) delivered: u64,
}

impl Occasion {
    pub(crate) fn of<R>(delivery: &Delivery<R>) -> Self {
        let Delivery { stream, sequence, delivered, .. } = delivery;
        Self { stream: format!("{stream:?}"), sequence: *sequence, delivered: *delivered }
    }

    /// The delivery of the same message before this one.
    pub(crate) fn before(&self) -> Self {
        Self { delivered: self.delivered.saturating_sub(1), ..self.clone() }
    }
}

impl LoneRun {
    /// How much longer it may be under way.
    pub(crate) fn remains(&self, now: OffsetDateTime) -> Duration {
        let remains_ms = i128::from(self.until_unix_ms) - now.unix_timestamp_nanos() / 1_000_000;
        Duration::from_millis(u64::try_from(remains_ms).unwrap_or(0))
    }

    /// Whether it might have been under way at `moment` or later.
    pub(crate) fn reaches(&self, moment: OffsetDateTime) -> bool {
        !self.remains(moment).is_zero()
    }
}

/// What a change makes of a mark.
#[derive(Debug)]
pub(crate) enum Change {
    /// This.
    Write(Mark),
    /// It has been made already.
    Made,
    /// Nothing: it must not be made any more.
    Void,
}

/// A mark as it was read, and where.
#[derive(Debug, Clone)]
pub(crate) struct Marked {
    subject: Subject,
    kept: Duration,
    pub(crate) mark: Mark,
    sequence: u64,
}

impl Marked {
    /// The mark on `subject` if nothing was ever written there.
    pub(crate) fn absent(subject: Subject, kept: Duration) -> Self {
        Self { subject, kept, mark: Mark::default(), sequence: 0 }
    }

    /// Reads the mark on `subject`, which is kept for so long after its last change.
    pub(crate) async fn read<B: Broker>(
        broker: &B,
        subject: Subject,
        kept: Duration,
    ) -> Result<Self, Unavailable> {
        let stored = broker.last_at_leader(Stream::Events, &subject).await?;
        Ok(stored.map_or_else(
            || Self::absent(subject.clone(), kept),
            |stored| Self {
                subject: subject.clone(),
                kept,
                // One that another version wrote and this one cannot read says nothing.
                mark: serde_json::from_slice(&stored.payload).unwrap_or_default(),
                sequence: stored.sequence,
            },
        ))
    }

    /// Makes `change` of the newest mark, and tells whether it is made; `false` if it was void.
    ///
    /// A publish whose answer is lost is made again until it is known to be there or to be refused: it would otherwise
    /// come true later, unnoticed. Who `insists` bears with every other failure too, and waits for a full stream as long as
    /// it takes, until it is to stop. Then tries are counted and not time: a process that stood still has had none.
    pub(crate) async fn change<B: Broker>(
        &mut self,
        broker: &B,
        insists: Option<&CancellationToken>,
        change: impl Fn(&Mark) -> Change,
    ) -> Result<bool, PublishError> {
        let mut is_in_doubt = false;
        let mut tries = 0;
        loop {
            let mark = match change(&self.mark) {
                Change::Write(mark) => mark,
                Change::Made => return Ok(true),
                Change::Void => return Ok(false),
            };
            tries += 1;
            let error = match broker.publish(Stream::Events, vec![self.message(&mark)]).await {
                Ok(sequence) => {
                    (self.mark, self.sequence) = (mark, sequence);
                    return Ok(true);
                }
                Err(error) => error,
            };
            is_in_doubt |= matches!(error, PublishError::Ambiguous(_));
            if error == PublishError::Full && insists.is_some_and(|stop| !stop.is_cancelled()) {
                tries -= 1;
                tokio::time::sleep(TRY_DELAY).await;
                continue;
            }
            let is_final = tries >= TRIES_MAX;
            if error == PublishError::Refused
                && let Ok(newer) = Self::read(broker, self.subject.clone(), self.kept).await
                && newer.sequence != self.sequence
            {
                *self = newer;
                if is_final {
                    return Err(error);
                }
                continue;
            }
            let is_borne = insists.is_some() || is_in_doubt || error == PublishError::Refused;
            if is_final || !is_borne {
                return Err(error);
            }
            tokio::time::sleep(TRY_DELAY).await;
        }
    }

    /// Makes `change` if that can be done in a try or two: who gives an input back does not wait for it.
    pub(crate) async fn change_if_easy<B: Broker>(
        &mut self,
        broker: &B,
        change: impl Fn(&Mark) -> Change,
    ) -> Result<(), PublishError> {
        for _ in 0..2 {
            let Change::Write(mark) = change(&self.mark) else { return Ok(()) };
            match broker.publish(Stream::Events, vec![self.message(&mark)]).await {
                Ok(_) => return Ok(()),
                Err(PublishError::Refused) => {}
                Err(error) => return Err(error),
            }
            match Self::read(broker, self.subject.clone(), self.kept).await {
                Ok(newer) => *self = newer,
                Err(unavailable) => return Err(PublishError::Ambiguous(unavailable.to_string())),
            }
        }
        Err(PublishError::Refused)
    }

    fn message(&self, mark: &Mark) -> Message {
        let json = serde_json::to_vec(mark).map(Bytes::from).unwrap_or_default();
        let mut message = Message::new(self.subject.clone(), json);
        message.expect = Some(Expect { sequence: self.sequence, scope: None });
        message.keep = Keep::For(self.kept);
        message
    }
}
