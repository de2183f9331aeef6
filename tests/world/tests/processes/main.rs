//! The servers as processes: started, talked to over TCP, killed and started again.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "everything here is a test"
)]

mod gateway;
mod lifecycle;
mod receiver;
mod running;
mod smtp;
