//! Real orders: read from the Online Retail data, and placed.
//!
//! Every row and every invoice of the file has exactly one fate, and the [`Report`] counts them all: nothing is
//! lost silently.

mod fate;
mod line;
mod order;
mod place;
mod report;
mod sheet;

pub use fate::{Broken, InvoiceFate, RowFate};
pub use order::{Order, OrderLine};
pub use place::{Outcome, Placement, Tally, place_all};
pub use report::{BrokenRow, Report};
pub use sheet::{Sheet, read};
