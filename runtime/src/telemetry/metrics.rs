//! Metrics: counted in this process, and told to whoever asks.

mod buckets;
pub(crate) mod exemplar;
pub(crate) mod push;
mod series;
mod text;

use crate::telemetry::metrics::push::Push;
use crate::telemetry::metrics::series::Series;
pub(crate) use crate::telemetry::metrics::text::Form;

/// Where the metrics are counted and read. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exposition {
    series: Series,
}

/// Another library has set up its own.
#[derive(Debug, thiserror::Error)]
#[error("another recorder of metrics is installed in this process")]
pub(crate) struct Taken;

impl Exposition {
    /// Counts from now on, for the whole process. What is looked up before is never counted. Where there is a `push`, the same
    /// is sent by it.
    pub(crate) fn install(push: Option<&Push>) -> Result<Self, Taken> {
        let exposition = Self::told_to(push);
        metrics::set_global_recorder(exposition.series.clone()).map_err(|_| Taken)?;
        Ok(exposition)
    }

    /// None yet.
    fn told_to(push: Option<&Push>) -> Self {
        Self { series: Series::told_to(push.map(Push::meter)) }
    }

    /// Every metric, as `form` has it.
    pub(crate) fn text(&self, form: Form) -> String {
        text::write(&self.series.read(), form)
    }

    /// Counts what happens on this thread, until it is dropped.
    #[cfg(test)]
    pub(crate) fn counting(&self) -> metrics::LocalRecorderGuard<'_> {
        metrics::set_default_local_recorder(&self.series)
    }

    /// Counts what `count` does on this thread.
    #[cfg(test)]
    pub(crate) fn of<T>(&self, count: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&self.series, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::group::Outcome;
    use crate::telemetry::meter::Meter;
    use crate::telemetry::names::{self, Kind, METRICS, Unit};
    use crate::{AnyEvent, Contract, Nothing};

    const CONTRACT: Contract<AnyEvent, Nothing> = Contract::new("stock-taker", "Tests.");

    #[test]
    fn what_is_counted_is_told_with_the_buckets_and_the_help_of_its_name() {
        let exposition = Exposition::default();
        exposition.of(|| {
            let meter = Meter::new(&CONTRACT.terms());
            meter.commit(&Outcome::Committed);
            meter.placed(true);
            metrics::histogram!(names::process_duration("stock-taker"), "function" => "stock-taker", "status" => "success")
                .record(0.2);
            metrics::histogram!(names::GROUP_SIZE).record(7.0);
        });
        let text = exposition.text(Form::Text);
        for line in [
            "# TYPE stock_taker_process_duration_seconds histogram",
            r#"stock_taker_process_duration_seconds_bucket{function="stock-taker",status="success",le="0.1"} 0"#,
            r#"stock_taker_process_duration_seconds_bucket{function="stock-taker",status="success",le="0.3"} 1"#,
            r#"jetlag_commit_group_size_bucket{le="10"} 1"#,
            r#"jetlag_commits_total{function="stock-taker",outcome="committed"} 1"#,
            r#"jetlag_admitted_total{function="stock-taker",outcome="duplicate"} 1"#,
            r#"jetlag_slots{function="stock-taker"} 64"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        for metric in METRICS.iter().filter(|metric| text.contains(&format!("# TYPE {} ", metric.name))) {
            assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.about)), "{}", metric.name);
            for line in text.lines().filter(|line| line.starts_with(&format!("{}{{", metric.name))) {
                assert!(metric.labels.iter().all(|label| line.contains(&format!("{label}=\""))), "{line}");
            }
        }
    }

    #[test]
    fn what_may_happen_is_there_with_0_before_it_happens() {
        let exposition = Exposition::default();
        exposition.of(|| drop(Meter::new(&CONTRACT.terms())));
        let text = exposition.text(Form::Text);
        // Prometheus takes no increase from a series whose first value is not 0.
        for line in [
            r#"jetlag_handled_total{function="stock-taker",outcome="dead_letter"} 0"#,
            r#"jetlag_dead_letters_total{function="stock-taker",reason="attempts_exhausted"} 0"#,
            r#"jetlag_suspects_total{function="stock-taker"} 0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn every_metric_has_a_name_of_its_own_that_tells_its_kind_and_unit() {
        for (at, metric) in METRICS.iter().enumerate() {
            assert!(METRICS.iter().skip(at + 1).all(|other| other.name != metric.name), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            let is_time = matches!(metric.unit, Unit::Seconds | Unit::UnixSeconds);
            assert_eq!(is_time, metric.name.ends_with("_seconds"), "{}", metric.name);
            assert_eq!(metric.unit == Unit::Bytes, metric.name.ends_with("_bytes"), "{}", metric.name);
        }
    }
}
