//! The stockroom reserves all that an order needs or nothing, gives it back, or sends it out.

use jetlag::{Contract, Effects, Event, Failure, State, Stored, kind_of};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::events::{Line, Moved, Moves, Rejected, Released, Reserved, Seen};

pub const CONTRACT: Contract<Moves, Moved> =
    Contract::new("stockroom", "Keeps stock.").keeps(&[kind_of::<Stock>()]);

/// What there is of every article at first.
pub const AT_FIRST: i64 = 4;
/// What is looked at when an order is reserved, whether the order has it or not: the first that it has not. Nothing follows
/// from it, but whoever decides on it must see it as it is.
const LOOKED_AT: [&str; 3] = ["mug", "pen.blue", "hat"];

/// How much there is of one article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    pub available: i64,
    pub reserved: i64,
    pub sold: i64,
    /// Everything that ever moved it, in order: no two values are the same.
    pub moves: Vec<String>,
}

impl Stored for Stock {
    const KIND: &'static str = "stock";
}

impl Default for Stock {
    fn default() -> Self {
        Self { available: AT_FIRST, reserved: 0, sold: 0, moves: Vec::new() }
    }
}

impl Stock {
    /// The next value, after so many were reserved (less than none: given back) and sold.
    fn moved(&self, reserved: i64, sold: i64, by: &str) -> Self {
        let by = std::iter::once(by.to_owned());
        Self {
            available: self.available - reserved - sold,
            reserved: self.reserved + reserved,
            sold: self.sold + sold,
            moves: self.moves.iter().cloned().chain(by).collect(),
        }
    }
}

/// The stockroom, which knows how long it has been open.
#[derive(Debug)]
pub struct Stockroom {
    pub opened: Instant,
}

pub async fn keep(room: &Stockroom, event: Event<Moves>, state: State) -> Result<Effects<Moved>, Failure> {
    let asked_ms = u64::try_from(room.opened.elapsed().as_millis())?;
    let (order_id, lines) = match &event.data {
        Moves::Placed(placed) => (&placed.order_id, &placed.lines),
        Moves::Charged(charged) => (&charged.order_id, &charged.lines),
        Moves::Declined(declined) => (&declined.order_id, &declined.lines),
    };
    let stock: Vec<Stock> = state
        .get_all::<Stock>(lines.iter().map(|line| line.sku.as_str()))
        .await?
        .into_iter()
        .map(Option::unwrap_or_default)
        .collect();
    let by = |what: &str| format!("{what} {order_id}");
    let put = |effects: Effects<Moved>, moved: &dyn Fn(&Stock, i64) -> Stock| {
        lines.iter().zip(&stock).fold(effects, |effects, (line, stock)| {
            effects.put(&line.sku, &moved(stock, i64::from(line.quantity)))
        })
    };
    let (order_id, seen) = (order_id.clone(), || seen(lines, &stock));
    Ok(match &event.data {
        Moves::Placed(_) => {
            let is_enough =
                lines.iter().zip(&stock).all(|(line, stock)| stock.available >= i64::from(line.quantity));
            if is_enough {
                let beside = beside(lines, &state).await?;
                let reserved = Reserved { order_id, lines: lines.clone(), seen: seen(), beside, asked_ms };
                put(Effects::emit(reserved), &|stock, n| stock.moved(n, 0, &by("reserved for")))
            } else {
                Effects::emit(Rejected { order_id, lines: lines.clone(), seen: seen(), asked_ms })
            }
        }
        Moves::Charged(_) => put(Effects::none(), &|stock, n| stock.moved(-n, n, &by("sold to"))),
        Moves::Declined(_) => {
            put(Effects::emit(Released { order_id }), &|stock, n| stock.moved(-n, 0, &by("given back by")))
        }
    })
}

/// What there is of an article that the order has not.
async fn beside(lines: &[Line], state: &State) -> Result<Vec<Seen>, Failure> {
    let Some(sku) = LOOKED_AT.into_iter().find(|sku| lines.iter().all(|line| line.sku != **sku)) else {
        return Ok(Vec::new());
    };
    let stock = state.get::<Stock>(sku).await?.unwrap_or_default();
    Ok(vec![Seen { sku: sku.to_owned(), moves: stock.moves }])
}

fn seen(lines: &[Line], stock: &[Stock]) -> Vec<Seen> {
    let seen = |(line, stock): (&Line, &Stock)| Seen { sku: line.sku.clone(), moves: stock.moves.clone() };
    lines.iter().zip(stock).map(seen).collect()
}
