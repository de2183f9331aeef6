//! What became of a row, and of an invoice: one of these, never two, never none.

use std::fmt;

use serde::Serialize;

/// What became of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowFate {
    /// A stock line of an order.
    Goods,
    /// Postage, discount, bank charges: in the order's amount, and no stock line.
    Charge,
    /// Its price is zero: left out of its order, whose amount is the same without it.
    ZeroPrice,
    /// Its invoice is a cancellation.
    Cancellation,
    /// Its invoice names no customer.
    NoCustomer,
    /// Its invoice has a line without a positive quantity, and is no cancellation.
    NegativeQuantity,
    /// Its invoice has no goods.
    NoGoods,
    /// The amount of its invoice is beyond what a decimal holds.
    TooLarge,
    /// It cannot be read.
    Broken,
    /// It can be read, and another row of its invoice cannot.
    BesideBroken,
}

/// What became of one invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceFate {
    /// It is an order.
    Order,
    /// Its number begins with C: it takes an earlier invoice back.
    Cancellation,
    /// It names no customer.
    NoCustomer,
    /// A line has no positive quantity, and it is no cancellation: without that line the amount would be wrong.
    NegativeQuantity,
    /// Charges, or lines of price zero, are all that it has: nothing can be reserved or sent.
    NoGoods,
    /// Its amount is beyond what a decimal holds.
    TooLarge,
    /// A row of it cannot be read: an order of the other rows would not be what was ordered.
    Broken,
}

/// Why a row cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Broken {
    /// It has not as many columns as the header.
    Columns,
    /// It is not UTF-8.
    Text,
    /// It has no invoice number.
    InvoiceNumber,
    /// It has no stock code.
    StockCode,
    /// Its quantity is no whole number, or too large.
    Quantity,
    /// Its price is no decimal number, or is negative.
    Price,
    /// Its customer is another than that of the invoice's earlier rows.
    Customer,
}

impl RowFate {
    /// Every fate, in the order of the report.
    pub const ALL: [Self; 10] = [
        Self::Goods,
        Self::Charge,
        Self::ZeroPrice,
        Self::Cancellation,
        Self::NoCustomer,
        Self::NegativeQuantity,
        Self::NoGoods,
        Self::TooLarge,
        Self::Broken,
        Self::BesideBroken,
    ];
}

impl InvoiceFate {
    /// Every fate, in the order of the report.
    pub const ALL: [Self; 7] = [
        Self::Order,
        Self::Cancellation,
        Self::NoCustomer,
        Self::NegativeQuantity,
        Self::NoGoods,
        Self::TooLarge,
        Self::Broken,
    ];
}

impl fmt::Display for RowFate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Goods => "goods",
            Self::Charge => "charge: in the amount, no stock line",
            Self::ZeroPrice => "price of zero: left out",
            Self::Cancellation => "of a cancellation",
            Self::NoCustomer => "of an invoice without customer",
            Self::NegativeQuantity => "of an invoice with a quantity below one",
            Self::NoGoods => "of an invoice without goods",
            Self::TooLarge => "of an invoice whose amount is too large",
            Self::Broken => "cannot be read",
            Self::BesideBroken => "of an invoice with a row that cannot be read",
        })
    }
}

impl fmt::Display for InvoiceFate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Order => "order",
            Self::Cancellation => "cancellation",
            Self::NoCustomer => "no customer",
            Self::NegativeQuantity => "a quantity below one, and no cancellation",
            Self::NoGoods => "no goods, charges only",
            Self::TooLarge => "an amount that is too large",
            Self::Broken => "a row that cannot be read",
        })
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Columns => "wrong number of columns",
            Self::Text => "not UTF-8",
            Self::InvoiceNumber => "no invoice number",
            Self::StockCode => "no stock code",
            Self::Quantity => "the quantity is no whole number",
            Self::Price => "the price is no decimal number of zero or more",
            Self::Customer => "another customer than in the earlier rows of the invoice",
        })
    }
}
