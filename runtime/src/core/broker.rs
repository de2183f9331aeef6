//! What the core needs of a broker.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;

use crate::state::Unavailable;
use crate::subject::Subject;

/// The streams of the architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Stream {
    /// Events and state, one message for each subject.
    Events,
    /// Failed attempts on their way back.
    Retry,
    /// Events from publishers outside, not yet checked.
    Intake,
    /// Inputs that were given up.
    DeadLetters,
    /// The long-lived copy of everything in [`Events`](Self::Events).
    Audit,
}

/// A message to be published.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) subject: Subject,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) payload: Bytes,
    pub(crate) expect: Option<Expect>,
    pub(crate) keep: Keep,
    pub(crate) schedule: Option<Schedule>,
}

impl Message {
    pub(crate) fn new(subject: Subject, payload: Bytes) -> Self {
        Self { subject, headers: Vec::new(), payload, expect: None, keep: Keep::Default, schedule: None }
    }

    /// The bytes that count against the broker's limits, roughly: subject, headers and payload.
    pub(crate) fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let scope = self.expect.as_ref().and_then(|expect| expect.scope.as_ref());
        self.subject.as_str().len()
            + headers
            + self.payload.len()
            + scope.map_or(0, |s| s.as_str().len())
            + HEADER_BYTES
    }
}

/// What the broker's own headers take at most, beside the scope.
const HEADER_BYTES: usize = 256;

/// The sequence that the last message on a subject must have (0: there is none), or the message is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expect {
    pub(crate) sequence: u64,
    /// A pattern of subjects to look at instead of the message's own.
    pub(crate) scope: Option<Subject>,
}

/// How long a message is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// As long as its stream keeps messages.
    Default,
    /// For ever.
    Forever,
    /// So long, if the stream keeps messages longer than that; else for ever, since a broker ends a message with its stream's
    /// time whatever it says itself.
    For(Duration),
}

/// When and where a message that waits comes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) at: OffsetDateTime,
    pub(crate) target: Subject,
}

/// A message as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) subject: Subject,
    pub(crate) sequence: u64,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Bytes,
}

/// Why nothing was published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PublishError {
    /// An expected sequence was not the one that is there; nothing was stored.
    #[error("refused: an expected sequence is not the last one")]
    Refused,
    /// The stream is at its limit; nothing was stored.
    #[error("the stream is full")]
    Full,
    /// The broker refused the message for another reason; nothing was stored.
    #[error("the broker refused it: {0}")]
    Rejected(String),
    /// No answer: it may or may not have been stored.
    #[error("the broker did not answer: {0}")]
    Ambiguous(String),
}

/// An input as it was delivered.
#[derive(Debug, Clone)]
pub(crate) struct Delivery<R> {
    pub(crate) stream: Stream,
    pub(crate) subject: Subject,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Bytes,
    pub(crate) sequence: u64,
    /// When the broker stored it.
    pub(crate) time: OffsetDateTime,
    /// How often the broker has delivered it, from 1.
    pub(crate) delivered: u64,
    /// How the broker is answered.
    pub(crate) receipt: R,
}

impl<R> Delivery<R> {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Whether it is a receipt, which whoever listens to every type of event is sent too: a filter of the broker leaves
    /// nothing out. Handled, it would leave a receipt of its own, and that another one, without end. The trail has receipts
    /// as entries.
    pub(crate) fn is_receipt(&self) -> bool {
        self.stream == Stream::Events && self.subject.is_receipt()
    }

    /// The last value of the header `name`.
    pub(crate) fn last_header(&self, name: &str) -> Option<&str> {
        self.headers.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Stored {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

fn find<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A broker: the real one, or a simulated one.
pub(crate) trait Broker: Send + Sync + 'static {
    /// How a delivery is answered.
    type Receipt: Clone + fmt::Debug + Send + Sync + 'static;

    /// Publishes `messages` to `stream` together or not at all, and gives the sequence of the last.
    ///
    /// The others' sequences come right before it, in order.
    fn publish(
        &self,
        stream: Stream,
        messages: Vec<Message>,
    ) -> impl Future<Output = Result<u64, PublishError>> + Send;

    /// The last message on `subject`, which may be a pattern, as any replica of the stream has it.
    ///
    /// A replica may lag behind: good for what is checked again when it is used, as state is by its expected sequence.
    fn last(
        &self,
        stream: Stream,
        subject: &Subject,
    ) -> impl Future<Output = Result<Option<Stored>, Unavailable>> + Send;

    /// The last message on `subject`, which may be a pattern, as the stream's leader has it: every publish that was
    /// answered before, whoever made it, is seen.
    ///
    /// For whatever is decided by a message that is not there, or by one that is still the same.
    fn last_at_leader(
        &self,
        stream: Stream,
        subject: &Subject,
    ) -> impl Future<Output = Result<Option<Stored>, Unavailable>> + Send;

    /// Tells the broker that the input is done with.
    fn ack(&self, receipt: &Self::Receipt) -> impl Future<Output = ()> + Send;

    /// Gives the input back, to be delivered again after `delay`.
    fn give_back(&self, receipt: &Self::Receipt, delay: Duration) -> impl Future<Output = ()> + Send;

    /// Tells the broker that the input is being worked on, so that it is not delivered again.
    fn in_progress(&self, receipt: &Self::Receipt) -> impl Future<Output = ()> + Send;

    /// The most bytes that one message may have.
    fn message_bytes_max(&self) -> usize;

    /// How long an input may be without a sign of work before it is delivered again.
    fn ack_wait(&self) -> Duration {
        crate::topology::ACK_WAIT
    }

    /// The time of day.
    fn now(&self) -> OffsetDateTime;
}

/// A message in a stream, and since when.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) stored: Stored,
    /// When the broker stored it.
    pub(crate) time: OffsetDateTime,
}

/// A broker whose streams can be looked through and weeded: what looking after functions needs, and no function does.
pub(crate) trait Archive: Broker {
    /// The next messages on a subject that `filter` covers, from the sequence `from` on; none if there are no more.
    fn page(
        &self,
        stream: Stream,
        filter: &Subject,
        from: u64,
    ) -> impl Future<Output = Result<Vec<Kept>, Unavailable>> + Send;

    /// Takes the message under `sequence` out of the stream; one that is gone is no error.
    fn remove(&self, stream: Stream, sequence: u64) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// What came of waiting for inputs.
#[derive(Debug)]
pub(crate) enum Pulled<R> {
    /// An input.
    Delivery(Box<Delivery<R>>),
    /// So much of what was asked for will not come.
    Expired(usize),
    /// Nothing that was asked for will come.
    Lost,
}

/// A consumer that a function pulls from.
pub(crate) trait Lane<R>: Send + 'static {
    /// Asks for up to `credit` more inputs.
    fn request(&mut self, credit: usize) -> impl Future<Output = ()> + Send;

    /// The next thing that comes. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = Pulled<R>> + Send;

    /// Stops asking, and gives what is still on its way.
    fn close(self) -> impl Future<Output = Vec<Delivery<R>>> + Send;
}
