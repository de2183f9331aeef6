//! What a function answers over HTTP as an OpenAPI 3.1 document, made of its contract and its endpoints.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::core::broker::Broker;
use crate::event::ID_BYTES_MAX;
use crate::http::batch::{self, BATCHED};
use crate::http::body::BODY_BYTES_MAX;
use crate::http::claim::KEY_CHARS_MAX;
use crate::http::cloudevent::STRUCTURED;
use crate::http::server::{Site, Ways};
use crate::{Endpoint, EventKind, Terms, View};

/// Where the document is.
pub(crate) const PATH: &str = "/openapi.json";
/// The media type of a problem.
const PROBLEM: &str = "application/problem+json";

/// The document.
pub(crate) async fn show<B: Broker>(State(site): State<Arc<Site<B>>>) -> Response {
    let document = document(&site.terms, site.version, &site.ways, site.trigger);
    ([(header::CACHE_CONTROL, "no-cache")], Json(document)).into_response()
}

fn document(terms: &Terms, version: &str, ways: &Ways, trigger: bool) -> Value {
    let Ways { endpoints, views } = ways;
    let mut paths = Map::new();
    for endpoint in endpoints {
        let view = views.iter().find(|view| view.path == endpoint.path);
        paths.insert(endpoint.path.into(), json!({"post": post(endpoint, view)}));
    }
    for view in views {
        paths.insert(view.route(), json!({"get": get(view)}));
    }
    if trigger {
        paths.insert("/".into(), json!({"post": push(terms)}));
    }
    for (path, id, about) in [
        ("/health", "health", "Whether the process lives."),
        ("/ready", "ready", "Whether it should be given work, condition by condition."),
        ("/metrics", "metrics", "Metrics in Prometheus' text form, or as OpenMetrics."),
        (PATH, "openapi", "This document."),
    ] {
        paths.insert(path.into(), json!({"get": probe(path, id, about)}));
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": terms.name, "summary": terms.summary, "version": version},
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": paths,
        "components": {
            "schemas": {"Problem": problem()},
            "responses": responses(),
            "headers": {"Retry-After": {
                "description": "how many seconds to wait before the same is sent again",
                "schema": {"type": "integer", "minimum": 1},
            }},
        },
    })
}

/// `POST` of an endpoint.
fn post(endpoint: &Endpoint, view: Option<&View>) -> Value {
    let EventKind { name, aggregate, .. } = endpoint.kind;
    let id = format!("{aggregate}_id");
    let mut operation = json!({
        "operationId": operation_id("post", endpoint.path),
        "summary": format!("Makes one event {name} of a request."),
        "description": format!(
            "Committed when it is answered. The same request again is answered the same, and the event is there once. A body may have {BODY_BYTES_MAX} bytes."
        ),
        "parameters": [{
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": "tells a repetition of this request; kept as long as events are. The same key with another body is refused (422), and with the same body while it is under way, too (409)",
            "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX, "pattern": "^[ -~]*$"},
        }],
        "requestBody": {
            "required": true,
            "content": {"application/json": {"schema": (endpoint.schema)()}},
        },
        "responses": {
            "202": {
                "description": "It is committed, now or by an earlier request (Idempotent-Replayed: true).",
                "headers": {
                    "Location": {"description": "where it is seen", "schema": {"type": "string"}},
                    "Idempotent-Replayed": {
                        "description": "this is the answer of an earlier request",
                        "schema": {"type": "string", "const": "true"},
                    },
                },
                "content": {"application/json": {"schema": {
                    "type": "object",
                    "properties": {
                        id.as_str(): {"type": "string"},
                        "event_id": {"type": "string"},
                        "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
                    },
                    "required": [&id, "event_id", "trace_id"],
                }}},
            },
        },
    });
    answers(&mut operation, &["400", "408", "409", "413", "415", "422", "429", "500", "503", "504"]);
    let example = (endpoint.kind.example)().and_then(|json| serde_json::from_str(json.get()).ok());
    if let Some(example) = example {
        put(&mut operation, "/requestBody/content/application~1json", "example", example);
    }
    if let Some(view) = view {
        let links = json!({"look": {
            "operationId": operation_id("get", view.path),
            "parameters": {"id": format!("$response.body#/{id}")},
        }});
        put(&mut operation, "/responses/202", "links", links);
    }
    operation
}

/// `GET` of a view.
fn get(view: &View) -> Value {
    let types: Vec<&str> = view.kinds.iter().map(|kind| kind.name).collect();
    let mut operation = json!({
        "operationId": operation_id("get", view.path),
        "summary": "Tells of one aggregate what its events say.",
        "description": format!(
            "Read from the leader of the stream: whatever was answered before is seen. Of {}. Events are forgotten after the horizon, 24 hours unless set otherwise.",
            types.join(", ")
        ),
        "parameters": [{
            "name": "id",
            "in": "path",
            "required": true,
            "schema": {"type": "string", "minLength": 1, "maxLength": ID_BYTES_MAX},
        }],
        "responses": {
            "200": {
                "description": "What is known of it.",
                "content": {"application/json": {"schema": (view.schema)()}},
            },
        },
    });
    answers(&mut operation, &["404", "429", "500", "503", "504"]);
    operation
}

/// `POST /`: the trigger.
fn push(terms: &Terms) -> Value {
    let any = terms.listens_to.iter().any(|kind| kind.name == "*.*");
    let names: Vec<&str> = terms.listens_to.iter().map(|kind| kind.name).collect();
    let kind = if any { json!({"type": "string"}) } else { json!({"type": "string", "enum": names}) };
    let id = || json!({"type": "string", "minLength": 1, "maxLength": ID_BYTES_MAX});
    let time = || json!({"type": "string", "format": "date-time"});
    let cloud_event = json!({
        "type": "object",
        "description": "a CloudEvent 1.0",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": id(),
            "source": {"type": "string", "minLength": 1},
            "type": kind,
            "subject": id(),
            "time": time(),
            "datacontenttype": {"const": "application/json"},
            "data": {},
        },
        "required": ["specversion", "id", "source", "type", "subject", "data"],
    });
    let article = json!({
        "type": "object",
        "description": "an event; with the headers of a CloudEvent in binary mode (ce-specversion, ce-id, ce-source, ce-type, ce-subject) its data alone",
    });
    let mut operation = json!({
        "operationId": "push",
        "summary": "Handles an event, or each of several.",
        "description": "An event has its effects once, whichever way and however often it comes. With Prefer: reply it is answered with the event that it led to, if that is exactly one.",
        "parameters": [{
            "name": "Prefer", "in": "header", "required": false, "schema": {"type": "string"},
        }],
        "requestBody": {"required": true, "content": {
            "application/json": {"schema": article},
            STRUCTURED: {"schema": &cloud_event},
            BATCHED: {"schema": {"type": "array", "items": cloud_event, "maxItems": batch::EVENTS_MAX}},
        }},
        "responses": {
            "200": {
                "description": "The one event that it led to, as a CloudEvent.",
                "content": {"application/json": {"schema": {}}, STRUCTURED: {"schema": {"type": "object"}}},
            },
            "202": {
                "description": "Its effects are committed, now or before; for several, an outcome for each.",
                "headers": {"Jetlag-Outcome": {"schema": {"enum": ["success", "duplicate"]}}},
            },
        },
    });
    answers(&mut operation, &["400", "408", "413", "415", "422", "429", "500", "503", "504"]);
    operation
}

fn probe(path: &str, id: &str, about: &str) -> Value {
    let content = match path {
        "/metrics" => {
            let text = json!({"schema": {"type": "string"}});
            json!({"text/plain": text, "application/openmetrics-text": text})
        }
        _ => json!({"application/json": {"schema": {"type": "object"}}}),
    };
    let mut operation = json!({
        "operationId": id,
        "summary": about,
        "responses": {"200": {"description": "It is.", "content": content}},
    });
    if path == "/ready" {
        put(&mut operation, "/responses", "503", json!({"description": "It is not.", "content": content}));
    }
    operation
}

/// Adds the answers that several operations have.
fn answers(operation: &mut Value, statuses: &[&str]) {
    for status in statuses {
        let answer = json!({"$ref": format!("#/components/responses/{status}")});
        put(operation, "/responses", status, answer);
    }
}

/// Sets the member `name` of the object at `pointer`, which is there.
fn put(value: &mut Value, pointer: &str, name: &str, member: Value) {
    if let Some(Value::Object(members)) = value.pointer_mut(pointer) {
        members.insert(name.to_owned(), member);
    }
}

fn responses() -> Value {
    let retry = || json!({"Retry-After": {"$ref": "#/components/headers/Retry-After"}});
    let answer = |code: StatusCode, about: &str, headers: Value| {
        let content = json!({PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}});
        (code.as_str().to_owned(), json!({"description": about, "headers": headers, "content": content}))
    };
    let accepts = json!({"Accept-Post": {"schema": {"type": "string"}}});
    let none = || json!({});
    [
        answer(StatusCode::BAD_REQUEST, "The body, or a header, cannot be read.", none()),
        answer(StatusCode::NOT_FOUND, "Nothing is known of it, or not any more.", none()),
        answer(StatusCode::REQUEST_TIMEOUT, "The body did not come in time.", none()),
        answer(StatusCode::CONFLICT, "It is there and is another one, or its key is under way.", none()),
        answer(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.", none()),
        answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is of another kind.", accepts),
        answer(
            StatusCode::UNPROCESSABLE_ENTITY,
            "It can be read, and not be taken; errors tells why.",
            none(),
        ),
        answer(StatusCode::TOO_MANY_REQUESTS, "As many as are served at a time.", retry()),
        answer(StatusCode::INTERNAL_SERVER_ERROR, "A fault of the function.", none()),
        answer(StatusCode::SERVICE_UNAVAILABLE, "Not now: the same again later.", retry()),
        answer(StatusCode::GATEWAY_TIMEOUT, "It took too long, and may have been done.", none()),
    ]
    .into_iter()
    .collect::<Map<_, _>>()
    .into()
}

/// A problem (RFC 9457).
fn problem() -> Value {
    let fault = json!({
        "type": "object",
        "properties": {
            "pointer": {"type": "string", "description": "where: a JSON pointer"},
            "detail": {"type": "string"},
        },
        "required": ["pointer", "detail"],
    });
    let item = json!({
        "type": "object",
        "properties": {
            "id": {"type": ["string", "null"]},
            "status": {"type": "integer"},
            "outcome": {"type": "string"},
            "detail": {"type": "string"},
            "retry_after": {"type": "integer"},
        },
        "required": ["status", "outcome"],
    });
    json!({
        "type": "object",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "pattern": "^[a-z_]+$"},
            "errors": {"type": "array", "items": fault},
            "outcomes": {"type": "array", "items": item},
        },
        "required": ["type", "title", "status", "detail", "code"],
    })
}

/// Such as `post_orders`.
fn operation_id(method: &str, path: &str) -> String {
    format!("{method}{}", path.replace(['/', '.'], "_"))
}

#[cfg(test)]
mod tests;
