//! The clock of a test: real while something runs, and moved on when nothing does.

use std::time::Duration;

use tokio::time::Instant;

/// How long a clock is looked at to see whether it stands still.
const LOOK: Duration = Duration::from_millis(2);
/// How often those whose time has come get their turn.
const TURNS: usize = 8;

/// Tokio's clock, which breakers and limits go by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Whether the test has stopped it from the start (`start_paused`).
    is_stopped: bool,
}

/// Lets the clock run again, even if whoever stopped it is dropped meanwhile.
struct Stopped;

impl Stopped {
    fn now() -> Self {
        tokio::time::pause();
        Self
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        tokio::time::resume();
    }
}

impl Clock {
    pub(super) fn of_this_thread() -> Self {
        let began = Instant::now();
        std::thread::sleep(LOOK);
        Self { is_stopped: began.elapsed().is_zero() }
    }

    /// Moves the clock on, and lets those run whose time has come.
    pub(super) async fn pass(self, time: Duration) {
        {
            let _stopped = (!self.is_stopped).then(Stopped::now);
            tokio::time::advance(time).await;
        }
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
    }
}
