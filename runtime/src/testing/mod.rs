//! What tests of functions need: state to call a handler with, a harness, and a world to simulate.

mod dice;
mod journal;
mod network;
mod process;
mod server;
mod simulate;
mod state;
mod weather;
mod witness;
mod world;

pub use dice::Dice;
pub use simulate::{Simulated, simulate};
pub use state::state;
pub use witness::Tally;
pub use world::{DeadLetter, World};
