//! What goes wrong in one simulation, and how often.

use std::time::Duration;

use crate::testing::Dice;

/// How often each fault happens, in thousandths of the occasions for it, and how slow the network is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weather {
    /// A publish is stored, and its answer does not come.
    pub(crate) answer_lost: u32,
    /// A publish does not reach the broker.
    pub(crate) request_lost: u32,
    /// A publish reaches the broker long after its publisher has given up.
    pub(crate) late: u32,
    /// The broker refuses a publish for a reason of its own.
    pub(crate) rejected: u32,
    /// A message takes seconds.
    pub(crate) slow: u32,
    /// A read is answered by a replica that lags behind.
    pub(crate) stale_read: u32,
    /// A read is not answered.
    pub(crate) read_lost: u32,
    /// An acknowledgement does not reach the broker.
    pub(crate) ack_lost: u32,
    /// The same for giving an input back, and for signs of work.
    pub(crate) nak_lost: u32,
    /// A request for inputs does not reach the broker.
    pub(crate) pull_lost: u32,
    /// An input does not reach the one who asked for it.
    pub(crate) delivery_lost: u32,
    /// An input overtakes others on their way to the same process.
    pub(crate) overtakes: u32,
    /// An input is delivered again while it is being worked on.
    pub(crate) duplicate: u32,
    /// A process dies at a step, in thousandths of a thousandth.
    pub(crate) kill: u32,
    /// A handler fails before it did anything.
    pub(crate) handler_fails: u32,
    /// A handler fails after it did everything.
    pub(crate) handler_fails_late: u32,
    /// A handler panics.
    pub(crate) handler_panics: u32,
    /// A handler takes much too long.
    pub(crate) handler_hangs: u32,
    /// How far the clock of a process is off at most.
    pub(crate) skew: Duration,
    /// How long a message takes at most.
    pub(crate) latency: Duration,
    /// How long a handler takes at most, beside what it does.
    pub(crate) work: Duration,
}

/// How much longer a slow message takes at most.
pub(crate) const SLOW_MAX: Duration = Duration::from_secs(2);

/// How far a clock is off where nobody looks after it.
const SKEW_MAX: Duration = Duration::from_secs(40);

impl Weather {
    /// Nothing goes wrong.
    pub(crate) fn calm() -> Self {
        Self { latency: Duration::from_millis(1), work: Duration::from_millis(5), ..Self::default() }
    }

    /// A weather in which half of the faults do not happen at all: rare faults together find more than all at once.
    pub(crate) fn draw(dice: &Dice) -> Self {
        let rate = |rates: &[u32]| if dice.chance(500) { 0 } else { dice.one_of(rates) };
        const COMMON: &[u32] = &[5, 20, 80, 200];
        const RARE: &[u32] = &[5, 20, 50];
        Self {
            answer_lost: rate(COMMON),
            request_lost: rate(COMMON),
            late: rate(COMMON),
            rejected: rate(RARE),
            slow: rate(RARE),
            stale_read: rate(COMMON),
            read_lost: rate(RARE),
            ack_lost: rate(COMMON),
            nak_lost: rate(COMMON),
            pull_lost: rate(RARE),
            delivery_lost: rate(RARE),
            overtakes: rate(&[50, 500]),
            duplicate: rate(&[20, 100, 400]),
            kill: rate(&[500, 2000, 8000]),
            handler_fails: rate(COMMON),
            handler_fails_late: rate(COMMON),
            handler_panics: rate(RARE),
            handler_hangs: rate(RARE),
            skew: dice.one_of(&[Duration::ZERO, Duration::ZERO, Duration::from_millis(100), SKEW_MAX]),
            latency: dice.one_of(&[Duration::ZERO, Duration::from_millis(3), Duration::from_millis(40)]),
            work: dice.one_of(&[Duration::ZERO, Duration::from_millis(20), Duration::from_millis(500)]),
        }
    }
}
