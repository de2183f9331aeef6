//! The file that is shipped, read whole: every row and every invoice is accounted for.

use std::path::PathBuf;

use jetlag_cli::orders::{InvoiceFate, RowFate, read};

fn shipped() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../data/online-retail/orders-2010-12.csv")
}

#[test]
fn the_shipped_file_is_accounted_for_to_the_last_row() {
    let sheet = read(&shipped()).unwrap();
    let report = &sheet.report;
    let rows: Vec<_> = RowFate::ALL.into_iter().map(|fate| (fate, report.rows_of(fate))).collect();
    let expected = [
        (RowFate::Goods, 7578),
        (RowFate::Charge, 28),
        (RowFate::ZeroPrice, 1),
        (RowFate::Cancellation, 100),
        (RowFate::NoCustomer, 2291),
        (RowFate::NegativeQuantity, 0),
        (RowFate::NoGoods, 1),
        (RowFate::TooLarge, 0),
        (RowFate::Broken, 0),
        (RowFate::BesideBroken, 0),
    ];
    assert_eq!(rows, expected);
    assert_eq!(report.rows, 9_999);
    assert_eq!(report.row_fates.values().sum::<u64>(), 9_999);

    let invoices = InvoiceFate::ALL.map(|fate| report.invoices_of(fate));
    assert_eq!(invoices, [400, 43, 68, 0, 1, 0, 0]);
    assert_eq!(report.invoices, 512);
    assert_eq!(sheet.orders.len(), 400);
}

#[test]
fn the_orders_of_the_shipped_file_carry_exact_amounts_and_every_line() {
    let sheet = read(&shipped()).unwrap();
    let first = &sheet.orders[0];
    assert_eq!((first.order_id.as_str(), first.customer_id.as_str()), ("536365", "17850"));
    assert_eq!(first.amount.to_string(), "139.12");
    assert_eq!(first.lines.len(), 7);
    let lines: usize = sheet.orders.iter().map(|order| order.lines.len()).sum();
    assert_eq!(lines, 7578);
    // 148,198.33 over all invoices with customer, less one of 15.00 in bank charges alone.
    let total: rust_decimal::Decimal = sheet.orders.iter().map(|order| order.amount).sum();
    assert_eq!(total.to_string(), "148183.33");
}
