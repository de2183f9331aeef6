//! Metrics: counted in this process, and told to whoever asks in Prometheus' text form.

use std::time::Duration;

use metrics::{Recorder, SharedString};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::Terms;
use crate::telemetry::names::{self, Kind, METRICS, Unit};

/// How often histograms that nobody asked for are folded, so that they do not grow.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Where the metrics are read.
#[derive(Clone)]
pub(crate) struct Exposition {
    handle: PrometheusHandle,
}

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoMetrics {
    /// The buckets of a histogram are refused.
    #[error("the metrics cannot be set up")]
    Build(#[from] BuildError),
    /// Another library has set up its own.
    #[error("another recorder of metrics is installed in this process")]
    Taken,
}

impl Exposition {
    /// Counts from now on, for the whole process. What is looked up before is never counted.
    pub(crate) fn install(terms: &Terms) -> Result<Self, NoMetrics> {
        let recorder = recorder()?;
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| NoMetrics::Taken)?;
        metrics::with_recorder(|recorder| describe(recorder, terms));
        Ok(Self { handle })
    }

    /// Every metric, in Prometheus' text form.
    pub(crate) fn text(&self) -> String {
        self.handle.render()
    }

    /// Keeps the histograms small. Never ends.
    pub(crate) async fn upkeep(self) {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            self.handle.run_upkeep();
        }
    }
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let mut builder = PrometheusBuilder::new().set_buckets_for_metric(
        Matcher::Suffix(names::PROCESS_DURATION_SUFFIX.into()),
        &names::PROCESS_DURATION_BUCKETS,
    )?;
    for metric in METRICS {
        if let Kind::Histogram(buckets) = metric.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.into()), buckets)?;
        }
    }
    Ok(builder.build_recorder())
}

fn describe(recorder: &dyn Recorder, terms: &Terms) {
    let duration = names::process_duration(terms.name);
    let about = names::PROCESS_DURATION_ABOUT;
    recorder.describe_histogram(duration.into(), Some(metrics::Unit::Seconds), about.into());
    for metric in METRICS {
        let about = SharedString::from(format!("{} Labels: {}.", metric.about, metric.labels.join(", ")));
        let unit = match metric.unit {
            Unit::Seconds | Unit::UnixSeconds => metrics::Unit::Seconds,
            Unit::Bytes => metrics::Unit::Bytes,
            Unit::Percent => metrics::Unit::Percent,
            Unit::Count | Unit::YesNo => metrics::Unit::Count,
        };
        let (name, unit) = (metric.name.into(), Some(unit));
        match metric.kind {
            Kind::Counter => recorder.describe_counter(name, unit, about),
            Kind::Gauge => recorder.describe_gauge(name, unit, about),
            Kind::Histogram(_) => recorder.describe_histogram(name, unit, about),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::group::Outcome;
    use crate::telemetry::meter::Meter;
    use crate::{AnyEvent, Contract, Nothing};

    const CONTRACT: Contract<AnyEvent, Nothing> = Contract::new("stock-taker", "Tests.");

    #[test]
    fn what_is_counted_is_told_with_the_buckets_and_the_help_of_its_name() {
        let recorder = recorder().unwrap();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::with_recorder(|recorder| describe(recorder, &CONTRACT.terms()));
            let meter = Meter::new(&CONTRACT.terms());
            meter.commit(&Outcome::Committed);
            meter.placed(true);
            metrics::histogram!(names::process_duration("stock-taker"), "function" => "stock-taker", "status" => "success")
                .record(0.2);
            metrics::histogram!(names::GROUP_SIZE).record(7.0);
        });
        let text = handle.render();
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
        let recorder = recorder().unwrap();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || drop(Meter::new(&CONTRACT.terms())));
        let text = handle.render();
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
