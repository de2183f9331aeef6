//! Reads a file of invoices into orders, and accounts for every row.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use rust_decimal::Decimal;

use super::fate::{Broken, InvoiceFate, RowFate};
use super::line::{COLUMNS, Line, Row, fields};
use super::order::{Order, OrderLine};
use super::report::Report;
use crate::problem::{Exit, Problem};

/// The whole data set has 45 MB; a file beyond this is not it.
const SIZE_LIMIT_BYTES: u64 = 512 * 1024 * 1024;
/// A cancellation's number begins with this.
const CANCELLATION_MARK: char = 'C';
/// The shop's currency.
const CURRENCY: &str = "GBP";
/// Spreadsheets put this before the text.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A file, read.
#[derive(Debug)]
pub struct Sheet {
    /// One for each invoice that is an order, in the order of the file.
    pub orders: Vec<Order>,
    /// What became of every row and every invoice.
    pub report: Report,
}

/// The rows of one invoice so far.
#[derive(Debug, Default)]
struct Invoice {
    number: String,
    rows: Vec<Row>,
    /// Rows that cannot be read.
    broken: u64,
}

/// Reads the Online Retail file at `path`.
///
/// # Errors
/// It cannot be read (66), or it is another kind of file (65). A row that cannot be read is no error: it is in the
/// report.
pub fn read(path: &Path) -> Result<Sheet, Problem> {
    let unreadable = |error: std::io::Error| {
        Problem::new(Exit::NoInput, format!("cannot read `{}`", path.display())).because(error)
    };
    let file = File::open(path).map_err(unreadable)?;
    let size_bytes = file.metadata().map_err(unreadable)?.len();
    if size_bytes > SIZE_LIMIT_BYTES {
        let what = format!("`{}` has {size_bytes} bytes, more than {SIZE_LIMIT_BYTES}", path.display());
        return Err(Problem::new(Exit::Data, what));
    }
    let mut lines = Lines { source: BufReader::new(file), number: 0 };
    let header = lines.next().transpose().map_err(unreadable)?.map(|(_, line)| line).unwrap_or_default();
    if !is_header(&header) {
        return Err(Problem::new(Exit::Data, format!("`{}` is not an Online Retail file", path.display()))
            .remedy(format!("its first line has to be: {}", COLUMNS.join(","))));
    }
    let mut reading = Reading::default();
    for line in lines {
        let (number, line) = line.map_err(unreadable)?;
        if !line.iter().all(u8::is_ascii_whitespace) {
            reading.take(number, Line::read(&line));
        }
    }
    Ok(reading.sheet())
}

/// The lines of a file, without their ends, numbered from one.
struct Lines<R> {
    source: R,
    number: u64,
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = std::io::Result<(u64, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        match self.source.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => {
                while line.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
                    line.pop();
                }
                self.number += 1;
                Some(Ok((self.number, line)))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

fn is_header(line: &[u8]) -> bool {
    let line = line.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(line);
    fields(line).is_ok_and(|fields| fields == COLUMNS)
}

/// Rows gathered by invoice, in the order of the invoices' first rows.
#[derive(Debug, Default)]
struct Reading {
    invoices: Vec<Invoice>,
    places: HashMap<String, usize>,
    report: Report,
}

impl Reading {
    fn take(&mut self, number: u64, line: Line) {
        self.report.rows += 1;
        let mut row = line.row;
        if let Some(invoice) = line.invoice.and_then(|invoice| self.invoice(invoice)) {
            if let Ok(read) = &row
                && invoice.rows.first().is_some_and(|first| first.customer != read.customer)
            {
                row = Err(Broken::Customer);
            }
            match &row {
                Ok(row) => invoice.rows.push(row.clone()),
                Err(_) => invoice.broken += 1,
            }
        }
        if let Err(broken) = row {
            self.report.broken_row(number, broken);
        }
    }

    fn invoice(&mut self, number: String) -> Option<&mut Invoice> {
        let place = *self.places.entry(number).or_insert_with_key(|number| {
            self.invoices.push(Invoice { number: number.clone(), ..Invoice::default() });
            self.invoices.len() - 1
        });
        self.invoices.get_mut(place)
    }

    fn sheet(mut self) -> Sheet {
        let mut orders = Vec::new();
        for invoice in self.invoices {
            match invoice.fate() {
                Ok(order) => {
                    self.report.invoice(InvoiceFate::Order, 0, RowFate::Goods);
                    for row in &invoice.rows {
                        self.report.row(row.fate_in_order());
                    }
                    orders.push(order);
                }
                Err((fate, rows)) => self.report.invoice(fate, invoice.rows.len(), rows),
            }
        }
        Sheet { orders, report: self.report }
    }
}

impl Invoice {
    /// An order, or what it is instead, and what its readable rows are then.
    fn fate(&self) -> Result<Order, (InvoiceFate, RowFate)> {
        if self.broken > 0 {
            return Err((InvoiceFate::Broken, RowFate::BesideBroken));
        }
        if self.number.starts_with(CANCELLATION_MARK) {
            return Err((InvoiceFate::Cancellation, RowFate::Cancellation));
        }
        let customer = self.rows.first().map(|row| row.customer.as_str()).unwrap_or_default();
        if customer.is_empty() {
            return Err((InvoiceFate::NoCustomer, RowFate::NoCustomer));
        }
        if self.rows.iter().any(|row| row.quantity < 1) {
            return Err((InvoiceFate::NegativeQuantity, RowFate::NegativeQuantity));
        }
        let lines = self.lines();
        if lines.is_empty() {
            return Err((InvoiceFate::NoGoods, RowFate::NoGoods));
        }
        let amount = self.amount().ok_or((InvoiceFate::TooLarge, RowFate::TooLarge))?;
        Ok(Order {
            order_id: self.number.clone(),
            customer_id: customer.to_owned(),
            amount,
            currency: CURRENCY.to_owned(),
            lines,
        })
    }

    fn lines(&self) -> Vec<OrderLine> {
        let goods = self.rows.iter().filter(|row| row.fate_in_order() == RowFate::Goods);
        let line = |row: &Row| {
            Some(OrderLine { sku: row.stock_code.clone(), quantity: u32::try_from(row.quantity).ok()? })
        };
        goods.filter_map(line).collect()
    }

    fn amount(&self) -> Option<Decimal> {
        self.rows.iter().try_fold(Decimal::ZERO, |sum, row| {
            sum.checked_add(row.unit_price.checked_mul(Decimal::from(row.quantity))?)
        })
    }
}

impl Row {
    /// What it is in an invoice that is an order.
    fn fate_in_order(&self) -> RowFate {
        if self.unit_price.is_zero() {
            RowFate::ZeroPrice
        } else if self.is_goods() {
            RowFate::Goods
        } else {
            RowFate::Charge
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(rows: &str) -> Sheet {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{BYTE_ORDER_MARK}{}\r\n{rows}", COLUMNS.join(","))).unwrap();
        let sheet = read(file.path()).unwrap();
        sheet.report.assert_complete();
        sheet
    }

    #[test]
    fn goods_charges_and_free_lines_of_one_invoice_are_one_order() {
        let sheet = sheet(
            "1,85123A,X,6,1/12/2010,2.55,17850,UK\r\n1,POST,X,1,1/12/2010,0.10,17850,UK\r\n\
             1,22841,X,1,1/12/2010,0,17850,UK\r\n1,85123A,X,1,1/12/2010,2.55,17850,UK\r\n\r\n",
        );
        let [order] = sheet.orders.as_slice() else { panic!("{sheet:?}") };
        assert_eq!(order.amount.to_string(), "17.95");
        assert_eq!(order.lines.iter().map(|line| line.quantity).collect::<Vec<_>>(), [6, 1]);
        assert_eq!(sheet.report.rows_of(RowFate::Charge), 1);
        assert_eq!(sheet.report.rows_of(RowFate::ZeroPrice), 1);
    }

    #[test]
    fn an_invoice_with_a_row_that_cannot_be_read_is_no_order() {
        let sheet = sheet(
            "1,85123A,X,6,1/12/2010,2.55,17850,UK\n1,85123A,X,six,1/12/2010,2.55,17850,UK\n\
             2,85123A,X,6,1/12/2010,2.55,17850,UK\n2,85123A,X,6,1/12/2010,2.55,13047,UK\n\
             ,,,\n3,85123A,X,1,1/12/2010,2.55,17850,UK\n",
        );
        assert_eq!(sheet.orders.len(), 1);
        assert_eq!(sheet.report.invoices_of(InvoiceFate::Broken), 2);
        let reasons: Vec<_> = sheet.report.broken.iter().map(|row| (row.line, row.reason)).collect();
        assert_eq!(reasons, [(3, Broken::Quantity), (5, Broken::Customer), (6, Broken::Columns)]);
    }

    #[test]
    fn a_negative_line_without_cancellation_keeps_its_invoice_from_being_an_order() {
        let sheet = sheet(
            "1,85123A,X,6,1/12/2010,2.55,17850,UK\n1,D,X,-1,1/12/2010,2,17850,UK\n\
             C2,85123A,X,-6,1/12/2010,2.55,17850,UK\n3,M,X,1,1/12/2010,15,17850,UK\n4,85123A,X,1,1/12/2010,1,,UK\n",
        );
        assert!(sheet.orders.is_empty());
        let one_each = [
            InvoiceFate::NegativeQuantity,
            InvoiceFate::Cancellation,
            InvoiceFate::NoGoods,
            InvoiceFate::NoCustomer,
        ];
        assert!(one_each.into_iter().all(|fate| sheet.report.invoices_of(fate) == 1));
        assert_eq!(sheet.report.rows_of(RowFate::NegativeQuantity), 2);
    }

    #[test]
    fn another_kind_of_file_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a,b,c\n1,2,3\n").unwrap();
        assert_eq!(read(file.path()).unwrap_err().exit(), Exit::Data);
        assert_eq!(read(Path::new("/nonexistent.csv")).unwrap_err().exit(), Exit::NoInput);
    }
}
