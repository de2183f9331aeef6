//! Connecting to the broker: where, as whom, and whether it is one that we can work with.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_nats::{ConnectErrorKind, ConnectOptions, ServerAddr};

use crate::jetstream::api::Caller;
use crate::jetstream::link::{Observer, connect_delay};
use crate::jetstream::login::{Login, Tls};
use crate::jetstream::user::User;
use crate::{Environment, Secret, permissions};

/// The oldest server that has what the runtime needs: atomic batches, schedules, and message times to live.
const SERVER_VERSION_MIN: (u32, u32) = (2, 14);
/// How long an attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the server is asked whether it is there. A connection whose server has said nothing for three times as long
/// counts as lost: a server that is frozen, or behind a network that drops everything, closes no connection.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Where the broker is, and as whom to connect.
#[derive(Debug, Clone)]
pub struct Connection {
    /// For people: without a password.
    url: String,
    servers: Secret,
    login: Login,
    tls: Tls,
    /// What the subjects begin with on which answers are heard, if not with what the user's name makes of it.
    inbox: Option<String>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers.
    #[error("cannot connect to NATS at {url}")]
    Connect {
        /// Where.
        url: String,
        /// Why.
        source: async_nats::ConnectError,
    },
    /// The broker does not accept this user.
    #[error("NATS at {url} refuses this user: check NATS_CREDS or NATS_NKEY, and whether they have expired")]
    Refused {
        /// Where.
        url: String,
        /// Why.
        source: async_nats::ConnectError,
    },
    /// The broker lets this user connect, and not ask who it is, or not hear the answer.
    #[error("{0}")]
    Denied(String),
    /// The address is none.
    #[error("{url:?} is no list of NATS servers: check NATS_URL, such as nats://127.0.0.1:4222")]
    Address {
        /// What it is.
        url: String,
        /// Why.
        source: async_nats::ConnectError,
    },
    /// A credentials file cannot be read.
    #[error("cannot read the credentials file {path}", path = path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The connection was closed before anything could be asked for.
    #[error("cannot subscribe")]
    Subscribe(#[source] async_nats::SubscribeError),
    /// The server is too old.
    #[error(
        "nats-server {found} at {url} is too old: Jetlag needs {major}.{minor} or newer for atomic batches and message schedules",
        major = SERVER_VERSION_MIN.0,
        minor = SERVER_VERSION_MIN.1
    )]
    TooOld {
        /// Where.
        url: String,
        /// Its version.
        found: String,
    },
}

impl Connection {
    /// The connection that the environment asks for.
    pub fn from_env(env: &mut Environment) -> Self {
        let url = env.text_or("NATS_URL", "nats://127.0.0.1:4222", "NATS servers, separated by commas");
        let file = |env: &mut Environment, name, about| env.text_if_set(name, about).map(PathBuf::from);
        let credentials = file(env, "NATS_CREDS", "file with a user's JWT and seed");
        let nkey = env.secret_if_set("NATS_NKEY", "seed of the user's nkey");
        let ca = file(env, "NATS_CA", "file with the certificate authority of the servers (PEM)");
        let certificate = file(env, "NATS_CERT", "file with the client certificate (PEM)");
        let key = file(env, "NATS_KEY", "file with the client certificate's key (PEM)");
        if certificate.is_some() != key.is_some() {
            env.fault("NATS_CERT, NATS_KEY", "one is set without the other; a client certificate needs both");
        }
        if credentials.is_some() && nkey.is_some() {
            env.fault("NATS_CREDS, NATS_NKEY", "both are set; connect as one user");
        }
        let login = match (credentials, nkey) {
            (Some(path), _) => Login::Credentials(path),
            (None, Some(seed)) => Login::Nkey(seed),
            (None, None) => Login::OfAddress,
        };
        Self::to(url).with_login(login).with_tls(Tls { ca, client: certificate.zip(key), first: false })
    }

    /// A connection to `url`, which may name a user: `nats://user:password@host:4222`, or `nats://token@host:4222`.
    pub fn to(url: impl Into<String>) -> Self {
        let servers = Secret::of(url.into());
        let url = servers.expose().split(',').map(without_user).collect::<Vec<_>>().join(",");
        Self { url, servers, login: Login::default(), tls: Tls::default(), inbox: None }
    }

    /// The same as this user.
    #[must_use]
    pub fn with_login(self, login: Login) -> Self {
        Self { login, ..self }
    }

    /// The same, encrypted like this.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls, ..self }
    }

    /// The same, hearing answers on subjects that begin with `prefix`: for users that may subscribe to no others.
    #[must_use]
    pub fn with_inbox(self, prefix: impl Into<String>) -> Self {
        Self { inbox: Some(prefix.into()), ..self }
    }

    /// Where, without a password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connects as `name`, once, and checks the server's version.
    pub(super) async fn open(&self, name: &str) -> Result<Caller, ConnectError> {
        let who = Arc::new(OnceLock::new());
        if let Some(user) = self.user() {
            // Set once, here, or from the server's own words below.
            let _ = who.set(user);
        }
        let observer = Observer::new(Arc::clone(&who));
        let (mut link, denials) = observer.watch();
        let options = self.options(name, observer).await?;
        let connected =
            options.connect(self.servers.expose().split(',').map(str::trim).collect::<Vec<_>>()).await;
        let client = connected.map_err(|source| {
            let url = self.url.clone();
            match source.kind() {
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                    ConnectError::Refused { url, source }
                }
                ConnectErrorKind::ServerParse => ConnectError::Address { url, source },
                _ => ConnectError::Connect { url, source },
            }
        })?;
        let found = client.server_info().version;
        if version(&found).is_none_or(|version| version < SERVER_VERSION_MIN) {
            return Err(ConnectError::TooOld { url: self.url.clone(), found });
        }
        // The client tells of its first connection from another task.
        // The receiver that others are cloned from sees it: to none of them is the first connection news.
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, link.wait_for(|link| !link.is_down())).await;
        let caller = Caller { client, link, denials };
        if let Some(user) = User::ask(&caller).await {
            let _ = who.set(user.name());
        }
        caller.denied().map_or(Ok(caller), |why| Err(ConnectError::Denied(why)))
    }

    /// The user that the address names, with a password; the first one is meant for all servers.
    fn user(&self) -> Option<String> {
        if let Some(user) = self.login.user() {
            return Some(user);
        }
        let mut servers =
            self.servers.expose().split(',').filter_map(|url| url.trim().parse::<ServerAddr>().ok());
        let server = servers.find(|server| server.has_user_pass() && server.password().is_some())?;
        server.username().map(str::to_owned)
    }

    async fn options(&self, name: &str, observer: Observer) -> Result<ConnectOptions, ConnectError> {
        let observer = Arc::new(observer);
        let mut options = ConnectOptions::new()
            .name(name)
            .custom_inbox_prefix(self.inbox.clone().unwrap_or_else(|| permissions::inbox(name)))
            .connection_timeout(CONNECT_TIMEOUT)
            .ping_interval(PING_INTERVAL)
            .reconnect_delay_callback(connect_delay())
            .event_callback(move |event| {
                let observer = Arc::clone(&observer);
                async move { observer.hear(event) }
            });
        // The client itself passes over a user in the address. The first one is meant for all.
        let servers =
            self.servers.expose().split(',').filter_map(|url| url.trim().parse::<ServerAddr>().ok());
        if let Some(server) = servers.into_iter().find(ServerAddr::has_user_pass)
            && matches!(self.login, Login::OfAddress)
        {
            let user = server.username().unwrap_or_default().to_owned();
            options = match server.password() {
                Some(password) => options.user_and_password(user, password.to_owned()),
                None => options.token(user),
            };
        }
        Ok(self.tls.put_into(self.login.put_into(options).await?))
    }
}

/// The address without user and password.
fn without_user(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => url.to_owned(),
    }
}

/// Major and minor version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(version("2.9.10").unwrap() < SERVER_VERSION_MIN);
        assert!(version("2.15.1").unwrap() > SERVER_VERSION_MIN);
        assert_eq!(version("x"), None);
    }

    #[test]
    fn a_password_in_the_address_is_shown_to_nobody() {
        let connection = Connection::to("nats://me:pass@a:4222, nats://b:4222,c@d");
        assert_eq!(connection.url(), "nats://a:4222, nats://b:4222,d");
        assert!(!format!("{connection:?}").contains("pass"));
    }

    #[test]
    fn half_a_client_certificate_is_a_fault() {
        let mut env = Environment::of([("NATS_CERT", "a.pem"), ("NATS_CREDS", "a"), ("NATS_NKEY", "b")]);
        let connection = Connection::from_env(&mut env);
        assert_eq!(env.faults().len(), 2);
        assert!(!format!("{connection:?}").contains("\"b\""));
    }
}
