//! Contexts of the `nats` command: named brokers with credentials, in files under `~/.config/nats`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jetlag::Secret;
use serde::Deserialize;
use serde_json::Value;

use super::access::Access;
use crate::problem::{Exit, Problem};

/// A context is smaller than this.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Where a context without a `url` is, as the `nats` command has it.
const CUSTOMARY_URL: &str = "nats://127.0.0.1:4222";

/// Where the contexts are.
#[derive(Debug, Clone)]
pub(super) struct Contexts {
    directory: PathBuf,
    home: String,
}

/// A context: where, and as whom.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) url: String,
    pub(super) access: Access,
    /// What the file says besides, and nobody here knows what it means.
    pub(super) unknown: Vec<String>,
}

/// The file, as the `nats` command writes it: every field, most of them empty.
#[derive(Debug, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Settings {
    url: String,
    token: String,
    user: String,
    password: String,
    creds: String,
    nkey: String,
    cert: String,
    key: String,
    ca: String,
    inbox_prefix: String,
    user_jwt: String,
    user_seed: String,
    tls_first: bool,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// Fields that mean nothing to a connection.
const DECORATION: [&str; 3] = ["name", "description", "color_scheme"];
/// Fields that are known and cannot be followed, and what to do instead.
const UNSUPPORTED: [(&str, &str); 6] = [
    ("socks_proxy", "forward a port to the broker, and name it with --url"),
    ("nsc", "`nsc generate creds` writes a file: name it as `creds`"),
    (
        "jetstream_domain",
        "connect to a server of that domain: Jetlag speaks to the JetStream of the account itself",
    ),
    ("jetstream_api_prefix", "Jetlag speaks to the JetStream of the account itself, under $JS.API"),
    ("windows_cert_store", "export the certificate to files: `cert`, `key` and `ca`"),
    ("windows_cert_match", "export the certificate to files: `cert`, `key` and `ca`"),
];

impl Contexts {
    /// Those of this user: in `$XDG_CONFIG_HOME/nats`, else in `~/.config/nats`.
    pub(super) fn of_user(variable: &impl Fn(&str) -> Option<String>) -> Self {
        let home = variable("HOME").unwrap_or_default();
        let root = variable("XDG_CONFIG_HOME").map(PathBuf::from);
        let root = root.unwrap_or_else(|| Path::new(&home).join(".config"));
        Self { directory: root.join("nats"), home }
    }

    /// The one that was selected with `nats context select`.
    pub(super) fn selected(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.directory.join("context.txt")).ok()?;
        Some(text.trim().to_owned()).filter(|name| !name.is_empty())
    }

    /// Reads the context `name`.
    ///
    /// # Errors
    /// It is not there (66), or it is not one that can be followed (78).
    pub(super) fn read(&self, name: &str) -> Result<Context, Problem> {
        if name.is_empty() || name.contains("..") || name.contains(['/', '\\']) {
            return Err(Problem::new(Exit::Usage, format!("`{name}` cannot be the name of a context")));
        }
        let path = self.directory.join("context").join(format!("{name}.json"));
        let wrong = |what: String| Problem::new(Exit::Config, what);
        let bytes = std::fs::metadata(&path).and_then(|metadata| match metadata.len() {
            0..=FILE_BYTES_MAX => std::fs::read(&path),
            _ => Err(std::io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes"))),
        });
        let bytes = bytes.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => self.unknown(name),
            _ => wrong(format!("cannot read the context `{}`", path.display())).because(error),
        })?;
        let settings: Settings = serde_json::from_slice(&bytes).map_err(|error| {
            wrong(format!("`{}` is no context", path.display()))
                .because(error)
                .remedy(format!("`nats context edit {name}` mends it"))
        })?;
        self.understood(settings, variable_of_process).map_err(|(field, remedy)| {
            wrong(format!("the context `{name}` has `{field}`, which Jetlag cannot follow")).remedy(remedy)
        })
    }

    fn understood(
        &self,
        settings: Settings,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Context, (String, String)> {
        let is_said = |value: &Value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => true,
        };
        let said: Vec<String> = settings
            .others
            .into_iter()
            .filter(|(field, value)| is_said(value) && !DECORATION.contains(&field.as_str()))
            .map(|(field, _)| field)
            .collect();
        for (field, remedy) in UNSUPPORTED {
            if said.iter().any(|other| other == field) {
                return Err((field.to_owned(), remedy.to_owned()));
            }
        }
        let jwt = match (text(settings.user_jwt), text(settings.user_seed)) {
            (Some(jwt), Some(seed)) => Some((Secret::of(jwt), Secret::of(seed))),
            (None, _) => None,
            (Some(_), None) => {
                return Err((
                    "user_jwt".to_owned(),
                    "give its `user_seed` too, or a `creds` file".to_owned(),
                ));
            }
        };
        let path = |field: String| text(field).map(|path| expanded(&path, &self.home, &variable));
        let access = Access {
            creds: path(settings.creds),
            nkey: path(settings.nkey),
            user: text(settings.user),
            password: text(settings.password).map(Secret::of),
            token: text(settings.token).map(Secret::of),
            tls_ca: path(settings.ca),
            tls_cert: path(settings.cert),
            tls_key: path(settings.key),
            tls_first: settings.tls_first,
            inbox_prefix: text(settings.inbox_prefix),
            jwt,
        };
        let url = text(settings.url).unwrap_or_else(|| CUSTOMARY_URL.to_owned());
        Ok(Context { url, access, unknown: said })
    }

    fn unknown(&self, name: &str) -> Problem {
        let directory = self.directory.join("context");
        let entries = std::fs::read_dir(&directory).into_iter().flatten().filter_map(Result::ok);
        let names =
            entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".json")?.to_owned()));
        let mut names: Vec<String> = names.collect();
        names.sort();
        let what = format!("there is no context `{name}` in {}", directory.display());
        Problem::new(Exit::NoInput, what).remedy(match names.as_slice() {
            [] => {
                format!("`nats context save {name} --server nats://…` makes one; or name a broker with --url")
            }
            names => format!("there are: {}", names.join(", ")),
        })
    }
}

fn variable_of_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn text(field: String) -> Option<String> {
    Some(field).filter(|field| !field.is_empty())
}

/// A path with `~`, `$NAME` and `${NAME}` replaced, as the `nats` command does.
fn expanded(path: &str, home: &str, variable: &impl Fn(&str) -> Option<String>) -> String {
    let mut whole = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('$') {
        whole.push_str(before);
        let (name, behind) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(braced) => braced,
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                after.split_at(end)
            }
        };
        whole.push_str(&variable(name).unwrap_or_default());
        rest = behind;
    }
    whole.push_str(rest);
    match whole.strip_prefix('~') {
        Some(below) => format!("{home}{below}"),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts(files: &[(&str, &str)]) -> (tempfile::TempDir, Contexts) {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("nats/context");
        std::fs::create_dir_all(&directory).unwrap();
        for (name, text) in files {
            std::fs::write(directory.join(name), text).unwrap();
        }
        let place = root.path().display().to_string();
        let variable = move |name: &str| match name {
            "XDG_CONFIG_HOME" => Some(place.clone()),
            "HOME" => Some("/home/me".to_owned()),
            _ => None,
        };
        (root, Contexts::of_user(&variable))
    }

    /// As `nats context save` writes it.
    const SHOP: &str = r#"{
        "description": "the shop", "url": "tls://nats.shop.example:4222", "socks_proxy": "", "token": "", "user": "",
        "password": "", "creds": "~/keys/${SHOP}.creds", "nkey": "", "cert": "", "key": "", "ca": "$HOME/ca.pem",
        "nsc": "", "jetstream_domain": "", "jetstream_api_prefix": "", "jetstream_event_prefix": "",
        "inbox_prefix": "_INBOX_me", "user_jwt": "", "user_seed": "", "color_scheme": "blue", "tls_first": true,
        "windows_cert_store": "", "windows_cert_match_by": "", "windows_cert_match": "", "windows_ca_certs_match": null
    }"#;

    #[test]
    fn a_context_is_read_as_the_nats_command_reads_it() {
        let (root, contexts) = contexts(&[("shop.json", SHOP), ("bare.json", "{}")]);
        let shop = contexts.read("shop").unwrap();
        assert_eq!(shop.url, "tls://nats.shop.example:4222");
        assert_eq!(shop.access.inbox_prefix.as_deref(), Some("_INBOX_me"));
        assert!(shop.access.tls_first && shop.unknown.is_empty());
        assert_eq!(contexts.read("bare").unwrap().url, "nats://127.0.0.1:4222");
        assert_eq!(contexts.selected(), None);
        std::fs::write(root.path().join("nats/context.txt"), "shop\n").unwrap();
        assert_eq!(contexts.selected().as_deref(), Some("shop"));
    }

    #[test]
    fn paths_are_expanded() {
        let variable = |name: &str| (name == "SHOP").then(|| "till".to_owned());
        let path = |text: &str| expanded(text, "/home/me", &variable);
        assert_eq!(path("~/keys/${SHOP}.creds"), "/home/me/keys/till.creds");
        assert_eq!(path("$SHOP/a~b$NONE.pem"), "till/a~b.pem");
        assert_eq!(path("/etc/ca.pem"), "/etc/ca.pem");
    }

    #[test]
    fn what_is_not_there_or_cannot_be_followed_is_told() {
        let (_root, contexts) = contexts(&[
            ("shop.json", SHOP),
            ("half.json", "{"),
            ("proxied.json", r#"{"socks_proxy": "socks5://h:1"}"#),
            ("nsc.json", r#"{"nsc": "nsc://op/acc/user"}"#),
            ("new.json", r#"{"url": "nats://h", "quic": true}"#),
            ("jwt.json", r#"{"user_jwt": "x"}"#),
        ]);
        let told = |name: &str| {
            let problem = contexts.read(name).unwrap_err();
            (problem.exit().code(), problem.render())
        };
        let (code, words) = told("nowhere");
        assert!(code == 66 && words.contains("there are: half, jwt, new, nsc, proxied, shop"), "{words}");
        assert_eq!((told("../shop").0, told("").0), (64, 64));
        let (code, words) = told("half");
        assert!(code == 78 && words.contains("half.json` is no context"), "{words}");
        for (name, field) in [("proxied", "`socks_proxy`"), ("nsc", "`nsc`"), ("jwt", "`user_jwt`")] {
            let (code, words) = told(name);
            assert!(code == 78 && words.contains(field), "{words}");
        }
        assert_eq!(contexts.read("new").unwrap().unknown, ["quic"]);
    }
}
