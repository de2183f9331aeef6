//! Metrics in Prometheus' text form (version 0.0.4).

use std::fmt::Write;

use jetlag::telemetry::names::METRICS;

/// The media type of that form.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Values, in the order of the list of metrics when they are written.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    lines: Vec<(&'static str, String)>,
}

impl Sheet {
    /// Notes one value.
    pub(crate) fn tell(&mut self, name: &'static str, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.lines.push((name, format!("{name}{labels} {value}\n")));
    }

    /// Every value, with what each metric is.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for metric in METRICS {
            let mut lines = self.lines.iter().filter(|(name, _)| *name == metric.name).peekable();
            if lines.peek().is_some() {
                // Writing to a String cannot fail.
                let _ = writeln!(
                    text,
                    "# HELP {0} {1}\n# TYPE {0} {2}",
                    metric.name,
                    metric.about,
                    metric.kind.word()
                );
            }
            text.extend(lines.map(|(_, line)| line.as_str()));
        }
        text
    }
}

/// A label's value, on its line whatever it holds.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
