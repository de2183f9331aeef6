//! What a person is told when the command cannot do its work: what, where, and what to do.

use std::fmt;
use std::process::ExitCode;

use jetlag::jetstream::{ConnectError, OperatorError, ProvisionError, RescueError};

/// Why the command ends without success, as the `sysexits` number that a script reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 1: it was done, and what was found is not as it has to be.
    Failed,
    /// 2: what was asked could not be found out.
    CouldNotLook,
    /// 2: an input was invoked and given up.
    DeadLetter,
    /// 64: the command line is wrong.
    Usage,
    /// 65: the input is there, and is wrong.
    Data,
    /// 66: the input is not there.
    NoInput,
    /// 69: something that is needed does not answer, or died.
    Unavailable,
    /// 70: a fault of this program.
    Internal,
    /// 73: a file or directory cannot be written.
    CannotCreate,
    /// 75: not now, perhaps later (another run holds the data directory).
    TryLater,
    /// 78: the configuration is wrong.
    Config,
    /// 130: interrupted by Ctrl-C or SIGTERM before the work was done.
    Interrupted,
}

impl Exit {
    /// The number that the process exits with.
    pub const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::CouldNotLook => 2,
            Self::DeadLetter => 2,
            Self::Usage => 64,
            Self::Data => 65,
            Self::NoInput => 66,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::CannotCreate => 73,
            Self::TryLater => 75,
            Self::Config => 78,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that a person meets. One type for the whole command, because whatever went wrong, the reader wants
/// the same three things: what happened, the cause underneath, and what to do about it.
#[derive(Debug)]
pub struct Problem {
    exit: Exit,
    what: String,
    remedy: Option<String>,
    details: Vec<String>,
    cause: Option<anyhow::Error>,
}

impl Problem {
    /// A problem that ends the command with `exit`; `what` is one sentence that names the file, address or
    /// process in question.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), remedy: None, details: Vec::new(), cause: None }
    }

    /// Adds the error underneath; its chain is shown after `what`. What the broker denies or refuses this user is a wrong
    /// configuration, whatever it was asked for.
    #[must_use]
    pub fn because(mut self, cause: impl Into<anyhow::Error>) -> Self {
        let cause = cause.into();
        if cause.chain().any(is_denial) {
            self.exit = Exit::Config;
        }
        self.cause = Some(cause);
        self
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Adds lines that were written elsewhere, such as the end of a log.
    #[must_use]
    pub fn details(mut self, lines: Vec<String>) -> Self {
        self.details = lines;
        self
    }

    /// The same problem of a command that exits otherwise because of it.
    #[must_use]
    pub const fn exiting(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// How the process exits because of this.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The whole message, one or more lines, without a trailing newline.
    pub fn render(&self) -> String {
        let mut text = self.sentence();
        for line in &self.details {
            text.push_str(&format!("\n  | {line}"));
        }
        if let Some(remedy) = &self.remedy {
            text.push_str(&format!("\n  {}", remedy.replace('\n', "\n  ")));
        }
        text
    }

    /// What happened and why, on one line: for a problem that is being coped with.
    pub fn sentence(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{}: {cause:#}", self.what),
            None => self.what.clone(),
        }
    }
}

fn is_denial(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(OperatorError::Denied(_)))
        || matches!(error.downcast_ref(), Some(ProvisionError::Denied(_)))
        || matches!(error.downcast_ref(), Some(RescueError::Operator(OperatorError::Denied(_))))
        || matches!(error.downcast_ref(), Some(ConnectError::Refused { .. } | ConnectError::Denied(_)))
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_why_and_what_to_do() {
        let problem = Problem::new(Exit::CannotCreate, "cannot write `/data/lock`")
            .because(std::io::Error::other("read-only file system"))
            .details(vec!["last words".to_owned()])
            .remedy("choose another directory with --data");
        assert_eq!(
            problem.render(),
            "cannot write `/data/lock`: read-only file system\n  | last words\n  choose another directory with --data"
        );
        assert_eq!(problem.exit().code(), 73);
    }

    #[test]
    fn what_the_broker_denies_is_a_wrong_configuration() {
        let problem =
            |error: OperatorError| Problem::new(Exit::Unavailable, "no").because(error).exit().code();
        assert_eq!(problem(OperatorError::Denied("the user x may not".into())), 78);
        assert_eq!(problem(OperatorError::NoAnswer("nothing".into())), 69);
    }
}
