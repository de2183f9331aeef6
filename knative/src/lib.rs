//! From contracts to Knative: what takes requests becomes a Service that is scaled by them, and its inputs come by triggers
//! of a broker. Pure, like the crate `keda`, of whose manifests these change a part: the streams stay KEDA's.
//!
//! Read [`files`], then `service.rs`.

mod binding;
mod delivery;
mod eventing;
mod kube;
mod manifests;
mod service;

pub use manifests::{chart, files};
