//! What goes wrong, and when: a schedule made from a seed.

use std::fmt;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

/// The functions of the application.
pub const FUNCTIONS: [&str; 5] = ["order", "inventory", "payment", "notification", "audit"];

/// How many processes of `function` there are where the others have `replicas`. The trail is sealed in order, by one.
pub fn replicas_of(function: &str, replicas: u16) -> u16 {
    if function == "audit" { 1 } else { replicas }
}

/// One thing that goes wrong. Processes are named as on the board: `payment`, `payment-2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// kill -9.
    Kill { process: String },
    /// kill -9 of every process of a function.
    KillAll { function: &'static str },
    /// kill -9 of the broker.
    KillBroker,
    /// kill -9 of the gateway or the receiver, in the middle of whatever it answers.
    KillCompanion { companion: &'static str },
    /// SIGSTOP, and SIGCONT.
    Pause { process: String, time: Duration },
    /// SIGSTOP of the broker, and SIGCONT.
    PauseBroker { time: Duration },
    /// The network between a process and the broker.
    Partition { process: String, how: Cut, time: Duration },
    /// The network between a process and the gateway or the receiver.
    PartitionOutside { process: String, how: Cut, time: Duration },
    /// The gateway answers 503 to everything.
    GatewayOutage { time: Duration },
    /// The gateway answers 500 to so many charges.
    GatewayErrors { count: u32 },
    /// The gateway charges, and answers after its clients have given up.
    GatewayLate { time: Duration },
    /// The gateway charges, and its answers are lost.
    AnswersLost { time: Duration },
    /// The receiver answers 503 to everything.
    ReceiverOutage { time: Duration },
    /// The receiver counts, and answers after its clients have given up.
    ReceiverLate { time: Duration },
    /// No stream takes dead letters.
    NoDeadLetters { time: Duration },
    /// The broker delivers the last inputs of a function again, whatever was acknowledged.
    Storm { function: &'static str },
    /// SIGTERM to every process of a function, one after the other.
    Drain { function: &'static str },
}

/// How a network fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Connections are closed, and new ones too.
    Closed,
    /// Nothing arrives, and nobody is told.
    Silent,
    /// Nothing arrives from the far end.
    Deaf,
    /// Nothing arrives at the far end.
    Mute,
    /// Everything arrives late.
    Slow,
}

/// Longer than `ack_wait` (15 s): what a paused process holds is delivered to others meanwhile.
const LONG_PAUSE: Duration = Duration::from_secs(18);

/// Faults from a seed, for ever: one of each kind in any order, then one of each kind again. What takes long comes in the
/// first half, so that a short run is not spent on waiting for its last fault.
#[derive(Debug)]
pub struct Schedule {
    dice: SmallRng,
    replicas: u16,
    deck: Vec<Fault>,
}

impl Schedule {
    /// The schedule of `seed`, for an application with so many processes of each function.
    pub fn of(seed: u64, replicas: u16) -> Self {
        // Another stream of chance than that of the orders.
        Self { dice: SmallRng::seed_from_u64(!seed), replicas, deck: Vec::new() }
    }

    /// One of each kind.
    pub fn deck(&mut self) -> Vec<Fault> {
        let all: Vec<Fault> = (0..KINDS).map(|kind| self.draw(kind)).collect();
        let (mut long, mut short): (Vec<_>, Vec<_>) = all.into_iter().partition(Fault::is_long);
        short.shuffle(&mut self.dice);
        let half = short.split_off(short.len() / 2);
        long.extend(short);
        long.shuffle(&mut self.dice);
        long.extend(half);
        long
    }

    fn process(&mut self) -> String {
        let function = *FUNCTIONS.choose(&mut self.dice).unwrap();
        self.process_of(function)
    }

    fn process_of(&mut self, function: &str) -> String {
        jetlag_cli::app::process_name(
            function,
            self.dice.random_range(1..=replicas_of(function, self.replicas)),
        )
    }

    fn seconds(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.dice.random_range(least * 1_000..=most * 1_000))
    }

    fn cut(&mut self) -> Cut {
        *[Cut::Closed, Cut::Silent, Cut::Deaf, Cut::Mute, Cut::Slow].choose(&mut self.dice).unwrap()
    }

    fn function(&mut self) -> &'static str {
        FUNCTIONS.choose(&mut self.dice).unwrap()
    }

    fn draw(&mut self, kind: usize) -> Fault {
        match kind {
            0..=2 => Fault::Kill { process: self.process() },
            3 => Fault::KillAll { function: self.function() },
            4 => Fault::KillBroker,
            5 => Fault::KillCompanion { companion: if self.dice.random() { "gateway" } else { "receiver" } },
            6 => Fault::Pause { process: self.process(), time: self.seconds(1, 4) },
            7 => Fault::Pause { process: self.process(), time: LONG_PAUSE },
            8 => Fault::PauseBroker { time: self.seconds(1, 6) },
            9 | 10 => Fault::Partition { process: self.process(), how: self.cut(), time: self.seconds(2, 8) },
            // Longer than ack_wait.
            11 => Fault::Partition { process: self.process(), how: Cut::Deaf, time: LONG_PAUSE },
            12 => Fault::PartitionOutside {
                process: self.process_of("payment"),
                how: self.cut(),
                time: self.seconds(1, 3),
            },
            13 => Fault::PartitionOutside {
                process: self.process_of("notification"),
                how: self.cut(),
                time: self.seconds(1, 3),
            },
            14 => Fault::GatewayOutage { time: self.seconds(2, 5) },
            15 => Fault::GatewayErrors { count: self.dice.random_range(1..=4) },
            16 => Fault::GatewayLate { time: self.seconds(1, 2) },
            17 => Fault::AnswersLost { time: Duration::from_millis(self.dice.random_range(100..=400)) },
            18 => Fault::ReceiverOutage { time: self.seconds(2, 4) },
            19 => Fault::ReceiverLate { time: self.seconds(1, 2) },
            20 => Fault::NoDeadLetters { time: self.seconds(3, 8) },
            21 | 22 => Fault::Storm { function: self.function() },
            _ => Fault::Drain { function: self.function() },
        }
    }
}

/// How many faults a deck has.
const KINDS: usize = 24;

impl Iterator for Schedule {
    type Item = Fault;

    fn next(&mut self) -> Option<Fault> {
        if self.deck.is_empty() {
            self.deck = self.deck();
            self.deck.reverse();
        }
        self.deck.pop()
    }
}

impl Fault {
    /// Whether its end, or the breaker that it opens, is long in coming.
    fn is_long(&self) -> bool {
        let time = match self {
            Self::Pause { time, .. } | Self::Partition { time, .. } => *time,
            Self::PartitionOutside { .. }
            | Self::KillCompanion { .. }
            | Self::GatewayOutage { .. }
            | Self::GatewayLate { .. }
            | Self::AnswersLost { .. }
            | Self::ReceiverOutage { .. }
            | Self::ReceiverLate { .. } => LONG_PAUSE,
            _ => Duration::ZERO,
        };
        time >= LONG_PAUSE
    }

    /// Its kind, as a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::KillAll { .. } => "kill all",
            Self::KillBroker => "kill broker",
            Self::KillCompanion { .. } => "kill companion",
            Self::Pause { .. } => "pause",
            Self::PauseBroker { .. } => "pause broker",
            Self::Partition { .. } => "partition",
            Self::PartitionOutside { .. } => "partition outside",
            Self::GatewayOutage { .. } => "gateway outage",
            Self::GatewayErrors { .. } => "gateway errors",
            Self::GatewayLate { .. } => "gateway late",
            Self::AnswersLost { .. } => "answers lost",
            Self::ReceiverOutage { .. } => "receiver outage",
            Self::ReceiverLate { .. } => "receiver late",
            Self::NoDeadLetters { .. } => "no dead letters",
            Self::Storm { .. } => "storm",
            Self::Drain { .. } => "drain",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Self::Kill { process } => write!(f, " {process}"),
            Self::KillAll { function } | Self::Storm { function } | Self::Drain { function } => {
                write!(f, " {function}")
            }
            Self::KillCompanion { companion } => write!(f, " {companion}"),
            Self::Pause { process, time } => write!(f, " {process} for {time:?}"),
            Self::Partition { process, how, time } | Self::PartitionOutside { process, how, time } => {
                write!(f, " {process} {how:?} for {time:?}")
            }
            Self::GatewayErrors { count } => write!(f, " {count}"),
            Self::KillBroker => Ok(()),
            Self::PauseBroker { time }
            | Self::GatewayOutage { time }
            | Self::GatewayLate { time }
            | Self::AnswersLost { time }
            | Self::ReceiverOutage { time }
            | Self::ReceiverLate { time }
            | Self::NoDeadLetters { time } => write!(f, " for {time:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_makes_one_schedule_and_every_deck_has_every_kind() {
        let faults = |seed| Schedule::of(seed, 2).take(2 * KINDS).collect::<Vec<_>>();
        assert_eq!(faults(7), faults(7));
        assert_ne!(faults(7), faults(8));
        for deck in faults(7).chunks(KINDS) {
            let kinds: BTreeSet<_> = deck.iter().map(Fault::kind).collect();
            assert_eq!(kinds.len(), 17, "{kinds:?}");
            // Ten are long, and half of the others come with them.
            assert!(deck[17..].iter().all(|fault| !fault.is_long()), "{deck:?}");
        }
    }
}
