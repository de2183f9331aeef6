//! The HTTP side of a function: probes and metrics, a trigger for events, and endpoints that make events of requests.
//!
//! Only this module imports the HTTP server, and it never imports the broker's client.

mod body;
mod claim;
pub(crate) mod cloudevent;
mod door;
#[cfg(test)]
pub(crate) mod double;
mod guard;
mod probes;
mod problem;
pub(crate) mod server;
mod trigger;

#[cfg(feature = "testing")]
pub(crate) use cloudevent::read_any as cloud_events;
