//! The HTTP client.

use std::time::Duration;

use reqwest::{Client, ClientBuilder};

use crate::problem::{Exit, Problem};

/// A client whose connections take at most `connect_limit`; `with` sets the rest.
pub(crate) fn client(
    connect_limit: Duration,
    with: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client, Problem> {
    // reqwest takes the provider of the process. Whoever calls this library may have chosen one: theirs stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    with(Client::builder().connect_timeout(connect_limit))
        .build()
        .map_err(|error| Problem::new(Exit::Internal, "cannot make an HTTP client").because(error))
}
