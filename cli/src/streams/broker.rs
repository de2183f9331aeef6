//! Which broker is meant, and a connection to it.

use std::path::{Path, PathBuf};

use clap::Args;
use jetlag::Environment;
use jetlag::jetstream::{Connection, Operator};
use jetlag::permissions::OPERATOR;

use crate::app;
use crate::problem::{Exit, Problem};
use crate::supervisor::Status;

/// Where the data directories of local runs are.
const DATA_DIRECTORIES: &str = ".jetlag";
/// The variable that names the broker where nothing else does.
const URL_VARIABLE: &str = "NATS_URL";

/// Which broker is meant.
#[derive(Debug, Clone, Default, Args)]
pub struct Source {
    /// The broker, with credentials from NATS_CREDS, NATS_NKEY, NATS_CA … [default: that of --data, else NATS_URL, else
    /// that of the `up` or `demo` that runs in .jetlag or a directory in it]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// The data directory of the `jetlag up` or `demo` that is meant
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub data: Option<PathBuf>,
}

impl Source {
    /// Connects as the operator, and says to where.
    ///
    /// # Errors
    /// It is not clear which broker is meant (64), none runs here (66), it does not answer (69), or it refuses this user
    /// (78).
    pub async fn connect(&self) -> Result<(Operator, String), Problem> {
        self.connect_as(OPERATOR).await
    }

    /// The same as `user`, one of those of operations: where each has its own permissions, it has its own inbox too.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_as(&self, user: &str) -> Result<(Operator, String), Problem> {
        let connection = self.connection()?;
        let url = connection.url().to_owned();
        let operator = Operator::connect_as(&connection, user).await.map_err(|error| {
            Problem::new(Exit::Unavailable, "the broker cannot be looked at").because(error)
        })?;
        Ok((operator, url))
    }

    fn connection(&self) -> Result<Connection, Problem> {
        if let Some(url) = &self.url {
            return remote(url);
        }
        if let Some(data) = &self.data {
            let url = broker_of(data).ok_or_else(|| nothing_runs(&data.display().to_string()))?;
            return Ok(Connection::to(url));
        }
        if let Some(url) = std::env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty()) {
            return remote(&url);
        }
        let running = running_in(Path::new(DATA_DIRECTORIES));
        match running.as_slice() {
            [] => Err(nothing_runs(DATA_DIRECTORIES)),
            [(_, url)] => Ok(Connection::to(url)),
            several => {
                let names: Vec<_> = several.iter().map(|(data, _)| data.display().to_string()).collect();
                let what = format!("several brokers run here: in {}", names.join(", "));
                Err(Problem::new(Exit::Usage, what).remedy("say which one is meant with --data DIR"))
            }
        }
    }
}

/// A connection to `url` with the credentials of the environment.
fn remote(url: &str) -> Result<Connection, Problem> {
    let credentials = ["NATS_CREDS", "NATS_NKEY", "NATS_CA", "NATS_CERT", "NATS_KEY"];
    let values = credentials.map(|name| std::env::var(name).unwrap_or_default());
    let [creds, nkey, ca, cert, key] = &values;
    let [creds_name, nkey_name, ca_name, cert_name, key_name] = credentials;
    // A variable that is set to nothing counts as not set.
    let mut env = Environment::of([
        (URL_VARIABLE, url),
        (creds_name, creds),
        (nkey_name, nkey),
        (ca_name, ca),
        (cert_name, cert),
        (key_name, key),
    ]);
    let connection = Connection::from_env(&mut env);
    match env.faults() {
        [] => Ok(connection),
        faults => Err(Problem::new(Exit::Config, faults.join("; "))),
    }
}

fn broker_of(data: &Path) -> Option<String> {
    app::status(data).filter(Status::is_current)?.broker_url
}

/// The brokers that run in `directory` itself and in the directories in it.
fn running_in(directory: &Path) -> Vec<(PathBuf, String)> {
    let inside = std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let mut places: Vec<PathBuf> = inside.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    places.sort();
    places.insert(0, directory.to_owned());
    places.into_iter().filter_map(|place| Some((place.clone(), broker_of(&place)?))).collect()
}

fn nothing_runs(place: &str) -> Problem {
    Problem::new(Exit::NoInput, format!("nothing runs in `{place}`")).remedy(
        "start it: `jetlag up`, or `jetlag up --data .jetlag/demo` for what a demo left; or name a broker with --url",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(data: &Path, url: &str) {
        let status = serde_json::json!({
            "pid": std::process::id(), "started": null, "data": data, "broker_url": url, "monitor_url": null,
            "processes": [],
        });
        std::fs::create_dir_all(data).unwrap();
        std::fs::write(data.join("up.json"), status.to_string()).unwrap();
    }

    #[test]
    fn brokers_are_found_in_the_directory_and_one_below() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(running_in(directory.path()), []);
        std::fs::create_dir_all(directory.path().join("logs")).unwrap();
        up(&directory.path().join("demo"), "nats://127.0.0.1:2");
        up(directory.path(), "nats://127.0.0.1:1");
        let urls: Vec<_> = running_in(directory.path()).into_iter().map(|(_, url)| url).collect();
        assert_eq!(urls, ["nats://127.0.0.1:1", "nats://127.0.0.1:2"]);
    }

    #[test]
    fn what_does_not_run_is_told_with_what_to_do() {
        let data = tempfile::tempdir().unwrap();
        let source = Source { data: Some(data.path().to_owned()), ..Source::default() };
        let problem = source.connection().unwrap_err();
        assert_eq!(problem.exit(), Exit::NoInput);
        assert!(problem.render().contains("jetlag up --data .jetlag/demo"), "{}", problem.render());
    }
}
