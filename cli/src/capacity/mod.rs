//! What rates cost: how many events are kept, what they take of disk and memory, how many connections there are, and
//! whether all of that fits. Pure: contracts, rates and what is known of a broker, in; figures and findings out.
//!
//! Read [`Plan::of`]. The figures that were measured stand in `measured.rs` alone; docs/capacity.md has their tables, which
//! a test makes from here.

mod demand;
mod finding;
mod flow;
mod measured;
mod plan;
mod rate;
mod seen;
mod size;
mod store;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
mod words;

pub use finding::{Finding, Rule};
pub use flow::{Asked, Flow, Unclear};
pub use measured::*;
pub use plan::{Means, Plan, Running};
pub use rate::Rate;
pub use size::bytes;
pub use store::{Kept, Seen};
