//! Everything that one function needs to handle inputs, in one place.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Terms;
use crate::contract::Durability;
use crate::core::admission::Admission;
use crate::core::breaker::shared::SharedBreaker;
use crate::core::broker::{Broker, Stream};
use crate::core::commit::Plan;
use crate::core::group::{Committer, Outcome, after_failure};
use crate::core::isolation::Isolation;
use crate::core::keys::Keys;
use crate::core::pulse::Pulse;
use crate::core::seat::{Seat, Seats};
use crate::core::states::States;
use crate::handler::{Bindings, Invoke};
use crate::state::State;
use crate::subject::Subject;
use crate::telemetry::meter::Meter;

/// How often a handler runs again on newer state before that counts as a failed attempt.
pub(crate) const RERUNS_MAX: u32 = 64;
/// How long an input that could not be finished stays with the broker before it is delivered again.
pub(crate) const RELEASE_DELAY: Duration = Duration::from_secs(1);
/// The same, while the stream is full.
pub(crate) const FULL_DELAY: Duration = Duration::from_secs(5);

/// A function at work.
pub(crate) struct Engine<B: Broker> {
    pub(crate) terms: Terms,
    pub(crate) handler: Arc<dyn Invoke>,
    pub(crate) broker: Arc<B>,
    pub(crate) states: Arc<States<B>>,
    pub(crate) committer: Committer<B>,
    pub(crate) keys: Keys,
    pub(crate) seats: Seats,
    pub(crate) breaker: Arc<SharedBreaker<B>>,
    pub(crate) isolation: Isolation,
    /// Whether new events are taken in from outside.
    pub(crate) admission: Admission,
    pub(crate) pulse: Pulse<B::Receipt>,
    /// Cancelled when the process is to stop: what has not started is given back.
    pub(crate) drain: CancellationToken,
    pub(crate) meter: Meter,
}

impl<B: Broker> Engine<B> {
    /// An engine, and the loops that publish its group commits and follow its breaker.
    pub(crate) fn new(
        function: Bindings,
        broker: Arc<B>,
        drain: CancellationToken,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send) {
        let states = Arc::new(States::new(Arc::clone(&broker)));
        let (committer, publishing) = Committer::new(Arc::clone(&broker), Arc::clone(&states));
        let breaker = Arc::new(SharedBreaker::new(&function.terms, Arc::clone(&broker)));
        let following = Arc::clone(&breaker);
        let engine = Arc::new(Self {
            terms: function.terms,
            handler: function.handler,
            broker,
            states,
            committer,
            keys: Keys::default(),
            seats: Seats::new(function.terms.concurrency),
            breaker,
            isolation: Isolation::default(),
            admission: Admission::default(),
            pulse: Pulse::new(),
            drain,
            meter: Meter::new(&function.terms),
        });
        let loops = async move {
            tokio::select! {
                () = publishing => {}
                () = following.follow() => {}
            }
        };
        (engine, loops)
    }

    /// The function's state, as a new run of its handler sees it.
    pub(crate) fn view(&self) -> State {
        let store: Arc<States<B>> = Arc::clone(&self.states);
        State::new(self.terms.name, self.terms.keeps, store)
    }

    /// Commits `plan`, which was decided on `reads`: alone where that is one message, else in a group with whatever else is
    /// ready. Who waits for that makes way in its `seat`.
    pub(crate) async fn commit<'e>(
        &'e self,
        plan: Plan,
        mut reads: Vec<(Subject, u64)>,
        seat: &mut Seat<'e>,
    ) -> Outcome {
        // Writes insist on what was read, and the group looks again at what they do not touch. Where there are none, what
        // was read is looked at again here.
        if plan.writes.is_empty() && !reads.is_empty() {
            match Box::pin(self.confirm(std::mem::take(&mut reads))).await {
                Outcome::Committed => {}
                outcome => return self.counted(outcome),
            }
        }
        if plan.is_empty() {
            return self.counted(Outcome::Committed);
        }
        let is_one = plan.writes.is_empty() && plan.events.len() == 1;
        let is_alone = is_one && self.terms.durability == Durability::Default;
        let outcome = if is_alone {
            let insists = plan.insists();
            let _room = seat.make_way(&self.seats, plan.bytes(), false);
            match self.broker.publish(Stream::Events, plan.events).await {
                Ok(_) => Outcome::Committed,
                Err(error) => Box::pin(after_failure(&*self.broker, &insists, &error)).await,
            }
        } else {
            Box::pin(self.commit_in_a_group(plan, reads, seat)).await
        };
        seat.has_waited();
        self.counted(outcome)
    }

    async fn commit_in_a_group<'e>(
        &'e self,
        plan: Plan,
        reads: Vec<(Subject, u64)>,
        seat: &mut Seat<'e>,
    ) -> Outcome {
        let bytes = plan.bytes();
        match self.committer.submit(plan, reads) {
            Ok(submitted) => {
                let _room = seat.make_way(&self.seats, bytes, true);
                submitted.outcome().await
            }
            Err(outcome) => outcome,
        }
    }

    /// Whether a decision that writes nothing (to do nothing, to emit, to reject) was made on state that is there: that
    /// has come true, and that nobody else has changed meanwhile.
    pub(crate) async fn confirm(&self, reads: Vec<(Subject, u64)>) -> Outcome {
        if reads.is_empty() {
            return Outcome::Committed;
        }
        // Behind whatever was written ahead when it was read.
        match self.committer.commit(Plan::nothing(), reads.clone()).await {
            Outcome::Committed => {}
            outcome => return outcome,
        }
        match self.states.are_current(reads).await {
            Ok(true) => Outcome::Committed,
            Ok(false) => Outcome::Stale,
            Err(unavailable) => Outcome::Unavailable(unavailable.to_string()),
        }
    }

    fn counted(&self, outcome: Outcome) -> Outcome {
        self.meter.commit(&outcome);
        outcome
    }

    /// Takes note of how much of the stream of events is taken, and says aloud if admission closes or opens.
    pub(crate) fn observe(&self, bytes: u64, bytes_max: Option<u64>) {
        let news = self.admission.observe(bytes, bytes_max);
        self.meter.fill(bytes, bytes_max, self.admission.is_open());
        match news {
            Some(false) => tracing::warn!(
                bytes,
                bytes_max,
                "admission closed: the stream of events is nearly full, and the room left is for what was taken in before"
            ),
            Some(true) => tracing::info!(bytes, bytes_max, "admission open again"),
            None => {}
        }
    }
}
