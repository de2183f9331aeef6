//! A broker in memory: for `--invoke`, for the harness, and, behind a network of its own, for the simulation.

pub(crate) mod server;
mod still;

pub(crate) use still::Still;

/// When time begins where nobody says otherwise: 2025-01-01.
pub(crate) const EPOCH_UNIX_S: i64 = 1_735_689_600;
