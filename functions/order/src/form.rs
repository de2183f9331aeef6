//! A JSON object read field by field, so that everything that is wrong with it is told at once.

use events::{Amount, Check};
use serde_json::{Map, Value};

/// The fields of an object that nobody has asked for yet. A field that is `null` counts as left out.
pub(crate) struct Form<'c> {
    /// Where the object stands: a JSON pointer, empty for the body itself.
    at: String,
    fields: Map<String, Value>,
    known: Vec<&'static str>,
    check: &'c mut Check,
}

impl<'c> Form<'c> {
    pub(crate) fn new(at: String, mut fields: Map<String, Value>, check: &'c mut Check) -> Self {
        fields.retain(|_, value| !value.is_null());
        Self { at, fields, known: Vec::new(), check }
    }

    /// A text, or `None` if it is left out or wrong; what is wrong is noted, here and below.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => self.wrong(name, "a text", &other),
        }
    }

    /// An amount.
    pub(crate) fn amount(&mut self, name: &'static str) -> Option<Amount> {
        match self.take(name)? {
            value @ (Value::Number(_) | Value::String(_)) => {
                let read = serde_json::from_value(value);
                read.map_err(|error| self.check.fault(&self.pointer(name), error)).ok()
            }
            other => self.wrong(name, "a number such as 12.50", &other),
        }
    }

    /// A whole number from 0; `2.0` is one, as JSON has it.
    pub(crate) fn whole(&mut self, name: &'static str) -> Option<u32> {
        let value = self.take(name)?;
        let decimal = match &value {
            Value::Number(number) => number.as_str().parse::<Amount>().ok(),
            _ => None,
        };
        let whole = decimal.map(|amount| amount.decimal().normalize()).filter(|decimal| decimal.scale() == 0);
        let whole = whole.and_then(|decimal| u32::try_from(decimal).ok());
        whole.or_else(|| self.wrong(name, "a whole number, from 0 to 4294967295", &value))
    }

    /// A list.
    pub(crate) fn list(&mut self, name: &'static str) -> Option<Vec<Value>> {
        match self.take(name)? {
            Value::Array(values) => Some(values),
            other => self.wrong(name, "a list", &other),
        }
    }

    /// Notes a fault if `name` is left out. To be asked before the field is read.
    pub(crate) fn requires(&mut self, name: &'static str) -> &mut Self {
        if !self.fields.contains_key(name) {
            self.check.fault(&self.pointer(name), "it is missing");
        }
        self
    }

    /// Refuses what nobody has asked for: a misspelt `curency` must not become the default.
    pub(crate) fn nothing_else(self) {
        for name in self.fields.keys() {
            let known = self.known.join(", ");
            self.check.fault(&self.pointer(name), format_args!("it is not known here; known are {known}"));
        }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.fields.remove(name)
    }

    fn wrong<T>(&mut self, name: &str, expected: &str, value: &Value) -> Option<T> {
        self.check.fault(&self.pointer(name), format_args!("it must be {expected}, but is {}", kind(value)));
        None
    }

    fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.at, name.replace('~', "~0").replace('/', "~1"))
    }
}

/// What `value` is, in the sender's words. The value itself is not told: it may be anything, of any length.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "another number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
