//! Crash isolation with real processes: a function that dies of its inputs in every way there is, or is killed from
//! outside, on a real nats-server.

mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jetlag::testing::Dice;

use place::{Line, Place};

/// How many runs one poison is given at most: one in company, and three alone.
const RUNS_MAX: usize = 4;

pub async fn what_kills_its_process_is_given_up_and_what_ran_beside_it_is_not() {
    let mut place = Place::open().await;
    let poison = ["Abort", "Overflow", "Memory"];
    for how in poison {
        place.publish(how, how, 300).await;
    }
    // These are in flight when the first process dies.
    let beside: Vec<String> = (0..5).map(|number| format!("beside-{number}")).collect();
    for id in &beside {
        place.publish(id, "Survive", 600).await;
    }
    place.start();
    place.until("crash", async |place| place.journal().iter().any(|line| line.what == "begin")).await;
    let later: Vec<String> = (0..20).map(|number| format!("later-{number}")).collect();
    for id in &later {
        place.publish(id, "Survive", 20).await;
    }
    place
        .keep_running_until("three dead letters, and everything else to survive", async |place| {
            place.letters().await.len() >= poison.len()
                && place.survived().await.len() >= beside.len() + later.len()
        })
        .await;

    let letters = place.letters().await;
    let reasons: BTreeMap<_, _> = letters.iter().cloned().collect();
    let expected = poison.map(|how| (how.to_owned(), "process_died".to_owned()));
    assert_eq!(reasons, expected.into_iter().collect(), "the poison, and nobody else");
    assert_eq!(letters.len(), poison.len(), "each once");
    let survived = place.survived().await;
    let ids: BTreeSet<_> = survived.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(ids, beside.iter().chain(&later).cloned().collect());
    assert!(survived.iter().all(|(_, attempt)| attempt == "1"), "no attempt was spent: {survived:?}");

    let journal = place.journal();
    let begun = |id: &str| journal.iter().filter(|line| line.what == "begin" && line.id == id).count();
    for how in poison {
        assert!(begun(how) <= RUNS_MAX, "{how} ran {} times", begun(how));
    }
    assert!(beside.iter().any(|id| begun(id) > 1), "nothing was in flight beside the poison");
    poison_runs_alone(&journal, &poison);
    let metrics = place.metrics().await;
    for metric in ["jetlag_suspects_total", "jetlag_convictions_total"] {
        let line = format!("{metric}{{function=\"crasher\"}} ");
        assert!(metrics.contains(&line) && !metrics.contains(&format!("{line}0\n")), "{metric} in {metrics}");
    }
    place.close().await;
}

/// After the first process that died, no poison ran while anything else did.
fn poison_runs_alone(journal: &[Line], poison: &[&str]) {
    let first = journal.first().map(|line| line.pid);
    let mut running = BTreeMap::<u32, BTreeSet<&str>>::new();
    for line in journal.iter().filter(|line| Some(line.pid) != first) {
        let running = running.entry(line.pid).or_default();
        if line.what == "end" {
            running.remove(line.id.as_str());
            continue;
        }
        running.insert(&line.id);
        let is_alone = running.len() == 1 || !running.iter().any(|id| poison.contains(id));
        assert!(is_alone, "{running:?} ran together in {}", line.pid);
    }
}

pub async fn kills_from_outside_condemn_nobody() {
    const EVENTS: usize = 100;
    const KILLS: usize = 5;
    let mut place = Place::open().await;
    for number in 0..EVENTS {
        place.publish(&format!("event-{number}"), "Survive", 100).await;
    }
    let dice = Dice::of_seed(4);
    let mut begun = 0;
    for _ in 0..KILLS {
        place.start();
        // Killed at work, and not while it still starts.
        place.until("run", async |place| place.begun() > begun).await;
        tokio::time::sleep(dice.up_to(Duration::from_millis(700))).await;
        place.kill().await;
        begun = place.begun();
    }
    place.start();
    place
        .keep_running_until("every event to survive", async |place| place.survived().await.len() >= EVENTS)
        .await;
    assert_eq!(place.letters().await, [], "nobody is condemned");
    let survived = place.survived().await;
    assert_eq!(survived.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len(), EVENTS);
    assert_eq!(survived.len(), EVENTS, "each once");
    assert!(survived.iter().all(|(_, attempt)| attempt == "1"), "no attempt was spent");
    assert!(place.begun() > EVENTS, "nothing was in flight when it was killed");
    place.close().await;
}

pub async fn a_restart_makes_nobody_suspect() {
    const EVENTS: usize = 60;
    let mut place = Place::open().await;
    for number in 0..EVENTS {
        place.publish(&format!("event-{number}"), "Survive", 100).await;
    }
    for round in 1..=3 {
        place.start();
        place.until("run", async |place| place.begun() >= round * 10).await;
        place.terminate().await;
    }
    place.start();
    place
        .keep_running_until("every event to survive", async |place| place.survived().await.len() >= EVENTS)
        .await;
    assert_eq!(place.begun(), EVENTS, "each ran once");
    let metrics = place.metrics().await;
    let lone_runs = "jetlag_lone_runs_total{function=\"crasher\"} 0\n";
    assert!(metrics.contains(lone_runs), "nobody had to run alone: {metrics}");
    assert_eq!(place.letters().await, []);
    place.close().await;
}
