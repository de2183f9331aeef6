//! The group commit: whatever finished while the previous commit was in flight goes into the next.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::{mpsc, oneshot};

use crate::core::broker::{Broker, Message, PublishError, Stream};
use crate::core::commit::{GROUP_BYTES_MAX, GROUP_MESSAGES_MAX, Insists, Plan};
use crate::core::states::{Committed, Stale, States, Table};
use crate::failure::Reason;
use crate::headers;
use crate::state::Unavailable;
use crate::subject::Subject;

/// Fewer events than this are stored sooner one by one, each synced to disk by itself, than in a batch, for which a broker
/// makes and removes files.
const BATCH_PAYS: usize = 64;

/// A plan on its way into a group.
struct Submission {
    plan: Plan,
    reads: Vec<(Subject, u64)>,
    /// The versions of the plan's writes, in their order.
    versions: Vec<u64>,
    answer: oneshot::Sender<Outcome>,
}

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its effects are committed.
    Committed,
    /// An earlier run of the same input had committed.
    Already,
    /// An earlier run had given the same input up; its dead letter may still have to be written.
    Dead(Reason),
    /// It was decided on state that has changed: decide again.
    Stale,
    /// An aggregate already has the event of a type that it has once.
    Exists(Subject),
    /// The stream is full.
    Full,
    /// The broker cannot be reached or refuses; nothing of it is committed that a later run would not notice.
    Unavailable(String),
}

/// A plan that was handed in.
pub(crate) struct Submitted(oneshot::Receiver<Outcome>);

/// Where plans are handed in.
pub(crate) struct Committer<B> {
    states: Arc<States<B>>,
    queue: mpsc::UnboundedSender<Submission>,
}

impl<B: Broker> Committer<B> {
    /// The committer, and the loop that publishes; it ends when the committer is dropped.
    pub(crate) fn new(broker: Arc<B>, states: Arc<States<B>>) -> (Self, impl Future<Output = ()> + Send) {
        // As many submissions as inputs in flight at most: the seats bound it.
        let (queue, inbox) = mpsc::unbounded_channel();
        (Self { states: Arc::clone(&states), queue }, publish_groups(broker, states, inbox))
    }

    /// Commits `plan`, which was decided on `reads`.
    pub(crate) async fn commit(&self, plan: Plan, reads: Vec<(Subject, u64)>) -> Outcome {
        match self.submit(plan, reads) {
            Ok(submitted) => submitted.outcome().await,
            Err(outcome) => outcome,
        }
    }

    /// Hands `plan` in, which was decided on `reads`: from now on others see what it writes. Otherwise what became of it.
    pub(crate) fn submit(&self, plan: Plan, reads: Vec<(Subject, u64)>) -> Result<Submitted, Outcome> {
        let (answer, answered) = oneshot::channel();
        // Under one lock, so that the queue has the order in which handlers saw each other's writes.
        let mut table = self.states.lock();
        let versions = table.write_ahead(&reads, &plan.writes).map_err(|Stale| Outcome::Stale)?;
        match self.queue.send(Submission { plan, reads, versions, answer }) {
            Ok(()) => Ok(Submitted(answered)),
            Err(_) => Err(stopping()),
        }
    }
}

impl Submitted {
    /// What became of it.
    pub(crate) async fn outcome(self) -> Outcome {
        self.0.await.unwrap_or_else(|_| stopping())
    }
}

fn stopping() -> Outcome {
    Outcome::Unavailable("the process is stopping".into())
}

async fn publish_groups<B: Broker>(
    broker: Arc<B>,
    states: Arc<States<B>>,
    mut inbox: mpsc::UnboundedReceiver<Submission>,
) {
    let mut waiting: Option<Submission> = None;
    loop {
        let first = match waiting.take() {
            Some(first) => first,
            None => match inbox.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        let mut group = vec![first];
        let (mut messages, mut bytes) = size_of(&group);
        while let Ok(next) = inbox.try_recv() {
            messages += next.plan.messages();
            bytes += next.plan.bytes();
            if messages > GROUP_MESSAGES_MAX || bytes > GROUP_BYTES_MAX {
                waiting = Some(next);
                break;
            }
            group.push(next);
        }
        if group.len() < BATCH_PAYS && group.iter().all(Submission::is_one_message) {
            join_all(group.into_iter().map(|one| publish_group(&*broker, &states, vec![one]))).await;
        } else {
            publish_group(&*broker, &states, group).await;
        }
    }
}

impl Submission {
    /// Whether it is stored as it is, without a batch: one event, whatever the state.
    fn is_one_message(&self) -> bool {
        self.plan.events.len() == 1 && self.plan.writes.is_empty() && self.reads.is_empty()
    }
}

fn size_of(group: &[Submission]) -> (usize, usize) {
    group.iter().fold((0, 0), |(m, b), s| (m + s.plan.messages(), b + s.plan.bytes()))
}

async fn publish_group<B: Broker>(broker: &B, states: &States<B>, group: Vec<Submission>) {
    let Some((mut assembled, group)) = confirmed(states, group).await else { return };
    // Decisions to do nothing, on state that is there.
    if assembled.messages.is_empty() {
        return answer_all(group, &Outcome::Committed);
    }
    metrics::histogram!(crate::telemetry::names::GROUP_SIZE)
        .record(crate::telemetry::meter::count(group.len()));
    let result = broker.publish(Stream::Events, std::mem::take(&mut assembled.messages)).await;
    match result {
        Ok(last) => {
            assembled.settle(&mut states.lock(), last);
            answer_all(group, &Outcome::Committed);
        }
        // The refusal does not say which.
        Err(PublishError::Refused) if group.len() > 1 => {
            Box::pin(publish_refused(broker, states, &assembled, group)).await;
        }
        Err(error) => {
            assembled.forget(&mut states.lock());
            for one in group {
                let outcome = after_failure(broker, &one.plan.insists(), &error).await;
                answer(one, outcome);
            }
        }
    }
}

/// Publishes a refused group again: without what was decided on state that has changed, or, if none has, in halves, until
/// the one that is to blame is alone.
async fn publish_refused<B: Broker>(
    broker: &B,
    states: &States<B>,
    assembled: &Assembled,
    mut group: Vec<Submission>,
) {
    let written_on = assembled.written_on(&states.lock());
    match states.are_current(written_on).await {
        // What is no more is forgotten now: whoever had read it is left out.
        Ok(false) => publish_group(broker, states, group).await,
        Ok(true) => {
            let behind = group.split_off(group.len() / 2);
            publish_group(broker, states, group).await;
            publish_group(broker, states, behind).await;
        }
        Err(unavailable) => {
            assembled.forget(&mut states.lock());
            answer_all(group, &Outcome::Unavailable(unavailable.to_string()));
        }
    }
}

/// The group put together, once what its plans have read and none of them writes is known to be there still: what is
/// written insists on that by itself. Nothing if no plan is left.
async fn confirmed<B: Broker>(
    states: &States<B>,
    mut group: Vec<Submission>,
) -> Option<(Assembled, Vec<Submission>)> {
    loop {
        let (assembled, kept) = assemble(&mut states.lock(), group);
        if kept.is_empty() {
            return None;
        }
        let only_read = assembled.only_read(&kept);
        if only_read.is_empty() {
            return Some((assembled, kept));
        }
        match states.are_current(only_read).await {
            Ok(true) => return Some((assembled, kept)),
            // What is no more is forgotten now: whoever had read it is left out the next time.
            Ok(false) => group = kept,
            Err(unavailable) => {
                assembled.forget(&mut states.lock());
                answer_all(kept, &Outcome::Unavailable(unavailable.to_string()));
                return None;
            }
        }
    }
}

/// What became of a plan whose publishing failed: a guard that is there tells that it, or an earlier run, is committed.
pub(crate) async fn after_failure<B: Broker>(broker: &B, insists: &Insists, error: &PublishError) -> Outcome {
    if *error == PublishError::Full {
        return Outcome::Full;
    }
    if let Some(guard) = &insists.guard {
        match broker.last_at_leader(Stream::Events, guard).await {
            Ok(Some(found)) => {
                let dead = found.header(headers::REASON).map(Reason::of_code);
                return dead.map_or(Outcome::Already, Outcome::Dead);
            }
            Ok(None) => {}
            Err(unavailable) => return Outcome::Unavailable(unavailable.to_string()),
        }
    }
    match error {
        PublishError::Refused => match existing(broker, insists).await {
            Ok(Some(subject)) => Outcome::Exists(subject),
            Ok(None) => Outcome::Stale,
            Err(unavailable) => Outcome::Unavailable(unavailable.to_string()),
        },
        PublishError::Full => Outcome::Full,
        PublishError::Rejected(why) | PublishError::Ambiguous(why) => Outcome::Unavailable(why.clone()),
    }
}

/// The event that keeps one of a plan's from being the only one of its type about its aggregate.
async fn existing<B: Broker>(broker: &B, insists: &Insists) -> Result<Option<Subject>, Unavailable> {
    for scope in &insists.once {
        if let Some(found) = broker.last_at_leader(Stream::Events, scope).await? {
            return Ok(Some(found.subject));
        }
    }
    Ok(None)
}

/// The messages of a group, and which versions of state they make true.
struct Assembled {
    messages: Vec<Message>,
    /// The state written by the last messages, in their order.
    states: Vec<(Subject, u64)>,
}

/// Puts a group together: events of every plan, then the last value of each key. Plans that were decided on state that
/// will not come true are answered and left out.
fn assemble(table: &mut Table, group: Vec<Submission>) -> (Assembled, Vec<Submission>) {
    let mut kept = Vec::with_capacity(group.len());
    let mut folded: HashMap<Subject, (usize, u64)> = HashMap::new();
    let mut messages = Vec::new();
    let mut values: Vec<Message> = Vec::new();
    for one in group {
        let holds = |(subject, version): &(Subject, u64)| match folded.get(subject) {
            Some((_, written)) => written == version,
            None => table.committed(subject).is_some_and(|committed| committed.version == *version),
        };
        if !one.reads.iter().all(holds) {
            // Others may have decided on what it wrote ahead.
            for (write, version) in one.plan.writes.iter().zip(&one.versions) {
                table.forget(&write.subject, *version);
            }
            answer(one, Outcome::Stale);
            continue;
        }
        for (write, version) in one.plan.writes.iter().zip(&one.versions) {
            let sequence = table.committed(&write.subject).map_or(0, |committed| committed.sequence);
            let at = folded.get(&write.subject).map_or(values.len(), |(at, _)| *at);
            folded.insert(write.subject.clone(), (at, *version));
            let message = write.message(sequence);
            match values.get_mut(at) {
                Some(earlier) => *earlier = message,
                None => values.push(message),
            }
        }
        messages.extend(one.plan.events.iter().cloned());
        kept.push(one);
    }
    let mut states: Vec<(Subject, u64)> = Vec::with_capacity(values.len());
    for value in &values {
        if let Some((_, version)) = folded.get(&value.subject) {
            states.push((value.subject.clone(), *version));
        }
    }
    messages.extend(values);
    (Assembled { messages, states }, kept)
}

impl Assembled {
    /// What plans of `group` that write have read of keys that nobody in it writes.
    fn only_read(&self, group: &[Submission]) -> Vec<(Subject, u64)> {
        let written: HashSet<&Subject> = self.states.iter().map(|(subject, _)| subject).collect();
        // Plans that write nothing are looked at by whoever hands them in.
        let writing = group.iter().filter(|one| !one.plan.writes.is_empty());
        let reads = writing.flat_map(|one| &one.reads).filter(|(subject, _)| !written.contains(subject));
        reads.collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }

    /// The state that the broker is to have still, for that which the group writes.
    fn written_on(&self, table: &Table) -> Vec<(Subject, u64)> {
        let committed = |subject: &Subject| Some((subject.clone(), table.committed(subject)?.version));
        self.states.iter().filter_map(|(subject, _)| committed(subject)).collect()
    }

    /// The group is stored, its last message under the sequence `last`.
    fn settle(&self, table: &mut Table, last: u64) {
        let first = (last + 1).saturating_sub(self.states.len() as u64);
        for ((subject, version), sequence) in self.states.iter().zip(first..) {
            table.commit(subject, Committed { version: *version, sequence });
        }
    }

    /// The group is not stored, or nobody knows.
    fn forget(&self, table: &mut Table) {
        for (subject, version) in &self.states {
            table.forget(subject, *version);
        }
    }
}

fn answer(one: Submission, outcome: Outcome) {
    // Nobody listens if the input's own future is gone, which only happens when the process stops.
    let _ = one.answer.send(outcome);
}

fn answer_all(group: Vec<Submission>, outcome: &Outcome) {
    for one in group {
        answer(one, outcome.clone());
    }
}

#[cfg(test)]
mod tests;
