//! Where no broker is: what a function decides leaves as CloudEvents to a sink (`K_SINK`), as Knative's SinkBinding names it.
//!
//! The event comes over HTTP, the handler runs, each of its events is sent, and whoever sent the input is told 202 once the
//! sink has taken all of them. Nothing is kept here. Read [`serve`], then `nowhere.rs`, `post.rs`.

mod nowhere;
mod post;
mod serve;
mod settings;

pub(crate) use serve::serve;
pub(crate) use settings::Sink;
