//! `POST /orders`: from a request to `orders.placed`, or to everything that is wrong with it.

use events::{Amount, Check, Currency, Line, OrderPlaced};
use jetlag::Fault;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::form::{Form, kind};

/// The body of a request for an order: any JSON object, so that [`place`] can tell of all faults, not only of the
/// first.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct NewOrder(Map<String, Value>);

/// The order that `request` asks for, under `fresh_id` if it brings no `order_id`.
///
/// # Errors
/// Everything that is wrong with the request, each fault with its JSON pointer.
pub fn place(request: NewOrder, fresh_id: &str) -> Result<OrderPlaced, Vec<Fault>> {
    let mut check = Check::default();
    let mut form = Form::new(String::new(), request.0, &mut check);
    let order_id = form.text("order_id").unwrap_or_else(|| fresh_id.to_owned());
    let customer_id = form.requires("customer_id").text("customer_id").unwrap_or_else(stand_in);
    let amount = form.requires("amount").amount("amount").unwrap_or(Amount::ONE);
    let currency = form.text("currency").map_or(Currency::DEFAULT, Currency::new);
    let lines = form.list("lines");
    form.nothing_else();

    let line = |(at, value)| line(at, value, &mut check);
    let lines = lines.map(|lines| lines.into_iter().enumerate().map(line).collect());
    let order = OrderPlaced { order_id, customer_id, amount, currency, lines };
    order.check(&mut check);
    check.verdict()?;
    Ok(order)
}

fn line(at: usize, value: Value, check: &mut Check) -> Line {
    let pointer = format!("/lines/{at}");
    let fields = match value {
        Value::Object(fields) => fields,
        other => {
            check.fault(
                &pointer,
                format_args!("it must be an object with sku and quantity, but is {}", kind(&other)),
            );
            return Line { sku: stand_in(), quantity: 1 };
        }
    };
    let mut form = Form::new(pointer, fields, check);
    let sku = form.requires("sku").text("sku").unwrap_or_else(stand_in);
    let quantity = form.requires("quantity").whole("quantity").unwrap_or(1);
    form.nothing_else();
    Line { sku, quantity }
}

/// Stands in for a field whose fault is noted already, so that the checks that follow find nothing more in it. It never
/// gets out: a request with a fault becomes no order.
fn stand_in() -> String {
    "-".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jetlag::Payload;

    fn placed(body: &str) -> Result<OrderPlaced, Vec<Fault>> {
        place(serde_json::from_str(body).unwrap(), "fresh")
    }

    fn pointers(body: &str) -> Vec<String> {
        placed(body).unwrap_err().into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn the_articles_order_is_taken_and_given_a_fresh_id() {
        let order = placed(r#"{"customer_id":"C-1","amount":12.50}"#).unwrap();
        assert_eq!(
            (order.order_id.as_str(), order.amount.to_string().as_str(), order.currency.code()),
            ("fresh", "12.50", "USD")
        );
        assert_eq!(order.lines, None);
        assert_eq!(
            placed(r#"{"order_id":"ORD-1","customer_id":"C-1","amount":12.50}"#).unwrap().order_id,
            "ORD-1"
        );
        assert_eq!(
            placed(r#"{"order_id":null,"customer_id":"C","amount":1,"lines":null}"#).unwrap().order_id,
            "fresh"
        );
    }

    #[test]
    fn a_whole_order_is_taken_as_it_is() {
        let json = serde_json::to_string(&OrderPlaced::example()).unwrap();
        assert_eq!(placed(&json).unwrap(), OrderPlaced::example());
    }

    #[test]
    fn an_amount_keeps_every_digit() {
        let order = placed(r#"{"customer_id":"C","amount":123456789012.30}"#).unwrap();
        assert!(serde_json::to_string(&order).unwrap().contains(r#""amount":123456789012.30,"#));
    }

    #[test]
    fn a_quantity_is_a_whole_number_however_it_is_written() {
        let quantity = |number: &str| {
            let body =
                format!(r#"{{"customer_id":"C","amount":1,"lines":[{{"sku":"A","quantity":{number}}}]}}"#);
            placed(&body).ok().map(|order| order.lines.unwrap()[0].quantity)
        };
        for (number, read) in [("2", 2), ("2.0", 2), ("2e1", 20), ("20e-1", 2), ("1000000.00", 1_000_000)] {
            assert_eq!(quantity(number), Some(read), "{number}");
        }
        for number in ["2.5", "-2", "-0.5", "1e10", "1e400", "1e-400", "\"2\"", "true"] {
            assert_eq!(quantity(number), None, "{number}");
        }
    }

    #[test]
    fn every_fault_is_told_at_once_and_each_once() {
        let body = r#"{"order_id":7,"amount":"NaN","currency":"BTC","curency":"USD","a/b~c":1,
            "lines":[{"sku":"","quantity":0},{"quantity":-1},{"sku":"A","quantity":1.5,"colour":"red"},3]}"#;
        let mut told = pointers(body);
        told.sort();
        assert_eq!(
            told,
            [
                "/amount",
                "/a~1b~0c",
                "/curency",
                "/currency",
                "/customer_id",
                "/lines/0/quantity",
                "/lines/0/sku",
                "/lines/1/quantity",
                "/lines/1/sku",
                "/lines/2/colour",
                "/lines/2/quantity",
                "/lines/3",
                "/order_id",
            ]
        );
    }

    #[test]
    fn an_empty_object_is_told_what_is_missing() {
        assert_eq!(pointers("{}"), ["/customer_id", "/amount"]);
        let unknown = &placed(r#"{"customer_id":"C","amount":1,"total":2}"#).unwrap_err()[0];
        assert_eq!(
            unknown.detail,
            "it is not known here; known are order_id, customer_id, amount, currency, lines"
        );
    }

    #[test]
    fn what_could_never_be_charged_or_reserved_is_refused() {
        for amount in
            ["0", "-1", "0.001", "0.00000000000000000001", "1e13", "1e400", "true", "[]", "\"12,50\""]
        {
            assert_eq!(
                pointers(&format!(r#"{{"customer_id":"C","amount":{amount}}}"#)),
                ["/amount"],
                "{amount}"
            );
        }
        let with = |lines: &str| pointers(&format!(r#"{{"customer_id":"C","amount":1,"lines":{lines}}}"#));
        assert_eq!(with("[]"), ["/lines"]);
        assert_eq!(with("{}"), ["/lines"]);
        assert_eq!(with(&format!("[{}]", vec![r#"{"sku":"A","quantity":1}"#; 5_001].join(","))), ["/lines"]);
    }

    #[test]
    fn only_a_json_object_is_a_request() {
        assert!(serde_json::from_str::<NewOrder>("[]").is_err());
        assert!(serde_json::from_str::<NewOrder>("7").is_err());
    }
}
