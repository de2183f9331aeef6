//! The stock of one SKU: pure arithmetic, every step checked.

use jetlag::Stored;
use serde::{Deserialize, Serialize};

/// How many pieces of a SKU there are, by what they are there for.
///
/// Only a receipt changes how many there are in all; everything else moves pieces from one field to another. State
/// that the business owns: it never expires.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// Free to be ordered.
    pub available: u64,
    /// Set aside for orders that are not paid for yet.
    pub reserved: u64,
    /// Gone to customers who paid.
    pub sold: u64,
}

/// Why a step could not be made; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StockFault {
    /// Fewer are free than were asked for.
    #[error("{requested} were asked for and {available} are available")]
    Short {
        /// How many were asked for.
        requested: u64,
        /// How many are free.
        available: u64,
    },
    /// Fewer are set aside than an order says it has: the books are wrong, and no retry mends them.
    #[error("{requested} should be reserved, but {reserved} are")]
    NotReserved {
        /// How many the order has set aside.
        requested: u64,
        /// How many are set aside for all orders.
        reserved: u64,
    },
    /// More than can be counted.
    #[error("there are more pieces than can be counted")]
    Overflow,
}

impl Stored for Stock {
    const KIND: &'static str = "stock";
}

impl Stock {
    /// After `quantity` pieces arrived.
    ///
    /// # Errors
    /// There would be more in all than can be counted.
    pub fn receive(self, quantity: u64) -> Result<Self, StockFault> {
        // The sum of all three has to fit, so that no later move can overflow.
        let total = self.total().checked_add(u128::from(quantity)).ok_or(StockFault::Overflow)?;
        u64::try_from(total).map_err(|_| StockFault::Overflow)?;
        Ok(Self { available: self.available.saturating_add(quantity), ..self })
    }

    /// After `quantity` free pieces were set aside.
    ///
    /// # Errors
    /// Fewer are free.
    pub fn reserve(self, quantity: u64) -> Result<Self, StockFault> {
        let short = StockFault::Short { requested: quantity, available: self.available };
        let available = self.available.checked_sub(quantity).ok_or(short)?;
        let reserved = self.reserved.checked_add(quantity).ok_or(StockFault::Overflow)?;
        Ok(Self { available, reserved, ..self })
    }

    /// After `quantity` pieces that were set aside were paid for.
    ///
    /// # Errors
    /// Fewer are set aside.
    pub fn sell(self, quantity: u64) -> Result<Self, StockFault> {
        let sold = self.sold.checked_add(quantity).ok_or(StockFault::Overflow)?;
        Ok(Self { reserved: self.less_reserved(quantity)?, sold, ..self })
    }

    /// After `quantity` pieces that were set aside became free again.
    ///
    /// # Errors
    /// Fewer are set aside.
    pub fn release(self, quantity: u64) -> Result<Self, StockFault> {
        let available = self.available.checked_add(quantity).ok_or(StockFault::Overflow)?;
        Ok(Self { reserved: self.less_reserved(quantity)?, available, ..self })
    }

    /// How many pieces there are or were in all: what has been received.
    pub fn total(self) -> u128 {
        u128::from(self.available) + u128::from(self.reserved) + u128::from(self.sold)
    }

    fn less_reserved(self, quantity: u64) -> Result<u64, StockFault> {
        let fault = StockFault::NotReserved { requested: quantity, reserved: self.reserved };
        self.reserved.checked_sub(quantity).ok_or(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Receive(u64),
        Reserve(u64),
        Sell(u64),
        Release(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Small quantities that interleave, and huge ones at the border of what can be counted.
        let quantity = prop_oneof![9 => 0..20u64, 1 => u64::MAX - 20..=u64::MAX, 1 => any::<u64>()];
        let step = (quantity, 0..4u8).prop_map(|(quantity, which)| match which {
            0 => Step::Receive(quantity),
            1 => Step::Reserve(quantity),
            2 => Step::Sell(quantity),
            _ => Step::Release(quantity),
        });
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn pieces_are_moved_and_never_made_or_lost(steps in steps()) {
            let mut stock = Stock::default();
            let mut received = 0u128;
            for step in steps {
                let before = stock;
                let after = match step {
                    Step::Receive(quantity) => stock.receive(quantity).inspect(|_| received += u128::from(quantity)),
                    Step::Reserve(quantity) => stock.reserve(quantity),
                    Step::Sell(quantity) => stock.sell(quantity),
                    Step::Release(quantity) => stock.release(quantity),
                };
                stock = after.unwrap_or(before);
                prop_assert_eq!(stock.total(), received);
            }
        }

        #[test]
        fn a_reservation_takes_what_it_asks_for_or_nothing(available: u64, quantity: u64) {
            let stock = Stock { available, ..Stock::default() };
            match stock.reserve(quantity) {
                Ok(after) => {
                    prop_assert_eq!((after.available, after.reserved), (available - quantity, quantity));
                    prop_assert_eq!(after.release(quantity).unwrap(), stock);
                    prop_assert_eq!(after.sell(quantity).unwrap(), Stock { reserved: 0, sold: quantity, ..after });
                }
                Err(fault) => {
                    prop_assert!(quantity > available);
                    prop_assert_eq!(fault, StockFault::Short { requested: quantity, available });
                }
            }
        }
    }

    #[test]
    fn what_is_not_set_aside_cannot_be_sold_or_released() {
        let stock = Stock { available: 5, reserved: 1, sold: 0 };
        let fault = StockFault::NotReserved { requested: 2, reserved: 1 };
        assert_eq!(stock.sell(2), Err(fault));
        assert_eq!(stock.release(2), Err(fault));
    }
}
