//! The broker edge: the only place that imports the broker's client.

mod api;
mod broker;
#[cfg(feature = "testing")]
mod conformance;
mod connect;
mod dead_letters;
mod operator;
mod provision;
mod pull;
mod session;

pub(crate) use broker::JetStream;
#[cfg(feature = "testing")]
pub(crate) use conformance::RealRig;
pub use connect::{ConnectError, Connection, Link};
pub use operator::{Operator, OperatorError, ReadMessage, StreamState};
pub use provision::{ProvisionError, Provisioned};
pub(crate) use session::Session;
