//! The committed figures, and what is told beside them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// How much more a path may need than the baseline: what differs between two builds of the same code on two machines.
pub const TOLERANCE_PERMILLE: u64 = 30;

/// Instructions for one input, by path.
pub struct Baseline(pub BTreeMap<String, u64>);

impl Baseline {
    /// What is committed; nothing of a path that is new.
    pub fn read() -> Self {
        let text =
            std::fs::read_to_string(path()).expect("a baseline: `cargo instructions --renew` writes it");
        Self(serde_json::from_str(&text).expect("a baseline in JSON"))
    }

    pub fn write(&self) {
        let text = serde_json::to_string_pretty(&self.0).expect("JSON");
        std::fs::write(path(), text + "\n").expect("a baseline that can be written");
    }

    /// These figures beside those of `before`, and whether one is worse than the tolerance.
    pub fn against(&self, before: &Self) -> (String, bool) {
        let mut text = String::from("instructions for one input      now   baseline\n");
        let mut is_worse = false;
        for (path, &now) in &self.0 {
            let was = before.0.get(path).copied();
            let is = |more: u64, less: u64| more * 1000 > less * (1000 + TOLERANCE_PERMILLE);
            let word = match was {
                None => "new: `cargo instructions --renew`",
                Some(was) if is(now, was) => "worse",
                Some(was) if is(was, now) => "better: `cargo instructions --renew`, so that it stays so",
                Some(_) => "",
            };
            is_worse |= was.is_none_or(|was| is(now, was));
            let was = was.map_or_else(|| "-".to_owned(), |was| was.to_string());
            let _ = writeln!(text, "{path:<26} {now:>8} {was:>10}  {word}");
        }
        (text, is_worse)
    }
}

fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.json"))
}
