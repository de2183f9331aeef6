//! The events of unit tests: what becomes of parcels.

use serde::{Deserialize, Serialize};

use crate::Payload;

macro_rules! parcel {
    ($name:ident, $kind:literal) => {
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name {
            pub(crate) id: String,
        }

        impl Payload for $name {
            const TYPE: &'static str = $kind;
            const AGGREGATE: &'static str = "parcel";
            fn aggregate_id(&self) -> &str {
                &self.id
            }
            fn example() -> Self {
                Self::of("P-1")
            }
        }

        impl $name {
            pub(crate) fn of(id: &str) -> Self {
                Self { id: id.into() }
            }
        }
    };
}
parcel!(Sent, "parcels.sent");
parcel!(Lost, "parcels.lost");
parcel!(Told, "parcels.told");
parcel!(Billed, "parcels.billed");
