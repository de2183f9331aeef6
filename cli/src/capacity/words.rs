//! A plan as people read it.

use std::fmt::Write as _;
use std::time::Duration;

use super::demand::Running;
use super::finding::time;
use super::plan::Plan;
use crate::status::{grouped, size};

impl Plan {
    /// Everything, in a page.
    pub fn in_words(&self) -> String {
        let mut text = String::new();
        self.types_in_words(&mut text);
        self.streams_in_words(&mut text);
        self.functions_in_words(&mut text);
        self.broker_in_words(&mut text);
        for finding in &self.findings {
            let super::Finding { severity, rule, place, what, instead } = finding;
            let _ = writeln!(text, "\n{severity}: {rule}: {place}\n  {what}\n  do: {instead}");
        }
        text
    }

    fn types_in_words(&self, text: &mut String) {
        let _ = writeln!(text, "events, at most            rate");
        for (name, type_) in &self.flow.types {
            let said = if type_.is_said { "as said" } else { "follows" };
            let _ = writeln!(text, "  {name:<22} {:>12}  {said}", type_.rate.to_string());
        }
    }

    fn streams_in_words(&self, text: &mut String) {
        let _ =
            writeln!(text, "\nstream        messages/s  kept          messages       disk     memory  limit");
        for kept in &self.streams {
            let _ = writeln!(
                text,
                "  {:<12} {:>9}  {:<7} {:>14} {:>10} {:>10}  {}",
                kept.stream,
                grouped(kept.rate.a_second()),
                kept.kept_s.map_or_else(|| "ever".into(), time),
                grouped(kept.messages),
                size(kept.bytes),
                size(kept.memory_bytes),
                kept.bytes_max.map_or_else(|| "none".into(), size),
            );
        }
    }

    fn functions_in_words(&self, text: &mut String) {
        let _ = writeln!(text, "\nfunction       inputs/s  processes  runs at a time  a run may take");
        for function in &self.functions {
            let Running { processes_max, together_max, may_take_ms, takes_ms, busy, .. } = function;
            let may = may_take_ms.map_or_else(|| "-".into(), |ms| format!("{} ms", grouped(ms)));
            let _ = write!(
                text,
                "  {:<12} {:>8} {processes_max:>10} {:>15}  {may}",
                function.function,
                grouped(function.inputs.a_second()),
                grouped(*together_max),
            );
            if let (Some(takes), Some(busy)) = (takes_ms, busy) {
                let _ = write!(text, "; at {takes} ms {busy} are busy");
            }
            text.push('\n');
        }
    }

    fn broker_in_words(&self, text: &mut String) {
        let lines = [
            ("memory", size(self.memory_bytes)),
            ("disk", format!("{}, with what streams set aside", size(self.disk_bytes))),
            ("copies", format!("{}, each on a server of its own that needs the above", self.copies)),
            ("messages", format!("{} a second in, and as many out", grouped(self.messages_per_s))),
            ("connections", format!("{}, with every process there may be", grouped(self.connections))),
            ("start", format!("{} after a kill", time(Duration::from_secs(self.start_s)))),
        ];
        let _ = writeln!(text, "\nbroker");
        for (name, value) in lines {
            let _ = writeln!(text, "  {name:<12} {value}");
        }
        let Some(seen) = &self.broker else { return };
        let limit = |max: Option<u64>| max.map_or_else(|| "no limit".into(), size);
        let _ = writeln!(text, "\nthere now: nats-server {}", seen.version);
        let _ =
            writeln!(text, "  {:<12} {} of {}", "storage", size(seen.storage_used), limit(seen.storage_max));
        for (name, stream) in &seen.streams {
            let messages = grouped(stream.messages);
            let _ = writeln!(
                text,
                "  {name:<12} {messages} messages, {} of {}",
                size(stream.bytes),
                limit(stream.bytes_max)
            );
        }
        let _ = writeln!(
            text,
            "  not seen     sync_interval, the machine's memory and disk: they are not told to clients"
        );
    }
}
