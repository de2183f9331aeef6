//! As whom a connection is made, and how it is encrypted.

use std::path::PathBuf;

use async_nats::ConnectOptions;

use crate::Secret;
use crate::jetstream::connect::ConnectError;

/// As whom to connect.
#[derive(Debug, Clone, Default)]
pub enum Login {
    /// As whoever the address names, or nobody.
    #[default]
    OfAddress,
    /// With a user's name and password.
    Password {
        /// The name.
        user: String,
        /// Its password.
        password: Secret,
    },
    /// With a token that everybody shares.
    Token(Secret),
    /// With a file that has a user's JWT and seed.
    Credentials(PathBuf),
    /// With the seed of the user's nkey.
    Nkey(Secret),
    /// With a user's JWT and its seed.
    Jwt {
        /// The JWT.
        jwt: Secret,
        /// The seed of the nkey that it names.
        seed: Secret,
    },
}

/// How the connection is encrypted. Without any of it, it is if the server wants that, and the system's authorities count.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// A file with the certificate authority of the servers (PEM); requires TLS.
    pub ca: Option<PathBuf>,
    /// Files with the client's certificate and its key (PEM).
    pub client: Option<(PathBuf, PathBuf)>,
    /// Whether TLS begins before the server has said anything; requires TLS.
    pub first: bool,
}

impl Login {
    /// The name of the user, if it is no key.
    pub(super) fn user(&self) -> Option<String> {
        match self {
            Self::Password { user, .. } => Some(user.clone()),
            _ => None,
        }
    }

    pub(super) async fn put_into(&self, options: ConnectOptions) -> Result<ConnectOptions, ConnectError> {
        let unreadable = |path: PathBuf| move |source| ConnectError::Credentials { path, source };
        match self {
            Self::OfAddress => Ok(options),
            Self::Password { user, password } => {
                Ok(options.user_and_password(user.clone(), password.expose().to_owned()))
            }
            Self::Token(token) => Ok(options.token(token.expose().to_owned())),
            Self::Credentials(path) => options.credentials_file(path).await.map_err(unreadable(path.clone())),
            Self::Nkey(seed) => Ok(options.nkey(seed.expose().to_owned())),
            Self::Jwt { jwt, seed } => {
                // The form of a credentials file, which is what the client reads.
                let text = format!(
                    "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\
                     -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
                    jwt.expose(),
                    seed.expose()
                );
                options.credentials(&text).map_err(unreadable("user_jwt".into()))
            }
        }
    }
}

impl Tls {
    pub(super) fn put_into(&self, mut options: ConnectOptions) -> ConnectOptions {
        if let Some(ca) = &self.ca {
            options = options.add_root_certificates(ca.clone()).require_tls(true);
        }
        if let Some((certificate, key)) = &self.client {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        if self.first {
            options = options.tls_first();
        }
        options
    }
}
