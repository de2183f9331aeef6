//! The names of Jetlag's own message headers.

/// The function that published the message.
pub const FUNCTION: &str = "Jetlag-Function";
/// The subject of the input that the message follows from.
pub const CAUSE: &str = "Jetlag-Cause";
/// Which attempt: of the run that published an event, or of the run that a retry is for.
pub const ATTEMPT: &str = "Jetlag-Attempt";
/// On a retry and a dead letter: the subject under which the input first came.
pub const SUBJECT: &str = "Jetlag-Subject";
/// On a retry and a dead letter: the attempts so far, as JSON.
pub const HISTORY: &str = "Jetlag-History";
/// On a dead letter and its receipt: the reason's code.
pub const REASON: &str = "Jetlag-Reason";
/// On a dead letter: what went wrong, for people.
pub const ERROR: &str = "Jetlag-Error";
/// On a dead letter: the stream and the sequence at which the input last was.
pub const ORIGIN: &str = "Jetlag-Origin";
/// On a redriven input: what makes it another cause than the one that died.
pub const REDRIVE: &str = "Jetlag-Redrive";
/// On a retry that `jetlag rescue` has made: a process may have died of the input, so it runs alone.
pub const SUSPECT: &str = "Jetlag-Suspect";
/// On an admitted event, a retry and a dead letter: the headers with which the input first came, as JSON: a list of
/// pairs of name and value. They are data: nothing in them is ever taken for an instruction.
pub const HEADERS: &str = "Jetlag-Headers";
/// On an admitted event, a retry and a dead letter: what did not fit and was left out, such as `headers 3, history 2`.
pub const DROPPED: &str = "Jetlag-Dropped";
/// W3C trace context; lower case, since header names are case-sensitive here.
pub const TRACEPARENT: &str = "traceparent";
/// What the systems that take part in a trace say to themselves; it goes along with `traceparent`.
pub const TRACESTATE: &str = "tracestate";
