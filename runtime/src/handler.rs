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
/// - `async fn(&D, Batch<I>, State) -> Result<R, Failure>` for one that takes batches
///
/// and `R` is the output `O` itself, an `Option<O>`, or [`Effects<O>`].
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
    note = "the types must be the contract's own: what it listens to, and what it emits"
)]
pub trait Handler<'a, D, I, O, Form>: Send + Sync + 'static {
    /// Runs the function.
    fn call(&'a self, deps: &'a D, inputs: Batch<I>, state: State) -> Running<'a, Effects<O>>;
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

impl<'a, F, R, T, D, I, O> Handler<'a, D, I, O, (Plain, T)> for F
where
    F: Fn(&'a D, Event<I>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<T, Failure>> + Send + 'a,
    T: Into<Effects<O>>,
    D: Sync + 'a,
    I: Send + 'a,
{
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
    fn call(&'a self, deps: &'a D, inputs: Batch<I>, state: State) -> Running<'a, Effects<O>> {
        Box::pin(async move { Ok(self(deps, inputs, state).await?.into()) })
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
    fn invoke(&self, inputs: Vec<Input>, state: State) -> Running<'_, Erased>;
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
    fn invoke(&self, inputs: Vec<Input>, state: State) -> Running<'_, Erased> {
        Box::pin(async move {
            let batch = inputs.into_iter().map(typed).collect::<Result<Batch<I>, _>>()?;
            let effects = self.handler.call(&self.deps, batch, state).await?;
            effects.erase().map_err(|why| Failure::because(Reason::EffectsInvalid, why))
        })
    }
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

    #[test]
    fn every_form_of_handler_is_accepted() {
        const CONTRACT: Contract<AnyEvent, Nothing> = Contract::new("t", "Tests.");
        let bound = [
            Bindings::new(CONTRACT, String::new(), plain),
            Bindings::new(CONTRACT, String::new(), stateful),
            Bindings::new(CONTRACT, String::new(), batched),
        ];
        assert!(bound.iter().all(|function| function.terms.faults().is_empty()));
    }
}
