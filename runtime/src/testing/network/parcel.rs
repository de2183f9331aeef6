//! What is under way between processes and the broker.

use std::cmp::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::core::broker::{Delivery, Message, PublishError, Stored, Stream};
use crate::memory::server::Receipt;
use crate::memory::server::consumer::Pull;
use crate::state::Unavailable;
use crate::subject::Subject;

/// The answer to a publish, on its way to the one who waits for it.
pub(crate) type Published = oneshot::Sender<Result<u64, PublishError>>;
/// The answer to a read.
pub(crate) type Found = oneshot::Sender<Result<Option<Stored>, Unavailable>>;

/// Something that arrives at a moment; what arrives at the same moment comes in an order that chance has decided.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) at: Duration,
    pub(crate) shuffle: u64,
    pub(crate) number: u64,
    pub(crate) load: Load,
}

/// What arrives.
#[derive(Debug)]
pub(crate) enum Load {
    /// At the broker: messages to store. The answer takes `back`, and goes nowhere if nobody waits.
    Publish { from: u32, stream: Stream, messages: Vec<Message>, answer: Option<Published>, back: Duration },
    /// At a process: what became of them.
    Published { result: Result<u64, PublishError>, answer: Published },
    /// At the broker: a question for the last message, answered as things were `age` ago.
    Last { from: u32, stream: Stream, subject: Subject, age: Duration, answer: Found, back: Duration },
    /// At a process: the answer.
    Found { result: Result<Option<Stored>, Unavailable>, answer: Found },
    /// At the broker: what became of an input.
    Reply { receipt: Receipt, reply: Reply },
    /// At the broker: a request for inputs.
    Pull { consumer: usize, pull: Pull },
    /// At a process.
    Arrive { lane: u64, arrival: Arrival },
    /// At the broker: nobody listens there any more.
    Disconnect { lane: u64 },
    /// The broker delivers an input again, for a reason of its own.
    Hurry { receipt: Receipt },
    /// The broker copies events to the trail.
    Copy,
}

/// How a process answers for an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Ack,
    GiveBack(Duration),
    InProgress,
}

/// What comes on a lane.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// An input, and the request that it answers.
    Input { request: u64, delivery: Box<Delivery<Receipt>> },
    /// A request has expired.
    Expired { request: u64 },
    /// The broker is silent.
    Silence,
}

impl Parcel {
    const fn key(&self) -> (Duration, u64, u64) {
        (self.at, self.shuffle, self.number)
    }
}

// The first to arrive is the greatest, as a heap has it.
impl Ord for Parcel {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl PartialOrd for Parcel {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Parcel {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Parcel {}
