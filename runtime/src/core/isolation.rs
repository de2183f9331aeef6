//! Crash isolation: an input that may have killed its process runs alone, and one that kills again and again is given up.
//!
//! A failed attempt is acknowledged and scheduled anew, so a second delivery of one message means that the first was
//! given back, that its answer was lost, or that its process died. What was given back is recorded as such. Whatever
//! else comes a second time is a suspect: it runs while nothing else runs in its process, and the broker knows of that
//! run before it begins. So a process that dies then has died of this input or by chance, and a neighbour's crash
//! counts against nobody.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::core::broker::{Broker, Delivery, PublishError, Stream};
use crate::core::engine::{Engine, FULL_DELAY, RELEASE_DELAY};
use crate::core::inbound::Inbound;
use crate::core::judge::Disposition;
use crate::core::mark::{Change, LoneRun, Mark, Marked, Occasion};
use crate::failure::Reason;
use crate::headers;
use crate::subject::Subject;

/// How many lone runs an input may leave without coming back.
pub(crate) const LONE_RUNS_MAX: usize = 3;
/// How long a mark is kept after its last change.
const MARK_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// For how long a run alone that did not come back counts against an input of a trail. It is never given up: after this
/// it is tried again.
const TRAIL_MEMORY: Duration = Duration::from_secs(10 * 60);
/// How long an input of a trail that is held back stays with the broker before it is looked at again.
const HELD_BACK_DELAY: Duration = Duration::from_secs(60);
/// How far the clocks of two processes may be apart: a run alone whose time has passed by less counts for no conviction.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(5);
/// How many inputs that it has given back a process remembers.
const REMEMBERED_MAX: usize = 4096;

/// What a process remembers of the inputs that it has given back: those that come back to it need no record.
#[derive(Debug, Default)]
pub(crate) struct Isolation {
    given_back: Mutex<GivenBack>,
}

#[derive(Debug, Default)]
struct GivenBack {
    deliveries: HashMap<(Stream, u64), u64>,
    order: VecDeque<(Stream, u64)>,
}

impl Isolation {
    /// The input of `delivery` is given back, and nothing speaks against it.
    pub(crate) fn remember<R>(&self, delivery: &Delivery<R>) {
        let mut guard = self.given_back.lock().unwrap_or_else(PoisonError::into_inner);
        let given_back = &mut *guard;
        let key = (delivery.stream, delivery.sequence);
        if given_back.deliveries.insert(key, delivery.delivered).is_none() {
            given_back.order.push_back(key);
        }
        if given_back.order.len() > REMEMBERED_MAX
            && let Some(oldest) = given_back.order.pop_front()
        {
            given_back.deliveries.remove(&oldest);
        }
    }

    /// Whether nothing speaks against the input of `delivery` as far as this process knows: it is delivered for the first
    /// time, or this process gave back the delivery before.
    pub(crate) fn trusts<R>(&self, delivery: &Delivery<R>) -> bool {
        let mut given_back = self.given_back.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (delivery.stream, delivery.sequence);
        let is_last = given_back.deliveries.get(&key).is_some_and(|last| last + 1 == delivery.delivered);
        if !is_last {
            // Somebody else has had it since. A broker that forgets an acknowledgement counts deliveries anew, and what was
            // given back long ago must not speak for a number that comes again.
            given_back.deliveries.remove(&key);
        }
        drop(given_back);
        is_last || (delivery.delivered <= 1 && is_clean(delivery))
    }
}

/// How an input stands when it comes.
#[derive(Debug)]
pub(crate) enum Standing {
    /// Nothing speaks against it.
    Trusted,
    /// It may have killed its process: it runs alone.
    Suspect(Box<Suspect>),
    /// It does not run.
    Decided(Disposition),
}

/// An input that runs alone.
#[derive(Debug)]
pub(crate) struct Suspect {
    marked: Marked,
    of: Occasion,
}

/// A lone run that the broker knows of.
#[derive(Debug)]
pub(crate) struct Lone {
    marked: Marked,
    run: LoneRun,
    /// From then on it does not run again on newer state: it has to come back in time.
    pub(crate) reruns_until: Instant,
}

/// How the input stands; for one that is delivered again the broker is asked what came of it before.
pub(crate) async fn standing<B: Broker>(
    engine: &Engine<B>,
    delivery: &Delivery<B::Receipt>,
    inbound: &Inbound,
) -> Standing {
    if engine.isolation.trusts(delivery) {
        return Standing::Trusted;
    }
    let release = |why: String| Standing::Decided(Disposition::Release { after: RELEASE_DELAY, why });
    let mut marked = match Marked::read(&*engine.broker, place(inbound), MARK_KEPT).await {
        Ok(marked) => marked,
        Err(unavailable) => return release(unavailable.to_string()),
    };
    let of = Occasion::of(delivery);
    if marked.mark.released.as_ref() == Some(&of.before()) {
        return Standing::Trusted;
    }
    // A batch is guarded by its state, not by its causes.
    if !engine.terms.is_trail() {
        match engine.broker.last_at_leader(Stream::Events, &inbound.cause.scope()).await {
            Ok(None) => {}
            Ok(Some(found)) => return Standing::Decided(ended(found.header(headers::REASON))),
            Err(unavailable) => return release(unavailable.to_string()),
        }
    }
    engine.meter.suspected();
    if let Some(after) = under_way(&marked.mark, engine) {
        return Standing::Decided(wait_for_its_end(after));
    }
    if engine.terms.is_trail() {
        let since = engine.broker.now() - TRAIL_MEMORY;
        let recent = marked.mark.lone_runs.iter().filter(|run| run.reaches(since)).count();
        if recent >= LONE_RUNS_MAX {
            return hold_back(engine);
        }
    } else if marked.mark.is_convicted || marked.mark.lone_runs.len() >= LONE_RUNS_MAX {
        return convict(engine, &mut marked).await;
    }
    Standing::Suspect(Box::new(Suspect { marked, of }))
}

/// What an earlier run has come to that left something under the guard.
fn ended(reason: Option<&str>) -> Disposition {
    match reason {
        None => Disposition::Ack { already: true },
        Some(code) => {
            let error = "an earlier run gave it up, and did not come to the end of that".into();
            Disposition::DeadLetter { reason: Reason::of_code(code), error }
        }
    }
}

/// The longest time that another process's run of it alone may still take.
fn under_way<B: Broker>(mark: &Mark, engine: &Engine<B>) -> Option<Duration> {
    let now = engine.broker.now();
    let longest = mark.lone_runs.iter().map(|run| run.remains(now)).max().unwrap_or_default();
    // A clock that is far ahead must not keep it waiting for ever.
    (!longest.is_zero()).then(|| longest.min(lone_run_max(engine)))
}

/// How long a lone run takes at most: the handler's time, and what it takes to commit and to tell of it.
fn lone_run_max<B: Broker>(engine: &Engine<B>) -> Duration {
    engine.terms.time_limit + engine.broker.ack_wait()
}

/// Gives it back until a run of it alone that may be under way is over.
fn wait_for_its_end(after: Duration) -> Disposition {
    Disposition::Release { after, why: "a run of it alone may be under way".into() }
}

/// Gives the input up. The mark says so first: it is then known to have been the newest. Runs alone count only when they
/// are over: on the mark as it was read, and on every newer one.
async fn convict<B: Broker>(engine: &Engine<B>, marked: &mut Marked) -> Standing {
    let not_over = |mark: &Mark| {
        let least = engine.broker.now() - CLOCKS_APART_MAX;
        mark.lone_runs.iter().map(|run| run.remains(least)).max().filter(|longest| !longest.is_zero())
    };
    let convicted = marked.change(&*engine.broker, None, |mark| match mark {
        Mark { is_convicted: true, .. } => Change::Made,
        Mark { lone_runs, .. } if lone_runs.len() < LONE_RUNS_MAX => Change::Void,
        mark if not_over(mark).is_some() => Change::Void,
        mark => Change::Write(Mark { is_convicted: true, ..mark.clone() }),
    });
    let convicted = convicted.await;
    let release = |after, why| Standing::Decided(Disposition::Release { after, why });
    match convicted {
        Ok(true) => {}
        Ok(false) => match not_over(&marked.mark) {
            Some(longest) => {
                return Standing::Decided(wait_for_its_end(longest.min(lone_run_max(engine))));
            }
            None => return release(RELEASE_DELAY, "a run of it alone has come back meanwhile".into()),
        },
        Err(error) => return release(after(&error), format!("its mark could not be written: {error}")),
    }
    let error = format!("its process died in each of the {LONE_RUNS_MAX} runs that it was given alone");
    engine.meter.convicted(&error);
    Standing::Decided(Disposition::DeadLetter { reason: Reason::ProcessDied, error })
}

/// Keeps an input of a trail from running for a while. A trail has no holes, so it is not given up.
fn hold_back<B: Broker>(engine: &Engine<B>) -> Standing {
    let why = format!("its process died in the last {LONE_RUNS_MAX} runs that it was given alone");
    engine.meter.convicted(&why);
    Standing::Decided(Disposition::Release { after: HELD_BACK_DELAY, why })
}

impl Suspect {
    /// Tells the broker that a run of it alone begins. It must not begin before that.
    pub(crate) async fn begin<B: Broker>(self, engine: &Engine<B>) -> Result<Lone, Disposition> {
        let Self { mut marked, of } = self;
        // Its run would only be refused, after two publishes.
        if engine.breaker.circuit().credit(1, Instant::now()) == 0 {
            let after = engine.breaker.rest();
            return Err(Disposition::Release { after, why: "the circuit breaker is open".into() });
        }
        let reruns_until = Instant::now() + engine.broker.ack_wait() / 2;
        let until = engine.broker.now() + lone_run_max(engine);
        let until_unix_ms = i64::try_from(until.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX);
        let run = LoneRun { of, until_unix_ms };
        let begun = marked.change(&*engine.broker, None, |mark| {
            if mark.lone_runs.contains(&run) {
                return Change::Made;
            }
            let is_trail = engine.terms.is_trail();
            let is_spent = mark.is_convicted || mark.lone_runs.len() >= LONE_RUNS_MAX;
            if (is_spent && !is_trail) || under_way(mark, engine).is_some() {
                return Change::Void;
            }
            let mut mark = mark.clone();
            mark.lone_runs.push(run.clone());
            // A broker that forgets an acknowledgement counts deliveries anew: what once followed a release must not follow
            // it a second time.
            mark.released = None;
            // Of a trail's, whose number has no limit, the last ones are kept.
            let surplus = mark.lone_runs.len().saturating_sub(LONE_RUNS_MAX);
            mark.lone_runs.drain(..surplus);
            Change::Write(mark)
        });
        match begun.await {
            Ok(true) => {
                engine.meter.runs_alone(marked.mark.lone_runs.len());
                Ok(Lone { marked, run, reruns_until })
            }
            Ok(false) => {
                let why = "another process has begun to run it alone".into();
                Err(Disposition::Release { after: RELEASE_DELAY, why })
            }
            Err(error) => {
                let why = format!("its mark could not be written: {error}");
                Err(Disposition::Release { after: after(&error), why })
            }
        }
    }
}

impl Lone {
    /// The run has come back, and does not count: unless something under the guard says so already, the mark does.
    pub(crate) async fn end<B: Broker>(mut self, engine: &Engine<B>, disposition: &Disposition) {
        if matches!(disposition, Disposition::Ack { already: true } | Disposition::DeadLetter { .. })
            && !engine.terms.is_trail()
        {
            return;
        }
        // While the stream is full this waits, and every slot with it: nothing else could be committed either.
        let ended = self.marked.change(&*engine.broker, Some(&engine.drain), |mark| {
            if !mark.lone_runs.contains(&self.run) {
                return Change::Made;
            }
            let mut mark = mark.clone();
            mark.lone_runs.retain(|run| *run != self.run);
            Change::Write(mark)
        });
        if let Err(error) = ended.await {
            tracing::warn!(
                error = %error,
                "the end of a run alone could not be recorded: it counts as if the process had died"
            );
        }
    }
}

/// Records that the input of `delivery`, against which nothing speaks, is given back: it will be trusted when it comes
/// again. Where that cannot be recorded, it will run alone.
pub(crate) async fn give_back<B: Broker>(
    engine: &Engine<B>,
    delivery: &Delivery<B::Receipt>,
    inbound: &Inbound,
) {
    engine.isolation.remember(delivery);
    let of = Occasion::of(delivery);
    let mut marked = Marked::absent(place(inbound), MARK_KEPT);
    let recorded = marked.change_if_easy(&*engine.broker, |mark| {
        if mark.released.as_ref() == Some(&of) {
            return Change::Made;
        }
        Change::Write(Mark { released: Some(of.clone()), ..mark.clone() })
    });
    if let Err(error) = recorded.await {
        tracing::debug!(error = %error, "it could not be recorded that an input was given back");
    }
}

/// Gives back an input that has come and was not begun.
pub(crate) async fn give_back_unread<B: Broker>(engine: &Engine<B>, delivery: &Delivery<B::Receipt>) {
    if matches!(delivery.stream, Stream::Events | Stream::Retry)
        && let Ok(inbound) = Inbound::read(&engine.terms, delivery)
        && is_trusted(engine, delivery, &inbound).await
    {
        give_back(engine, delivery, &inbound).await;
    }
    engine.broker.give_back(&delivery.receipt, Duration::ZERO).await;
}

/// Gives back an input that was pulled on behalf of `function` and not run, and records that, if nothing speaks against it.
pub(crate) async fn give_back_unrun<B: Broker>(
    broker: &B,
    function: &str,
    cause_id: &str,
    delivery: &Delivery<B::Receipt>,
) {
    let of = Occasion::of(delivery);
    let subject = Subject::of_mark(function, cause_id);
    if let Ok(mut marked) = Marked::read(broker, subject, MARK_KEPT).await
        && (delivery.delivered <= 1 && is_clean(delivery)
            || marked.mark.released.as_ref() == Some(&of.before()))
    {
        let recorded = marked.change_if_easy(broker, |mark| {
            Change::Write(Mark { released: Some(of.clone()), ..mark.clone() })
        });
        if let Err(error) = recorded.await {
            tracing::debug!(error = %error, "it could not be recorded that an input was given back");
        }
    }
    broker.give_back(&delivery.receipt, Duration::ZERO).await;
}

/// Whether `delivery`, the first of its message, is not of an input that was carried on as a suspect.
fn is_clean<R>(delivery: &Delivery<R>) -> bool {
    delivery.stream != Stream::Retry || delivery.header(headers::SUSPECT).is_none()
}

/// Whether a process may have died of the input that came in `delivery` to one who does not run it.
pub(crate) async fn is_suspect<B: Broker>(
    broker: &B,
    function: &str,
    cause_id: &str,
    delivery: &Delivery<B::Receipt>,
) -> bool {
    if delivery.delivered <= 1 {
        return false;
    }
    let marked = Marked::read(broker, Subject::of_mark(function, cause_id), MARK_KEPT).await;
    !marked.is_ok_and(|marked| marked.mark.released == Some(Occasion::of(delivery).before()))
}

/// Whether nothing speaks against the input of `delivery`, as far as this process or the broker knows.
async fn is_trusted<B: Broker>(
    engine: &Engine<B>,
    delivery: &Delivery<B::Receipt>,
    inbound: &Inbound,
) -> bool {
    if engine.isolation.trusts(delivery) {
        return true;
    }
    let marked = Marked::read(&*engine.broker, place(inbound), MARK_KEPT).await;
    marked.is_ok_and(|marked| marked.mark.released == Some(Occasion::of(delivery).before()))
}

/// Where the mark of an input is.
fn place(inbound: &Inbound) -> Subject {
    Subject::of_mark(inbound.cause.function, &inbound.cause.id(0))
}

fn after(error: &PublishError) -> Duration {
    if *error == PublishError::Full { FULL_DELAY } else { RELEASE_DELAY }
}

#[cfg(test)]
mod tests;
