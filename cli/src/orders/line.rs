//! One line of the file, read.

use rust_decimal::Decimal;

use super::fate::Broken;

/// The columns of the file.
pub(super) const COLUMNS: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];
/// A stock code begins with so many digits; other codes (POST, D, M, DOT, C2, BANK CHARGES) are charges.
const STOCK_CODE_DIGITS: usize = 5;
/// The smallest line that holds every column, for the reader's buffer.
const LINE_BUFFER_BYTES: usize = 512;

/// A row whose fields have been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) stock_code: String,
    pub(super) quantity: i32,
    pub(super) unit_price: Decimal,
    /// Empty if there is none.
    pub(super) customer: String,
}

/// What one line says: its invoice, if it can be told, and the row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) invoice: Option<String>,
    pub(super) row: Result<Row, Broken>,
}

impl Row {
    /// Whether it is goods, and not postage, discount or bank charges.
    pub(super) fn is_goods(&self) -> bool {
        let code = self.stock_code.as_bytes();
        code.get(..STOCK_CODE_DIGITS).is_some_and(|start| start.iter().all(u8::is_ascii_digit))
    }
}

impl Line {
    /// Reads one line of the file, without its end.
    ///
    /// Each line is read by itself, so that a quotation mark without its other breaks one row and swallows none.
    pub(super) fn read(line: &[u8]) -> Self {
        let fields = match fields(line) {
            Ok(fields) => fields,
            Err(broken) => return Self { invoice: None, row: Err(broken) },
        };
        let invoice = fields.first().filter(|invoice| !invoice.is_empty()).cloned();
        let row = if invoice.is_none() && fields.len() == COLUMNS.len() {
            Err(Broken::InvoiceNumber)
        } else {
            row(&fields)
        };
        Self { invoice, row }
    }
}

/// Splits a line by the rules of CSV, and trims each field.
pub(super) fn fields(line: &[u8]) -> Result<Vec<String>, Broken> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .buffer_capacity(LINE_BUFFER_BYTES)
        .from_reader(line);
    let mut record = csv::StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(_) => Ok(record.iter().map(str::to_owned).collect()),
        Err(_) => Err(Broken::Text),
    }
}

fn row(fields: &[String]) -> Result<Row, Broken> {
    let [_, stock_code, _, quantity, _, unit_price, customer, _] = fields else {
        return Err(Broken::Columns);
    };
    if stock_code.is_empty() {
        return Err(Broken::StockCode);
    }
    let unit_price = Decimal::from_str_exact(unit_price).map_err(|_| Broken::Price)?;
    if unit_price.is_sign_negative() && !unit_price.is_zero() {
        return Err(Broken::Price);
    }
    Ok(Row {
        stock_code: stock_code.clone(),
        quantity: quantity.parse().map_err(|_| Broken::Quantity)?,
        unit_price,
        customer: customer.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(line: &str) -> (Option<String>, Broken) {
        let line = Line::read(line.as_bytes());
        (line.invoice, line.row.unwrap_err())
    }

    #[test]
    fn a_line_is_read_with_its_quotation_marks() {
        let line =
            Line::read(b"536381,82567,\"AIRLINE LOUNGE,METAL SIGN\",2,1/12/2010,2.10,15311,United Kingdom");
        let row = line.row.unwrap();
        assert_eq!(line.invoice.as_deref(), Some("536381"));
        assert_eq!(
            (row.quantity, row.unit_price.to_string().as_str(), row.customer.as_str()),
            (2, "2.10", "15311")
        );
        assert!(row.is_goods());
    }

    #[test]
    fn what_cannot_be_read_keeps_its_invoice_where_it_can() {
        let invoice = || Some("536381".to_owned());
        assert_eq!(broken("536381,82567"), (invoice(), Broken::Columns));
        assert_eq!(broken("536381,82567,\"X,2,1/12/2010,2.10,15311,UK"), (invoice(), Broken::Columns));
        assert_eq!(broken(",82567,X,2,1/12/2010,2.10,15311,UK"), (None, Broken::InvoiceNumber));
        assert_eq!(broken("536381,,X,2,1/12/2010,2.10,15311,UK"), (invoice(), Broken::StockCode));
        assert_eq!(broken("536381,82567,X,two,1/12/2010,2.10,15311,UK"), (invoice(), Broken::Quantity));
        assert_eq!(broken("536381,82567,X,2,1/12/2010,1e3,15311,UK"), (invoice(), Broken::Price));
        assert_eq!(broken("536381,82567,X,2,1/12/2010,-1,15311,UK"), (invoice(), Broken::Price));
        assert_eq!(Line::read(b"536381,\xff\xfe").row, Err(Broken::Text));
    }

    #[test]
    fn charges_are_told_from_goods_by_their_code() {
        let goods = |code: &str| {
            let line = format!("1,{code},X,2,1/12/2010,2.10,15311,UK");
            Line::read(line.as_bytes()).row.unwrap().is_goods()
        };
        assert!(["85123A", "22841", "15056BL"].into_iter().all(goods));
        assert!(!["POST", "D", "M", "DOT", "C2", "BANK CHARGES", "8512"].into_iter().any(goods));
    }
}
