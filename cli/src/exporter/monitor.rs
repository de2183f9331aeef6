//! The server's monitoring endpoint, for what its API does not tell: memory, and its own limit of storage.

use std::time::Duration;

use reqwest::{Client, ClientBuilder};
use serde::Deserialize;

use crate::http;
use crate::problem::Problem;

/// How long it may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// The endpoint.
#[derive(Debug)]
pub struct Monitor {
    client: Client,
    url: String,
}

/// What it tells.
#[derive(Debug, Deserialize)]
pub(crate) struct Load {
    /// Bytes of memory of the process.
    #[serde(rename = "mem")]
    pub(crate) memory: u64,
    #[serde(default)]
    jetstream: Option<JetStream>,
}

#[derive(Debug, Deserialize)]
struct JetStream {
    config: Option<Limits>,
    stats: Option<Taken>,
}

#[derive(Debug, Deserialize)]
struct Limits {
    max_storage: i64,
}

#[derive(Debug, Deserialize)]
struct Taken {
    storage: u64,
}

impl Load {
    /// How much of the limit of file storage is taken; nothing if there is no limit.
    pub(crate) fn storage_percent(&self) -> Option<u64> {
        let jetstream = self.jetstream.as_ref()?;
        let most = u64::try_from(jetstream.config.as_ref()?.max_storage).ok()?;
        (jetstream.stats.as_ref()?.storage.saturating_mul(100)).checked_div(most)
    }
}

impl Monitor {
    /// The endpoint at `url`, such as `http://127.0.0.1:8222`.
    ///
    /// # Errors
    /// There is no HTTP client.
    pub fn new(url: &str) -> Result<Self, Problem> {
        let client = http::client(ANSWER_MAX, ClientBuilder::no_proxy)?;
        Ok(Self { client, url: format!("{}/varz", url.trim_end_matches('/')) })
    }

    /// What it tells now; nothing if it does not answer.
    pub(crate) async fn ask(&self) -> Option<Load> {
        let answer = self.client.get(&self.url).timeout(ANSWER_MAX).send().await.ok()?;
        answer.json().await.ok()
    }
}
