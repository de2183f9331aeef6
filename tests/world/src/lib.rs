//! The outside world of the reference application: what it charges, and whom it tells.
//!
//! Two servers that speak real protocols over real TCP, so that the functions under test use their
//! production clients: [`gateway`] takes payments in the form of Stripe's PaymentIntents API, and
//! [`receiver`] counts notifications that arrive by HTTP or by SMTP. Both can be made to fail on
//! request, and both can be killed at any moment without forgetting what they have acknowledged.

mod clock;
mod failure;
pub mod gateway;
mod journal;
pub mod proxy;
pub mod receiver;
mod server;

pub use failure::Failure;
pub use server::run_to_exit;
