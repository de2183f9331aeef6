//! Chance that a seed decides: the same seed, the same throws.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A source of chance, shared by whoever has a clone of it.
#[derive(Debug, Clone)]
pub struct Dice {
    source: Arc<Mutex<SmallRng>>,
}

impl Dice {
    /// Dice that throw what `seed` says.
    pub fn of_seed(seed: u64) -> Self {
        Self { source: Arc::new(Mutex::new(SmallRng::seed_from_u64(seed))) }
    }

    /// Other dice, whose throws follow from these but do not disturb them later.
    pub fn fork(&self) -> Self {
        let seed = self.lock().random();
        Self::of_seed(seed)
    }

    /// True `per_mille` times of a thousand. Nothing is thrown where that is 0.
    pub fn chance(&self, per_mille: u32) -> bool {
        per_mille > 0 && self.lock().random_ratio(per_mille.min(1000), 1000)
    }

    /// A number below `limit`, or 0 if that is 0.
    pub fn below(&self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.lock().random_range(0..limit) }
    }

    /// A time of at most `most`, in whole milliseconds.
    pub fn up_to(&self, most: Duration) -> Duration {
        Duration::from_millis(
            self.below(u64::try_from(most.as_millis()).unwrap_or(u64::MAX).saturating_add(1)),
        )
    }

    /// One of `choices`.
    ///
    /// # Panics
    /// There are none.
    #[allow(clippy::expect_used, reason = "only tests call this")]
    pub fn one_of<T: Copy>(&self, choices: &[T]) -> T {
        let index = usize::try_from(self.below(choices.len() as u64)).unwrap_or_default();
        *choices.get(index).expect("something to choose from")
    }

    fn lock(&self) -> MutexGuard<'_, SmallRng> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
