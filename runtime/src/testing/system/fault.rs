//! What goes wrong in a function under test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::effects::Erased;
use crate::failure::Failure;
use crate::handler::{Input, Invoke, Running, Takes};
use crate::state::State;
use crate::testing::system::clock::Clock;

/// How much longer than its limit a run takes that takes too long.
const TOO_LONG: Duration = Duration::from_millis(1);

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// So many runs fail before the handler has done anything.
    FailFirst(u32),
    /// A run does everything, and then takes longer than its limit.
    TimeOut,
    /// The broker forgets that an input is done with, and delivers it again.
    Duplicate,
    /// The process dies when the handler has run, and nothing is committed.
    CrashBeforeCommit,
    /// The process dies when the effects are committed, and before it knows.
    CrashAfterCommit,
    /// The process dies before it tells the broker that an input is done with.
    CrashBeforeAck,
}

impl Fault {
    /// One of each, for a test that is to hold whatever happens.
    pub const EACH: [Self; 6] = [
        Self::FailFirst(1),
        Self::TimeOut,
        Self::Duplicate,
        Self::CrashBeforeCommit,
        Self::CrashAfterCommit,
        Self::CrashBeforeAck,
    ];
}

/// What the next runs of a handler do.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub(super) fails: AtomicU32,
    pub(super) hangs: AtomicU32,
}

/// Takes one of what is left.
fn take(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

/// A handler with trouble.
pub(super) struct Troubled {
    pub(super) handler: Arc<dyn Invoke>,
    pub(super) trouble: Arc<Trouble>,
    pub(super) time_limit: Duration,
    pub(super) clock: Clock,
}

impl Troubled {
    fn run<'t, T: Send + 't>(&'t self, begin: impl FnOnce() -> Running<'t, T>) -> Running<'t, T> {
        if take(&self.trouble.fails) {
            return Box::pin(std::future::ready(Err(Failure::retry("failed on purpose"))));
        }
        let run = begin();
        if !take(&self.trouble.hangs) {
            return run;
        }
        Box::pin(async move {
            let _ = run.await;
            self.clock.pass(self.time_limit + TOO_LONG).await;
            std::future::pending().await
        })
    }
}

impl Invoke for Troubled {
    fn takes(&self) -> Takes {
        self.handler.takes()
    }

    fn invoke(&self, inputs: Vec<Input>, state: State) -> Running<'_, Erased> {
        self.run(|| self.handler.invoke(inputs, state))
    }

    fn invoke_each(&self, inputs: Vec<Input>) -> Running<'_, Vec<Result<Erased, Failure>>> {
        self.run(|| self.handler.invoke_each(inputs))
    }
}
