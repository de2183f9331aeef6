//! What tests of functions need: state to call a handler with, a harness, and a world to simulate.

pub mod conformance;
mod death;
mod dice;
pub mod fuzzing;
mod harness;
mod journal;
mod letter;
mod network;
mod outcome;
mod process;
mod simulate;
mod state;
mod suspicion;
mod system;
mod weather;
mod witness;
mod world;

pub use death::end_process;
pub use dice::Dice;
pub use harness::{Delivered, Harness, harness};
pub use letter::DeadLetter;
pub use outcome::{Emitted, Outcome};
pub use simulate::{Simulated, simulate};
pub use state::state;
pub use system::{Course, Fault, Step, System, Taken, Written};
pub use witness::Tally;
pub use world::World;
