//! The broker edge: the only place that imports the broker's client.

mod account;
mod api;
mod archive;
mod broker;
mod check;
#[cfg(feature = "testing")]
mod conformance;
mod connect;
mod dead_letters;
mod denial;
mod link;
mod login;
mod operator;
mod progress;
mod provision;
mod pull;
mod rescue;
mod session;
mod survey;
mod taking;
mod unreadable;
mod user;

pub use account::AccountFacts;
pub(crate) use broker::JetStream;
pub use check::{Difference, LetterMissing, Unanswered};
#[cfg(feature = "testing")]
pub(crate) use conformance::RealRig;
pub use connect::{ConnectError, Connection};
pub use link::Link;
pub use login::{Login, Tls};
pub use operator::{Operator, OperatorError, ReadMessage, StreamState};
pub use progress::Progress;
pub use provision::{ProvisionError, Provisioned};
pub use rescue::RescueError;
pub(crate) use session::{Missing, Over, Session};
pub use survey::{BreakerFacts, ConsumerFacts, Peer, StreamFacts, Waiting};
