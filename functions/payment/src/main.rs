//! payment: wiring.

use std::process::ExitCode;

fn main() -> ExitCode {
    jetlag::Function::new(payment::CONTRACT, payment::Gateway::from_env, payment::charge).run()
}
