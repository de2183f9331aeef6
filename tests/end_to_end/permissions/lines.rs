//! Each line of a function's permissions is needed: without it the function ends with 78 and names it, at its start, and
//! also where the server does not tell what it may do and it meets the denial at work.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use jetlag::Description;
use jetlag::jetstream::{Connection, Operator};
use jetlag::permissions::Permissions;
use jetlag::topology::{AUDIT, DEAD_LETTERS, EVENTS, INTAKE, RETRY, Sizing, Topology};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::{Lacking, Server, publish, until, with_password};

use super::process::{NEEDY, Process, described};
use super::veil::veil;

const EXIT_CONFIG: i32 = 78;
/// The client has ended at an input that it cannot read; whoever runs the function starts it again.
const EXIT_SOFTWARE: i32 = 70;
/// How many accounts are worked in at a time.
const AT_A_TIME: usize = 6;
/// How often a function is started again at most.
const STARTS_MAX: usize = 6;
/// Headers at which the client ends its connection.
const UNREADABLE: &[u8] = b"NATS/1.0\r\nX: \xff\xfe\r\n\r\n";

/// A function, and what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Needy,
    Trail,
}

impl Kind {
    fn env(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Needy => &[],
            Self::Trail => &[("NEEDY_TRAIL", "1")],
        }
    }

    fn lanes(self) -> &'static [&'static str] {
        match self {
            Self::Needy => &[EVENTS, RETRY, INTAKE],
            Self::Trail => &[AUDIT],
        }
    }
}

/// An account in which one line is missing, or none.
struct Case {
    kind: Kind,
    account: String,
    lacking: Lacking,
}

impl Case {
    fn name(&self) -> String {
        format!("f-{}", self.account)
    }

    fn configured(&self) -> Value {
        self.lacking.account(&self.account, json!({"user": self.name(), "password": "x"}))
    }

    /// What is missing, as the function must tell it.
    fn told(&self) -> Option<&str> {
        self.lacking.told.as_deref()
    }
}

/// A case at a server.
struct Field<'s> {
    case: &'s Case,
    server: &'s Server,
    operator: Operator,
    log: PathBuf,
}

impl Field<'_> {
    fn start(&self, port: u16) -> Process {
        let url = format!("nats://{}:x@127.0.0.1:{port}", self.case.name());
        let env = [&[("NATS_URL", url.as_str())], self.case.kind.env()].concat();
        Process::start(NEEDY, self.log.clone(), &env)
    }

    /// Publishes an input as the administrator; its headers may be any bytes.
    async fn publish(&self, subject: &str, headers: &[u8], id: &str, how: &str) {
        let event = json!({
            "id": id, "type": "needs.told", "aggregate_id": id, "data": {"id": id, "how": how},
            "timestamp": "2026-11-21T14:00:00Z", "trace_id": "",
        });
        let login = with_password(&format!("admin-{}", self.case.account), "x");
        let publish = publish(subject, headers, event.to_string().as_bytes());
        let said = self.server.say(&login, &[&publish]).await;
        assert!(!said.contains("-ERR"), "{said}");
    }

    async fn count(&self, filter: &str) -> usize {
        self.operator.read(EVENTS, filter, 1).await.unwrap_or_default().len()
    }

    async fn letters(&self) -> u64 {
        self.operator.stream_state(DEAD_LETTERS).await.map_or(0, |state| state.messages)
    }

    /// Whether nothing waits, and nothing is unanswered.
    async fn is_idle(&self) -> bool {
        for stream in self.case.kind.lanes() {
            if self.operator.lag(stream, &self.case.lacking.user.user).await.ok() != Some((0, 0)) {
                return false;
            }
        }
        true
    }

    /// Gives the function everything to do that there is.
    async fn work(&self) {
        if self.case.kind == Kind::Needy {
            self.publish("needs.told", b"", "N-meet", "meet").await;
            self.publish("needs.told.N-count.N-count", b"", "N-count", "count").await;
            self.publish("needs.told.N-fail.N-fail", b"", "N-fail", "fail").await;
            self.publish("needs.told", UNREADABLE, "N-odd", "meet").await;
            self.publish("retry.needy.N-odd.1", UNREADABLE, "N-odd", "meet").await;
        } else {
            self.publish("needs.told.N-meet.N-meet", b"", "N-meet", "meet").await;
            self.publish("needs.told.N-odd.N-odd", UNREADABLE, "N-odd", "meet").await;
        }
    }

    /// Whether all of that came to its end.
    async fn is_done(&self) -> bool {
        let done = match self.case.kind {
            Kind::Needy => {
                self.count("needs.met.*.*").await == 1
                    // Of what only counts, and of what failed.
                    && self.count("done.needy.*.*").await == 2
                    && self.letters().await == 3
            }
            Kind::Trail => self.count("trails.told.*.*").await > 0 && self.letters().await == 1,
        };
        done && self.is_idle().await
    }

    /// Whether a handler has the input that it never comes back from.
    async fn hangs(&self) -> bool {
        let lane = self.case.kind.lanes()[0];
        matches!(self.operator.lag(lane, &self.case.lacking.user.user).await, Ok((0, 1)))
    }
}

/// Whoever runs a function starts it again when its client has ended; anything else is for somebody to look at.
async fn kept(field: &Field<'_>, port: u16, mut look: impl AsyncFnMut() -> bool) -> (Process, Option<i32>) {
    let mut process = field.start(port);
    let mut starts = 1;
    let what = format!("end of {}: {}", field.case.account, field.case.told().unwrap_or("work"));
    let ended = until(&what, async || match process.ended() {
        Some(EXIT_SOFTWARE) if starts < STARTS_MAX => {
            process = field.start(port);
            starts += 1;
            None
        }
        Some(code) => Some(Some(code)),
        None => look().await.then_some(None),
    })
    .await;
    (process, ended)
}

/// The function did not come to what it was asked for, and says why.
fn denied(field: &Field<'_>, told: &str, process: &Process, code: Option<i32>) {
    let log = process.log().replace("\\\"", "\"");
    assert_eq!(code, Some(EXIT_CONFIG), "without {told}: {log}");
    assert!(log.contains(told), "no {told:?}: {log}");
    assert!(log.contains(&format!("the user {} may not", field.case.name())), "who? {log}");
}

async fn proves(server: &Server, veiled: u16, case: &Case, directory: &Path, both: &[Description]) {
    let url = format!("nats://admin-{}:x@127.0.0.1:{}", case.account, server.port);
    let operator = Operator::connect(&Connection::to(url)).await.unwrap();
    let sizing =
        Sizing { ack_wait: Duration::from_secs(2), events_bytes_max: 64 * 1024 * 1024, ..Sizing::default() };
    operator.provision(&Topology::of(both, &sizing)).await.unwrap();
    let log = |name: &str| directory.join(format!("{}-{name}.log", case.account));
    let mut field = Field { case, server, operator, log: log("told") };
    if let Some(told) = case.told() {
        let mut process = field.start(server.port);
        let code = process.exit_code().await;
        denied(&field, told, &process, Some(code));
        field.log = log("veiled");
    }

    field.work().await;
    let (process, ended) = kept(&field, veiled, async || field.is_done().await).await;
    let (process, ended) = match ended {
        Some(_) => (process, ended),
        // What is asked of the broker only where a process died.
        None => {
            field.publish("needs.told.N-hang.N-hang", b"", "N-hang", "hang").await;
            until("handler that does not come back", async || field.hangs().await.then_some(())).await;
            process.signal(Signal::KILL);
            let mark = format!("state.{}.*", case.lacking.user.user);
            let is_marked = async || {
                let state = field.operator.read(EVENTS, &mark, 1).await.unwrap_or_default();
                state.iter().any(|state| state.subject.contains("_jetlag%2Fmark"))
            };
            // Without a line it goes on until it is denied, whatever it could do before that.
            let told = case.told().is_some();
            kept(&field, veiled, async || !told && is_marked().await).await
        }
    };
    match case.told() {
        Some(told) => denied(&field, told, &process, ended),
        None => {
            assert_eq!(ended, None, "{}", process.log());
            assert_eq!(server.violations(&case.account), Vec::<String>::new());
        }
    }
}

pub async fn each_line_is_needed_and_all_of_them_are_enough() {
    let directory = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    let mut both = Vec::new();
    for kind in [Kind::Needy, Kind::Trail] {
        let description = described(NEEDY, kind.env()).await;
        let user = Permissions::of(&description);
        both.push(description);
        for (number, lacking) in Lacking::each(&user).into_iter().enumerate() {
            cases.push(Case { kind, account: format!("{kind:?}-{number}").to_lowercase(), lacking });
        }
    }
    let accounts: serde_json::Map<_, _> =
        cases.iter().map(|case| (case.account.clone(), case.configured())).collect();
    let server =
        Server::start(directory.path(), &format!("accounts: {}", Value::Object(accounts)), &[]).await;
    let veiled = veil(server.port).await;
    let proofs = futures::stream::iter(&cases)
        .map(|case| proves(&server, veiled, case, directory.path(), &both))
        .buffer_unordered(AT_A_TIME);
    proofs.collect::<()>().await;
}
