//! The gateway is down for as long as nobody likes to think of, and three tills stand before it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jetlag::testing::{Simulated, World, simulate};
use jetlag::{Breaker, Contract, Event, EventKind, Failure, Retry};
use tokio::time::Instant;

use crate::shop::desk;
use crate::shop::events::{Charged, Ended, OrderConfirmed, Reserved, Settled};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const OPEN_FOR: Duration = Duration::from_secs(30);
/// How much earlier than after that a probe may come, since each process rounds in its own way.
const EARLY_MAX: Duration = Duration::from_millis(100);
const FAILURES: u32 = 5;
const SLOTS: usize = 8;
const TILLS: usize = 3;

/// Lets orders in that are reserved already, and confirms them.
const DOOR: Contract<Settled, Ended> =
    Contract::new("door", "Lets orders in.").admits(&[EventKind::of::<Reserved>()]);
const TILL: Contract<Reserved, Charged> = Contract::new("till", "Charges what is reserved.")
    .retry(Retry::exponential(SECOND).at_most(Duration::from_secs(60)).attempts(8))
    .time_limit(Duration::from_secs(10))
    .breaker(Breaker::after(FAILURES).open_for(OPEN_FOR))
    .concurrency(SLOTS);

/// A gateway that is down between these times, and writes down when it was asked meanwhile.
#[derive(Debug, Default)]
struct Gateway {
    down: Mutex<Vec<(Instant, Instant)>>,
    turned_away: Mutex<Vec<Instant>>,
    /// How often each order was charged.
    charged: Mutex<BTreeMap<String, u32>>,
    /// The order that it never bears.
    poison: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("the gateway is down")]
struct Down;

impl Gateway {
    fn is_down(&self, now: Instant) -> bool {
        self.down.lock().unwrap().iter().any(|(from, to)| now >= *from && now < *to)
    }
}

async fn charge(gateway: &Arc<Gateway>, event: Event<Reserved>) -> Result<Charged, Failure> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    let now = Instant::now();
    if gateway.is_down(now) || gateway.poison.as_ref() == Some(&event.data.order_id) {
        gateway.turned_away.lock().unwrap().push(now);
        return Err(Failure::outage(Down));
    }
    let Reserved { order_id, lines, .. } = event.data;
    *gateway.charged.lock().unwrap().entry(order_id.clone()).or_default() += 1;
    Ok(Charged { order_id, lines })
}

/// Lets `orders` come, evenly over `time`, of which the gateway is down during each of `outages`, and looks what became
/// of them. Gives when the gateway was asked in vain, from the beginning of the first outage on.
fn serve(seed: u64, time: Duration, orders: u32, outages: &[(Duration, Duration)]) -> Vec<Duration> {
    serve_all_but(None, seed, time, orders, outages)
}

/// The same, while the gateway breaks down whenever it is asked for `poison`: that order alone is given up.
fn serve_all_but(
    poison: Option<&str>,
    seed: u64,
    time: Duration,
    orders: u32,
    outages: &[(Duration, Duration)],
) -> Vec<Duration> {
    let Simulated { result, journal } = simulate(seed, false, async |world: &mut World| {
        let began = Instant::now();
        let gateway = Arc::new(Gateway { poison: poison.map(str::to_owned), ..Gateway::default() });
        world.deploy(DOOR, 1, (), desk::end);
        world.deploy(TILL, TILLS, Arc::clone(&gateway), charge);
        // Accidents of other kinds are for other tests.
        world.calm().await?;
        let start = began.elapsed();
        let moment = |at: Duration| began + start + at;
        *gateway.down.lock().unwrap() =
            outages.iter().map(|(from, to)| (moment(*from), moment(*to))).collect();
        for number in 0..orders {
            world.arrive(start + time * number / orders, "inventory.reserved", event(number));
        }
        world.pass(start + time).await?;
        world.calm().await?;

        let (letters, orders) = (world.dead_letters(), orders as usize - poison.iter().len());
        if letters.len() != poison.iter().len() {
            return Err(format!("{} dead letters, such as {:?}", letters.len(), letters.first()));
        }
        let charged = gateway.charged.lock().unwrap().clone();
        if charged.len() != orders || charged.values().any(|times| *times != 1) {
            return Err(format!("{} of {orders} orders are charged: {charged:?}", charged.len()));
        }
        let confirmed = world.committed::<OrderConfirmed>().len();
        if confirmed != orders {
            return Err(format!("{confirmed} of {orders} orders are confirmed"));
        }
        let first = outages.first().map_or(Duration::ZERO, |(from, _)| *from);
        Ok(gateway.turned_away.lock().unwrap().iter().map(|at| *at - moment(first)).collect())
    });
    result.unwrap_or_else(|why| panic!("seed {seed}: {why}\n{}", journal.join("\n")))
}

fn event(number: u32) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!({
        "id": format!("event-{number}"),
        "type": "inventory.reserved",
        "aggregate_id": format!("O-{number}"),
        "data": {"order_id": format!("O-{number}"), "lines": [], "seen": [], "beside": [], "asked_ms": 0},
        "timestamp": "2025-01-01T00:00:00Z",
        "trace_id": "",
    }))
    .unwrap()
}

#[test]
fn an_hour_without_the_gateway_costs_no_order_and_all_tills_together_probe_once_in_each_period() {
    /// By then every till has had an order, and knows.
    const KNOWN: Duration = Duration::from_secs(300);
    const OPENING_MAX: usize = (FAILURES as usize + SLOTS) * TILLS;
    let periods = usize::try_from(HOUR.as_secs() / OPEN_FOR.as_secs()).unwrap();
    for seed in 1..=3 {
        let from = 10 * SECOND;
        let turned_away = serve(seed, HOUR + 20 * SECOND, 360, &[(from, from + HOUR)]);
        let asked = turned_away.len();
        assert!(asked <= OPENING_MAX + periods, "seed {seed}: {asked} requests in {periods} periods");
        let probes: Vec<_> = turned_away.into_iter().filter(|at| *at > KNOWN).collect();
        for pair in probes.windows(2) {
            assert!(pair[1] - pair[0] >= OPEN_FOR - EARLY_MAX, "seed {seed}: {pair:?}");
        }
        assert!(probes.len() > periods * 3 / 4, "seed {seed}: {} probes in an hour", probes.len());
    }
}

#[test]
fn an_order_alone_keeps_its_last_attempt_through_hours_of_outage() {
    for seed in 1..=3 {
        let turned_away = serve(seed, 4 * HOUR, 1, &[(Duration::ZERO, 3 * HOUR)]);
        // Many more attempts than it has, were each of them its own.
        assert!(turned_away.len() > 300, "seed {seed}: {}", turned_away.len());
    }
}

#[test]
fn a_gateway_that_comes_and_goes_for_hours_costs_no_order() {
    let outages: Vec<_> = (0..60).map(|n| (SECOND * (10 + 120 * n), SECOND * (90 + 120 * n))).collect();
    let turned_away = serve(1, 2 * HOUR, 720, &outages);
    assert!(turned_away.len() > outages.len(), "{}", turned_away.len());
}

#[test]
fn an_order_that_the_gateway_never_bears_is_given_up_and_keeps_no_other_waiting_for_ever() {
    // Many orders between its attempts, few, and hardly any: then it even opens the breaker, again and again, until
    // another one shows that the gateway is well.
    for (seed, orders) in [(1, 600), (2, 60), (3, 12)] {
        let asked = serve_all_but(Some("O-3"), seed, HOUR, orders, &[]);
        assert!(asked.len() >= 8, "seed {seed}: {}", asked.len());
    }
}
