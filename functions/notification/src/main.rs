//! notification: wiring.

use std::process::ExitCode;

fn main() -> ExitCode {
    jetlag::Function::new(notification::CONTRACT, notification::Notifier::from_env, notification::notify)
        .run()
}
