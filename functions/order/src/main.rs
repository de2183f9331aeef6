//! order: wiring.

use std::process::ExitCode;

use jetlag::{Endpoint, Function};

fn main() -> ExitCode {
    Function::new(order::CONTRACT, |_| (), order::decide)
        .endpoint(Endpoint::post("/orders", order::place))
        .run()
}
