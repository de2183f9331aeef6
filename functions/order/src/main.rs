//! order: wiring.

use std::process::ExitCode;

use jetlag::{Endpoint, Function, View};

fn main() -> ExitCode {
    Function::new(order::CONTRACT, |_| (), order::decide)
        .endpoint(Endpoint::post("/orders", order::place).schema(order::new_order_schema))
        .view(View::of("/orders", order::status).schema(order::status_schema))
        .run()
}
