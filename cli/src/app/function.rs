//! A function as a process: told its port and its broker, up when it says that it is ready.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use reqwest::{Client, StatusCode};

use crate::problem::{Exit, Problem};
use crate::supervisor::process::Output;
use crate::supervisor::{Addresses, Kind, Launch, Service};

/// How long a function may take until it is ready.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often it is asked.
const POLL: Duration = Duration::from_millis(50);
/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// A function finishes its work within 30 s of SIGTERM; the rest is for telling its broker and its collector.
const GRACE: Duration = Duration::from_secs(35);

/// Credentials in the developer's environment belong to another broker than the one that is started here.
const FOREIGN_CREDENTIALS: &[&str] = &["NATS_CREDS", "NATS_NKEY", "NATS_CA", "NATS_CERT", "NATS_KEY"];

/// One function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) port: Port,
    /// Its environment besides `PORT`.
    pub(crate) env: Vec<(String, String)>,
    pub(crate) directory: PathBuf,
    pub(crate) client: Client,
}

/// Where a process answers HTTP.
#[derive(Debug)]
pub(crate) enum Port {
    /// It was told to others.
    Fixed(u16),
    /// Any that is free: chosen at each start that follows one which did not succeed.
    Any(AtomicU16),
}

impl Port {
    /// Any that is free.
    pub(crate) const fn any() -> Self {
        Self::Any(AtomicU16::new(0))
    }

    fn number(&self) -> u16 {
        match self {
            Self::Fixed(port) => *port,
            Self::Any(port) => port.load(Ordering::Relaxed),
        }
    }

    /// Chooses one, where nobody has.
    fn choose(&self) -> Result<u16, Problem> {
        if let Self::Any(port) = self {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
            let free = free
                .map_err(|error| Problem::new(Exit::Unavailable, "there is no free port").because(error))?;
            port.store(free.port(), Ordering::Relaxed);
        }
        Ok(self.number())
    }
}

impl Function {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }
}

impl Service for Function {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Function
    }

    fn launch(&self, known: &Addresses) -> Result<Launch, Problem> {
        let mut env = self.env.clone();
        let port = if known.is_empty() { self.port.choose()? } else { self.port.number() };
        env.push(("PORT".to_owned(), port.to_string()));
        Ok(Launch {
            program: self.program.clone(),
            args: Vec::new(),
            env,
            without_env: FOREIGN_CREDENTIALS,
            directory: Some(self.directory.clone()),
        })
    }

    async fn up(&self, _: u32, _: &Output, _: &Addresses) -> Result<Addresses, Problem> {
        let url = self.url();
        let ready = format!("{url}/ready");
        loop {
            let answer = self.client.get(&ready).timeout(ANSWER_LIMIT).send().await;
            if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return Ok(Addresses::from([("http".to_owned(), url)]));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn start_limit(&self) -> Duration {
        START_LIMIT
    }

    fn grace(&self) -> Duration {
        GRACE
    }
}
