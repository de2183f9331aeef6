//! The production core: what happens to a message, without IO and without a wall clock.
//!
//! It imports neither the broker's client nor an HTTP server: the broker is a trait with two implementations, the real
//! one in [`jetstream`](crate::jetstream) and a simulated one for tests.

pub(crate) mod admission;
pub(crate) mod admit;
pub(crate) mod baggage;
pub(crate) mod batch;
pub(crate) mod breaker;
pub(crate) mod broker;
pub(crate) mod commit;
pub(crate) mod dead_letter;
pub(crate) mod each;
pub(crate) mod engine;
pub(crate) mod group;
pub(crate) mod inbound;
pub(crate) mod intake;
pub(crate) mod isolation;
pub(crate) mod judge;
pub(crate) mod keys;
pub(crate) mod known;
pub(crate) mod life;
pub(crate) mod mark;
pub(crate) mod originals;
pub(crate) mod pulse;
pub(crate) mod redrive;
pub(crate) mod rescue;
pub(crate) mod schedule;
pub(crate) mod seat;
pub(crate) mod states;
