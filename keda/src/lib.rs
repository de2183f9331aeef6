//! From contracts to Kubernetes and KEDA. Pure: descriptions and settings in, files and verdicts out.
//!
//! Everything is derived from [`jetlag::Description`], so it works for any team's functions; nothing here knows a function
//! by its name. Read [`files`], then `function.rs`.

mod chart;
mod command;
mod contracts;
pub mod decision;
pub mod deploy;
mod document;
mod egress;
mod environment;
mod exporter;
mod function;
pub mod given;
mod kube;
mod kustomization;
pub mod lint;
mod manifests;
mod names;
mod overlays;
pub mod parts;
mod requests;
mod scaling;
mod shared;
mod values;
mod workload;

pub use contracts::Contracts;
pub use deploy::Deploy;
pub use manifests::{HEADER, Unwritable, files, files_with};
pub use requests::Settled;
pub use scaling::{generated, lag_threshold};
