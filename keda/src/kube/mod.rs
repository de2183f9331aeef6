//! What is written of Kubernetes' and KEDA's objects, as types: only the fields that are used, in the order in which they
//! are read.

pub(crate) mod identity;
pub(crate) mod job;
pub(crate) mod network;
pub(crate) mod pod;
pub(crate) mod scaled_object;
pub(crate) mod workload;
