//! Messages by webhook: `POST` of the message as JSON, with its id as `Idempotency-Key`.
//!
//! | The far side | What we make of it | Why |
//! |---|---|---|
//! | 2xx | sent | |
//! | no connection, no answer in time, 5xx, 408, 429 | outage | it is down or overrun |
//! | 401, 403, 404, 405, 410, redirects | outage | our URL is wrong, for every message alike: they wait until it is mended |
//! | 409 | retry after 2 s | an earlier attempt of this very message is still under way there |
//! | other 4xx | reject | this one message is not acceptable, now or later |

use std::time::Duration;

use jetlag::{Call, Failure};
use reqwest::{StatusCode, redirect};
use tokio::sync::OnceCell;

use crate::Message;
use crate::notifier::SEND_TIMEOUT;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const IN_FLIGHT_DELAY: Duration = Duration::from_secs(2);

/// A URL that takes messages.
pub struct Webhook {
    url: String,
    client: OnceCell<reqwest::Client>,
}

/// Why a message was not taken. The URL stays out, for it may hold a secret, and so does the answer's text.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the webhook cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the webhook answers {0}")]
    Unavailable(StatusCode),
    #[error("the webhook answers {0}: check NOTIFY_URL")]
    Misconfigured(StatusCode),
    #[error("an earlier attempt of this message is still under way at the webhook")]
    InFlight,
    #[error("the webhook refuses the message: {0}")]
    Refused(StatusCode),
}

impl Webhook {
    pub(crate) fn to(url: &str) -> Result<Self, String> {
        let _: reqwest::Url = url.parse().map_err(|error| format!("is not a URL: {error}"))?;
        Ok(Self { url: url.to_owned(), client: OnceCell::new() })
    }

    pub(crate) const fn nowhere() -> Self {
        Self { url: String::new(), client: OnceCell::const_new() }
    }

    pub(crate) async fn send(&self, message: &Message, traceparent: Option<&str>) -> Result<(), Failure> {
        match self.post(message, traceparent).await {
            Ok(status) => judge(status),
            Err(error) => Err(Trouble::Unreachable(error.without_url())),
        }
        .map_err(Trouble::into_failure)
    }

    async fn post(&self, message: &Message, traceparent: Option<&str>) -> Result<StatusCode, reqwest::Error> {
        let client = self.client.get_or_try_init(async || connect(&self.url)).await?;
        let mut request = client.post(&self.url).header("Idempotency-Key", &message.message_id).json(message);
        let call = Call::new("POST", &self.url);
        if let Some(traceparent) = call.traceparent().as_deref().or(traceparent) {
            request = request.header("traceparent", traceparent);
        }
        let status = call.of(request.send()).await?.status();
        call.answered(status.as_u16());
        Ok(status)
    }
}

fn connect(url: &str) -> Result<reqwest::Client, reqwest::Error> {
    // Somebody else in this process may have chosen a provider before; then that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(SEND_TIMEOUT)
        // A redirected message would tell a customer's order to whoever is named there.
        .redirect(redirect::Policy::none());
    if url.starts_with("http://") {
        // Without this, a machine without CA certificates could not even speak plain HTTP.
        client = client.tls_certs_only([]);
    }
    client.build()
}

impl Trouble {
    fn into_failure(self) -> Failure {
        match self {
            Self::Unreachable(_) | Self::Unavailable(_) | Self::Misconfigured(_) => Failure::outage(self),
            Self::InFlight => Failure::retry_after(IN_FLIGHT_DELAY, self),
            Self::Refused(_) => Failure::reject(self),
        }
    }
}

fn judge(status: StatusCode) -> Result<(), Trouble> {
    match status.as_u16() {
        200..=299 => Ok(()),
        409 => Err(Trouble::InFlight),
        401 | 403 | 404 | 405 | 410 | 300..=399 => Err(Trouble::Misconfigured(status)),
        408 | 429 => Err(Trouble::Unavailable(status)),
        400..=499 => Err(Trouble::Refused(status)),
        _ => Err(Trouble::Unavailable(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_holds() {
        let verdict = |status| {
            let judged = judge(StatusCode::from_u16(status).unwrap());
            judged.map_err(|trouble| format!("{:?}", trouble.into_failure()))
        };
        for status in [200, 202, 204] {
            assert_eq!(verdict(status), Ok(()));
        }
        for (status, expected) in
            [(409, "Retry { after: Some(2s) }"), (400, "Reject"), (413, "Reject"), (422, "Reject")]
        {
            assert!(verdict(status).unwrap_err().contains(expected), "{status}");
        }
        for status in [302, 401, 403, 404, 405, 408, 410, 429, 500, 502, 503, 504] {
            assert!(verdict(status).unwrap_err().contains("Outage"), "{status}");
        }
    }
}
