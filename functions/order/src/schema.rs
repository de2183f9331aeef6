//! What `POST /orders` takes, as JSON Schema: what [`place`](crate::place) checks, as far as a schema can say it.

use events::{AMOUNT_MAX, Currency, LINES_MAX, QUANTITY_MAX, SKU_BYTES_MAX};
use jetlag::ID_BYTES_MAX;
use serde_json::{Value, json};

/// Text without control characters.
const PLAIN: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// The schema of a request for an order. Two things are narrower than it says: lengths are counted in bytes of UTF-8, and an
/// amount has no more decimals than its currency.
pub fn new_order_schema() -> Value {
    let text = |bytes_max: usize, about: &str| {
        json!({
            "type": "string", "minLength": 1, "maxLength": bytes_max, "pattern": PLAIN,
            "description": format!("{about}; at most {bytes_max} bytes of UTF-8"),
        })
    };
    let or_null = |schema: Value| json!({"anyOf": [schema, {"type": "null"}]});
    let codes: Vec<Value> = Currency::all().map(Value::from).chain([Value::Null]).collect();
    json!({
        "type": "object",
        "properties": {
            "order_id": or_null(text(ID_BYTES_MAX, "the order; a fresh one if it is left out")),
            "customer_id": text(ID_BYTES_MAX, "who orders"),
            "amount": {
                "description": "what it costs in all, exactly; as text for those whose JSON knows only floats. No more decimals than its currency has: two, and none for JPY and KRW",
                "oneOf": [
                    {"type": "number", "exclusiveMinimum": 0, "maximum": AMOUNT_MAX},
                    {"type": "string", "pattern": r"^([1-9][0-9]{0,11}(\.[0-9]{1,2})?|0\.([1-9][0-9]?|0[1-9]))$"},
                ],
            },
            "currency": {
                "description": "ISO 4217; USD if it is left out",
                "enum": codes,
            },
            "lines": {
                "description": "what is ordered; left out, nothing is taken from the stock. At most 900 different SKUs",
                "type": ["array", "null"],
                "minItems": 1,
                "maxItems": LINES_MAX,
                "items": {
                    "type": "object",
                    "properties": {
                        "sku": text(SKU_BYTES_MAX, "which thing"),
                        "quantity": {"type": "integer", "minimum": 1, "maximum": QUANTITY_MAX},
                    },
                    "required": ["sku", "quantity"],
                    "additionalProperties": false,
                },
            },
        },
        "required": ["customer_id", "amount"],
        "additionalProperties": false,
    })
}
