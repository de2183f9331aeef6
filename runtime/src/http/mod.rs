//! The HTTP side of a function: probes and metrics, a trigger for events, and endpoints that make events of requests.
//!
//! Only this module imports the HTTP server, and it never imports the broker's client.

mod batch;
mod body;
mod claim;
pub(crate) mod cloudevent;
mod connection;
mod door;
#[cfg(test)]
pub(crate) mod double;
mod guard;
mod openapi;
pub(crate) mod outgoing;
mod probes;
mod problem;
pub(crate) mod reply;
pub(crate) mod server;
mod trigger;
mod ways;
mod window;

pub(crate) use claim::InFlight;

#[cfg(feature = "testing")]
pub(crate) use cloudevent::{out_and_in, read_any as cloud_events};
