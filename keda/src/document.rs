//! An object as YAML, with a reason beside what is decided in it.
//!
//! Lines are known by their path, such as `spec/template/spec/containers/0/image`: reasons are written above them, and in
//! the chart other text in their place.

use serde::Serialize;
use serde_yaml::ser_options;

/// Reasons are wrapped so that lines stay readable beside each other.
const COMMENT_CHARS_MAX: usize = 112;

/// An object as lines of YAML.
#[derive(Debug, Clone)]
pub struct Document {
    lines: Vec<Line>,
    faults: Vec<String>,
    /// In the chart it is there only where this holds.
    only_if: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Line {
    /// None inside of a text of several lines.
    path: Option<String>,
    text: String,
    reason: Option<&'static str>,
    in_chart: InChart,
}

/// What stands in the chart for a line.
#[derive(Debug, Clone)]
enum InChart {
    /// The line itself.
    Same,
    /// The line with this in place of its value.
    Value(String),
    /// The line, and below it these in place of everything that is below it.
    Below(Vec<String>),
    /// The line, and these in place of everything that follows.
    Rest(Vec<String>),
}

/// What the path of a line ends with, and how deep it stands: items of a list stand between the key above and theirs.
struct Step {
    depth: usize,
    name: String,
}

impl Document {
    /// `object` as it is written.
    pub fn of(object: &impl Serialize) -> Self {
        let options = ser_options! { folded_wrap_chars: usize::MAX };
        let (text, faults) = match serde_yaml::to_string_with_options(object, options) {
            Ok(text) => (text, Vec::new()),
            Err(error) => (String::new(), vec![format!("an object cannot be written: {error}")]),
        };
        Self { lines: lines_of(&text), faults, only_if: None }
    }

    /// Says above the line at `path` why it is as it is.
    pub fn because(mut self, path: &str, reason: &'static str) -> Self {
        match self.lines.iter_mut().find(|line| line.path.as_deref() == Some(path)) {
            Some(line) => line.reason = Some(reason),
            None => self.faults.push(format!("there is no line {path} to give a reason for: {reason}")),
        }
        self
    }

    /// In the chart, the value of the line at `path` is that of `expression`.
    pub fn tunable(self, path: &str, expression: impl Into<String>) -> Self {
        self.in_chart(path, InChart::Value(expression.into()))
    }

    /// In the chart, what is below the line at `path` are these lines.
    pub fn tunable_below(self, path: &str, lines: &[String]) -> Self {
        self.in_chart(path, InChart::Below(lines.to_vec()))
    }

    /// In the chart, what follows the line at `path` are these lines.
    pub fn tunable_after(self, path: &str, lines: &[&str]) -> Self {
        self.in_chart(path, InChart::Rest(lines.iter().map(|line| (*line).to_owned()).collect()))
    }

    /// In the chart it is there only where `condition` holds.
    pub const fn only_if(mut self, condition: &'static str) -> Self {
        self.only_if = Some(condition);
        self
    }

    fn in_chart(mut self, path: &str, form: InChart) -> Self {
        match self.lines.iter_mut().find(|line| line.path.as_deref() == Some(path)) {
            Some(line) => line.in_chart = form,
            None => self.faults.push(format!("there is no line {path} to be tuned")),
        }
        self
    }

    /// What could not be written.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// The object with its reasons.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| line.reasons() + &line.text + "\n").collect()
    }

    /// The object as a template of the chart.
    pub(crate) fn template(&self) -> String {
        let whole = self.whole_template();
        match self.only_if {
            Some(condition) => format!("{{{{- if {condition} }}}}\n{whole}{{{{- end }}}}\n"),
            None => whole,
        }
    }

    fn whole_template(&self) -> String {
        let mut text = String::new();
        let mut replaced: Option<String> = None;
        for line in &self.lines {
            if let Some(above) = &replaced {
                let is_below = line.path.as_ref().is_none_or(|path| path.starts_with(above.as_str()));
                if is_below {
                    continue;
                }
                replaced = None;
            }
            text.push_str(&line.reasons());
            let (before, _) = line.text.split_once(": ").unwrap_or((&line.text, ""));
            match &line.in_chart {
                InChart::Same => text.push_str(&literal(&line.text)),
                InChart::Value(expression) => text.push_str(&format!("{before}: {{{{ {expression} }}}}")),
                InChart::Below(lines) => {
                    text.push_str(&line.text);
                    for line in lines {
                        text.push_str(&format!("\n{line}"));
                    }
                    replaced = line.path.as_ref().map(|path| format!("{path}/"));
                }
                InChart::Rest(lines) => {
                    text.push_str(&format!("{}\n{}\n", line.text, lines.join("\n")));
                    return text;
                }
            }
            text.push('\n');
        }
        text
    }
}

impl Line {
    fn reasons(&self) -> String {
        let indent: String = self.text.chars().take_while(|c| *c == ' ').collect();
        self.reason
            .iter()
            .flat_map(|reason| wrapped(reason))
            .map(|line| format!("{indent}# {line}\n"))
            .collect()
    }
}

/// `text` as it stands in a template, where two braces would begin an expression.
pub(crate) fn literal(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

fn lines_of(text: &str) -> Vec<Line> {
    let mut above: Vec<Step> = Vec::new();
    // The depth of the key whose text of several lines is being passed.
    let mut inside: Option<usize> = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if inside.is_some_and(|depth| line.trim().is_empty() || indent > depth) {
            lines.push(Line { path: None, text: line.to_owned(), reason: None, in_chart: InChart::Same });
            continue;
        }
        inside = None;
        let (mut content, mut indent) = (line.trim_start(), indent);
        while let Some(rest) = content.strip_prefix("- ") {
            let depth = 2 * indent + 1;
            let before =
                above.iter().find(|step| step.depth == depth).and_then(|step| step.name.parse().ok());
            let number = before.map_or(0, |before: usize| before + 1);
            above.retain(|step| step.depth < depth);
            above.push(Step { depth, name: number.to_string() });
            (content, indent) = (rest, indent + 2);
        }
        if let Some((key, value)) = key_of(content) {
            above.retain(|step| step.depth < 2 * indent);
            above.push(Step { depth: 2 * indent, name: key.trim_matches(['"', '\'']).to_owned() });
            if value.starts_with(['|', '>']) {
                inside = Some(indent);
            }
        }
        let path = above.iter().map(|step| step.name.as_str()).collect::<Vec<_>>().join("/");
        lines.push(Line { path: Some(path), text: line.to_owned(), reason: None, in_chart: InChart::Same });
    }
    lines
}

/// Key and value of a line that has both, or a key alone.
fn key_of(content: &str) -> Option<(&str, &str)> {
    content.split_once(": ").or_else(|| content.strip_suffix(':').map(|key| (key, "")))
}

/// `text` in lines of a comment.
pub(crate) fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= COMMENT_CHARS_MAX => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Serialize)]
    struct Tree {
        list: Vec<BTreeMap<&'static str, Vec<u8>>>,
        text: &'static str,
        last: &'static str,
    }

    #[test]
    fn a_reason_stands_above_its_line_wherever_that_is() {
        let list = vec![
            BTreeMap::from([("c", vec![1]), ("d", vec![])]),
            BTreeMap::from([("c", vec![2]), ("e", vec![3])]),
        ];
        let document = Document::of(&Tree { list, text: "x: y\nlast: z\n", last: "yes" })
            .because("list/1/c", "of the second")
            .because("list/0/d", "empty")
            .because("list/1/e/0", "of an item")
            .because("last", "no truth value");
        assert_eq!(document.faults(), Vec::<String>::new());
        assert_eq!(
            document.text(),
            "list:\n- c:\n  - 1\n  # empty\n  d: []\n# of the second\n- c:\n  - 2\n  e:\n  # of an item\n  - 3\n\
             text: |\n  x: y\n  last: z\n# no truth value\nlast: \"yes\"\n"
        );
        assert_eq!(document.because("list/2/c", "nowhere").faults().len(), 1);
    }

    #[test]
    fn a_template_has_expressions_where_something_can_be_tuned() {
        let list = vec![BTreeMap::from([("c", vec![1])])];
        let document = Document::of(&Tree { list, text: "{{x}}\ny", last: "yes" })
            .because("last", "no truth value")
            .tunable("last", ".Values.last | quote")
            .tunable_below("list", &["  {{- toYaml .Values.list | nindent 2 }}".to_owned()]);
        assert_eq!(
            document.template(),
            "list:\n  {{- toYaml .Values.list | nindent 2 }}\ntext: |-\n  {{ \"{{\" }}x}}\n  y\n# no truth value\n\
             last: {{ .Values.last | quote }}\n"
        );
        assert!(document.text().ends_with("last: \"yes\"\n"));
        assert_eq!(document.tunable("first", "").faults().len(), 1);
    }

    #[test]
    fn a_long_reason_is_wrapped_and_a_long_value_is_not() {
        const WHY: &str = "why it is so, at length, and at more length, and at so much more length that all of this does not \
                           fit into one line";
        let value: BTreeMap<&str, String> = BTreeMap::from([("a", "word ".repeat(60))]);
        let text = Document::of(&value).because("a", WHY).text();
        assert_eq!(text.lines().count(), 3, "{text}");
    }
}
