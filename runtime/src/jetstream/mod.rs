//! The broker edge: the only place that imports the broker's client.

mod api;
mod broker;
mod connect;
mod dead_letters;
mod operator;
mod provision;
mod pull;
mod session;

pub(crate) use broker::JetStream;
pub use connect::{ConnectError, Connection, Link};
pub use operator::{Operator, OperatorError, ReadMessage, StreamState};
pub use provision::{ProvisionError, Provisioned};
pub(crate) use session::Session;
