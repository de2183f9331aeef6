//! Connecting to the broker: where, as whom, and whether it is one that we can work with.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::watch;

use crate::{Environment, Secret};

/// The oldest server that has what the runtime needs: atomic batches, schedules, and message times to live.
const SERVER_VERSION_MIN: (u32, u32) = (2, 14);
/// How long an attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest wait between attempts to connect again.
const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(2);

/// Where the broker is, and as whom to connect.
#[derive(Debug, Clone)]
pub struct Connection {
    url: String,
    credentials: Option<PathBuf>,
    nkey: Option<Secret>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// Whether the broker can be reached, as a function watches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Connected.
    Up,
    /// Not connected; the client keeps trying.
    Down,
    /// The broker refuses what the function needs: nothing will mend that but other permissions.
    Denied(String),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers, or the broker refuses.
    #[error("cannot connect to NATS at {url}")]
    Connect {
        /// Where.
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
        Self { url, credentials, nkey, ca, certificate, key }
    }

    /// A connection to `url` without credentials.
    pub fn to(url: impl Into<String>) -> Self {
        Self { url: url.into(), credentials: None, nkey: None, ca: None, certificate: None, key: None }
    }

    /// Where.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connects as `name`, once, and checks the server's version.
    pub(crate) async fn open(&self, name: &str) -> Result<(Client, watch::Receiver<Link>), ConnectError> {
        let (link, watching) = watch::channel(Link::Down);
        let options = self.options(name, link.clone()).await?;
        let client = options
            .connect(self.url.split(',').map(str::trim).collect::<Vec<_>>())
            .await
            .map_err(|source| ConnectError::Connect { url: self.url.clone(), source })?;
        let found = client.server_info().version;
        if version(&found).is_none_or(|version| version < SERVER_VERSION_MIN) {
            return Err(ConnectError::TooOld { url: self.url.clone(), found });
        }
        link.send_if_modified(|link| std::mem::replace(link, Link::Up) != Link::Up);
        Ok((client, watching))
    }

    async fn options(&self, name: &str, link: watch::Sender<Link>) -> Result<ConnectOptions, ConnectError> {
        let mut options = ConnectOptions::new()
            .name(name)
            .custom_inbox_prefix(format!("_INBOX_{name}"))
            .connection_timeout(CONNECT_TIMEOUT)
            .reconnect_delay_callback(|attempt| {
                let exponent = u32::try_from(attempt.min(10)).unwrap_or(10);
                Duration::from_millis(20)
                    .saturating_mul(2u32.saturating_pow(exponent))
                    .min(RECONNECT_DELAY_MAX)
            })
            .event_callback(move |event| {
                let link = link.clone();
                async move { tell(&link, event) }
            });
        if let Some(path) = &self.credentials {
            options = options
                .credentials_file(path)
                .await
                .map_err(|source| ConnectError::Credentials { path: path.clone(), source })?;
        }
        if let Some(seed) = &self.nkey {
            options = options.nkey(seed.expose().to_owned());
        }
        if let Some(ca) = &self.ca {
            options = options.add_root_certificates(ca.clone()).require_tls(true);
        }
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        Ok(options)
    }
}

fn tell(link: &watch::Sender<Link>, event: Event) {
    let now = match event {
        Event::Connected => Link::Up,
        Event::Disconnected | Event::Closed => Link::Down,
        Event::ServerError(error) => {
            let text = error.to_string();
            if text.to_lowercase().contains("permissions violation") {
                tracing::error!(error = text, "the broker denies this function what it needs");
                Link::Denied(text)
            } else {
                tracing::warn!(error = text, "the broker reports an error");
                return;
            }
        }
        Event::SlowConsumer(_) => {
            tracing::warn!("the broker's messages come faster than they are taken");
            return;
        }
        _ => return,
    };
    link.send_if_modified(|link| std::mem::replace(link, now.clone()) != now);
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
    fn half_a_client_certificate_is_a_fault() {
        let mut env = Environment::of([("NATS_CERT", "a.pem"), ("NATS_CREDS", "a"), ("NATS_NKEY", "b")]);
        let connection = Connection::from_env(&mut env);
        assert_eq!(env.faults().len(), 2);
        assert!(!format!("{connection:?}").contains("\"b\""));
    }
}
