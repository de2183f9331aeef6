//! The stock that the shop opens with: enough of most things, and too little of the bestsellers.

use std::collections::{BTreeMap, BTreeSet};

use events::QUANTITY_MAX;
use jetlag::Subject;
use serde::Serialize;

use crate::orders::Order;

/// One order in so many is to find something sold out: enough to see it, and most are served.
const ORDERS_TO_ONE_REJECTED: usize = 10;

/// What arrives before the first order, the same for the same orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// What arrives, by SKU.
    pub deliveries: Vec<Delivery>,
    /// Of these there is too little.
    pub scarce: Vec<Scarce>,
    /// How many orders are rejected if they are handled one by one in the order of the file. Handled at the same time,
    /// others win, and a few more or fewer are rejected.
    pub rejected_in_file_order: usize,
}

/// Pieces of one SKU that arrive together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event's id: the same in every run, so that nothing arrives twice.
    pub id: String,
    /// What.
    pub sku: String,
    /// How many.
    pub quantity: u32,
}

/// A bestseller of which there is too little.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scarce {
    /// What.
    pub sku: String,
    /// How many orders ask for it.
    pub orders: usize,
    /// How many pieces they ask for together.
    pub asked: u64,
    /// How many arrive.
    pub stocked: u64,
}

impl Opening {
    /// The stock for `orders`: what they ask for, and half of that for as many bestsellers as it takes.
    pub fn of(orders: &[Order]) -> Self {
        let mut asked: BTreeMap<&str, u64> = BTreeMap::new();
        let mut askers: BTreeMap<&str, usize> = BTreeMap::new();
        for order in orders {
            for (sku, quantity) in pieces(order) {
                *asked.entry(sku).or_default() += quantity;
                *askers.entry(sku).or_default() += 1;
            }
        }
        let mut bestsellers: Vec<(&str, usize)> = askers.into_iter().collect();
        bestsellers.sort_by_key(|(sku, orders)| (std::cmp::Reverse(*orders), *sku));

        let mut stock = asked.clone();
        let mut scarce = Vec::new();
        let mut rejected = 0;
        for (sku, askers) in bestsellers {
            if rejected >= orders.len() / ORDERS_TO_ONE_REJECTED {
                break;
            }
            let asked = asked.get(sku).copied().unwrap_or_default();
            let stocked = asked / 2;
            stock.insert(sku, stocked);
            scarce.push(Scarce { sku: sku.to_owned(), orders: askers, asked, stocked });
            rejected = rejected_in_order(orders, stock.clone());
        }
        let deliveries = stock.into_iter().flat_map(|(sku, quantity)| deliveries(sku, quantity)).collect();
        Self { deliveries, scarce, rejected_in_file_order: rejected }
    }

    /// All pieces together.
    pub fn pieces(&self) -> u64 {
        self.deliveries.iter().map(|delivery| u64::from(delivery.quantity)).sum()
    }

    /// How many different things arrive.
    pub fn skus(&self) -> usize {
        self.deliveries.iter().map(|delivery| &delivery.sku).collect::<BTreeSet<_>>().len()
    }
}

impl Delivery {
    /// The subject that the event has once it is let in.
    pub fn subject(&self) -> String {
        Subject::of_event("stock.received", &self.sku, &self.id).to_string()
    }
}

/// What an order asks for, by SKU.
fn pieces(order: &Order) -> BTreeMap<&str, u64> {
    let mut pieces: BTreeMap<&str, u64> = BTreeMap::new();
    for line in &order.lines {
        *pieces.entry(&line.sku).or_default() += u64::from(line.quantity);
    }
    pieces
}

/// As many deliveries as it takes: one brings [`QUANTITY_MAX`] pieces at most.
fn deliveries(sku: &str, quantity: u64) -> Vec<Delivery> {
    let most = u64::from(QUANTITY_MAX);
    (0..quantity.div_ceil(most))
        .map(|number| {
            let rest = quantity - number * most;
            let id =
                if number == 0 { format!("opening-{sku}") } else { format!("opening-{sku}#{}", number + 1) };
            Delivery {
                id,
                sku: sku.to_owned(),
                quantity: u32::try_from(rest).unwrap_or(QUANTITY_MAX).min(QUANTITY_MAX),
            }
        })
        .collect()
}

fn rejected_in_order(orders: &[Order], mut stock: BTreeMap<&str, u64>) -> usize {
    let mut rejected = 0;
    for order in orders {
        let asked = pieces(order);
        let is_there =
            |(sku, quantity): (&&str, &u64)| stock.get(*sku).is_some_and(|there| there >= quantity);
        if !asked.iter().all(is_there) {
            rejected += 1;
            continue;
        }
        for (sku, quantity) in asked {
            if let Some(there) = stock.get_mut(sku) {
                *there -= quantity;
            }
        }
    }
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::OrderLine;

    fn order(id: usize, lines: &[(&str, u32)]) -> Order {
        let line = |(sku, quantity): &(&str, u32)| OrderLine { sku: (*sku).to_owned(), quantity: *quantity };
        Order {
            order_id: id.to_string(),
            customer_id: "C".to_owned(),
            amount: rust_decimal::Decimal::ONE,
            currency: "GBP".to_owned(),
            lines: lines.iter().map(line).collect(),
        }
    }

    #[test]
    fn bestsellers_are_scarce_and_everything_else_suffices() {
        let orders: Vec<Order> =
            (0..24).map(|id| order(id, &[("best", 2), ("rest", 1), ("best", 1)])).collect();
        let opening = Opening::of(&orders);
        assert_eq!(opening.scarce, [Scarce { sku: "best".to_owned(), orders: 24, asked: 72, stocked: 36 }]);
        assert_eq!(opening.rejected_in_file_order, 12);
        let delivered: Vec<_> = opening.deliveries.iter().map(|d| (d.id.as_str(), d.quantity)).collect();
        assert_eq!(delivered, [("opening-best", 36), ("opening-rest", 24)]);
        assert_eq!(opening, Opening::of(&orders), "the same orders, the same stock");
    }

    #[test]
    fn a_few_orders_are_all_served() {
        let opening = Opening::of(&[order(1, &[("a", 1)]), order(2, &[("a", 1)])]);
        assert_eq!((opening.scarce.len(), opening.rejected_in_file_order, opening.pieces()), (0, 0, 2));
        assert_eq!(opening.deliveries[0].subject(), "stock.received.a.opening-a");
    }

    #[test]
    fn what_one_delivery_cannot_bring_comes_in_several() {
        let quantities: Vec<_> = deliveries("a", 2_000_001).into_iter().map(|d| (d.id, d.quantity)).collect();
        let expected = [("opening-a", 1_000_000), ("opening-a#2", 1_000_000), ("opening-a#3", 1)];
        assert_eq!(quantities, expected.map(|(id, quantity)| (id.to_owned(), quantity)));
        assert!(deliveries("a", 0).is_empty());
    }
}
