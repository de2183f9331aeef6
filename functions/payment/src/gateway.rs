//! The payment gateway, in the form of Stripe's PaymentIntents (`POST /v1/payment_intents`), and what its answers mean.
//!
//! | The gateway | What we make of it | Why |
//! |---|---|---|
//! | 200, `succeeded` | [`Answer::Approved`] | |
//! | 402 `card_error`; 200, `requires_payment_method` or `requires_action` | [`Answer::Declined`] | the card's own answer: trying again would only annoy the bank |
//! | no connection, no answer in time, 5xx, 408, 429 | outage | the gateway is down or overrun; the breaker stops us from making that worse |
//! | the same with `Retry-After` in seconds | outage, and nothing before that time (5 minutes at most) | it knows best |
//! | an answer that cannot be read | outage | something in between answers in its place; whether it charged is open, and the idempotency key settles that at the next attempt |
//! | 401, 403, 404, 405, redirects | outage | our key or our URL is wrong, for every order alike: they wait behind the breaker until it is mended, and none is lost |
//! | 409 | retry after 2 s | an earlier attempt of this very charge is still running there |
//! | 400 and other 4xx; 402 that is no `card_error` | reject | this one request is not acceptable, now or later: a person must look |
//! | 200 with another status | reject | the charge is neither taken nor declined, and under one key the gateway repeats its first answer for ever: a person must look |
//!
//! A gateway in Stripe's form remembers an idempotency key for at least 24 hours, and all attempts of one event are
//! over within minutes. Before a dead letter older than that is redriven, look the order up at the gateway.

use std::time::Duration;

use events::DeclineReason;
use jetlag::{Call, Environment, Failure, Secret};
use reqwest::{StatusCode, header, redirect};
use serde::Deserialize;
use tokio::sync::OnceCell;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Below the contract's time limit, so that the handler itself sees that there was no answer.
const ANSWER_TIMEOUT_MS: u64 = 8_000;
const BODY_BYTES_MAX: usize = 64 * 1024;
const IN_FLIGHT_DELAY: Duration = Duration::from_secs(2);
/// The longest `Retry-After` that is heeded.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Where cards are charged.
#[derive(Debug)]
pub struct Gateway {
    endpoint: String,
    key: Secret,
    payment_method: String,
    answer_timeout: Duration,
    client: OnceCell<reqwest::Client>,
}

/// One charge.
#[derive(Debug)]
pub struct Charge<'a> {
    /// The order that is paid for, as it will stand on the gateway's pages.
    pub order_id: &'a str,
    /// How much, in the currency's minor units.
    pub minor_units: u64,
    /// The ISO 4217 code.
    pub currency: &'a str,
    /// Two charges under one key are one charge.
    pub idempotency_key: String,
    /// The trace that the request belongs to.
    pub traceparent: Option<&'a str>,
}

/// What the card said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was charged.
    Approved {
        /// The gateway's id of the payment.
        payment_id: String,
    },
    /// It was not.
    Declined(DeclineReason),
}

/// Why there was no answer from the card. The gateway's free text stays out: it may quote the customer.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the payment gateway cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the payment gateway answers {status}")]
    Unavailable { status: StatusCode, retry_after: Option<Duration> },
    #[error("the payment gateway answers {0}: check PAYMENT_GATEWAY_URL and PAYMENT_GATEWAY_KEY")]
    Misconfigured(StatusCode),
    #[error("the payment gateway's {status} cannot be read")]
    Unreadable { status: StatusCode, source: serde_json::Error },
    #[error("the payment gateway's {0} has more than {BODY_BYTES_MAX} bytes")]
    TooLong(StatusCode),
    #[error("an earlier attempt of this charge is still running at the payment gateway")]
    InFlight,
    #[error("the payment gateway refuses the charge: {status}, {kind}")]
    Refused { status: StatusCode, kind: String },
    #[error(
        "the payment is {status}: neither charged nor declined; look up {payment_id} at the payment gateway"
    )]
    Undecided { payment_id: String, status: String },
}

impl Gateway {
    /// The gateway that the environment names.
    pub fn from_env(env: &mut Environment) -> Self {
        let url = env.text("PAYMENT_GATEWAY_URL", "the payment gateway, such as https://api.stripe.com");
        let key = env.secret("PAYMENT_GATEWAY_KEY", "the secret key for the payment gateway");
        let payment_method = env.text_or(
            "PAYMENT_METHOD",
            "pm_card_visa",
            "the payment method that is charged; a test card by default",
        );
        let answer_timeout_ms = env.parsed_or(
            "PAYMENT_GATEWAY_TIMEOUT_MS",
            ANSWER_TIMEOUT_MS,
            "how long one charge may take, in milliseconds; less than the function's time limit of 10 s",
        );
        let answer_timeout = Duration::from_millis(answer_timeout_ms);
        if answer_timeout.is_zero() || answer_timeout >= crate::CONTRACT.terms().time_limit {
            env.fault("PAYMENT_GATEWAY_TIMEOUT_MS", "must be more than 0 and less than 10000");
        }
        let is_http = |url: &reqwest::Url| matches!(url.scheme(), "http" | "https");
        if !url.is_empty() && !url.parse().is_ok_and(|url| is_http(&url)) {
            env.fault("PAYMENT_GATEWAY_URL", "must be an http or https URL");
        }
        // A secret mounted from a file likes to end in a line break.
        if header::HeaderValue::from_str(key.expose()).is_err() {
            env.fault(
                "PAYMENT_GATEWAY_KEY",
                "has a line break or another character that no header can carry",
            );
        }
        let endpoint = format!("{}/v1/payment_intents", url.trim_end_matches('/'));
        Self { endpoint, key, payment_method, answer_timeout, client: OnceCell::new() }
    }

    /// Charges the card.
    ///
    /// # Errors
    /// The card did not answer; the module's table says what becomes of each case.
    pub async fn charge(&self, charge: Charge<'_>) -> Result<Answer, Failure> {
        match self.ask(charge).await {
            Ok(reply) => judge(&reply),
            Err(trouble) => Err(trouble),
        }
        .map_err(Trouble::into_failure)
    }

    async fn ask(&self, charge: Charge<'_>) -> Result<Reply, Trouble> {
        let unreachable = |error: reqwest::Error| Trouble::Unreachable(error.without_url());
        let client = self.client.get_or_try_init(async || self.connect()).await.map_err(unreachable)?;
        let mut request = client
            .post(&self.endpoint)
            .bearer_auth(self.key.expose())
            .header("Idempotency-Key", &charge.idempotency_key)
            .form(&[
                ("amount", charge.minor_units.to_string().as_str()),
                ("currency", &charge.currency.to_ascii_lowercase()),
                ("payment_method", &self.payment_method),
                ("payment_method_types[]", "card"),
                ("confirm", "true"),
                // Nobody sits in front of a page where a payment could be confirmed.
                ("error_on_requires_action", "true"),
                ("description", &format!("Order {}", charge.order_id)),
                ("metadata[order_id]", charge.order_id),
            ]);
        let call = Call::new("POST", &self.endpoint);
        if let Some(traceparent) = call.traceparent().as_deref().or(charge.traceparent) {
            request = request.header("traceparent", traceparent);
        }
        let mut response = call.of(request.send()).await.map_err(unreachable)?;
        let status = response.status();
        call.answered(status.as_u16());
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(retry_after);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(Trouble::TooLong(status));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, retry_after, body })
    }

    fn connect(&self) -> Result<reqwest::Client, reqwest::Error> {
        // Somebody else in this process may have chosen a provider before; then that one is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(self.answer_timeout))
            .timeout(self.answer_timeout)
            // A redirected charge would carry the key to whoever is named there.
            .redirect(redirect::Policy::none());
        if self.endpoint.starts_with("http://") {
            // Without this, a machine without CA certificates could not even speak plain HTTP.
            client = client.tls_certs_only([]);
        }
        client.build()
    }
}

impl Trouble {
    fn into_failure(self) -> Failure {
        match self {
            Self::Unavailable { retry_after: Some(delay), .. } => Failure::outage_after(delay, self),
            Self::Unreachable(_)
            | Self::Unavailable { .. }
            | Self::Misconfigured(_)
            | Self::Unreadable { .. }
            | Self::TooLong(_) => Failure::outage(self),
            Self::InFlight => Failure::retry_after(IN_FLIGHT_DELAY, self),
            Self::Refused { .. } | Self::Undecided { .. } => Failure::reject(self),
        }
    }
}

/// What the gateway answered.
struct Reply {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

/// The seconds that `Retry-After` names. Its other form, a date, is left to the breaker's own time.
fn retry_after(value: &header::HeaderValue) -> Option<Duration> {
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[derive(Deserialize)]
struct PaymentIntent {
    id: String,
    status: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Deserialize)]
struct ErrorDetail {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
    decline_code: Option<String>,
}

/// What the gateway's answer means: a pure function, so that every row of the table is a line of a test.
fn judge(reply: &Reply) -> Result<Answer, Trouble> {
    let Reply { status, retry_after, ref body } = *reply;
    let unreadable = |source| Trouble::Unreadable { status, source };
    match status.as_u16() {
        200 => {
            let PaymentIntent { id: payment_id, status } =
                serde_json::from_slice(body).map_err(unreadable)?;
            match status.as_str() {
                "succeeded" => Ok(Answer::Approved { payment_id }),
                "requires_payment_method" => Ok(Answer::Declined(DeclineReason::CardDeclined)),
                "requires_action" => Ok(Answer::Declined(DeclineReason::AuthenticationRequired)),
                _ => Err(Trouble::Undecided { payment_id, status }),
            }
        }
        409 => Err(Trouble::InFlight),
        408 | 429 | 500..=599 => Err(Trouble::Unavailable { status, retry_after }),
        401 | 403 | 404 | 405 | 300..=399 => Err(Trouble::Misconfigured(status)),
        402 => {
            let ErrorBody { error } = serde_json::from_slice(body).map_err(unreadable)?;
            if error.kind == "card_error" {
                Ok(Answer::Declined(reason(&error)))
            } else {
                Err(Trouble::Refused { status, kind: error.kind })
            }
        }
        400..=499 => {
            let told =
                serde_json::from_slice(body).map(|ErrorBody { error }| error.code.unwrap_or(error.kind));
            Err(Trouble::Refused { status, kind: told.unwrap_or_else(|_| "no reason given".into()) })
        }
        _ => Err(Trouble::Unavailable { status, retry_after }),
    }
}

fn reason(error: &ErrorDetail) -> DeclineReason {
    match error.decline_code.as_deref().or(error.code.as_deref()) {
        Some("insufficient_funds") => DeclineReason::InsufficientFunds,
        Some("expired_card") => DeclineReason::ExpiredCard,
        Some("authentication_required") => DeclineReason::AuthenticationRequired,
        // Among the others are "stolen_card" and "fraudulent", which the customer must not be told.
        _ => DeclineReason::CardDeclined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, body: &str) -> String {
        let (status, body) = (StatusCode::from_u16(status).unwrap(), body.as_bytes().to_vec());
        match judge(&Reply { status, retry_after: None, body }) {
            Ok(answer) => format!("{answer:?}"),
            Err(trouble) => format!("{:?}", trouble.into_failure()),
        }
    }

    #[test]
    fn every_row_of_the_table_holds() {
        let intent = |status: &str| format!(r#"{{"id":"pi_1","status":"{status}","amount":1250}}"#);
        let error =
            |kind: &str, code: &str| format!(r#"{{"error":{{"type":"{kind}","decline_code":"{code}"}}}}"#);
        for (status, body, expected) in [
            (200, intent("succeeded"), "Approved"),
            (200, intent("requires_payment_method"), "Declined(CardDeclined)"),
            (200, intent("requires_action"), "Declined(AuthenticationRequired)"),
            (200, intent("processing"), "Reject"),
            (200, "<html>".into(), "Outage"),
            (201, intent("succeeded"), "Outage"),
            (402, error("card_error", "insufficient_funds"), "Declined(InsufficientFunds)"),
            (402, error("card_error", "expired_card"), "Declined(ExpiredCard)"),
            (402, error("card_error", "stolen_card"), "Declined(CardDeclined)"),
            (402, error("invalid_request_error", "x"), "Reject"),
            (402, "".into(), "Outage"),
            (400, error("idempotency_error", "x"), "Reject"),
            (400, "".into(), "Reject"),
            (422, "".into(), "Reject"),
            (409, "".into(), "Retry { after: Some(2s) }"),
            (307, "".into(), "Outage"),
        ] {
            let told = verdict(status, &body);
            assert!(told.contains(expected), "{status} {body} became {told}, not {expected}");
        }
        for status in [401, 403, 404, 405, 408, 429, 500, 502, 503, 504] {
            assert!(verdict(status, "").contains("Outage"), "{status}");
        }
    }

    #[test]
    fn a_gateway_that_names_a_time_is_left_alone_for_so_long() {
        for (value, heeded) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("86400", Some(300)),
            ("Fri, 31 Dec 1999 23:59:59 GMT", None),
            ("-1", None),
        ] {
            let told = header::HeaderValue::from_static(value);
            assert_eq!(retry_after(&told), heeded.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn the_environment_is_checked_at_the_start() {
        let key = ("PAYMENT_GATEWAY_KEY", "sk");
        let mut env = Environment::of([key, ("PAYMENT_GATEWAY_URL", "https://api.stripe.com/")]);
        assert_eq!(Gateway::from_env(&mut env).endpoint, "https://api.stripe.com/v1/payment_intents");
        assert!(env.faults().is_empty(), "{:?}", env.faults());

        let mut env = Environment::of([
            ("PAYMENT_GATEWAY_KEY", "sk\n"),
            ("PAYMENT_GATEWAY_URL", "ftp://bank"),
            ("PAYMENT_GATEWAY_TIMEOUT_MS", "10000"),
        ]);
        let gateway = Gateway::from_env(&mut env);
        assert_eq!(env.faults().len(), 3, "{:?}", env.faults());
        assert!(!format!("{gateway:?}").contains("sk"), "the key is not printed");

        let mut env = Environment::of([]);
        let _ = Gateway::from_env(&mut env);
        assert_eq!(env.faults().len(), 2, "{:?}", env.faults());
    }
}
