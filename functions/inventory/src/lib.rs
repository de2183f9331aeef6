//! inventory: owns the stock of every SKU, sets goods aside for orders, and sells or gives them back.
//!
//! Stock and reservation are state, written in the same commit as the event that tells of them. Two orders for the last
//! piece both read the same stock; the commit of one holds, and the other's handler runs again and finds none.

mod reservation;
mod stock;

use events::{
    InventoryRejected, InventoryReleased, InventoryReserved, MISSING_MAX, Missing, OrderPlaced,
    PaymentDeclined, PaymentProcessed, StockReceived,
};
use jetlag::{Contract, Effects, Event, EventKind, Failure, OrReject, State, kind_of};

pub use reservation::{Reservation, Status};
pub use stock::{Stock, StockFault};

/// What this function is to the rest of the system.
pub const CONTRACT: Contract<Movement, Outcome> =
    Contract::new("inventory", "Sets goods aside for orders, and sells them or gives them back.")
        .admits(&[EventKind::of::<StockReceived>()])
        .keeps(&[kind_of::<Stock>(), kind_of::<Reservation>()]);

jetlag::one_of! {
    /// What moves goods.
    pub enum Movement {
        Placed(OrderPlaced), Paid(PaymentProcessed), Declined(PaymentDeclined), Received(StockReceived),
    }
}

jetlag::one_of! {
    /// What became of an order's goods. That they were sold is told by nobody else than the payment.
    pub enum Outcome { Reserved(InventoryReserved), Rejected(InventoryRejected), Released(InventoryReleased) }
}

/// Moves the goods that `event` asks to move.
///
/// # Errors
/// The state cannot be read (tried again), or the books contradict the event, which no retry mends.
pub async fn keep(_: &(), event: Event<Movement>, state: State) -> Result<Effects<Outcome>, Failure> {
    match event.data {
        Movement::Placed(order) => reserve(order, &state).await,
        Movement::Paid(PaymentProcessed { order_id, .. }) => settle(order_id, Status::Sold, &state).await,
        Movement::Declined(PaymentDeclined { order_id, .. }) => {
            settle(order_id, Status::Released, &state).await
        }
        Movement::Received(delivery) => receive(&delivery, &state).await,
    }
}

/// Sets aside everything that the order asks for, or nothing.
async fn reserve(order: OrderPlaced, state: &State) -> Result<Effects<Outcome>, Failure> {
    let asked = Reservation::of(&order, order.lines.as_deref().unwrap_or_default());
    let OrderPlaced { order_id, customer_id, amount, currency, .. } = order;
    if asked.lines.is_empty() {
        // The article's order. Without goods there is nothing to remember either.
        return Ok(Effects::emit(InventoryReserved { order_id, customer_id, amount, currency }));
    }
    if state.get::<Reservation>(&order_id).await?.is_some() {
        // An order is placed once: this is the same event again, and its outcome has been told.
        return Ok(Effects::none());
    }
    let mut effects = Effects::none();
    let mut missing = Vec::new();
    // A SKU that never arrived has no stock: none is available.
    let stocks: Vec<Option<Stock>> = state.get_all(asked.skus()).await?;
    for ((sku, &requested), stock) in asked.lines.iter().zip(stocks) {
        let stock = stock.unwrap_or_default();
        match stock.reserve(requested) {
            Ok(stock) => effects = effects.put(sku, &stock),
            Err(_) => missing.push(Missing { sku: sku.clone(), requested, available: stock.available }),
        }
    }
    if missing.is_empty() {
        let reserved = InventoryReserved { order_id: order_id.clone(), customer_id, amount, currency };
        return Ok(effects.put(&order_id, &asked).and_emit(reserved));
    }
    missing.truncate(MISSING_MAX);
    Ok(Effects::emit(InventoryRejected { order_id, customer_id, amount, currency, missing }))
}

/// Sells what was set aside for an order, or gives it back: once.
async fn settle(order_id: String, status: Status, state: &State) -> Result<Effects<Outcome>, Failure> {
    // The reservation was committed together with the event that asked for the payment. So there is none if the order
    // had no goods, or if the payment came back from among the dead letters after the reservation's end. Neither has
    // anything to move, and the order must not get stuck on it.
    let Some(reservation) = state.get::<Reservation>(&order_id).await? else { return Ok(Effects::none()) };
    if reservation.status == status {
        return Ok(Effects::none());
    }
    if reservation.status != Status::Reserved {
        // Charged after its goods went back, or the other way round. A person must look.
        return Err(Failure::reject(format_args!(
            "the goods are {:?} and cannot become {status:?}",
            reservation.status
        )));
    }
    move_goods(order_id, reservation, status, state).await
}

async fn move_goods(
    order_id: String,
    reservation: Reservation,
    status: Status,
    state: &State,
) -> Result<Effects<Outcome>, Failure> {
    let mut effects = Effects::none();
    let stocks: Vec<Option<Stock>> = state.get_all(reservation.skus()).await?;
    for ((sku, &quantity), stock) in reservation.lines.iter().zip(stocks) {
        let stock = stock.unwrap_or_default();
        let moved = if status == Status::Sold { stock.sell(quantity) } else { stock.release(quantity) };
        effects = effects.put(sku, &moved.or_reject("the stock does not match the reservation")?);
    }
    if status == Status::Released {
        let Reservation { customer_id, amount, currency, .. } = reservation.clone();
        effects =
            effects.and_emit(InventoryReleased { order_id: order_id.clone(), customer_id, amount, currency });
    }
    Ok(effects.put(&order_id, &reservation.with(status)))
}

/// Adds what arrived.
async fn receive(delivery: &StockReceived, state: &State) -> Result<Effects<Outcome>, Failure> {
    let stock: Stock = state.get(&delivery.sku).await?.unwrap_or_default();
    let stock = stock.receive(delivery.quantity.into()).or_reject("the delivery cannot be booked")?;
    Ok(Effects::none().put(&delivery.sku, &stock))
}

#[cfg(test)]
mod tests;
