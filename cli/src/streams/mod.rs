//! Looking at a broker's streams: which broker, and what a message in them says.

mod access;
mod broker;
mod context;
mod origin;

pub use access::Access;
pub use broker::Source;
pub use origin::Origin;
