//! Handlers that end their own process.

use std::any::Any;
use std::future::pending;
use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt;

use crate::effects::Erased;
use crate::failure::Failure;
use crate::handler::Running;
use crate::testing::network::connection::Connection;

/// What unwinds from a handler that ends its process, up to where the process is.
struct Death;

/// Ends the process in which the caller runs, as an abort does. Only for handlers in a simulation.
pub fn end_process() -> ! {
    // Without the panic hook, which would print it.
    resume_unwind(Box::new(Death))
}

/// What `run` gives, unless it ends its process: then nothing, ever.
pub(crate) async fn unless_it_kills(
    connection: &Connection,
    run: Running<'_, Erased>,
) -> Result<Erased, Failure> {
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(result) => result,
        Err(panic) if is_death(&*panic) => {
            let Connection { network, life } = connection;
            network.lock().journal.note(network.now(), || format!("{life} is killed by its handler"));
            life.end();
            network.news.notify_one();
            pending().await
        }
        Err(panic) => resume_unwind(panic),
    }
}

fn is_death(panic: &(dyn Any + Send)) -> bool {
    panic.is::<Death>()
}
