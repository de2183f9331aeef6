//! The till charges what is reserved.

use std::sync::Arc;
use std::time::Duration;

use jetlag::{Breaker, Contract, Event, Failure, Retry};

use super::events::{Charged, Declined, Payment, Reserved};
use super::gateway::Gateway;

pub const CONTRACT: Contract<Reserved, Payment> = Contract::new("till", "Charges what is reserved.")
    .retry(Retry::exponential(Duration::from_secs(1)).at_most(Duration::from_secs(8)).attempts(5))
    .time_limit(Duration::from_secs(10))
    .breaker(Breaker::after(2).open_for(Duration::from_secs(5)));

pub async fn charge(gateway: &Arc<Gateway>, event: Event<Reserved>) -> Result<Payment, Failure> {
    let key = event.idempotency_key("charge");
    let Reserved { order_id, lines, .. } = event.data;
    Ok(match gateway.charge(&key, &order_id).await.map_err(Failure::outage)? {
        true => Charged { order_id, lines }.into(),
        false => Declined { order_id, lines }.into(),
    })
}
