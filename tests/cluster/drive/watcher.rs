//! Whom Knative's broker sends events: a server on the node, as the subscriber of a Trigger and as a dead letter sink.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;

/// How many events are kept: the scenario has a few.
const SENT_MAX: usize = 1_000;
/// What a header with an attribute of a CloudEvent begins with.
const ATTRIBUTE: &str = "ce-";

/// An event as it came.
#[derive(Debug, Clone)]
pub struct Sent {
    pub path: String,
    /// Its attributes by their names, such as `type`.
    pub attributes: BTreeMap<String, String>,
    pub data: Value,
}

impl Sent {
    /// An attribute; empty if it has none of that name.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    sent: Arc<Mutex<Vec<Sent>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Watcher {
    pub async fn listen(address: &str) -> Result<Self, String> {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.map_err(|error| format!("CLUSTER_WATCHER: {address}: {error}"))?;
        let app = Router::new().fallback(take).with_state(Arc::clone(&sent));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                eprintln!("the watcher ended: {error}");
            }
        });
        Ok(Self { sent, serving })
    }

    /// What came to `path` that is so.
    pub fn sent(&self, path: &str, is_so: impl Fn(&Sent) -> bool) -> Vec<Sent> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().filter(|sent| sent.path == path && is_so(sent)).cloned().collect()
    }
}

/// Takes whatever comes in binary mode, with an answer that is no event.
async fn take(
    State(all): State<Arc<Mutex<Vec<Sent>>>>,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    let attribute = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        let name = name.as_str().strip_prefix(ATTRIBUTE)?;
        Some((name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
    };
    let attributes = headers.iter().filter_map(attribute).collect();
    let Ok(data) = serde_json::from_str(&body) else { return StatusCode::BAD_REQUEST };
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= SENT_MAX {
        return StatusCode::BAD_REQUEST;
    }
    all.push(Sent { path: uri.path().to_owned(), attributes, data });
    StatusCode::ACCEPTED
}
