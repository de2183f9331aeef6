use super::*;

const OPEN_FOR: Duration = Duration::from_secs(30);
const TIME_LIMIT: Duration = Duration::from_secs(10);
const DOWN: Health = Health::Down(Outage { asked_for: None, last_after: None });

fn circuit() -> Circuit {
    Circuit::new(Some(Breaker::after(5).open_for(OPEN_FOR)), TIME_LIMIT)
}

fn run(circuit: &Circuit, health: Health, now: Instant) {
    let pass = circuit.pass(now).expect("leave to run");
    circuit.tell(pass, health, now);
}

fn fail(circuit: &Circuit, times: u32, now: Instant) {
    for _ in 0..times {
        run(circuit, DOWN, now);
    }
}

#[tokio::test]
async fn more_than_five_consecutive_outages_open_it_and_five_do_not() {
    let (circuit, now) = (circuit(), Instant::now());
    fail(&circuit, 5, now);
    assert_eq!(circuit.position(), Position::Closed);
    run(&circuit, Health::Up, now);
    fail(&circuit, 5, now);
    assert_eq!((circuit.position(), circuit.rest(false, now)), (Position::Closed, None));
    fail(&circuit, 1, now);
    assert_eq!(circuit.standing(), Standing::Open { since: now, until: now + OPEN_FOR });
    assert_eq!((circuit.pass(now), circuit.credit(64, now)), (None, 0));
    assert_eq!(circuit.rest(false, now), Some(OPEN_FOR));
}

#[tokio::test]
async fn after_its_time_one_probe_decides() {
    let (circuit, now) = (circuit(), Instant::now());
    fail(&circuit, 6, now);
    let later = now + OPEN_FOR;
    assert_eq!(circuit.credit(64, later), 1);
    let probe = circuit.pass(later).unwrap();
    assert_eq!((circuit.pass(later), circuit.credit(64, later)), (None, 0));
    assert_eq!(circuit.rest(false, later), Some(PROBE_DELAY));
    circuit.tell(probe, DOWN, later);
    assert_eq!(circuit.standing(), Standing::Open { since: now, until: later + OPEN_FOR });
    assert_eq!(circuit.rest(true, later), Some(OPEN_FOR + PROBE_BEHIND), "others go first");
    let probe = circuit.pass(later + OPEN_FOR).unwrap();
    circuit.tell(probe, Health::Up, later + OPEN_FOR);
    assert_eq!(circuit.credit(64, later), 64);
}

#[tokio::test]
async fn runs_from_before_it_opened_change_nothing() {
    let (circuit, now) = (circuit(), Instant::now());
    let early = circuit.pass(now).unwrap();
    fail(&circuit, 6, now);
    circuit.tell(early, Health::Up, now);
    circuit.tell(early, DOWN, now + TIME_LIMIT);
    assert_eq!(circuit.standing(), Standing::Open { since: now, until: now + OPEN_FOR });
}

#[tokio::test]
async fn a_probe_that_shows_nothing_lets_the_next_one_try_and_so_does_one_that_never_ends() {
    let (circuit, now) = (circuit(), Instant::now());
    fail(&circuit, 6, now);
    let probe = circuit.pass(now + OPEN_FOR).unwrap();
    circuit.tell(probe, Health::Unknown, now + OPEN_FOR);
    assert!(circuit.pass(now + OPEN_FOR).is_some_and(|pass| pass.is_probe));
    assert_eq!(circuit.pass(now + OPEN_FOR + TIME_LIMIT), None);
    assert!(circuit.pass(now + OPEN_FOR + TIME_LIMIT + PROBE_SLACK).is_some_and(|pass| pass.is_probe));
}

#[tokio::test]
async fn a_dependency_that_asks_for_more_time_gets_it_up_to_a_limit() {
    for (asked_for, open_for) in [(7, 30), (77, 77), (86_400, 300)] {
        let (circuit, now) = (circuit(), Instant::now());
        fail(&circuit, 5, now);
        let asked_for = Some(Duration::from_secs(asked_for));
        run(&circuit, Health::Down(Outage { asked_for, last_after: None }), now);
        let until = now + Duration::from_secs(open_for);
        assert_eq!(circuit.standing(), Standing::Open { since: now, until });
    }
}

#[tokio::test]
async fn no_input_loses_its_last_attempt_to_an_outage() {
    const BACKOFF: Duration = Duration::from_secs(60);
    let last = Health::Down(Outage { asked_for: None, last_after: Some(BACKOFF) });
    let now = Instant::now() + BACKOFF;
    // Nobody was answered, ever, or only before the attempt that failed before.
    for answered in [None, Some(now - BACKOFF - Duration::from_secs(1))] {
        let circuit = circuit();
        if let Some(at) = answered {
            run(&circuit, Health::Up, at);
        }
        run(&circuit, last, now);
        assert_eq!(circuit.position(), Position::Open, "{answered:?}");
    }
    // Somebody else was answered in between: it is this input that fails.
    let circuit = circuit();
    run(&circuit, Health::Up, now - Duration::from_secs(1));
    run(&circuit, last, now);
    assert_eq!(circuit.position(), Position::Closed);
}

#[tokio::test]
async fn what_others_have_found_holds_here_too() {
    let (circuit, now) = (circuit(), Instant::now());
    let until = now + OPEN_FOR;
    circuit.adopt(Standing::Open { since: now, until }, now);
    assert_eq!((circuit.pass(now), circuit.credit(64, until)), (None, 1));
    circuit.adopt(Standing::Elsewhere { since: now, until: until + TIME_LIMIT }, until);
    assert_eq!((circuit.pass(until), circuit.position()), (None, Position::Open));
    // The one who probed has died.
    assert!(circuit.pass(until + TIME_LIMIT).is_some_and(|pass| pass.is_probe));
    circuit.adopt(Standing::Closed, until);
    assert_eq!(circuit.credit(64, until), 64);
    // Closed, because somebody was answered.
    run(&circuit, Health::Down(Outage { asked_for: None, last_after: Some(OPEN_FOR) }), until);
    assert_eq!(circuit.position(), Position::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_change_between_the_look_and_the_wait_is_not_missed() {
    let circuit = circuit();
    let began = Instant::now();
    circuit.adopt(Standing::Open { since: began, until: began + OPEN_FOR }, began);
    let change = circuit.change();
    circuit.adopt(Standing::Closed, began);
    change.await;
    assert_eq!(Instant::now(), began);
}

#[tokio::test(start_paused = true)]
async fn there_is_nothing_to_look_at_before_a_probe_could_have_begun() {
    let circuit = circuit();
    let began = Instant::now();
    circuit.adopt(Standing::Open { since: began, until: began + OPEN_FOR }, began);
    circuit.look_due().await;
    assert_eq!(began.elapsed(), OPEN_FOR);
    circuit.look_due().await;
    assert_eq!(began.elapsed(), OPEN_FOR + LOOK_INTERVAL);
}

#[tokio::test]
async fn without_a_breaker_everything_runs() {
    let (circuit, now) = (Circuit::new(None, TIME_LIMIT), Instant::now());
    fail(&circuit, 100, now);
    assert_eq!(circuit.credit(64, now), 64);
}
