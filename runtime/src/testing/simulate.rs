//! One simulation: a scenario in a world that a seed decides.

use crate::testing::World;

/// What came of a simulation.
#[derive(Debug)]
pub struct Simulated<T> {
    /// What the scenario gave, or what went wrong.
    pub result: Result<T, String>,
    /// What happened, line by line, if it was to be kept.
    pub journal: Vec<String>,
}

/// Runs `scenario` in the world of `seed`: the same seed, the same course of events.
///
/// Time is virtual: a simulated hour takes no longer than what happens in it.
///
/// # Panics
/// There is no runtime to be had.
#[allow(clippy::expect_used, reason = "only tests call this")]
pub fn simulate<T>(
    seed: u64,
    is_journal_kept: bool,
    scenario: impl AsyncFnOnce(&mut World) -> Result<T, String>,
) -> Simulated<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without IO");
    runtime.block_on(async {
        let mut world = World::new(seed, is_journal_kept);
        let result = scenario(&mut world).await;
        Simulated { result, journal: world.take_journal() }
    })
}
