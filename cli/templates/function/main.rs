//! {{name}}: wiring.

use std::process::ExitCode;

fn main() -> ExitCode {
    jetlag::Function::new({{crate}}::CONTRACT, |_| (), {{crate}}::handle).run()
}
