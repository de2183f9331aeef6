//! The author's async function, and how its types are erased at the entry.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::effects::{Effects, Erased};
use crate::event::Envelope;
use crate::failure::{Failure, Reason};
use crate::state::State;
use crate::subject::Subject;
use crate::{Contract, DecodeError, Event, Incoming, Outgoing, Terms};

/// Several inputs at once, oldest first, for a function whose contract says [`batch`](Contract::batch).
pub type Batch<I> = Vec<Recorded<I>>;

/// One input of a batch, with its place in the stream that was read.
#[derive(Debug, Clone)]
pub struct Recorded<I> {
    /// The event.
    pub event: Event<I>,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// The event's bytes as they are in the stream.
    pub bytes: bytes::Bytes,
}

/// An async function that handles events.
///
/// Implemented for these forms, where `D` is what the function depends on (a client, a configuration, or `()`):
/// - `async fn(&D, Event<I>) -> Result<R, Failure>`
/// - `async fn(&D, Event<I>, State) -> Result<R, Failure>` for a function that keeps state
/// - `async fn(&D, Batch<I>) -> Result<Vec<Result<R, Failure>>, Failure>` for one that gains from several events at once
///   (a bulk call), and gives an outcome for each of them, in their order
/// - `async fn(&D, Batch<I>, State) -> Result<R, Failure>` for one that goes through the audit trail in batches, each
///   committed as a whole
///
/// and `R` is the output `O` itself, an `Option<O>`, or [`Effects<O>`].
///
/// With an outcome for each event, each has its own commit, its own retries and its own dead letter: what one of them
/// does is nothing to the others. A batch holds one event of each aggregate at most, and first attempts only: what
/// failed in company is tried again alone. An `Err` for the batch as a whole is a failure of each.
///
/// ```
/// # use jetlag::{Batch, Contract, Environment, Event, Failure, Function, OrReject, Payload};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Sent { id: String, address: Option<String> }
/// # impl Payload for Sent {
/// #     const TYPE: &'static str = "parcels.sent"; const AGGREGATE: &'static str = "parcel";
/// #     fn aggregate_id(&self) -> &str { &self.id }
/// #     fn example() -> Self { Sent { id: "P-1".into(), address: None } }
/// # }
/// # #[derive(Serialize, Deserialize)] struct Told { id: String }
/// # impl Payload for Told {
/// #     const TYPE: &'static str = "parcels.told"; const AGGREGATE: &'static str = "parcel";
/// #     fn aggregate_id(&self) -> &str { &self.id }
/// #     fn example() -> Self { Told { id: "P-1".into() } }
/// # }
/// # struct Carrier;
/// # impl Carrier { async fn tell(&self, _: &[&str]) -> Result<Vec<bool>, std::io::Error> { Ok(vec![]) } }
/// const CONTRACT: Contract<Sent, Told> = Contract::new("carrier", "Tells the carrier what was sent.").batch(100);
///
/// async fn tell(carrier: &Carrier, batch: Batch<Sent>) -> Result<Vec<Result<Told, Failure>>, Failure> {
///     let ids: Vec<&str> = batch.iter().map(|one| one.event.data.id.as_str()).collect();
///     let answers = carrier.tell(&ids).await?; // the call failed: each is tried again
///     let one = |(recorded, taken): (&jetlag::Recorded<Sent>, bool)| {
///         recorded.event.data.address.as_ref().or_reject("no address")?; // this one is a dead letter
///         if taken { Ok(Told { id: recorded.event.data.id.clone() }) } else { Err(Failure::retry("busy")) }
///     };
///     Ok(batch.iter().zip(answers).map(one).collect())
/// }
/// # let _ = Function::new(CONTRACT, |_: &mut Environment| Carrier, tell);
/// ```
///
/// What the contract does not say does not compile:
///
/// ```compile_fail,E0277
/// # use jetlag::{AnyEvent, Contract, Environment, Event, Failure, Function, Nothing};
/// const CONTRACT: Contract<AnyEvent, Nothing> = Contract::new("watcher", "Counts what happens.");
///
/// // The contract emits nothing, and this emits numbers.
/// async fn count(_: &(), _: Event<AnyEvent>) -> Result<u64, Failure> {
///     Ok(1)
/// }
///
/// let _ = Function::new(CONTRACT, |_: &mut Environment| (), count);
/// ```
#[diagnostic::on_unimplemented(
    message = "this is not a handler for a `Contract<{I}, {O}>`",
    label = "not a handler of `{I}` that emits `{O}`",
    note = "a handler is `async fn(&{D}, Event<{I}>) -> Result<{O}, Failure>`; it may take a `State` as third argument, `Batch<{I}>` instead of `Event<{I}>`, and return `Option<{O}>` or `Effects<{O}>`",
    note = "one that takes a `Batch<{I}>` and no `State` gives an outcome for each: `Result<Vec<Result<{O}, Failure>>, Failure>`",
    note = "the types must be the contract's own: what it listens to, and what it emits"
)]
pub trait Handler<'a, D, I, O, Form>: Send + Sync + 'static {
    /// What one run is given.
    const TAKES: Takes;

    /// Runs the function on one input, or on a batch as a whole.
    fn call(&'a self, deps: &'a D, inputs: Batch<I>, state: State) -> Running<'a, Effects<O>>;

    /// Runs the function on several inputs, each with its own outcome; only where [`TAKES`](Self::TAKES) says so.
    fn call_each(&'a self, _: &'a D, _: Batch<I>) -> Running<'a, Vec<Result<Effects<O>, Failure>>>
    where
        O: 'a,
    {
        let why = "this handler has no outcome for each of several inputs";
        Box::pin(async move { Err(Failure::because(Reason::EffectsInvalid, why)) })
    }
}

/// What one run of a handler is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// One input.
    One,
    /// A batch that is committed as a whole.
    Batch,
    /// A batch with an outcome for each input.
    Each,
}

/// A run of a handler under way.
pub(crate) type Running<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// The form without state.
#[derive(Debug)]
pub enum Plain {}
/// The form with state.
#[derive(Debug)]
pub enum Stateful {}
/// The form with a batch.
#[derive(Debug)]
pub enum Batched {}
/// The form with a batch, and an outcome for each of its inputs.
#[derive(Debug)]
pub enum Itemized {}

impl<'a, F, R, T, D, I, O> Handler<'a, D, I, O, (Plain, T)> for F
where
    F: Fn(&'a D, Event<I>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<T, Failure>> + Send + 'a,
    T: Into<Effects<O>>,
    D: Sync + 'a,
    I: Send + 'a,
{
    const TAKES: Takes = Takes::One;

    fn call(&'a self, deps: &'a D, mut inputs: Batch<I>, _: State) -> Running<'a, Effects<O>> {
        Box::pin(async move {
            let Some(input) = inputs.pop() else { return Ok(Effects::none()) };
            Ok(self(deps, input.event).await?.into())
        })
    }
}

impl<'a, F, R, T, D, I, O> Handler<'a, D, I, O, (Stateful, T)> for F
where
    F: Fn(&'a D, Event<I>, State) -> R + Send + Sync + 'static,
    R: Future<Output = Result<T, Failure>> + Send + 'a,
    T: Into<Effects<O>>,
    D: Sync + 'a,
    I: Send + 'a,
{
    const TAKES: Takes = Takes::One;

    fn call(&'a self, deps: &'a D, mut inputs: Batch<I>, state: State) -> Running<'a, Effects<O>> {
        Box::pin(async move {
            let Some(input) = inputs.pop() else { return Ok(Effects::none()) };
            Ok(self(deps, input.event, state).await?.into())
        })
    }
}

impl<'a, F, R, T, D, I, O> Handler<'a, D, I, O, (Batched, T)> for F
where
    F: Fn(&'a D, Batch<I>, State) -> R + Send + Sync + 'static,
    R: Future<Output = Result<T, Failure>> + Send + 'a,
    T: Into<Effects<O>>,
    D: Sync + 'a,
    I: Send + 'a,
{
    const TAKES: Takes = Takes::Batch;

    fn call(&'a self, deps: &'a D, inputs: Batch<I>, state: State) -> Running<'a, Effects<O>> {
        Box::pin(async move { Ok(self(deps, inputs, state).await?.into()) })
    }
}

impl<'a, F, R, T, D, I, O> Handler<'a, D, I, O, (Itemized, T)> for F
where
    F: Fn(&'a D, Batch<I>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Result<T, Failure>>, Failure>> + Send + 'a,
    T: Into<Effects<O>>,
    D: Sync + 'a,
    I: Send + 'a,
    O: 'a,
{
    const TAKES: Takes = Takes::Each;

    fn call(&'a self, deps: &'a D, inputs: Batch<I>, _: State) -> Running<'a, Effects<O>> {
        let outcomes = self.call_each(deps, inputs);
        Box::pin(async move { outcomes.await?.pop().unwrap_or_else(|| Ok(Effects::none())) })
    }

    fn call_each(&'a self, deps: &'a D, inputs: Batch<I>) -> Running<'a, Vec<Result<Effects<O>, Failure>>> {
        Box::pin(async move {
            let count = inputs.len();
            let outcomes = self(deps, inputs).await?;
            if outcomes.len() == count {
                Ok(outcomes.into_iter().map(|outcome| outcome.map(Into::into)).collect())
            } else {
                let given = outcomes.len();
                Err(Failure::retry(format_args!("the handler gave {given} outcomes for {count} inputs")))
            }
        })
    }
}

/// One input as the core has it: the envelope read, the data not yet.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) envelope: Arc<Envelope>,
    /// The event's canonical subject.
    pub(crate) subject: Subject,
    pub(crate) attempt: u32,
    pub(crate) sequence: u64,
    pub(crate) bytes: bytes::Bytes,
    pub(crate) traceparent: Option<Arc<str>>,
}

/// A function whose types are gone: what the core runs.
pub(crate) trait Invoke: Send + Sync + 'static {
    fn takes(&self) -> Takes;
    fn invoke(&self, inputs: Vec<Input>, state: State) -> Running<'_, Erased>;
    /// An outcome for each of `inputs`, in their order.
    fn invoke_each(&self, inputs: Vec<Input>) -> Running<'_, Vec<Result<Erased, Failure>>>;
}

/// A contract, what its handler depends on, and the handler.
struct Bound<D, I, O, H, Form> {
    deps: D,
    handler: H,
    types: std::marker::PhantomData<fn(I, Form) -> O>,
}

impl<D, I, O, H, Form> Invoke for Bound<D, I, O, H, Form>
where
    D: Send + Sync + 'static,
    I: Incoming,
    O: Outgoing,
    H: for<'a> Handler<'a, D, I, O, Form>,
    Form: 'static,
{
    fn takes(&self) -> Takes {
        <H as Handler<'_, D, I, O, Form>>::TAKES
    }

    fn invoke(&self, inputs: Vec<Input>, state: State) -> Running<'_, Erased> {
        Box::pin(async move {
            let batch = inputs.into_iter().map(typed).collect::<Result<Batch<I>, _>>()?;
            erased(self.handler.call(&self.deps, batch, state).await?)
        })
    }

    fn invoke_each(&self, inputs: Vec<Input>) -> Running<'_, Vec<Result<Erased, Failure>>> {
        Box::pin(async move {
            let mut batch = Vec::with_capacity(inputs.len());
            // What cannot be read has its outcome already, and is not shown to the handler.
            let mut unread: Vec<Option<Failure>> = Vec::with_capacity(inputs.len());
            for input in inputs {
                match typed(input) {
                    Ok(recorded) => {
                        batch.push(recorded);
                        unread.push(None);
                    }
                    Err(failure) => unread.push(Some(failure)),
                }
            }
            let outcomes =
                if batch.is_empty() { Vec::new() } else { self.handler.call_each(&self.deps, batch).await? };
            let mut outcomes = outcomes.into_iter();
            let missing = || Err(Failure::retry("the handler gave no outcome for it"));
            let outcome = |failure: Option<Failure>| match failure {
                Some(failure) => Err(failure),
                None => outcomes.next().unwrap_or_else(missing).and_then(erased),
            };
            Ok(unread.into_iter().map(outcome).collect())
        })
    }
}

fn erased<O: Outgoing>(effects: Effects<O>) -> Result<Erased, Failure> {
    effects.erase().map_err(|why| Failure::because(Reason::EffectsInvalid, why))
}

fn typed<I: Incoming>(input: Input) -> Result<Recorded<I>, Failure> {
    let envelope = &input.envelope;
    let data = I::decode(&envelope.kind, &envelope.data).map_err(|error| {
        let reason = match error {
            DecodeError::UnknownType { .. } => Reason::UnknownType,
            DecodeError::Malformed { .. } | DecodeError::Invalid { .. } => Reason::InvalidData,
        };
        Failure::because(reason, crate::failure::chain(&error))
    })?;
    Ok(Recorded {
        event: Event {
            data,
            id: envelope.id.clone(),
            aggregate_id: envelope.aggregate_id.clone(),
            timestamp: envelope.timestamp,
            trace_id: envelope.trace_id.clone(),
            attempt: input.attempt,
            subject: input.subject,
            traceparent: input.traceparent,
        },
        sequence: input.sequence,
        bytes: input.bytes,
    })
}

/// A function ready to be run by the core: its terms and its handler.
#[derive(Clone)]
pub(crate) struct Bindings {
    pub(crate) terms: Terms,
    pub(crate) handler: Arc<dyn Invoke>,
}

impl Bindings {
    pub(crate) fn new<D, I, O, H, Form>(contract: Contract<I, O>, deps: D, handler: H) -> Self
    where
        D: Send + Sync + 'static,
        I: Incoming,
        O: Outgoing,
        H: for<'a> Handler<'a, D, I, O, Form>,
        Form: 'static,
    {
        Self {
            terms: contract.terms(),
            handler: Arc::new(Bound { deps, handler, types: std::marker::PhantomData }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AnyEvent;
    use crate::payload::Nothing;

    async fn plain(_: &String, event: Event<AnyEvent>) -> Result<Option<Nothing>, Failure> {
        tokio::task::yield_now().await;
        if event.id.is_empty() { Err(Failure::reject("no id")) } else { Ok(None) }
    }

    async fn stateful(_: &String, _: Event<AnyEvent>, _: State) -> Result<Effects<Nothing>, Failure> {
        Ok(Effects::none())
    }

    async fn batched(_: &String, batch: Batch<AnyEvent>, _: State) -> Result<Effects<Nothing>, Failure> {
        tokio::task::yield_now().await;
        if batch.is_empty() { Err(Failure::retry("nothing")) } else { Ok(Effects::none()) }
    }

    async fn itemized(
        _: &String,
        batch: Batch<AnyEvent>,
    ) -> Result<Vec<Result<Option<Nothing>, Failure>>, Failure> {
        tokio::task::yield_now().await;
        Ok(batch.iter().map(|_| Ok(None)).collect())
    }

    #[test]
    fn every_form_of_handler_is_accepted() {
        const CONTRACT: Contract<AnyEvent, Nothing> = Contract::new("t", "Tests.");
        let bound = [
            Bindings::new(CONTRACT, String::new(), plain),
            Bindings::new(CONTRACT, String::new(), stateful),
            Bindings::new(CONTRACT, String::new(), batched),
            Bindings::new(CONTRACT, String::new(), itemized),
        ];
        assert_eq!(
            bound.each_ref().map(|function| function.handler.takes()),
            [Takes::One, Takes::One, Takes::Batch, Takes::Each]
        );
        assert!(bound.iter().all(|function| function.terms.faults().is_empty()));
    }
}
