use std::collections::BTreeMap;

use events::Line;
use jetlag::Payload;
use jetlag::testing::state;
use proptest::prelude::*;

use super::*;

mod pipeline;

fn stocked(available: u64) -> Stock {
    Stock { available, ..Stock::default() }
}

fn order(order_id: &str, lines: &[(&str, u32)]) -> OrderPlaced {
    let line = |&(sku, quantity): &(&str, u32)| Line { sku: sku.into(), quantity };
    OrderPlaced {
        order_id: order_id.into(),
        lines: Some(lines.iter().map(line).collect()),
        ..OrderPlaced::example()
    }
}

async fn handled(movement: impl Payload + Into<Movement>, state: State) -> Result<Effects<Outcome>, Failure> {
    keep(&(), Event::of(movement).map(Into::into), state).await
}

async fn placed(order: OrderPlaced, stock: &[(&'static str, u64)]) -> Effects<Outcome> {
    let stock = stock.iter().map(|&(sku, available)| (sku, stocked(available)));
    handled(order, state(CONTRACT, stock)).await.unwrap()
}

fn reservation(status: Status) -> Reservation {
    let order = order("ORD-1", &[("A", 2)]);
    Reservation::of(&order, order.lines.as_deref().unwrap()).with(status)
}

#[tokio::test]
async fn an_order_is_reserved_over_all_its_lines_summed_by_sku() {
    let effects = placed(order("ORD-1", &[("A", 2), ("B", 1), ("A", 3)]), &[("A", 5), ("B", 9)]).await;
    assert_eq!(effects.events(), [Outcome::Reserved(InventoryReserved::example())]);
    assert_eq!(effects.written::<Stock>("A"), Some(Stock { available: 0, reserved: 5, sold: 0 }));
    assert_eq!(effects.written::<Stock>("B"), Some(Stock { available: 8, reserved: 1, sold: 0 }));
    let kept: Reservation = effects.written("ORD-1").unwrap();
    assert_eq!((kept.status, kept.lines["A"], kept.lines["B"]), (Status::Reserved, 5, 1));
}

#[tokio::test]
async fn an_order_that_is_short_of_one_thing_gets_nothing() {
    // Each line of A alone could be had; both together cannot. C is unknown.
    let effects =
        placed(order("ORD-1", &[("A", 3), ("B", 1), ("A", 3), ("C", 1)]), &[("A", 5), ("B", 9)]).await;
    let [Outcome::Rejected(rejected)] = effects.events() else { panic!("{effects:?}") };
    let missing = |sku: &str, requested, available| Missing { sku: sku.into(), requested, available };
    assert_eq!(rejected.missing, [missing("A", 6, 5), missing("C", 1, 0)]);
    assert_eq!(effects.written::<Stock>("B"), None, "what could be had is left alone");
    assert_eq!(effects.written::<Reservation>("ORD-1"), None);
}

#[tokio::test]
async fn a_rejection_lists_no_more_than_fits() {
    let lines = (0..900).map(|at| Line { sku: format!("S{at}"), quantity: 1 }).collect();
    let effects = placed(OrderPlaced { lines: Some(lines), ..OrderPlaced::example() }, &[]).await;
    let [Outcome::Rejected(rejected)] = effects.events() else { panic!("{effects:?}") };
    assert_eq!(rejected.missing.len(), MISSING_MAX);
    assert_eq!(rejected.validate(), Ok(()));
}

#[tokio::test]
async fn the_articles_order_has_no_goods_and_is_reserved() {
    let effects = placed(OrderPlaced { lines: None, ..OrderPlaced::example() }, &[]).await;
    assert_eq!(effects.events(), [Outcome::Reserved(InventoryReserved::example())]);
    assert_eq!(effects.written::<Reservation>("ORD-1"), None);
}

#[tokio::test]
async fn the_same_order_again_takes_nothing_more() {
    let state = state(CONTRACT, [("ORD-1", reservation(Status::Reserved))]);
    let effects = handled(order("ORD-1", &[("A", 2)]), state).await.unwrap();
    assert!(effects.events().is_empty() && effects.written::<Reservation>("ORD-1").is_none());
}

#[tokio::test]
async fn paid_goods_are_sold_and_nothing_is_told() {
    let stock = state(CONTRACT, [("A", Stock { available: 1, reserved: 2, sold: 0 })]);
    let effects =
        move_goods("ORD-1".into(), reservation(Status::Reserved), Status::Sold, &stock).await.unwrap();
    assert!(effects.events().is_empty());
    assert_eq!(effects.written::<Stock>("A"), Some(Stock { available: 1, reserved: 0, sold: 2 }));
    assert_eq!(effects.written::<Reservation>("ORD-1").unwrap().status, Status::Sold);
}

#[tokio::test]
async fn declined_goods_are_given_back_and_it_is_told() {
    let stock = state(CONTRACT, [("A", Stock { available: 1, reserved: 2, sold: 0 })]);
    let effects =
        move_goods("ORD-1".into(), reservation(Status::Reserved), Status::Released, &stock).await.unwrap();
    assert_eq!(effects.events(), [Outcome::Released(InventoryReleased::example())]);
    assert_eq!(effects.written::<Stock>("A"), Some(Stock { available: 3, reserved: 0, sold: 0 }));
    assert_eq!(effects.written::<Reservation>("ORD-1").unwrap().status, Status::Released);
}

#[tokio::test]
async fn goods_are_sold_or_given_back_once() {
    let known = |status| state(CONTRACT, [("ORD-1", reservation(status))]);
    let again = handled(PaymentDeclined::example(), known(Status::Released)).await.unwrap();
    assert!(again.events().is_empty() && again.written::<Stock>("A").is_none());
    let again = handled(PaymentProcessed::example(), known(Status::Sold)).await.unwrap();
    assert!(again.events().is_empty() && again.written::<Stock>("A").is_none());
}

#[tokio::test]
async fn books_that_contradict_the_payment_are_for_a_person_to_see() {
    for (failed, why) in [
        (
            handled(PaymentProcessed::example(), state(CONTRACT, [("ORD-1", reservation(Status::Released))]))
                .await,
            "cannot become Sold",
        ),
        (
            handled(PaymentDeclined::example(), state(CONTRACT, [("ORD-1", reservation(Status::Sold))]))
                .await,
            "cannot become Released",
        ),
        (
            handled(PaymentDeclined::example(), state(CONTRACT, [("ORD-1", reservation(Status::Reserved))]))
                .await,
            "2 should be reserved, but 0 are",
        ),
    ] {
        let failed = format!("{:?}", failed.unwrap_err());
        assert!(failed.contains("Reject") && failed.contains(why), "{failed}");
    }
}

#[tokio::test]
async fn a_payment_for_an_order_without_goods_moves_nothing() {
    let nothing = || state::<_, _, Stock>(CONTRACT, []);
    let effects = handled(PaymentDeclined::example(), nothing()).await.unwrap();
    assert!(effects.events().is_empty());
    let effects = handled(PaymentProcessed::example(), nothing()).await.unwrap();
    assert!(effects.events().is_empty());
}

#[tokio::test]
async fn a_delivery_is_added_to_what_is_there_or_begins_it() {
    let delivery = || StockReceived { sku: "A".into(), quantity: 7 };
    let effects = handled(delivery(), state(CONTRACT, [("A", Stock { available: 1, reserved: 2, sold: 3 })]))
        .await
        .unwrap();
    assert_eq!(effects.written::<Stock>("A"), Some(Stock { available: 8, reserved: 2, sold: 3 }));
    let effects = handled(delivery(), state::<_, _, Stock>(CONTRACT, [])).await.unwrap();
    assert_eq!(effects.written::<Stock>("A"), Some(stocked(7)));
    let failed = handled(delivery(), state(CONTRACT, [("A", stocked(u64::MAX - 1))])).await.unwrap_err();
    assert!(format!("{failed:?}").contains("Reject"));
}

#[test]
fn the_contract_holds() {
    assert_eq!(CONTRACT.terms().faults(), Vec::<String>::new());
}

const SKUS: [&str; 3] = ["A", "B", "C"];

/// The warehouse as its state would be after each commit.
#[derive(Default)]
struct Books {
    stock: BTreeMap<&'static str, Stock>,
    reservations: BTreeMap<String, Reservation>,
    received: BTreeMap<&'static str, u128>,
}

impl Books {
    fn state(&self) -> State {
        state(CONTRACT, self.stock.iter().map(|(sku, stock)| (*sku, *stock)))
    }

    fn commit(&mut self, order_id: &str, effects: &Effects<Outcome>) {
        for sku in SKUS {
            if let Some(stock) = effects.written(sku) {
                self.stock.insert(sku, stock);
            }
        }
        if let Some(reservation) = effects.written(order_id) {
            self.reservations.insert(order_id.into(), reservation);
        }
    }

    async fn step(&mut self, step: &Step, at: usize) {
        let order_id = format!("ORD-{at}");
        match step {
            Step::Deliver(sku, quantity) => {
                let delivery = StockReceived { sku: SKUS[*sku].into(), quantity: *quantity };
                let effects = handled(delivery, self.state()).await.unwrap();
                *self.received.entry(SKUS[*sku]).or_default() += u128::from(*quantity);
                self.commit("", &effects);
            }
            Step::Order(lines) => {
                let lines: Vec<_> = lines.iter().map(|(sku, quantity)| (SKUS[*sku], *quantity)).collect();
                let effects = handled(order(&order_id, &lines), self.state()).await.unwrap();
                let is_reserved = matches!(effects.events(), [Outcome::Reserved(_)]);
                assert_eq!(is_reserved, effects.written::<Reservation>(&order_id).is_some());
                self.commit(&order_id, &effects);
            }
            Step::Settle(which, status) => {
                let open = self
                    .reservations
                    .iter()
                    .filter(|(_, reservation)| reservation.status == Status::Reserved);
                let Some((order_id, reservation)) =
                    open.cycle().nth(*which).map(|(id, r)| (id.clone(), r.clone()))
                else {
                    return;
                };
                let effects =
                    move_goods(order_id.clone(), reservation, *status, &self.state()).await.unwrap();
                self.commit(&order_id, &effects);
            }
        }
    }

    fn balance(&self) {
        for sku in SKUS {
            let stock = self.stock.get(sku).copied().unwrap_or_default();
            assert_eq!(stock.total(), self.received.get(sku).copied().unwrap_or_default(), "{sku}");
            let of = |status| {
                let has = |reservation: &&Reservation| reservation.status == status;
                self.reservations.values().filter(has).filter_map(|r| r.lines.get(sku)).sum::<u64>()
            };
            assert_eq!((stock.reserved, stock.sold), (of(Status::Reserved), of(Status::Sold)), "{sku}");
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Deliver(usize, u32),
    Order(Vec<(usize, u32)>),
    Settle(usize, Status),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lines = proptest::collection::vec((0..SKUS.len(), 1..5u32), 1..5);
    let step = prop_oneof![
        (0..SKUS.len(), 1..10u32).prop_map(|(sku, quantity)| Step::Deliver(sku, quantity)),
        lines.prop_map(Step::Order),
        (0..50usize, prop_oneof![Just(Status::Sold), Just(Status::Released)])
            .prop_map(|(which, to)| Step::Settle(which, to)),
    ];
    proptest::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn the_books_balance_after_every_step(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut books = Books::default();
        for (at, step) in steps.iter().enumerate() {
            runtime.block_on(books.step(step, at));
            books.balance();
        }
    }
}
