//! From contracts to Kubernetes and KEDA. Pure: descriptions and settings in, files and verdicts out.
//!
//! Everything is derived from [`jetlag::Description`], so it works for any team's functions; nothing here knows a function
//! by its name.

pub mod deploy;

pub use deploy::Deploy;
