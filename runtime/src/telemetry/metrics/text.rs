//! The metrics as text, in Prometheus' own form and as OpenMetrics 1.0, which has exemplars besides.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use metrics::Key;

use crate::telemetry::metrics::buckets::Buckets;
use crate::telemetry::metrics::exemplar::Exemplar;
use crate::telemetry::metrics::series::Cell;
use crate::telemetry::names::{self, Unit};

/// How the metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Prometheus' text form, 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Form {
    /// The form that the header `Accept` asks for: OpenMetrics if it is named, and plain text is not wanted more.
    pub(crate) fn wanted(accept: &str) -> Self {
        let openmetrics = weight(accept, "application/openmetrics-text", "1.0.0");
        let is_wanted = openmetrics > 0.0 && openmetrics >= weight(accept, "text/plain", "0.0.4");
        if is_wanted { Self::OpenMetrics } else { Self::Text }
    }

    /// What the header `Content-Type` says of it.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// How much `accept` wants `version` of a `media` type that it names, from 0 to 1. A version that is left out is any.
fn weight(accept: &str, media: &str, version: &str) -> f32 {
    let of = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(media) {
            return None;
        }
        let parameters = parts.filter_map(|part| part.split_once('='));
        parameters.map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))).try_fold(
            1.0,
            |weight, (name, value)| match name {
                "q" => value.parse().ok(),
                "version" if value != version => None,
                _ => Some(weight),
            },
        )
    };
    accept.split(',').filter_map(of).fold(0.0, f32::max)
}

/// Writes `series`, which are in the order of their names.
pub(super) fn write(series: &[(Key, Cell)], form: Form) -> String {
    let mut text = String::with_capacity(series.len().saturating_mul(256));
    let mut last = "";
    for (key, cell) in series {
        let name = plain(key.name());
        if key.name() != last {
            head(&mut text, key.name(), cell, form);
            last = key.name();
        }
        let labels: Vec<String> = key
            .labels()
            .map(|label| format!("{}=\"{}\"", plain(label.key()), escaped(label.value(), true)))
            .collect();
        // Writing to a String cannot fail.
        let _ = match cell {
            Cell::Counter(count) => {
                writeln!(text, "{name}{} {}", within(&labels, None), count.load(Ordering::Relaxed))
            }
            Cell::Gauge(bits) => {
                let value = f64::from_bits(bits.load(Ordering::Relaxed));
                writeln!(text, "{name}{} {value}", within(&labels, None))
            }
            Cell::Histogram(buckets) => {
                histogram(&mut text, &name, &labels, buckets, form);
                Ok(())
            }
        };
    }
    if form == Form::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

/// What is said of all series of one name.
fn head(text: &mut String, name: &str, cell: &Cell, form: Form) {
    let kind = match cell {
        Cell::Counter(_) => "counter",
        Cell::Gauge(_) => "gauge",
        Cell::Histogram(_) => "histogram",
    };
    let (metric, plain) = (names::find(name), plain(name));
    // OpenMetrics calls a counter without what its sample ends with.
    let family = match form {
        Form::OpenMetrics if kind == "counter" => plain.strip_suffix("_total").unwrap_or(&plain),
        Form::Text | Form::OpenMetrics => &plain,
    };
    let _ = writeln!(text, "# TYPE {family} {kind}");
    let Some(metric) = metric else { return };
    let unit = match metric.unit {
        Unit::Seconds | Unit::UnixSeconds => Some("seconds"),
        Unit::Bytes => Some("bytes"),
        Unit::Count | Unit::Percent | Unit::YesNo => None,
    };
    if let Some(unit) = unit.filter(|_| form == Form::OpenMetrics) {
        let _ = writeln!(text, "# UNIT {family} {unit}");
    }
    let about = match metric.labels {
        [] => metric.about.to_owned(),
        labels => format!("{} Labels: {}.", metric.about, labels.join(", ")),
    };
    let _ = writeln!(text, "# HELP {family} {}", escaped(&about, form == Form::OpenMetrics));
}

fn histogram(text: &mut String, name: &str, labels: &[String], buckets: &Buckets, form: Form) {
    let mut count = 0_u64;
    for bucket in buckets.read() {
        count = count.saturating_add(bucket.count);
        let bound = match form {
            _ if bucket.bound.is_infinite() => "+Inf".to_owned(),
            Form::Text => bucket.bound.to_string(),
            // A whole number has a point there: 1.0.
            Form::OpenMetrics => format!("{:?}", bucket.bound),
        };
        let _ = write!(text, "{name}_bucket{} {count}", within(labels, Some(&bound)));
        if let Some(exemplar) = bucket.exemplar.filter(|_| form == Form::OpenMetrics) {
            let Exemplar { trace_id, value, at } = exemplar;
            let at = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
            let (seconds, ms) = (at.as_secs(), at.subsec_millis());
            let _ = write!(text, " # {{trace_id=\"{trace_id}\"}} {value} {seconds}.{ms:03}");
        }
        text.push('\n');
    }
    let labels = within(labels, None);
    let _ = writeln!(text, "{name}_sum{labels} {}\n{name}_count{labels} {count}", buckets.sum());
}

/// `labels` in braces, and the bound of a bucket.
fn within(labels: &[String], bound: Option<&str>) -> String {
    let bound = bound.map(|bound| format!("le=\"{bound}\""));
    let all: Vec<&str> = labels.iter().chain(&bound).map(String::as_str).collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

/// A name as both forms take it. Those of this crate are so; a handler may count under others.
fn plain(name: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.chars().all(is_plain) {
        return name.into();
    }
    name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect::<String>().into()
}

fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::exemplar;
    use crate::telemetry::metrics::series::Series;
    use opentelemetry::trace::TraceId;

    #[test]
    fn openmetrics_is_for_whoever_names_it_and_does_not_want_text_more() {
        for (accept, wanted) in [
            ("", Form::Text),
            ("*/*", Form::Text),
            ("text/plain", Form::Text),
            ("application/openmetrics-text", Form::OpenMetrics),
            ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", Form::OpenMetrics),
            ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", Form::Text),
            ("application/openmetrics-text;q=0", Form::Text),
            ("application/openmetrics-text;q=0.3,text/plain;version=0.0.4;q=0.5", Form::Text),
            // What Prometheus 2.42 and 3.1 send.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Form::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Form::OpenMetrics,
            ),
        ] {
            assert_eq!(Form::wanted(accept), wanted, "{accept}");
        }
    }

    #[test]
    fn openmetrics_has_what_the_text_has_and_exemplars_of_recorded_traces() {
        let series = Series::default();
        metrics::with_local_recorder(&series, || {
            metrics::counter!(names::PULLS, "function" => "payment", "stream" => "a \"b\" \\ \n c")
                .increment(2);
            metrics::gauge!("of.a-handler").set(0.5);
            let seconds = metrics::histogram!(names::process_duration("payment"), "function" => "payment");
            exemplar::of(Some(TraceId::from_bytes([0xab; 16])), || seconds.record(0.2));
            seconds.record(2.0);
        });
        let series = series.read();
        let escaped = r#"{function="payment",stream="a \"b\" \\ \n c"} 2"#;
        let text = write(&series, Form::Text);
        assert_eq!(
            text,
            format!(
                r#"# TYPE jetlag_pulls_total counter
# HELP jetlag_pulls_total Requests for inputs. Labels: function, stream.
jetlag_pulls_total{escaped}
# TYPE of_a_handler gauge
of_a_handler 0.5
# TYPE payment_process_duration_seconds histogram
# HELP payment_process_duration_seconds {about} Labels: function, status.
payment_process_duration_seconds_bucket{{function="payment",le="0.1"}} 0
payment_process_duration_seconds_bucket{{function="payment",le="0.3"}} 1
payment_process_duration_seconds_bucket{{function="payment",le="1"}} 1
payment_process_duration_seconds_bucket{{function="payment",le="3"}} 2
payment_process_duration_seconds_bucket{{function="payment",le="+Inf"}} 2
payment_process_duration_seconds_sum{{function="payment"}} 2.2
payment_process_duration_seconds_count{{function="payment"}} 2
"#,
                about = names::PROCESS_DURATION_ABOUT,
            )
        );
        let open = write(&series, Form::OpenMetrics);
        let exemplar = format!(" # {{trace_id=\"{}\"}} 0.2 ", "ab".repeat(16));
        assert_eq!(open.matches(" # {").count(), 1, "{open}");
        let (_, at) = open.split_once(&exemplar).unwrap();
        let at = at.lines().next().unwrap();
        assert!(at.split_once('.').is_some_and(|(s, ms)| s.len() == 10 && ms.len() == 3), "{at}");
        let open = open.replace(&format!("{exemplar}{at}"), "");
        // Apart from it they differ in what follows, and in nothing else.
        let expected = text
            .replace("# TYPE jetlag_pulls_total", "# TYPE jetlag_pulls")
            .replace("# HELP jetlag_pulls_total", "# HELP jetlag_pulls")
            .replace("# HELP payment", "# UNIT payment_process_duration_seconds seconds\n# HELP payment")
            .replace("le=\"1\"", "le=\"1.0\"")
            .replace("le=\"3\"", "le=\"3.0\"");
        assert_eq!(open, expected + "# EOF\n");
    }
}
