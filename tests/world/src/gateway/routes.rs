//! The HTTP face of the gateway.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;
use serde_json::json;
use tokio::time::sleep;

use super::{
    answer::{answer, intent_json},
    execution::KeyedRequest,
    ledger::Statement,
    operation::Operation,
    parameters::Parameters,
    refusal::Refusal,
    switches::{Admission, Change, Switches},
    till::{Opening, Till},
};
use crate::clock;

/// How long a request is held while the gateway hangs.
const HANG_LIMIT: Duration = Duration::from_secs(60);
/// The largest form, in bytes.
const MAX_FORM_BYTES: usize = 64 * 1024;
/// Of how many requests during outages the times are remembered.
const MAX_TURNED_AWAY: usize = 10_000;
/// The longest idempotency key, as Stripe has it.
const MAX_KEY_CHARS: usize = 255;

const INTENTS: &str = "/v1/payment_intents";

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Gateway {
    till: Arc<Till>,
    switches: Mutex<Switches>,
    turned_away: Mutex<TurnedAway>,
}

/// The API requests that came during outages since the start, which is also what `GET /turned-away` answers.
#[derive(Debug, Clone, Default, Serialize)]
struct TurnedAway {
    count: u64,
    /// When each of the first [`MAX_TURNED_AWAY`] came, in milliseconds since 1970.
    at_ms: Vec<u64>,
}

/// The gateway's paths: Stripe's under `/v1`, which the switches govern, and the simulator's own.
pub(crate) fn router(gateway: Arc<Gateway>) -> Router {
    let api = Router::new()
        .route(INTENTS, post(create))
        .route("/v1/payment_intents/{id}", get(read))
        .route("/v1/payment_intents/{id}/confirm", post(confirm))
        .layer(middleware::from_fn_with_state(Arc::clone(&gateway), admit))
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES));
    Router::new()
        .merge(api)
        .route("/control", get(show_control).put(change_control))
        .route("/ledger", get(show_ledger))
        .route("/turned-away", get(show_turned_away))
        .route("/health", get(StatusCode::OK))
        .fallback(|uri: Uri| async move { Refusal::NoSuchPath(uri.path().to_owned()) })
        .with_state(gateway)
}

impl TurnedAway {
    fn add(&mut self, at_ms: u64) {
        self.count += 1;
        if self.at_ms.len() < MAX_TURNED_AWAY {
            self.at_ms.push(at_ms);
        }
    }
}

impl Gateway {
    /// A gateway on its books.
    pub(crate) fn new(till: Arc<Till>, switches: Switches) -> Self {
        Gateway { till, switches: Mutex::new(switches), turned_away: Mutex::default() }
    }

    fn switches(&self) -> MutexGuard<'_, Switches> {
        // Plain flags: no thread can leave them half set.
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turned_away(&self) -> MutexGuard<'_, TurnedAway> {
        // A list that grows at its end: no thread can leave it half grown.
        self.turned_away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn delay(&self) {
        let latency_ms = self.switches().latency_ms;
        if latency_ms > 0 {
            sleep(Duration::from_millis(latency_ms)).await;
        }
    }

    /// Carries an operation out, or gives the answer it got before.
    async fn perform(
        self: Arc<Self>,
        operation: Operation,
        request: Option<KeyedRequest>,
    ) -> Result<Response, Refusal> {
        let claim = match self.till.open_request(request)? {
            Opening::Replay(execution) => {
                self.delay().await;
                return Ok(answer(&execution, true));
            }
            Opening::Begin(claim) => claim,
        };
        // In a task of its own, because a client that loses patience drops this future: the charge
        // goes through all the same, as it does at a real gateway, and only the answer is lost.
        let execution = tokio::spawn(async move {
            self.delay().await;
            claim.execute(operation)
        });
        let execution = execution.await.map_err(|_| Refusal::Lost)??;
        Ok(answer(&execution, false))
    }
}

/// Turns away what the switches or the missing API key turn away.
async fn admit(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let admission = gateway.switches().admit(request.method() == Method::POST);
    match admission {
        Admission::Outage => {
            gateway.turned_away().add(clock::unix_ms());
            Err(Refusal::Outage)
        }
        Admission::Hang => {
            sleep(HANG_LIMIT).await;
            Err(Refusal::Hung)
        }
        Admission::Fail { retry_after_s } => Err(Refusal::Failing { retry_after_s }),
        Admission::Admitted if !is_authorized(request.headers()) => Err(Refusal::Unauthorized),
        Admission::Admitted => Ok(next.run(request).await),
    }
}

/// Any key of Stripe's form will do: there is one account, and it has no secrets.
fn is_authorized(headers: &HeaderMap) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .is_some_and(|key| key.trim().starts_with("sk_"))
}

async fn create(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let creation = parameters.creation()?;
    let request = keyed_request(&headers, &parameters, INTENTS)?;
    gateway.perform(Operation::Create(creation), request).await
}

async fn confirm(
    State(gateway): State<Arc<Gateway>>,
    Path(intent): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let payment_method = parameters.payment_method()?;
    let request = keyed_request(&headers, &parameters, uri.path())?;
    gateway.perform(Operation::Confirm { intent, payment_method }, request).await
}

async fn read(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Result<Response, Refusal> {
    gateway.delay().await;
    match gateway.till.last_execution(&id) {
        Some(last) => Ok(Json(intent_json(&last.intent, last.decline)).into_response()),
        None => Err(Refusal::NoSuchIntent(id)),
    }
}

async fn show_ledger(State(gateway): State<Arc<Gateway>>) -> Json<Statement> {
    Json(gateway.till.statement())
}

async fn show_turned_away(State(gateway): State<Arc<Gateway>>) -> Json<TurnedAway> {
    Json(gateway.turned_away().clone())
}

async fn show_control(State(gateway): State<Arc<Gateway>>) -> Json<Switches> {
    Json(*gateway.switches())
}

async fn change_control(State(gateway): State<Arc<Gateway>>, Json(change): Json<Change>) -> Response {
    let mut switches = gateway.switches();
    match switches.changed(&change) {
        Some(changed) => {
            *switches = changed;
            Json(changed).into_response()
        }
        None => {
            (StatusCode::BAD_REQUEST, Json(json!({ "error": "latency_ms or retry_after_s is too large" })))
                .into_response()
        }
    }
}

fn keyed_request(
    headers: &HeaderMap,
    parameters: &Parameters,
    path: &str,
) -> Result<Option<KeyedRequest>, Refusal> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().map_err(|_| Refusal::BadKey)?;
    if key.is_empty() || key.len() > MAX_KEY_CHARS {
        return Err(Refusal::BadKey);
    }
    Ok(Some(KeyedRequest { key: key.to_owned(), fingerprint: parameters.fingerprint(path) }))
}
