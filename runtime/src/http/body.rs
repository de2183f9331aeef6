//! The body of a request: its media type, and its bytes up to the limit.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use crate::failure::chain;
use crate::http::guard::Place;
use crate::http::problem::{INCOMPLETE, Problem, TOO_LARGE, TOO_SLOW, UNSUPPORTED_MEDIA_TYPE};

/// The most bytes that the body of a request may have.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How long a body may take to come: a client that sends it in crumbs keeps a place from others.
pub(crate) const BODY_LIMIT: Duration = Duration::from_secs(20);

/// The whole of `body`, for as long as `place` is held.
pub(crate) async fn read(headers: &HeaderMap, body: Body, place: &Place) -> Result<Bytes, Problem> {
    let slow = || Problem::new(TOO_SLOW, format!("it had not come after {BODY_LIMIT:?}"));
    tokio::time::timeout(BODY_LIMIT, whole(headers, body, place)).await.map_err(|_| slow())?
}

async fn whole(headers: &HeaderMap, body: Body, place: &Place) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(TOO_LARGE, format!("the body may have {BODY_BYTES_MAX} bytes"));
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // Refused before a byte of it is read.
    if announced.is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64) {
        return Err(too_large());
    }
    let mut chunks = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Problem::new(INCOMPLETE, chain(&error)))?;
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        place.make_room(chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// The media type of the body in lower case, without parameters; empty if it is not told.
///
/// # Errors
/// The body is compressed, or in another encoding than UTF-8.
pub(crate) fn media_type(headers: &HeaderMap, accepts: &'static str) -> Result<String, Problem> {
    let text =
        |name| headers.get(name).map_or(Some(""), |value| value.to_str().ok()).map(str::to_ascii_lowercase);
    let refuse = |why: String| Err(Problem::new(UNSUPPORTED_MEDIA_TYPE, why).accepts(accepts));
    let encoding = text(header::CONTENT_ENCODING).unwrap_or_else(|| "?".into());
    if !encoding.is_empty() && encoding != "identity" {
        return refuse("the body must not be compressed".into());
    }
    let Some(content_type) = text(header::CONTENT_TYPE) else {
        return refuse("the content type is not ASCII".into());
    };
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_owned();
    for parameter in parts {
        if let Some(charset) = parameter.strip_prefix("charset=").map(|value| value.trim_matches('"'))
            && !matches!(charset, "utf-8" | "utf8" | "us-ascii")
        {
            return refuse(format!("the body must be in UTF-8, not {charset:?}"));
        }
    }
    Ok(media_type)
}

/// Whether a body of `media_type` is JSON.
pub(crate) fn is_json(media_type: &str) -> bool {
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// The refusal of a body of `media_type`.
pub(crate) fn unsupported(media_type: &str, accepts: &'static str) -> Problem {
    let found =
        if media_type.is_empty() { "there is no content type".into() } else { format!("not {media_type:?}") };
    Problem::new(UNSUPPORTED_MEDIA_TYPE, format!("the content type must be {accepts}: {found}"))
        .accepts(accepts)
}
