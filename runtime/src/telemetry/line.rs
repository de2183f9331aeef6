//! One line of log: fields in the article's order, every value escaped and bounded, whatever it holds.

use std::fmt::{self, Write as _};
use std::ops::Range;

use time::OffsetDateTime;
use tracing::Level;
use tracing::field::{Field, Visit};

use crate::event::rfc3339;
use crate::telemetry::names;

/// The most bytes that the value of one field may have before it is escaped; the rest is cut off.
pub(crate) const FIELD_BYTES_MAX: usize = 1024;

/// Fields with their values as JSON, each name once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    /// All values, one after the other: a span is opened for each input, and most are never written.
    json: String,
    list: Vec<(&'static str, Range<usize>)>,
}

/// Room that is made for each value at first.
const VALUE_BYTES: usize = 32;

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON object, for machines.
    Json,
    /// Time, level, message and `name=value`, for people at a terminal.
    Text,
}

/// What a line says.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) level: Level,
    pub(crate) time: OffsetDateTime,
    pub(crate) service: &'a str,
    /// Of the spans around it and its own, the innermost of a name winning.
    pub(crate) fields: Fields,
}

impl Fields {
    /// None yet, and room for so many.
    pub(crate) fn for_about(count: usize) -> Self {
        Self { json: String::with_capacity(count * VALUE_BYTES), list: Vec::with_capacity(count) }
    }

    /// Sets `name` to what `write` appends, in place of an earlier value.
    pub(crate) fn set(&mut self, name: &'static str, write: impl FnOnce(&mut String)) {
        let known = self.list.iter().position(|(known, _)| *known == name);
        if let Some(at) = known {
            self.forget(at);
        }
        let start = self.json.len();
        write(&mut self.json);
        let range = start..self.json.len();
        match known.and_then(|at| self.list.get_mut(at)) {
            Some((_, value)) => *value = range,
            None => self.list.push((name, range)),
        }
    }

    /// Makes the room of a value free: a span may record one again and again.
    fn forget(&mut self, at: usize) {
        let Some((_, gone)) = self.list.get(at).cloned() else { return };
        for (_, range) in self.list.iter_mut().filter(|(_, range)| range.start >= gone.end) {
            *range = range.start - gone.len()..range.end - gone.len();
        }
        self.json.drain(gone);
    }

    /// Takes over every field of `inner`.
    pub(crate) fn extend(&mut self, inner: &Self) {
        for (name, range) in &inner.list {
            self.set(name, |json| json.push_str(inner.at(range)));
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.list.iter().any(|(known, _)| *known == name)
    }

    fn at(&self, range: &Range<usize>) -> &str {
        self.json.get(range.clone()).unwrap_or_default()
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.list.iter().position(|(known, _)| *known == name)?;
        let (_, range) = self.list.remove(at);
        Some(self.at(&range).to_owned())
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, |json| quote(json, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, |json| quote(json, &format!("{value:?}")));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, |json| write_plain(json, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, |json| write_plain(json, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, |json| write_plain(json, value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity.
        self.keep(field, |json| {
            if value.is_finite() { write_plain(json, value) } else { quote(json, &value.to_string()) }
        });
    }
}

impl Fields {
    fn keep(&mut self, field: &Field, write: impl FnOnce(&mut String)) {
        // What tracing-opentelemetry is told by way of fields is no business of the log.
        if !field.name().starts_with("otel.") {
            self.set(field.name(), write);
        }
    }
}

impl Line<'_> {
    /// The line, its newline included.
    pub(crate) fn write(mut self, form: Form) -> String {
        let message = self.fields.take("message").unwrap_or_else(|| "\"\"".into());
        let fields = self.ordered();
        let level = match self.level {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let time = rfc3339(self.time);
        let mut line = String::with_capacity(256);
        // Writing to a String cannot fail.
        match form {
            Form::Json => {
                let service = quoted(self.service);
                let _ = write!(line, r#"{{"level":"{level}","time":"{time}","service":{service}"#);
                for (name, json) in &fields {
                    let _ = write!(line, ",{}:{json}", quoted(name));
                }
                let _ = writeln!(line, r#","msg":{message}}}"#);
            }
            Form::Text => {
                let colour = match self.level {
                    Level::ERROR => 31,
                    Level::WARN => 33,
                    Level::INFO => 32,
                    Level::DEBUG | Level::TRACE => 90,
                };
                let _ = write!(
                    line,
                    "{time} \u{1b}[{colour}m{level:>5}\u{1b}[0m {} {}",
                    self.service,
                    bare(&message)
                );
                for (name, json) in &fields {
                    let _ = write!(line, " \u{1b}[2m{name}=\u{1b}[0m{json}");
                }
                line.push('\n');
            }
        }
        line
    }

    /// The names that every line of an input has come first, in this order; the line's own follow.
    fn ordered(&mut self) -> Vec<(String, String)> {
        let fields = &mut self.fields;
        let mut ordered = Vec::with_capacity(fields.list.len());
        let aggregate = fields.take("aggregate");
        if let Some(id) = fields.take("aggregate_id") {
            let aggregate = aggregate.as_deref().map_or("aggregate", |json| json.trim_matches('"'));
            ordered.push((format!("{aggregate}_id"), id));
        }
        for name in names::LOG_ORDER {
            if let Some(json) = fields.take(name) {
                ordered.push(((*name).to_owned(), json));
            }
        }
        for (name, range) in &fields.list {
            let taken = names::LOG_RESERVED.contains(name) || ordered.iter().any(|(known, _)| known == name);
            let name = if taken { format!("{name}_") } else { (*name).to_owned() };
            ordered.push((name, fields.at(range).to_owned()));
        }
        ordered
    }
}

fn write_plain(json: &mut String, value: impl fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(json, "{value}");
}

/// `text` as a JSON string, as [`quote`] writes it.
fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    quote(&mut json, text);
    json
}

/// Writes `text` as a JSON string that keeps to its line, on a terminal too: beside what JSON insists on, everything is
/// escaped that ends a line, moves the cursor or turns the direction of writing.
pub(crate) fn quote(json: &mut String, text: &str) {
    json.push('"');
    // Nearly every value: ids, types, words.
    if text.len() <= FIELD_BYTES_MAX
        && text.bytes().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\'))
    {
        json.push_str(text);
        json.push('"');
        return;
    }
    for (at, c) in text.char_indices() {
        if at + c.len_utf8() > FIELD_BYTES_MAX {
            json.push('…');
            break;
        }
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            c if c.is_control() || moves(c) => {
                // All of these are in the basic plane.
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            plain => json.push(plain),
        }
    }
    json.push('"');
}

/// Line and paragraph separators, and the marks that turn the direction of writing.
const fn moves(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// What is between the quotes, for people.
fn bare(json: &str) -> &str {
    json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(fields: &[(&'static str, &str)]) -> String {
        let mut line = Line {
            level: Level::INFO,
            time: OffsetDateTime::UNIX_EPOCH,
            service: "payment",
            fields: Fields::default(),
        };
        for (name, value) in fields {
            line.fields.set(name, |json| quote(json, value));
        }
        line.write(Form::Json)
    }

    #[test]
    fn fields_stand_in_the_articles_order() {
        let line = line(&[
            ("outcome", "success"),
            ("message", "event handled"),
            ("attempt", "1"),
            ("trace_id", "t"),
            ("event_type", "orders.placed"),
            ("event_id", "e"),
            ("aggregate_id", "ORD-1"),
            ("aggregate", "order"),
        ]);
        assert_eq!(
            line,
            concat!(
                r#"{"level":"info","time":"1970-01-01T00:00:00Z","service":"payment","order_id":"ORD-1","event_id":"e","#,
                r#""event_type":"orders.placed","trace_id":"t","attempt":"1","outcome":"success","msg":"event handled"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_field_never_takes_the_place_of_the_lines_own() {
        let line = line(&[
            ("level", "x"),
            ("msg", "y"),
            ("aggregate", "order"),
            ("aggregate_id", "A"),
            ("order_id", "B"),
        ]);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["level"], &value["level_"], &value["msg_"]),
            (&"info".into(), &"x".into(), &"y".into())
        );
        assert_eq!((&value["order_id"], &value["order_id_"]), (&"A".into(), &"B".into()));
    }

    #[test]
    fn a_field_that_is_set_again_takes_the_place_and_the_room_of_its_value() {
        let mut fields = Fields::default();
        for value in ["first", "second, which is longer", "3"] {
            for name in ["a", "b", "c"] {
                fields.set(name, |json| quote(json, value));
            }
        }
        fields.set("b", |json| quote(json, "four"));
        let values: Vec<_> = fields.list.iter().map(|(name, range)| (*name, fields.at(range))).collect();
        assert_eq!(values, [("a", r#""3""#), ("b", r#""four""#), ("c", r#""3""#)]);
        assert_eq!(fields.json.len(), r#""3""four""3""#.len());
    }

    #[test]
    fn a_field_is_cut_at_its_limit_on_a_characters_border() {
        let json = quoted(&"é".repeat(FIELD_BYTES_MAX));
        let text: String = serde_json::from_str(&json).unwrap();
        assert_eq!(text, format!("{}…", "é".repeat(FIELD_BYTES_MAX / 2)));
    }

    proptest! {
        #[test]
        fn any_text_stays_on_its_line_and_reads_back(text in "(\\PC|[\u{0}-\u{20}\"\\\\\u{7f}-\u{9f}\u{2028}\u{202e}]){0,128}") {
            let line = line(&[("aggregate_id", &text), ("message", &text)]);
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(&value["aggregate_id"], &serde_json::Value::from(text.clone()));
            prop_assert_eq!(&value["msg"], &serde_json::Value::from(text));
            let inside = line.trim_end_matches('\n');
            prop_assert!(!inside.chars().any(|c| c.is_control() || moves(c)), "{:?}", inside);
        }
    }
}
