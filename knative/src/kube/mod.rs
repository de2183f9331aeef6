//! What is written of Knative's objects, as types: only the fields that are used, in the order in which they are read.

pub(crate) mod eventing;
pub(crate) mod serving;
pub(crate) mod sources;
