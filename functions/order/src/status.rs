//! `GET /orders/{id}`: what the events of an order say of it.

use events::{
    Amount, CancelReason, Currency, InventoryRejected, InventoryReserved, OrderCancelled, OrderConfirmed,
    OrderPlaced, PaymentDeclined, PaymentProcessed,
};
use jetlag::{Event, rfc3339};
use serde::Serialize;
use serde_json::{Value, json};

jetlag::one_of! {
    /// What is told of an order, by whichever function.
    pub enum Told {
        Placed(OrderPlaced), Reserved(InventoryReserved), OutOfStock(InventoryRejected), Paid(PaymentProcessed),
        Declined(PaymentDeclined), Confirmed(OrderConfirmed), Cancelled(OrderCancelled),
    }
}

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was taken in.
    Placed,
    /// Its goods are set aside.
    Reserved,
    /// It is paid for.
    Paid,
    /// Its card was declined, or something is missing: it will be cancelled.
    Failed,
    /// It is done.
    Confirmed,
    /// Nothing comes of it.
    Cancelled,
}

/// An order as its events tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderStatus {
    order_id: String,
    status: State,
    /// Why nothing comes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<CancelReason>,
    customer_id: String,
    amount: Amount,
    currency: Currency,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<String>,
    trace_id: String,
    /// What happened, in order.
    history: Vec<Step>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Step {
    r#type: &'static str,
    at: String,
}

/// The order as `events` tell it, if they do.
pub fn status(order_id: &str, events: &[Event<Told>]) -> Option<OrderStatus> {
    let first = events.first()?;
    let (_, _, customer_id, amount, currency) = facts(&first.data);
    let mut status = OrderStatus {
        order_id: order_id.to_owned(),
        status: State::Placed,
        reason: None,
        customer_id: customer_id.to_owned(),
        amount,
        currency: currency.clone(),
        payment_id: None,
        trace_id: first.trace_id.clone(),
        history: Vec::with_capacity(events.len()),
    };
    for event in events {
        let (state, kind, ..) = facts(&event.data);
        status.status = status.status.max(state);
        status.history.push(Step { r#type: kind, at: rfc3339(event.timestamp) });
        match &event.data {
            Told::Paid(paid) => status.payment_id = Some(paid.payment_id.clone()),
            Told::OutOfStock(_) => status.reason = Some(CancelReason::OutOfStock),
            Told::Declined(_) => status.reason = Some(CancelReason::PaymentDeclined),
            Told::Cancelled(cancelled) => status.reason = Some(cancelled.reason),
            Told::Placed(_) | Told::Reserved(_) | Told::Confirmed(_) => {}
        }
    }
    Some(status)
}

/// What every event about an order says of it.
fn facts(told: &Told) -> (State, &'static str, &str, Amount, &Currency) {
    macro_rules! facts {
        ($state:ident, $payload:ident, $kind:ty) => {
            (
                State::$state,
                <$kind as jetlag::Payload>::TYPE,
                &$payload.customer_id,
                $payload.amount,
                &$payload.currency,
            )
        };
    }
    match told {
        Told::Placed(it) => facts!(Placed, it, OrderPlaced),
        Told::Reserved(it) => facts!(Reserved, it, InventoryReserved),
        Told::OutOfStock(it) => facts!(Failed, it, InventoryRejected),
        Told::Paid(it) => facts!(Paid, it, PaymentProcessed),
        Told::Declined(it) => facts!(Failed, it, PaymentDeclined),
        Told::Confirmed(it) => facts!(Confirmed, it, OrderConfirmed),
        Told::Cancelled(it) => facts!(Cancelled, it, OrderCancelled),
    }
}

/// An [`OrderStatus`] as JSON Schema.
pub fn status_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "order_id": {"type": "string"},
            "status": {"enum": ["placed", "reserved", "paid", "failed", "confirmed", "cancelled"]},
            "reason": {"enum": ["out_of_stock", "payment_declined", "other"]},
            "customer_id": {"type": "string"},
            "amount": {"type": "number", "exclusiveMinimum": 0},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            "payment_id": {"type": "string"},
            "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "history": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {"type": {"type": "string"}, "at": {"type": "string", "format": "date-time"}},
                    "required": ["type", "at"],
                },
            },
        },
        "required": ["order_id", "status", "customer_id", "amount", "currency", "trace_id", "history"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jetlag::Payload;

    fn told<P: Payload + Into<Told>>(payload: P) -> Event<Told> {
        Event::of(payload).map(Into::into)
    }

    fn of(events: &[Event<Told>]) -> Value {
        serde_json::to_value(status("ORD-1", events)).unwrap()
    }

    #[test]
    fn an_order_is_as_far_as_its_events_have_come() {
        let all = [
            told(OrderPlaced::example()),
            told(InventoryReserved::example()),
            told(PaymentProcessed::example()),
            told(OrderConfirmed::example()),
        ];
        for (count, state) in [(1, "placed"), (2, "reserved"), (3, "paid"), (4, "confirmed")] {
            let told = of(&all[..count]);
            assert_eq!((&told["status"], told["history"].as_array().unwrap().len()), (&state.into(), count));
        }
        let done = of(&all);
        assert_eq!(done["payment_id"], PaymentProcessed::example().payment_id);
        assert_eq!(done["history"][3]["type"], "orders.confirmed");
        assert_eq!(done["amount"].to_string(), "12.50");
    }

    #[test]
    fn an_order_of_which_nothing_comes_says_why_from_the_moment_that_is_known() {
        for (failed, reason) in [
            (told(PaymentDeclined::example()), CancelReason::PaymentDeclined),
            (told(InventoryRejected::example()), CancelReason::OutOfStock),
        ] {
            let cancelled = told(OrderCancelled { reason, ..OrderCancelled::example() });
            let all = [told(OrderPlaced::example()), failed, cancelled];
            let why = serde_json::to_value(reason).unwrap();
            assert_eq!((&of(&all[..2])["status"], &of(&all[..2])["reason"]), (&"failed".into(), &why));
            assert_eq!((&of(&all)["status"], &of(&all)["reason"]), (&"cancelled".into(), &why));
        }
    }

    #[test]
    fn nothing_is_told_of_an_order_without_events() {
        assert_eq!(status("ORD-1", &[]), None);
    }
}
