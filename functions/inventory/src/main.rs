//! inventory: wiring.

use std::process::ExitCode;

fn main() -> ExitCode {
    jetlag::Function::new(inventory::CONTRACT, |_| (), inventory::keep).run()
}
