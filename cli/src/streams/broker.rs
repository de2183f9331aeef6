//! Which broker is meant, and a connection to it.

use std::path::{Path, PathBuf};

use clap::Args;
use jetlag::jetstream::{Connection, Operator};
use jetlag::permissions::OPERATOR;

use super::access::Access;
use super::context::{Context, Contexts};
use crate::app;
use crate::console::Console;
use crate::problem::{Exit, Problem};
use crate::status::Look;
use crate::supervisor::Status;

/// Where the data directories of local runs are.
const DATA_DIRECTORIES: &str = ".jetlag";
/// The variables that name the broker where no flag does.
const URL_VARIABLE: &str = "NATS_URL";
const CONTEXT_VARIABLE: &str = "NATS_CONTEXT";

/// Which broker is meant.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Broker (docs/operations.md says what goes before what)")]
pub struct Source {
    /// The broker [default: that of --context or --data, else NATS_URL or NATS_CONTEXT, else that of the `up` or `demo` that
    /// runs in .jetlag or a directory in it, else the context selected with `nats context select`]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// A context of the `nats` command: its broker and its user
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// The data directory of the `jetlag up` or `demo` that is meant
    #[arg(long, value_name = "DIR", conflicts_with_all = ["url", "context"])]
    pub data: Option<PathBuf>,

    /// As whom.
    #[command(flatten)]
    pub access: Access,
}

/// What is there beside the flags.
struct Around<'a, V: Fn(&str) -> Option<String>> {
    variable: V,
    runs: &'a Path,
    contexts: Contexts,
}

/// The broker that is meant, and why.
#[derive(Debug)]
struct Meant {
    url: String,
    access: Access,
    /// The data directory of the local run that it belongs to.
    data: Option<PathBuf>,
    /// What the reader should know of how it came about.
    notes: Vec<String>,
}

impl Source {
    /// Connects as the operator, and says to where.
    ///
    /// # Errors
    /// It is not clear which broker is meant (64), none runs here or there is no such context (66), it does not answer (69),
    /// it refuses this user, or credentials cannot be read (78).
    pub async fn connect(&self) -> Result<(Operator, String), Problem> {
        self.connect_as(OPERATOR).await
    }

    /// The same as `user`, one of those of operations: where each has its own permissions, it has its own inbox too.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_as(&self, user: &str) -> Result<(Operator, String), Problem> {
        self.meant()?.connect(user).await
    }

    /// Connects as the operator, to look at everything, and says to where.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn look(&self) -> Result<(Look, String), Problem> {
        self.look_as(OPERATOR).await
    }

    /// The same as `user`, one of those of operations.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn look_as(&self, user: &str) -> Result<(Look, String), Problem> {
        let meant = self.meant()?;
        let (operator, url) = meant.connect(user).await?;
        Ok((Look::at(operator, url.clone(), meant.data, self.words()), url))
    }

    /// What was said of where, for other commands to be told the same. As whom is not repeated.
    fn words(&self) -> String {
        let mut words = String::new();
        let mut say = |flag: &str, value: Option<String>| {
            if let Some(value) = value {
                words.push_str(&format!(" {flag} {value}"));
            }
        };
        say("--url", self.url.as_ref().map(|url| Connection::to(url).url().to_owned()));
        say("--context", self.context.clone());
        say("--data", self.data.as_ref().map(|data| data.display().to_string()));
        words
    }

    fn meant(&self) -> Result<Meant, Problem> {
        // A variable that is set to nothing counts as not set.
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let contexts = Contexts::of_user(&variable);
        let meant = self.choose(&Around { variable, runs: Path::new(DATA_DIRECTORIES), contexts })?;
        for note in &meant.notes {
            Console::stderr().note(note);
        }
        Ok(meant)
    }

    /// Flags go before the environment, the environment before what is found here, and that before a selected context.
    fn choose<V: Fn(&str) -> Option<String>>(&self, around: &Around<'_, V>) -> Result<Meant, Problem> {
        let flags = || self.access.clone();
        if let Some(name) = &self.context {
            let context = around.contexts.read(name)?;
            return Ok(Meant::by_context(name, context, self.url.clone(), flags()));
        }
        if let Some(url) = &self.url {
            let access = flags().over(Access::of_environment(&around.variable));
            return Ok(Meant::by_url(url.clone(), access));
        }
        if let Some(data) = &self.data {
            let url = broker_of(data).ok_or_else(|| nothing_runs(&data.display().to_string()))?;
            return Ok(Meant { data: Some(data.clone()), ..Meant::by_url(url, flags()) });
        }
        let (url, context) = ((around.variable)(URL_VARIABLE), (around.variable)(CONTEXT_VARIABLE));
        let refined = || flags().over(Access::of_environment(&around.variable));
        match (url, context) {
            (url, Some(name)) => {
                return Ok(Meant::by_context(&name, around.contexts.read(&name)?, url, refined()));
            }
            (Some(url), None) => return Ok(Meant::by_url(url, refined())),
            (None, None) => {}
        }
        let running = running_in(around.runs);
        match (running.as_slice(), around.contexts.selected()) {
            ([(data, url)], _) => {
                Ok(Meant { data: Some(data.clone()), ..Meant::by_url(url.clone(), flags()) })
            }
            ([], None) => Err(nothing_runs(&around.runs.display().to_string())),
            ([], Some(name)) => {
                let mut meant = Meant::by_context(&name, around.contexts.read(&name)?, None, refined());
                let url = Connection::to(&meant.url).url().to_owned();
                meant
                    .notes
                    .insert(0, format!("nothing runs here: the selected context `{name}` is meant, {url}"));
                Ok(meant)
            }
            (several, _) => {
                let names: Vec<_> = several.iter().map(|(data, _)| data.display().to_string()).collect();
                let what = format!("several brokers run here: in {}", names.join(", "));
                Err(Problem::new(Exit::Usage, what).remedy("say which one is meant with --data DIR"))
            }
        }
    }
}

impl Meant {
    const fn by_url(url: String, access: Access) -> Self {
        Self { url, access, data: None, notes: Vec::new() }
    }

    fn by_context(name: &str, context: Context, url: Option<String>, access: Access) -> Self {
        let Context { url: own, access: base, unknown } = context;
        let note = |field: &String| format!("the context `{name}` has `{field}`, which Jetlag does not know");
        let notes = unknown.iter().map(note).collect();
        Self { notes, ..Self::by_url(url.unwrap_or(own), access.over(base)) }
    }

    async fn connect(&self, user: &str) -> Result<(Operator, String), Problem> {
        let connection = self.access.connection(&self.url)?;
        let url = connection.url().to_owned();
        let operator = Operator::connect_as(&connection, user).await.map_err(|error| {
            let problem = Problem::new(Exit::Unavailable, "the broker cannot be looked at").because(error);
            if problem.sentence().contains("certificate") {
                return problem.remedy(
                    "name the authority of its certificate with --tls-ca, NATS_CA or the context's `ca`; its address must be \
                     one of those in the certificate",
                );
            }
            if problem.sentence().contains("expected INFO") && !self.access.tls_first {
                return problem.remedy(
                    "a server that wants TLS before it says anything is named with --tls-first, or with `tls_first` in the \
                     context",
                );
            }
            problem
        })?;
        Ok((operator, url))
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
        "start it: `jetlag up`, or `jetlag up --data .jetlag/demo` for what a demo left; or name a broker with --url, or a \
         context of the `nats` command with --context",
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

    /// What is around the command in these tests: two contexts, of which one is selected.
    fn around<'a>(
        root: &'a Path,
        variables: &'a [(&'a str, &'a str)],
    ) -> Around<'a, impl Fn(&str) -> Option<String> + 'a> {
        let directory = root.join("nats/context");
        std::fs::create_dir_all(&directory).unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
        write("shop.json", r#"{"url": "nats://shop", "user": "ann", "password": "a"}"#);
        write("yard.json", r#"{"url": "nats://yard", "user": "bob", "password": "b"}"#);
        std::fs::write(root.join("nats/context.txt"), "yard").unwrap();
        let variable = move |name: &str| {
            let set = variables.iter().find(|(other, _)| *other == name);
            set.map(|(_, value)| (*value).to_owned())
        };
        let place = root.display().to_string();
        let contexts =
            Contexts::of_user(&move |name: &str| (name == "XDG_CONFIG_HOME").then(|| place.clone()));
        Around { variable, runs: root, contexts }
    }

    #[test]
    fn flags_go_before_the_environment_and_that_before_what_is_found() {
        let root = tempfile::tempdir().unwrap();
        let all = [("NATS_URL", "nats://env"), ("NATS_CONTEXT", "shop"), ("NATS_USER", "eve")];
        let flag = |url: Option<&str>, context: Option<&str>| Source {
            url: url.map(str::to_owned),
            context: context.map(str::to_owned),
            ..Source::default()
        };
        let meant = |source: Source, variables: &[(&str, &str)]| {
            let meant = source.choose(&around(root.path(), variables)).unwrap();
            (meant.url, meant.access.user.unwrap_or_default())
        };
        let [url, context, _] = all;
        let expect = |url: &str, user: &str| (url.to_owned(), user.to_owned());
        assert_eq!(meant(flag(None, Some("yard")), &all), expect("nats://yard", "bob"));
        assert_eq!(meant(flag(Some("nats://x"), Some("yard")), &all), expect("nats://x", "bob"));
        assert_eq!(meant(flag(Some("nats://x"), None), &all), expect("nats://x", "eve"));
        assert_eq!(meant(flag(None, None), &all), expect("nats://env", "eve"));
        assert_eq!(meant(flag(None, None), &[url, context]), expect("nats://env", "ann"));
        assert_eq!(meant(flag(None, None), &[context]), expect("nats://shop", "ann"));
        assert_eq!(meant(flag(None, None), &[url]), expect("nats://env", ""));
        assert_eq!(meant(flag(None, None), &[]), expect("nats://yard", "bob"), "the selected one");
        let me = Access { user: Some("me".into()), ..Access::default() };
        let named = Source { context: Some("yard".into()), access: me, ..Source::default() };
        assert_eq!(meant(named, &all), expect("nats://yard", "me"));

        up(&root.path().join("demo"), "nats://127.0.0.1:1");
        assert_eq!(meant(flag(None, None), &[]), expect("nats://127.0.0.1:1", ""), "what runs here");
        assert_eq!(meant(flag(None, None), &[context]), expect("nats://shop", "ann"));
        let here = Source { data: Some(root.path().join("demo")), ..Source::default() };
        assert_eq!(meant(here, &all), expect("nats://127.0.0.1:1", ""));
    }

    #[test]
    fn a_broker_that_nobody_named_is_told() {
        let root = tempfile::tempdir().unwrap();
        let meant = Source::default().choose(&around(root.path(), &[])).unwrap();
        assert_eq!(meant.notes, ["nothing runs here: the selected context `yard` is meant, nats://yard"]);
    }

    #[test]
    fn what_does_not_run_is_told_with_what_to_do() {
        let data = tempfile::tempdir().unwrap();
        let source = Source { data: Some(data.path().to_owned()), ..Source::default() };
        let problem = source.meant().unwrap_err();
        assert_eq!(problem.exit(), Exit::NoInput);
        assert!(problem.render().contains("jetlag up --data .jetlag/demo"), "{}", problem.render());
    }
}
