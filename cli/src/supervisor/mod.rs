//! Keeps processes running: starts them, waits until they are up, starts again what dies, and stops everything.
//!
//! A `Service` says what to run and when it is up. A `Keeper` is one task that keeps one service running.
//! A `Tier` is what is stopped together; tiers are stopped one after the other, so that functions can finish their work
//! while the broker still lives. A `Group` is the processes of one function in a tier: as many as somebody else says, a
//! fixed number or what a scaler decides. The `Board` is what others read: `up.json`.

pub(crate) mod board;
pub(crate) mod group;
pub(crate) mod identity;
pub(crate) mod keeper;
pub(crate) mod leftovers;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod process;
pub(crate) mod restart;
pub(crate) mod service;
pub(crate) mod spawn;
pub(crate) mod tier;

pub use board::{Entry, Kind, Phase, Status};
pub use group::process_name;

pub(crate) use board::{Board, door_name};
pub(crate) use group::{Count, Group};
pub(crate) use keeper::Order;
pub(crate) use service::{Addresses, Launch, Service};
pub(crate) use tier::Tier;
