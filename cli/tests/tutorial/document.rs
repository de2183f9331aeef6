//! The steps that a document asks its reader to do: code blocks behind a comment that says what they are.

/// A step.
#[derive(Debug)]
pub(crate) enum Step {
    /// A command, and what is to be seen of it.
    Run { how: How, code: i32, command: String, shown: Shown },
    /// From `from` on, or just that, a file is to be otherwise.
    Replace { file: String, from: String, is_to_the_end: bool, text: String },
}

/// How a command is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// To its end.
    Once,
    /// Again and again until it is so.
    Until,
    /// Beside the others.
    Beside,
}

/// What a document shows of a command.
#[derive(Debug)]
pub(crate) struct Shown {
    lines: Vec<String>,
    in_any_order: bool,
}

/// Every step, in order.
pub(crate) fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in text.split("<!-- ").skip(1) {
        let (what, rest) = part.split_once(" -->").unwrap();
        let block = rest.split("```").nth(1).unwrap_or_else(|| panic!("no code behind {what:?}"));
        let code = block.split_once('\n').unwrap().1;
        steps.push(if what.starts_with("run") { run(what, code) } else { replace(what, code) });
    }
    steps
}

fn run(what: &str, block: &str) -> Step {
    let (mut how, mut code, mut in_any_order) = (How::Once, 0, false);
    for word in what.split(", ") {
        match word {
            "run" => {}
            "run until it is so" => how = How::Until,
            "run in another terminal" => how = How::Beside,
            "in any order" => in_any_order = true,
            word => {
                let number = word.strip_prefix("exit code ").unwrap_or_else(|| panic!("what is {what:?}?"));
                code = number.parse().unwrap();
            }
        }
    }
    let mut lines = block.lines();
    let command =
        lines.next().and_then(|line| line.strip_prefix("$ ")).unwrap_or_else(|| panic!("{block:?}"));
    let lines = lines.map(str::to_owned).collect();
    Step::Run { how, code, command: command.to_owned(), shown: Shown { lines, in_any_order } }
}

fn replace(what: &str, code: &str) -> Step {
    let (file, from) = what
        .strip_prefix("replace ")
        .and_then(|rest| rest.split_once(' '))
        .unwrap_or_else(|| panic!("what is {what:?}?"));
    let (from, is_to_the_end) = from.strip_prefix("from ").map_or((from, false), |from| (from, true));
    let text = if is_to_the_end { code.to_owned() } else { code.trim_end().to_owned() };
    Step::Replace { file: file.to_owned(), from: from.trim_matches('"').to_owned(), is_to_the_end, text }
}

impl Shown {
    /// Whether `seen` is what is shown, but for what is another each time.
    ///
    /// # Errors
    /// The line that is shown and not seen, or seen and not shown.
    pub(crate) fn is(&self, seen: &str) -> Result<(), String> {
        let mut seen: Vec<String> = lines(seen.lines());
        let mut shown: Vec<String> = lines(self.lines.iter().map(String::as_str));
        if self.in_any_order {
            seen.sort();
            shown.sort();
        }
        let (mut seen, mut may_skip) = (seen.iter(), false);
        for pattern in &shown {
            if pattern == LEFT_OUT {
                may_skip = true;
                continue;
            }
            let fits = |line: &&String| matches(pattern, line);
            let found = if may_skip { seen.by_ref().find(fits) } else { seen.next().filter(fits) };
            found.ok_or_else(|| format!("shown, and not seen: {pattern}"))?;
            may_skip = false;
        }
        match seen.next() {
            Some(line) if !may_skip => Err(format!("seen, and not shown: {line}")),
            _ => Ok(()),
        }
    }
}

/// Stands for anything within a line, or for any lines.
const LEFT_OUT: &str = "…";
const UNITS: [&str; 6] = ["ms", "s", "min", "m", "h", "d"];
const TREE: [char; 4] = ['├', '└', '│', '─'];

fn lines<'l>(lines: impl Iterator<Item = &'l str>) -> Vec<String> {
    lines.map(plain).filter(|line| !line.is_empty()).collect()
}

/// A line without what is another each time: how many blanks, the branches of a tree, durations, times and ids.
fn plain(line: &str) -> String {
    let line = line.replace(TREE, " ");
    let mut words: Vec<String> = Vec::new();
    let mut rest = line.split_whitespace().peekable();
    while let Some(word) = rest.next() {
        let is_unit = |next: &&str| UNITS.contains(&next.trim_end_matches([',', ')']));
        let number = word.trim_start_matches(['+', '(']);
        match rest.peek().filter(|next| number.parse::<f64>().is_ok() && is_unit(next)) {
            Some(_) => {
                rest.next();
                if words.last().is_none_or(|last| last != "(duration)") {
                    words.push("(duration)".to_owned());
                }
            }
            None if is_time(word) => words.push("(time)".to_owned()),
            None => words.push(without_ids(word)),
        }
    }
    words.join(" ")
}

fn is_time(word: &str) -> bool {
    word.len() > 18
        && word.ends_with('Z')
        && word.starts_with(|c: char| c.is_ascii_digit())
        && word.contains('T')
}

/// A word with every run of hexadecimal digits and dashes that is as long as an id replaced.
fn without_ids(word: &str) -> String {
    let is_of_id = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c) || c == '-';
    let mut text = String::new();
    let mut run = String::new();
    for c in word.chars().chain(['\0']) {
        if is_of_id(c) {
            run.push(c);
            continue;
        }
        text.push_str(if run.len() >= 32 { "(id)" } else { &run });
        run.clear();
        text.push(c);
    }
    text.trim_end_matches('\0').to_owned()
}

fn matches(pattern: &str, line: &str) -> bool {
    let parts: Vec<&str> = pattern.split(LEFT_OUT).collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    if parts.len() == 1 {
        return pattern == line;
    }
    let Some(mut rest) = line.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
        return false;
    };
    parts[1..parts.len() - 1].iter().all(|part| match rest.split_once(part) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

#[test]
fn a_step_is_read() {
    let text = "<!-- run, exit code 2 -->\n```\n$ echo a\na\n```\n<!-- replace x.rs from \"/// a\" -->\n```rust\nfn x() {}\n```\n";
    let steps = steps(text);
    let [Step::Run { command, code: 2, .. }, Step::Replace { file, from, is_to_the_end: true, text }] =
        &steps[..]
    else {
        panic!("{steps:?}")
    };
    assert_eq!((command.as_str(), file.as_str(), from.as_str()), ("echo a", "x.rs", "/// a"));
    assert_eq!(text, "fn x() {}\n");
}

#[test]
fn what_is_seen_is_held_against_what_is_shown() {
    let is = |shown: &str, seen: &str, in_any_order| {
        Shown { lines: shown.lines().map(str::to_owned).collect(), in_any_order }.is(seen).is_ok()
    };
    let id = |digit: char| format!("e {}-{} of ORD-1", digit.to_string().repeat(8), "1".repeat(27));
    for (shown, seen) in [
        ("a\n  b", "a\nb\n"),
        ("in 0.630 s, at rest", "in 1 min 12.1 s, at rest"),
        ("+0.2 s 9 ms ├─ x (0.8 ms)", "+1.3 s 70 ms └─ x (12.1 ms)"),
        ("by order  at 2026-11-22T03:22:07.461Z", "by order  at 2027-01-02T03:22:07Z"),
        ("…\nb", "a\na\nb"),
        ("a\n…", "a"),
        ("saved as …/x.json", "saved as /tmp/a/x.json"),
        (&id('a'), &id('0')),
    ] {
        assert!(is(shown, seen, false), "{shown:?} {seen:?}");
    }
    for (shown, seen) in [
        ("a", "a\nb"),
        ("a\nb", "a"),
        ("a\nb", "b\na"),
        ("ORD-1", "ORD-2"),
        ("attempt 1", "attempt 2"),
        ("b\n…", "a\nb"),
        ("x…y", "xyz"),
    ] {
        assert!(!is(shown, seen, false), "{shown:?} {seen:?}");
    }
    assert!(is("a\nb", "b\na", true) && !is("a\nb", "b\na\na", true));
}
