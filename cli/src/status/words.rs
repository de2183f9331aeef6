//! A snapshot for people.

use std::fmt::Write;

use jetlag::rfc3339;
use time::OffsetDateTime;

use super::{Finding, Function, Severity, Snapshot, Stream, grouped, size, span};

impl Snapshot {
    /// How many things somebody has to do something about.
    pub fn wrong(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Wrong).count()
    }

    /// The snapshot for people.
    pub fn in_words(&self) -> String {
        let mut text =
            format!("{}, {}\n\n", self.broker, rfc3339(self.at.replace_nanosecond(0).unwrap_or(self.at)));
        let _ = writeln!(
            text,
            "{:<12}{:>12}{:>11}{:>8}  {:<10}LAST",
            "STREAM", "MESSAGES", "BYTES", "FULL", "KEPT"
        );
        for stream in &self.streams {
            self.stream(&mut text, stream);
        }
        if !self.functions.is_empty() {
            let _ = writeln!(
                text,
                "\n{:<16}{:>9}{:>10}{:>7}{:>7}{:>9}  {:<10}{:>6}  {:<11}{:<15}{:<9}BREAKER",
                "FUNCTION",
                "LAG",
                "IN FLIGHT",
                "AGAIN",
                "PULLS",
                "RETRIES",
                "NEXT",
                "DEAD",
                "OLDEST",
                "ACTIVE",
                "RUNNING"
            );
        }
        for function in &self.functions {
            self.function(&mut text, function);
        }
        text.push('\n');
        match self.findings.as_slice() {
            [] => text.push_str("nothing looks wrong\n"),
            findings => findings.iter().for_each(|finding| told(&mut text, finding)),
        }
        text
    }

    fn stream(&self, text: &mut String, stream: &Stream) {
        let percent = stream.bytes_max.and_then(|most| (stream.bytes * 100).checked_div(most));
        let full = percent.map_or("-".to_owned(), |percent| format!("{percent} %"));
        let kept = stream.kept_s.and_then(|seconds| i64::try_from(seconds).ok());
        let kept = kept.map_or("-".to_owned(), |seconds| span(time::Duration::seconds(seconds)));
        let _ = writeln!(
            text,
            "{:<12}{:>12}{:>11}{full:>8}  {kept:<10}{}",
            stream.name,
            grouped(stream.messages),
            size(stream.bytes),
            self.ago(stream.last_at)
        );
    }

    fn function(&self, text: &mut String, function: &Function) {
        let retries = &function.retries;
        let next = retries.next.map_or("-".to_owned(), |next| {
            // Of many, only the first that wait were looked at.
            let about = if retries.is_exact { "in " } else { "≤ " };
            format!("{about}{}", span(next - self.at))
        });
        let oldest = function.oldest.map_or("-".to_owned(), |oldest| span(self.at - oldest));
        let running = function.replicas().map_or("-".to_owned(), |replicas| replicas.to_string());
        let breaker = match &function.breaker {
            Some(breaker) if breaker.is_open => format!("open for {}", span(self.at - breaker.since)),
            Some(_) => "closed".to_owned(),
            None => "-".to_owned(),
        };
        let _ = writeln!(
            text,
            "{:<16}{:>9}{:>10}{:>7}{:>7}{:>9}  {next:<10}{:>6}  {oldest:<11}{:<15}{running:<9}{breaker}",
            function.name,
            grouped(function.lag()),
            grouped(function.in_flight()),
            grouped(function.redelivered()),
            grouped(function.pulls()),
            grouped(retries.waiting),
            grouped(function.dead_letters.count),
            self.ago(function.last_active),
        );
    }

    fn ago(&self, at: Option<OffsetDateTime>) -> String {
        at.map_or("-".to_owned(), |at| format!("{} ago", span(self.at - at)))
    }
}

fn told(text: &mut String, finding: &Finding) {
    let word = match finding.severity {
        Severity::Wrong => "WRONG",
        Severity::Note => "NOTE ",
    };
    let _ = writeln!(text, "{word}  {}: {}", finding.place, finding.what);
    let _ = writeln!(text, "       {}", finding.remedy);
    if let Some(command) = &finding.command {
        let _ = writeln!(text, "       $ {command}");
    }
}
