//! An alert, and the two runs that show when it fires and when it is silent.

/// What to do about an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Somebody gets up at night.
    Page,
    /// Somebody looks at it in the morning.
    Ticket,
}

impl Severity {
    /// The value of the label `severity`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}

/// An alert of Prometheus.
#[derive(Debug, Clone, Copy)]
pub struct Alert {
    /// Its name, which is also that of its page in docs/runbook/.
    pub name: &'static str,
    /// What to do about it.
    pub severity: Severity,
    /// It fires while this gives something.
    pub expr: &'static str,
    /// For how long at least.
    pub after: &'static str,
    /// What is wrong, in a sentence; `{{ $labels.x }}` is a label's value.
    pub summary: &'static str,
    /// A run in which it fires.
    pub fires: Case,
    /// A run in which it does not, as close to the other as can be.
    pub silent: Case,
}

/// A run of Prometheus with made-up series.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Series and their values, a minute apart, as `promtool` writes them.
    pub series: &'static [(&'static str, &'static str)],
    /// When it is looked.
    pub at: &'static str,
    /// The labels of the alert, beside `severity`, if it fires then.
    pub labels: &'static [(&'static str, &'static str)],
}

impl Alert {
    /// Its summary with the values of `labels`.
    pub(crate) fn summary_of(&self, labels: &[(&str, &str)]) -> String {
        labels.iter().fold(self.summary.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{{ $labels.{name} }}}}"), value)
        })
    }

    /// Its page, relative to the repository.
    pub fn page(&self) -> String {
        format!("docs/runbook/{}.md", self.name)
    }
}
