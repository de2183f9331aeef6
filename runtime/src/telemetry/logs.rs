//! Logs: each event of tracing becomes one line, with the fields of all spans around it.

use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;

use opentelemetry::trace::TraceContextExt;
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber, span};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;

use crate::telemetry::line::{Fields, Form, Line, quote};

/// What is logged unless `RUST_LOG` says otherwise.
pub(crate) const DEFAULT_FILTER: &str = "info,async_nats=off";

/// The layer that writes the lines.
pub(crate) struct Lines<W> {
    service: &'static str,
    form: Form,
    out: W,
}

impl Lines<fn() -> std::io::Stdout> {
    /// Lines to standard output, where a container's logs are collected: JSON, unless a person is looking.
    pub(crate) fn to_stdout(service: &'static str) -> Self {
        let form = if std::io::stdout().is_terminal() { Form::Text } else { Form::Json };
        Self::new(service, form, std::io::stdout)
    }
}

impl<W> Lines<W> {
    pub(crate) const fn new(service: &'static str, form: Form, out: W) -> Self {
        Self { service, form, out }
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        // Read before the span is locked: the author's own Debug may do anything.
        let mut fields = Fields::for_about(attributes.fields().len());
        attributes.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, ctx: Context<'_, S>) {
        let mut more = Fields::default();
        values.record(&mut more);
        if let Some(span) = ctx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            fields.extend(&more);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let mut fields = Fields::default();
        for span in ctx.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.extend(outer);
            }
        }
        fields.extend(&own);
        let target = event.metadata().target();
        if !ours(target) && !fields.has("target") {
            fields.set("target", |json| quote(json, target));
        }
        opentelemetry::Context::map_current(|context| {
            let span = context.span();
            let active = span.span_context();
            if active.is_valid() {
                fields.set("span_id", |json| quote(json, &active.span_id().to_string()));
                if !fields.has("trace_id") {
                    fields.set("trace_id", |json| quote(json, &active.trace_id().to_string()));
                }
            }
        });
        let line = Line {
            level: *event.metadata().level(),
            time: OffsetDateTime::now_utc(),
            service: self.service,
            fields,
        };
        // In one write, so that lines of several threads do not mix. Logs that nobody takes are lost: there is no
        // place to say so.
        let _ = self.out.make_writer_for(event.metadata()).write_all(line.write(self.form).as_bytes());
    }
}

/// What is logged while more is asked for, as long as a process runs.
const MORE: &str = "info,jetlag=debug,async_nats=off";

/// Has more logged at each first SIGUSR1, and what `directives` say again at each second. Ends with the signal's stream.
pub(crate) async fn listen<S>(directives: String, filter: reload::Handle<Sieve, S>) {
    let Ok(mut asked) = signal(SignalKind::user_defined1()) else { return };
    let mut is_more = false;
    while asked.recv().await.is_some() {
        is_more = !is_more;
        change(&filter, if is_more { MORE } else { &directives });
        tracing::info!(debug = is_more, "the level of logs was changed by SIGUSR1");
    }
}

/// Logs by `directives` from now on.
fn change<S>(filter: &reload::Handle<Sieve, S>, directives: &str) {
    // Only a subscriber that is gone has no filter any more.
    let _ = filter.reload(Sieve::new(directives).0);
}

/// What of `RUST_LOG` there is, with Jetlag's own spans always on: without them an error would not say whose it is.
pub(crate) struct Sieve {
    filter: EnvFilter,
    /// Whether spans decide what is logged within them; else the filter need not hear of each span and each poll.
    asks_spans: bool,
}

impl Sieve {
    /// The filter that `directives` describe, and what is wrong with them, if anything is.
    pub(crate) fn new(directives: &str) -> (Self, Option<String>) {
        match EnvFilter::try_new(directives) {
            Ok(filter) => (Self { filter, asks_spans: directives.contains('[') }, None),
            Err(error) => {
                let fault =
                    format!("RUST_LOG={directives:?} cannot be read ({error}): {DEFAULT_FILTER} is logged");
                (Self { filter: EnvFilter::new(DEFAULT_FILTER), asks_spans: false }, Some(fault))
            }
        }
    }
}

/// Whether `target` is a module of this crate.
fn ours(target: &str) -> bool {
    target == "jetlag" || target.starts_with("jetlag::")
}

fn is_own_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && ours(metadata.target())
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Filter<S> for Sieve {
    fn enabled(&self, metadata: &Metadata<'_>, ctx: &Context<'_, S>) -> bool {
        is_own_span(metadata) || self.filter.enabled(metadata, ctx.clone())
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_own_span(metadata) {
            Interest::always()
        } else {
            Filter::<S>::callsite_enabled(&self.filter, metadata)
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.filter).map(|hint| hint.max(LevelFilter::INFO))
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        if self.asks_spans {
            Filter::on_new_span(&self.filter, attributes, id, ctx);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, ctx: Context<'_, S>) {
        if self.asks_spans {
            Filter::on_record(&self.filter, id, values, ctx);
        }
    }

    fn on_enter(&self, id: &span::Id, ctx: Context<'_, S>) {
        if self.asks_spans {
            Filter::on_enter(&self.filter, id, ctx);
        }
    }

    fn on_exit(&self, id: &span::Id, ctx: Context<'_, S>) {
        if self.asks_spans {
            Filter::on_exit(&self.filter, id, ctx);
        }
    }

    fn on_close(&self, id: span::Id, ctx: Context<'_, S>) {
        if self.asks_spans {
            Filter::on_close(&self.filter, id, ctx);
        }
    }
}

/// Logs every panic as one line. The standard library's own words follow only where `RUST_BACKTRACE` asks for them.
pub(crate) fn log_panics() {
    let words = std::panic::take_hook();
    let backtrace = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    std::panic::set_hook(Box::new(move |panic| {
        log_panic(panic);
        if backtrace {
            words(panic);
        }
    }));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let error = panic.payload_as_str().unwrap_or("a value that is not text");
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(error, location, thread = thread.name().unwrap_or_default(), "panic");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(directives: &str, what: impl FnOnce()) -> Vec<serde_json::Value> {
        let paper = Paper::default();
        let out = paper.clone();
        let lines =
            Lines::new("payment", Form::Json, move || out.clone()).with_filter(Sieve::new(directives).0);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), what);
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn in_span(id: &str, what: impl FnOnce()) {
        let span = tracing::info_span!(
            "process",
            otel.name = "x",
            aggregate = "order",
            aggregate_id = id,
            attempt = 1
        );
        span.in_scope(|| {
            tracing::info_span!("inner", sku = tracing::field::Empty, attempt = 2).in_scope(what);
        });
    }

    #[test]
    fn a_line_has_the_fields_of_every_span_around_it_and_the_innermost_wins() {
        let lines = logged("info", || {
            in_span("ORD-1", || {
                tracing::Span::current().record("sku", "A");
                tracing::info!(outcome = "success", count = 3, "event handled");
            });
        });
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(
            (&line["order_id"], &line["sku"], &line["attempt"]),
            (&"ORD-1".into(), &"A".into(), &2.into())
        );
        assert_eq!(
            (&line["count"], &line["msg"], &line["service"]),
            (&3.into(), &"event handled".into(), &"payment".into())
        );
        assert!(line.get("otel.name").is_none() && line.get("target").is_none());
    }

    #[test]
    fn hostile_ids_make_one_line_each_and_come_out_as_they_went_in() {
        let unicode = "🛒".repeat(32);
        for id in [
            "ORD-1\n{\"level\":\"error\",\"msg\":\"forged\"}",
            "\"},{\"x\":\"",
            "\u{1b}[2J\u{1b}[31mred\u{7}",
            "a\u{2028}b\u{2029}c\u{85}d",
            "\u{202e}1-DRO",
            "\\u0022\\",
            "\0",
            unicode.as_str(),
        ] {
            let lines = logged("info", || in_span(id, || tracing::error!(error = id, "{id}")));
            let [line] = lines.as_slice() else { panic!("{id:?} made {lines:?}") };
            for name in ["order_id", "error", "msg"] {
                assert_eq!(line[name], *id, "{name}");
            }
            assert_eq!(line["level"], "error");
        }
    }

    #[test]
    fn the_filter_holds_back_lines_but_never_the_spans_of_an_input() {
        let lines = logged("warn", || {
            in_span("ORD-1", || {
                tracing::info!("held back");
                tracing::warn!("told");
            });
        });
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!((&line["order_id"], &line["msg"]), (&"ORD-1".into(), &"told".into()));
        assert!(Sieve::new("info,=").1.is_some());
    }

    #[test]
    fn what_is_logged_changes_while_it_runs_and_an_inputs_fields_stay() {
        let paper = Paper::default();
        let out = paper.clone();
        let (filter, handle) = reload::Layer::new(Sieve::new("warn").0);
        let lines = Lines::new("payment", Form::Json, move || out.clone()).with_filter(filter);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            in_span("ORD-1", || {
                for directives in [None, Some(MORE), Some("warn")] {
                    if let Some(directives) = directives {
                        change(&handle, directives);
                    }
                    tracing::debug!(target: "jetlag::core", "seen {directives:?}");
                }
            });
        });
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("jetlag=debug") && text.contains(r#""order_id":"ORD-1""#), "{text}");
    }

    #[test]
    fn another_crates_line_says_whose_it_is() {
        let lines = logged("info", || tracing::warn!(target: "async_nats", "lost"));
        assert_eq!(lines[0]["target"], "async_nats");
    }

    #[test]
    fn a_panic_is_one_line_with_the_ids_of_what_was_being_handled() {
        let lines = logged("info", || {
            let before = std::panic::take_hook();
            let here = std::thread::current().id();
            // Other tests panic meanwhile, on purpose; their words go where they went.
            std::panic::set_hook(Box::new(move |panic| {
                if std::thread::current().id() == here { log_panic(panic) } else { before(panic) }
            }));
            let _ = std::panic::catch_unwind(|| in_span("ORD-1", || panic!("no\nsuch\ncard")));
            let _ = std::panic::take_hook();
        });
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(
            (&line["level"], &line["msg"], &line["error"]),
            (&"error".into(), &"panic".into(), &"no\nsuch\ncard".into())
        );
        assert_eq!(line["order_id"], "ORD-1");
        assert!(line["location"].as_str().unwrap().contains("logs.rs"));
    }

    #[test]
    fn for_people_the_message_comes_first() {
        let paper = Paper::default();
        let out = paper.clone();
        let lines = Lines::new("payment", Form::Text, move || out.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            in_span("a\u{1b}[2Jb", || tracing::info!("event handled"));
        });
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("payment event handled"), "{text}");
        assert!(text.contains("\"a\\u001b[2Jb\"") && text.ends_with('\n'), "{text}");
    }
}
