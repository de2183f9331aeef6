//! A serverless-style function runtime on NATS JetStream.

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod contract;
mod core;
mod dead_letter;
mod description;
mod effects;
mod endpoint;
mod environment;
mod event;
mod failure;
mod function;
mod handler;
pub mod headers;
mod http;
mod identity;
pub mod invoke;
pub mod jetstream;
#[cfg_attr(not(any(test, feature = "testing")), allow(dead_code, reason = "the simulation needs more of it"))]
mod memory;
#[cfg(test)]
mod parcels;
mod payload;
pub mod permissions;
mod readiness;
mod retry;
mod scaling;
mod sequel;
mod serve;
mod settings;
mod signals;
mod sink;
mod state;
mod subject;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
pub mod topology;
mod trigger;
mod view;
mod watch;

pub use core::redrive::NotRedriven;
pub use core::rescue::{ROUNDS_PER_HORIZON, Rescued};

pub use contract::{
    Breaker, Contract, Durability, NAME_CHARS_MAX, Source, Terms, faults_of_name, faults_of_type,
};
pub use dead_letter::{Attempt, DeadLetter, NoDeadLetter};
pub use description::{
    BreakerDescription, Description, EndpointDescription, Kind, RetryDescription, ScalingDescription,
    VariableDescription, ViewDescription,
};
pub use effects::Effects;
pub use endpoint::{Endpoint, Fault};
pub use environment::{Environment, Secret, Variable};
pub use event::{AnyEvent, Envelope, EnvelopeError, Event, ID_BYTES_MAX, rfc3339};
pub use failure::{Failure, OrReject, Reason};
pub use function::Function;
pub use handler::{Batch, Handler, Recorded};
pub use identity::derive;
pub use payload::{DecodeError, EventKind, Incoming, Nothing, Outbound, Outgoing, Payload};
pub use retry::Retry;
pub use scaling::Scaling;
pub use serve::{DRAIN_MAX, STOP_MAX};
pub use state::{State, Stored, kind_of};
pub use subject::{EventSubject, Subject};
pub use telemetry::Call;
pub use trigger::Trigger;
pub use view::{VIEW_TYPES_MAX, View};

#[doc(hidden)]
pub use serde_json::{self, value::RawValue};
