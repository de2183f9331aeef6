//! What came of an invocation: for people, and as an exit code.

pub(crate) mod binary;
pub(crate) mod broker;
pub(crate) mod fixture;

use jetlag::invoke::{Committed, Delivered, Disposition, Report};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use std::time::Duration;

use crate::commands::{Format, print};
use crate::http;
use crate::problem::{Exit, Problem};

/// How long a function that runs may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// The report for people.
pub(crate) fn in_words(report: &Report) -> String {
    let mut text = String::new();
    for delivered in &report.deliveries {
        let Delivered { attempt, delivery, at_ms, took_us, disposition, events, state } = delivered;
        let what = match disposition {
            Disposition::Ack { already: false } => "acknowledged".to_owned(),
            Disposition::Ack { already: true } => {
                "acknowledged: an earlier delivery had committed".to_owned()
            }
            Disposition::Retry { after_ms, error } => {
                format!("failed, again in {}: {error}", seconds(*after_ms))
            }
            Disposition::DeadLetter { reason, error } => format!("dead letter, {reason}: {error}"),
            Disposition::Release => "given back: nothing was attempted".to_owned(),
            Disposition::Crash => "the process died".to_owned(),
        };
        text.push_str(&format!(
            "{:>9}  attempt {attempt}, delivery {delivery}: {what} ({}.{} ms)\n",
            format!("+{}", seconds(*at_ms)),
            took_us / 1000,
            took_us % 1000 / 100,
        ));
        for event in events {
            text.push_str(&line("event", event));
        }
        for value in state {
            text.push_str(&line("state", value));
        }
    }
    if let Some(trace_id) = &report.trace_id {
        text.push_str(&format!("{:>9}  {trace_id}\n", "trace"));
    }
    text
}

fn line(what: &str, committed: &Committed) -> String {
    let Committed { subject, data, .. } = committed;
    format!("{what:>9}  {subject}\n{:>9}  {}\n", "", data.get())
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

/// Success if the last delivery was acknowledged.
///
/// # Errors
/// It is to be tried again (1), or is a dead letter (2).
pub(crate) fn verdict(report: &Report) -> Result<(), Problem> {
    let function = &report.function;
    match report.deliveries.last().map(|delivered| &delivered.disposition) {
        Some(Disposition::Ack { .. }) => Ok(()),
        Some(Disposition::DeadLetter { reason, .. }) => {
            Err(Problem::new(Exit::DeadLetter, format!("{function} gave it up: {reason}"))
                .remedy(format!("docs/errors/{reason}.md says what that means")))
        }
        Some(Disposition::Retry { .. }) => {
            Err(Problem::new(Exit::Failed, format!("{function} failed: it would be tried again")))
        }
        _ => Err(Problem::new(Exit::Failed, format!("{function} did not come to an end with it"))),
    }
}

/// Posts `event` to a function that runs, and prints its answer.
///
/// # Errors
/// It does not answer (69), asks to try again (1), or refuses (2).
pub(crate) async fn post(url: &str, event: String, format: Format) -> Result<(), Problem> {
    let client = http::client(ANSWER_LIMIT, reqwest::ClientBuilder::no_proxy)?;
    let is_cloud_event =
        serde_json::from_str::<Value>(&event).is_ok_and(|json| json.get("specversion").is_some());
    let media_type = if is_cloud_event { "application/cloudevents+json" } else { "application/json" };
    let no_answer = |error: reqwest::Error| {
        Problem::new(Exit::Unavailable, format!("{url} does not answer")).because(error.without_url())
    };
    let request = client.post(url).header(CONTENT_TYPE, media_type).timeout(ANSWER_LIMIT).body(event);
    let answer = request.send().await.map_err(no_answer)?;
    let status = answer.status();
    let text = answer.text().await.map_err(no_answer)?;
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    print(format, || format!("{status}\n{body:#}\n"), &json!({"status": status.as_u16(), "body": body}))?;
    match status.as_u16() {
        200..300 => Ok(()),
        400 | 422 => Err(Problem::new(Exit::DeadLetter, format!("{url} refuses it"))),
        _ => Err(Problem::new(Exit::Failed, format!("{url} answers {status}"))),
    }
}
