//! Looking at a broker's streams: which broker, and what a message in them says.

mod broker;
mod origin;

pub use broker::Source;
pub use origin::Origin;
