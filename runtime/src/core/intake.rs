//! The loop that pulls: never more than there are free slots for, and nothing while the circuit is open.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::core::admit::admit;
use crate::core::batch::live_batch;
use crate::core::broker::{Broker, Delivery, Lane, Pulled, Stream};
use crate::core::each::live_each;
use crate::core::engine::Engine;
use crate::core::isolation::give_back_unread;
use crate::core::life::live;
use crate::core::seat::{Credit, Held};
use crate::handler::Takes;

/// How long a batch waits for one more input that may already be on its way.
const BATCH_LINGER: Duration = Duration::from_millis(2);

/// How many inputs of one lane this process holds.
struct Holding {
    most: usize,
    /// Asked for, and not yet come.
    asked: usize,
    /// Come, and not yet answered.
    held: Arc<Held>,
    tasks: TaskTracker,
}

impl Holding {
    fn free(&self) -> usize {
        self.held.free(self.most).saturating_sub(self.asked)
    }

    /// Starts what takes an input, or some, from arrival to answer. It has the credit of one, to give back as soon as what is
    /// left is to wait for others.
    fn start<L: Future<Output = ()> + Send + 'static>(&self, life: impl FnOnce(Credit) -> L) {
        // Tokio moves a task as a whole when it is made and when it ends: a box is moved instead.
        let life = Box::pin(life(Credit::take(&self.held)));
        let (token, held) = (self.tasks.token(), Arc::clone(&self.held));
        tokio::spawn(async move {
            life.await;
            drop(token);
            held.free_up();
        });
    }
}

/// Pulls from `lane` and handles what comes, up to `most` at a time, until the process is to stop; then gives back what
/// has not started and waits for what has.
pub(crate) async fn pull<B: Broker>(
    engine: Arc<Engine<B>>,
    mut lane: impl Lane<B::Receipt>,
    source: Stream,
    most: usize,
) {
    let mut holding = Holding { most, asked: 0, held: Arc::default(), tasks: TaskTracker::new() };
    if source != Stream::Intake {
        engine.breaker.begin().await;
    }
    while !engine.drain.is_cancelled() {
        let change = engine.breaker.circuit().change();
        let is_open = engine.admission.is_open();
        let credit = match source {
            // Admission asks nobody, but needs room in the stream of events.
            Stream::Intake if is_open => holding.free(),
            Stream::Intake => 0,
            _ => engine.breaker.circuit().credit(holding.free(), Instant::now()),
        };
        // In halves rather than one by one: each request is a message to the broker.
        if credit > 0 && (holding.asked == 0 || credit >= most.div_ceil(2)) {
            lane.request(credit).await;
            holding.asked += credit;
        }
        tokio::select! {
            biased;
            () = engine.drain.cancelled() => {}
            pulled = lane.next() => take(&engine, &mut lane, &mut holding, source, pulled).await,
            () = holding.held.freed() => {}
            () = change => {}
            () = engine.admission.change(is_open), if source == Stream::Intake => {}
        }
    }
    let unread = lane.close().await;
    stream::iter(&unread).for_each_concurrent(None, |delivery| give_back_unread(&engine, delivery)).await;
    holding.tasks.close();
    holding.tasks.wait().await;
}

async fn take<B: Broker>(
    engine: &Arc<Engine<B>>,
    lane: &mut impl Lane<B::Receipt>,
    holding: &mut Holding,
    stream: Stream,
    pulled: Pulled<B::Receipt>,
) {
    match pulled {
        Pulled::Delivery(delivery) => {
            holding.asked = holding.asked.saturating_sub(1);
            engine.meter.delivered(delivery.delivered);
            if engine.handler.takes() == Takes::Each && stream == Stream::Events {
                let batch = gather(engine, lane, holding, *delivery).await;
                // What may have killed its process runs by itself.
                let (fresh, again): (Vec<_>, Vec<_>) =
                    batch.into_iter().partition(|delivery| engine.isolation.trusts(delivery));
                holding.start(|credit| with(credit, live_each(Arc::clone(engine), fresh)));
                for delivery in again {
                    holding.start(|credit| live(Arc::clone(engine), delivery, Some(credit)));
                }
                while !holding.tasks.is_empty() {
                    holding.held.freed().await;
                }
            } else if engine.handler.takes() == Takes::Batch && stream != Stream::Intake {
                let batch = gather(engine, lane, holding, *delivery).await;
                holding.start(|credit| with(credit, live_batch(Arc::clone(engine), batch)));
                // One batch at a time: the next is read on what this one has committed.
                while !holding.tasks.is_empty() {
                    holding.held.freed().await;
                }
            } else if stream == Stream::Intake {
                holding.start(|credit| with(credit, admit(Arc::clone(engine), *delivery)));
            } else {
                holding.start(|credit| live(Arc::clone(engine), *delivery, Some(credit)));
            }
        }
        Pulled::Expired(credit) => holding.asked = holding.asked.saturating_sub(credit),
        Pulled::Lost => holding.asked = 0,
    }
}

/// `life`, which keeps its credit to the end.
async fn with(credit: Credit, life: impl Future<Output = ()>) {
    life.await;
    drop(credit);
}

/// The input that came and those right behind it.
async fn gather<B: Broker>(
    engine: &Engine<B>,
    lane: &mut impl Lane<B::Receipt>,
    holding: &mut Holding,
    first: Delivery<B::Receipt>,
) -> Vec<Delivery<B::Receipt>> {
    let mut batch = vec![first];
    while batch.len() < engine.terms.batch {
        match tokio::time::timeout(BATCH_LINGER, lane.next()).await {
            Ok(Pulled::Delivery(delivery)) => {
                holding.asked = holding.asked.saturating_sub(1);
                batch.push(*delivery);
            }
            Ok(Pulled::Expired(credit)) => holding.asked = holding.asked.saturating_sub(credit),
            Ok(Pulled::Lost) => holding.asked = 0,
            Err(_) => break,
        }
    }
    batch
}
