//! A nats-server of our own: found or fetched, started on the loopback interface, and known to be ours.

mod fetch;
mod greeting;
mod locate;
mod pinned;
mod server;
mod version;

pub use locate::{BINARY_VARIABLE, Binary, Origin, Places, find};
pub use version::{OLDEST, Version};

pub(crate) use server::{Broker, NAME};
