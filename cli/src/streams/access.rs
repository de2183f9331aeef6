//! As whom, and how, a broker is spoken to: from flags, from the environment or from a context, put together here.

use std::path::{Path, PathBuf};

use clap::Args;
use jetlag::Secret;
use jetlag::jetstream::{Connection, Login, Tls};

use crate::problem::{Exit, Problem};

/// A seed of a user's nkey begins with this; anything else is a file with one.
const SEED_PREFIX: &str = "SU";
/// How long a seed is.
const SEED_CHARS: usize = 58;
/// A file with a seed or a password is smaller.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// As whom to connect, and with which certificates. Each can also come from the environment or from a context.
#[derive(Debug, Clone, Default, Args)]
pub struct Access {
    /// A file with a user's JWT and seed [env: NATS_CREDS]
    #[arg(long, value_name = "FILE")]
    pub creds: Option<String>,

    /// A file with the seed of a user's nkey [env: NATS_NKEY, which may be the seed itself]
    #[arg(long, value_name = "FILE")]
    pub nkey: Option<String>,

    /// The user's name [env: NATS_USER]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// Its password; others on this machine see it: better in NATS_PASSWORD, or in a context [env: NATS_PASSWORD]
    #[arg(long, value_name = "WORD", value_parser = secret)]
    pub password: Option<Secret>,

    /// A token; better in NATS_TOKEN, or in a context [env: NATS_TOKEN]
    #[arg(long, value_name = "TOKEN", value_parser = secret)]
    pub token: Option<Secret>,

    /// The authority of the servers' certificates (PEM); requires TLS [env: NATS_CA]
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<String>,

    /// The client's certificate (PEM) [env: NATS_CERT]
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<String>,

    /// The key of the client's certificate (PEM) [env: NATS_KEY]
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,

    /// Begin TLS before the server says anything, as it may be configured to want
    #[arg(long)]
    pub tls_first: bool,

    /// What the subjects begin with on which answers are heard [default: _INBOX_operator; env: NATS_INBOX_PREFIX]
    #[arg(long, value_name = "PREFIX")]
    pub inbox_prefix: Option<String>,

    /// A user's JWT, with its seed: only a context has them.
    #[arg(skip)]
    pub(super) jwt: Option<(Secret, Secret)>,
}

#[allow(clippy::unnecessary_wraps, reason = "clap wants a result")]
fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::of(text.to_owned()))
}

impl Access {
    /// What the environment says.
    pub(super) fn of_environment(variable: &impl Fn(&str) -> Option<String>) -> Self {
        let secret = |name| variable(name).map(Secret::of);
        Self {
            creds: variable("NATS_CREDS"),
            nkey: variable("NATS_NKEY"),
            user: variable("NATS_USER"),
            password: secret("NATS_PASSWORD"),
            token: secret("NATS_TOKEN"),
            tls_ca: variable("NATS_CA"),
            tls_cert: variable("NATS_CERT"),
            tls_key: variable("NATS_KEY"),
            tls_first: false,
            inbox_prefix: variable("NATS_INBOX_PREFIX"),
            jwt: None,
        }
    }

    /// The same, with what is not said here taken from `base`. The user is one thing: whoever names one here is not mixed with
    /// another there. So is a client's certificate with its key.
    #[must_use]
    pub(super) fn over(self, base: Self) -> Self {
        let mut whole = base;
        if self.names_user() {
            let Self { creds, nkey, user, password, token, jwt, .. } = self;
            (whole.creds, whole.nkey, whole.user) = (creds, nkey, user);
            (whole.password, whole.token, whole.jwt) = (password, token, jwt);
        }
        if self.tls_cert.is_some() || self.tls_key.is_some() {
            (whole.tls_cert, whole.tls_key) = (self.tls_cert, self.tls_key);
        }
        whole.tls_ca = self.tls_ca.or(whole.tls_ca);
        whole.tls_first |= self.tls_first;
        whole.inbox_prefix = self.inbox_prefix.or(whole.inbox_prefix);
        whole
    }

    fn names_user(&self) -> bool {
        self.creds.is_some()
            || self.nkey.is_some()
            || self.user.is_some()
            || self.password.is_some()
            || self.token.is_some()
            || self.jwt.is_some()
    }

    /// A connection to `url` like this.
    ///
    /// # Errors
    /// It does not fit together, or a file cannot be read (78).
    pub(super) fn connection(&self, url: &str) -> Result<Connection, Problem> {
        let client = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some((readable(certificate)?, readable(key)?)),
            (None, None) => None,
            _ => {
                return Err(wrong("a client's certificate or its key is given without the other")
                    .remedy("give both: --tls-cert and --tls-key, or NATS_CERT and NATS_KEY"));
            }
        };
        let ca = self.tls_ca.as_deref().map(readable).transpose()?;
        let connection = Connection::to(url).with_login(self.login()?);
        let connection = connection.with_tls(Tls { ca, client, first: self.tls_first });
        Ok(match &self.inbox_prefix {
            Some(prefix) => connection.with_inbox(prefix),
            None => connection,
        })
    }

    fn login(&self) -> Result<Login, Problem> {
        let mut logins = Vec::new();
        if let Some(path) = &self.creds {
            logins.push(Login::Credentials(credentials(path)?));
        }
        if let Some(nkey) = &self.nkey {
            logins.push(Login::Nkey(seed(nkey)?));
        }
        match (&self.user, &self.password) {
            (Some(user), password) => {
                let password = password.as_ref().map(literal).transpose()?.unwrap_or_default();
                logins.push(Login::Password { user: user.clone(), password });
            }
            (None, Some(_)) => {
                return Err(wrong("a password is given without a user")
                    .remedy("name the user with --user, NATS_USER or the context's `user`"));
            }
            (None, None) => {}
        }
        if let Some(token) = &self.token {
            logins.push(Login::Token(literal(token)?));
        }
        if let Some((jwt, seed)) = &self.jwt {
            logins.push(Login::Jwt { jwt: literal(jwt)?, seed: literal(seed)? });
        }
        let one = logins.pop().unwrap_or_default();
        match logins.as_slice() {
            [] => Ok(one),
            _ => Err(wrong("several users are named: credentials, an nkey, a name, a token")
                .remedy("name one of them; flags replace what the environment and contexts say of the user")),
        }
    }
}

fn wrong(what: impl Into<String>) -> Problem {
    Problem::new(Exit::Config, what)
}

/// The file that `reference` names, if it can be read.
fn readable(reference: &str) -> Result<PathBuf, Problem> {
    let path = path(reference)?;
    match std::fs::File::open(&path) {
        Ok(_) => Ok(path),
        Err(error) => Err(wrong(format!("cannot read `{}`", path.display()))
            .because(error)
            .remedy("it is named by a flag, a NATS_* variable or a context")),
    }
}

/// The file that `reference` names: a path, or a URL of one.
fn path(reference: &str) -> Result<PathBuf, Problem> {
    match reference.split_once("://") {
        Some(("file", path)) => Ok(PathBuf::from(path)),
        Some((scheme, _)) => {
            Err(wrong(format!("`{scheme}://…` names credentials that only the nats command can fetch"))
                .remedy("write them to a file, and name that"))
        }
        None => Ok(PathBuf::from(reference)),
    }
}

/// The file with a JWT and a seed that `reference` names.
fn credentials(reference: &str) -> Result<PathBuf, Problem> {
    let path = readable(reference)?;
    let text = short(&path)?;
    if text.contains("NATS USER JWT") && text.lines().map(str::trim).any(is_seed) {
        return Ok(path);
    }
    Err(wrong(format!("there are no credentials in `{}`", path.display())).remedy(
        "such a file has a user's JWT and its seed, each between lines of dashes: `nsc generate creds` writes one; a seed \
         alone is named with --nkey, NATS_NKEY or the context's `nkey`",
    ))
}

/// The seed that `reference` is, or the one in the file that it names.
fn seed(reference: &str) -> Result<Secret, Problem> {
    if is_seed(reference) {
        return Ok(Secret::of(reference.to_owned()));
    }
    let path = readable(reference)?;
    let text = short(&path)?;
    let seed = text.lines().map(str::trim).find(|line| is_seed(line));
    seed.map(|seed| Secret::of(seed.to_owned())).ok_or_else(|| {
        wrong(format!("there is no seed of a user's nkey in `{}`", path.display()))
            .remedy("a seed begins with SU and has 58 characters; the public key, which begins with U, is the server's")
    })
}

fn is_seed(text: &str) -> bool {
    text.starts_with(SEED_PREFIX) && text.len() == SEED_CHARS
}

/// The word itself, or what it refers to in the way of the `nats` command: `env://NAME` or `file://PATH`.
fn literal(secret: &Secret) -> Result<Secret, Problem> {
    match secret.expose().split_once("://") {
        Some(("env", name)) => std::env::var(name)
            .ok()
            .filter(|value| !value.is_empty())
            .map(Secret::of)
            .ok_or_else(|| wrong(format!("`env://{name}` names a variable that is not set"))),
        Some(("file", name)) => {
            let text = short(Path::new(name))?;
            Ok(Secret::of(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        Some((scheme @ ("op" | "nsc" | "data"), _)) => {
            Err(wrong(format!("`{scheme}://…` is something that only the nats command can fetch"))
                .remedy("put it into a NATS_* variable, or write it to a file and name that as file://PATH"))
        }
        _ => Ok(secret.clone()),
    }
}

/// What is in a file that has to be short.
fn short(path: &Path) -> Result<String, Problem> {
    let unreadable =
        |error: std::io::Error| wrong(format!("cannot read `{}`", path.display())).because(error);
    if std::fs::metadata(path).map_err(unreadable)?.len() > SECRET_BYTES_MAX {
        return Err(wrong(format!(
            "`{}` is too long for a secret: over {SECRET_BYTES_MAX} bytes",
            path.display()
        )));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_named_in_one_place_is_not_mixed_with_another() {
        let context = Access {
            creds: Some("a.creds".into()),
            tls_ca: Some("ca.pem".into()),
            tls_cert: Some("c.pem".into()),
            tls_key: Some("k.pem".into()),
            ..Access::default()
        };
        let flags = Access { user: Some("me".into()), tls_cert: Some("d.pem".into()), ..Access::default() };
        let both = flags.over(context.clone());
        assert_eq!((both.creds, both.user.as_deref()), (None, Some("me")));
        assert_eq!((both.tls_ca.as_deref(), both.tls_cert.as_deref()), (Some("ca.pem"), Some("d.pem")));
        assert_eq!(both.tls_key, None, "the key of another certificate is of no use");
        assert_eq!(Access::default().over(context).creds.as_deref(), Some("a.creds"));
    }

    #[test]
    fn what_does_not_fit_together_is_told() {
        let told = |access: Access| {
            let problem = access.connection("nats://h").unwrap_err();
            assert_eq!(problem.exit(), Exit::Config);
            problem.render()
        };
        let word = || Some(Secret::of("word".into()));
        assert!(told(Access { password: word(), ..Access::default() }).contains("without a user"));
        let several = Access { user: Some("me".into()), token: word(), ..Access::default() };
        assert!(told(several).contains("several users"));
        assert!(
            told(Access { tls_cert: Some("c".into()), ..Access::default() }).contains("without the other")
        );
        let absent = Access { creds: Some("/nonexistent/a.creds".into()), ..Access::default() };
        assert!(told(absent).contains("cannot read `/nonexistent/a.creds`"));
        let foreign = Access { creds: Some("op://vault/nats".into()), ..Access::default() };
        assert!(told(foreign).contains("`op://…`"));
        let unset = Access { token: Some(Secret::of("env://JETLAG_NOT_SET".into())), ..Access::default() };
        assert!(told(unset).contains("not set"));
    }

    #[test]
    fn a_seed_stands_in_the_variable_or_in_a_file() {
        let text = format!("SU{}", "A".repeat(56));
        assert_eq!(seed(&text).unwrap().expose(), text);
        let file = tempfile::NamedTempFile::new().unwrap();
        let name = file.path().display().to_string();
        assert!(seed(&name).unwrap_err().render().contains("no seed"));
        std::fs::write(file.path(), format!("-----BEGIN-----\n{text}\n")).unwrap();
        assert_eq!(seed(&name).unwrap().expose(), text);
        assert_eq!(seed(&format!("file://{name}")).unwrap().expose(), text);
    }

    #[test]
    fn a_secret_is_never_printed() {
        let access = Access { password: Some(Secret::of("s3cret".into())), ..Access::default() };
        assert!(!format!("{access:?}").contains("s3cret"));
    }
}
