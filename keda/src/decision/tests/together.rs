//! KEDA and the HPA over time, with processes that work: what docs/scaling.md tells.

use super::*;

/// A function, what waits for it, and those who scale it.
struct World {
    scaler: Scaler,
    now: u64,
    replicas: u32,
    /// What waits or is under way.
    lag: u64,
    /// How many inputs a process ends each second.
    pace: u64,
    /// Each change of the number of processes, with its time.
    changes: Vec<(u64, u32)>,
}

impl World {
    fn new(settings: Settings, pace: u64) -> Self {
        Self { scaler: scaler(settings), now: 0, replicas: 0, lag: 0, pace, changes: Vec::new() }
    }

    /// Lives until `end`. KEDA looks every 5 s, the HPA every 15 s; a process works from the second after it was asked for.
    fn until(&mut self, end: u64) -> &mut Self {
        while self.now < end {
            let replicas = Replicas::settled(self.replicas);
            let readings = [Reading::Lag(self.lag)];
            let mut becomes = self.replicas;
            if self.now.is_multiple_of(5) {
                becomes = self.scaler.poll(at(self.now), replicas, &readings).replicas;
            }
            if self.now.is_multiple_of(15) && becomes == self.replicas {
                becomes = self.scaler.sync(at(self.now), replicas, &readings).replicas;
            }
            self.lag = self.lag.saturating_sub(u64::from(self.replicas) * self.pace);
            if becomes != self.replicas {
                self.replicas = becomes;
                self.changes.push((self.now, becomes));
            }
            self.now += 1;
        }
        self
    }

    fn publish(&mut self, inputs: u64) -> &mut Self {
        self.lag += inputs;
        self
    }
}

fn quick() -> Behaviour {
    Behaviour { down: Rules { window: at(60), ..Rules::down() }, ..Behaviour::default() }
}

#[test]
fn a_burst_takes_it_from_none_to_many_and_to_none_again() {
    let mut world = World::new(Settings { behaviour: Some(quick()), ..settings() }, 1);
    world.until(3).publish(400).until(400);
    // KEDA starts one at its next look, and the HPA adds four, then doubles. The last lag is seen at 60 s: the HPA holds
    // what it recommended for a minute, and KEDA stops the last at its first look after the cooldown.
    assert_eq!(world.changes, [(5, 1), (15, 5), (30, 10), (105, 3), (120, 1), (125, 0)]);
    assert_eq!(world.lag, 0);
}

#[test]
fn the_last_ones_go_together_without_the_hpa() {
    // Five minutes of stabilisation would keep ten; KEDA's cooldown of one minute does not ask.
    let mut world = World::new(Settings { behaviour: Some(Behaviour::default()), ..settings() }, 1);
    world.until(3).publish(400).until(400);
    assert_eq!(world.changes, [(5, 1), (15, 5), (30, 10), (125, 0)]);
}

/// What the HPA makes of a single input, after a burst and a rest at zero.
fn after_a_rest(behaviour: Option<Behaviour>) -> u32 {
    let mut world = World::new(Settings { behaviour, ..settings() }, 1);
    world.until(3).publish(400).until(200);
    assert_eq!(world.replicas, 0);
    world.publish(1).until(240);
    world.changes.iter().filter(|(when, _)| *when >= 200).map(|(_, count)| *count).max().unwrap()
}

#[test]
fn without_a_behaviour_a_single_input_after_a_burst_brings_back_many() {
    // The HPA remembers what it recommended before KEDA went to zero, and raises to it: to four, to eight …
    assert_eq!(after_a_rest(None), 8);
    assert_eq!(after_a_rest(Some(quick())), 1);
}

#[test]
fn a_retry_that_waits_longer_than_the_cooldown_lets_it_go_to_zero_and_wakes_it() {
    let mut world = World::new(Settings { cooldown: at(20), ..settings() }, 1);
    // Waiting retries are no lag; at 60 the schedule fires.
    world.publish(1).until(60).publish(1).until(120);
    assert_eq!(world.changes, [(0, 1), (25, 0), (60, 1), (85, 0)]);
}

#[test]
fn a_retry_within_the_cooldown_finds_its_process_still_there() {
    let mut world = World::new(settings(), 1);
    world.publish(1).until(60).publish(1).until(200);
    assert_eq!(world.changes, [(0, 1), (125, 0)]);
}

#[test]
fn while_a_breaker_is_open_lag_stands_and_replicas_go_to_the_maximum() {
    let mut world = World::new(Settings { behaviour: Some(quick()), ..settings() }, 0);
    world.publish(400).until(600);
    assert_eq!(world.changes.last(), Some(&(30, 10)), "and none is stopped as long as it lasts");
}

#[test]
fn a_threshold_below_what_a_process_holds_asks_for_more_than_have_work() {
    // 64 inputs in flight at one process, nothing else waits, and the threshold is 32.
    let mut tight = settings();
    tight.triggers = vec![trigger("events", 32)];
    assert_eq!(sync(&mut scaler(tight.clone()), NOW, 1, 64).replicas, 2);
    tight.triggers = vec![trigger("events", 128)];
    assert_eq!(sync(&mut scaler(tight), NOW, 1, 64).replicas, 1);
}
