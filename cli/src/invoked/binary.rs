//! A CloudEvent in the binary mode of HTTP, as a file has it: header lines, an empty line, the body.

use serde_json::{Map, Value};

/// The same event in structured mode; nothing if `text` is none in binary mode.
pub(crate) fn structured(text: &str) -> Option<String> {
    let text = text.trim_start();
    let (head, body) = text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n"))?;
    let mut event = Map::new();
    for (number, line) in head.lines().enumerate() {
        // The line of a request or an answer may stand first.
        if number == 0 && (line.contains(" HTTP/") || line.starts_with("HTTP/")) {
            continue;
        }
        let (name, value) = line.split_once(':')?;
        let name = name.trim().to_ascii_lowercase();
        let attribute = match name.strip_prefix("ce-") {
            Some(attribute) => attribute,
            None if name == "content-type" => "datacontenttype",
            None if name == "traceparent" || name == "tracestate" => &name,
            None => continue,
        };
        event.insert(attribute.to_owned(), decoded(value.trim()).into());
    }
    if !event.contains_key("specversion") {
        return None;
    }
    let data = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    event.insert("data".to_owned(), data);
    Some(Value::Object(event).to_string())
}

/// A header's value with its percent-encoding undone.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_become_attributes_and_the_body_data() {
        let text = "POST / HTTP/1.1\r\nHost: x\r\nCE-SpecVersion: 1.0\r\nce-id: a%20b\r\nce-type: orders.placed\r\n\
            Content-Type: application/json\r\n\r\n{\"amount\":12.50}";
        let event = structured(text).unwrap();
        assert_eq!(
            event,
            r#"{"data":{"amount":12.50},"datacontenttype":"application/json","id":"a b","specversion":"1.0","type":"orders.placed"}"#
        );
        assert_eq!(structured("{\"id\":1}\n\n"), None);
        assert_eq!(structured("a: b\n\nc"), None);
    }
}
