//! A view: what the events of one aggregate say of it, read at the leader of the stream when it is asked for.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::try_join_all;

use crate::core::broker::{Broker, Stream};
use crate::core::engine::RELEASE_DELAY;
use crate::event::{Envelope, check_id};
use crate::failure::chain;
use crate::http::problem::{INTERNAL, NOT_FOUND, Problem, UNAVAILABLE};
use crate::http::server::Site;
use crate::state::Unavailable;
use crate::subject::Subject;

/// `GET <path>/{id}`: what the view with the number `at` shows.
pub(crate) async fn look<B: Broker>(
    State(site): State<Arc<Site<B>>>,
    at: usize,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let view = site.ways.views.get(at).ok_or_else(|| Problem::new(NOT_FOUND, "no such view"))?;
    let Path(id) = id.map_err(|_| Problem::new(NOT_FOUND, "the id is not UTF-8"))?;
    // What is no id can have no events.
    check_id("the id", &id).map_err(|error| Problem::new(NOT_FOUND, chain(&error)))?;
    let engine = site.engine()?;
    // One read for each type, and of no more than the last: however much there is about it, a look costs the same.
    let reads = view.kinds.iter().map(|kind| {
        let subject = Subject::any_of_type(kind.name, &id);
        async move { engine.broker.last_at_leader(Stream::Events, &subject).await }
    });
    let unavailable = |Unavailable(why)| Problem::new(UNAVAILABLE, why).retry_after(RELEASE_DELAY);
    let mut found: Vec<_> = try_join_all(reads).await.map_err(unavailable)?.into_iter().flatten().collect();
    found.sort_by_key(|stored| stored.sequence);
    let envelopes: Result<Vec<Envelope>, String> = found
        .iter()
        .map(|stored| {
            Envelope::read(&stored.payload).map_err(|e| format!("{}: {}", stored.subject, chain(&e)))
        })
        .collect();
    let shown = envelopes.and_then(|envelopes| (view.show)(&id, envelopes));
    match shown.map_err(|why| Problem::new(INTERNAL, why))? {
        Some(json) => {
            let head = [
                (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ];
            Ok((StatusCode::OK, head, Box::<str>::from(json).into_string()).into_response())
        }
        None => {
            let detail = format!("nothing is known of {id:?}, or it is longer ago than events are kept");
            Err(Problem::new(NOT_FOUND, detail))
        }
    }
}

#[cfg(test)]
mod tests;
