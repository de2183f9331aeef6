//! The headers with which an input first came. They travel with it as data, and are never taken for instructions.

use crate::core::broker::{Delivery, Stream};
use crate::headers;

/// The most bytes of JSON that original headers may have; those that come after that are dropped, and counted.
pub(crate) const ORIGINALS_BYTES_MAX: usize = 16 * 1024;

/// The original headers, in order, several of one name included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Originals {
    list: Vec<(String, String)>,
    /// How many there were beside these.
    dropped: usize,
}

impl Originals {
    /// The original headers of `delivery`.
    ///
    /// Where the runtime itself wrote the message (a retry, an admitted event, a redrive), it wrote them down as one
    /// header. Everything else has just come, and its own headers are the original ones. A publisher outside who writes
    /// that header too only says something else about itself: it is data either way.
    pub(crate) fn of<R>(delivery: &Delivery<R>) -> Self {
        Self::among(delivery.stream, &delivery.headers)
    }

    /// The same for a message of `stream` with `headers`.
    pub(crate) fn among(stream: Stream, headers: &[(String, String)]) -> Self {
        let header =
            |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let written = Self::written(header);
        match stream {
            Stream::Retry => written.unwrap_or_default(),
            Stream::Events | Stream::Intake | Stream::DeadLetters | Stream::Audit => {
                written.unwrap_or_else(|| Self::bounded(headers))
            }
        }
    }

    /// What the runtime wrote down among headers, or `None` if there is nothing that it could have written.
    fn written<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<Self> {
        let json = header(headers::HEADERS);
        let dropped = header(headers::DROPPED).map_or(0, dropped_of);
        if json.is_none() && dropped > 0 {
            return Some(Self { list: Vec::new(), dropped });
        }
        let list: Vec<(String, String)> = serde_json::from_str(json?).ok()?;
        let mut read = Self::bounded(&list);
        read.dropped = read.dropped.saturating_add(dropped);
        Some(read)
    }

    /// The first of `list` that fit.
    fn bounded(list: &[(String, String)]) -> Self {
        let mut bytes = 2;
        let fitting = list.iter().take_while(|pair| {
            // With the comma behind it.
            bytes += serde_json::to_string(pair)
                .map_or(usize::MAX, |json| json.len() + 1)
                .min(ORIGINALS_BYTES_MAX);
            bytes <= ORIGINALS_BYTES_MAX
        });
        let list_of_fitting: Vec<(String, String)> = fitting.cloned().collect();
        Self { dropped: list.len() - list_of_fitting.len(), list: list_of_fitting }
    }

    /// The headers.
    pub(crate) fn list(&self) -> &[(String, String)] {
        &self.list
    }

    /// How many headers were dropped.
    pub(crate) const fn dropped(&self) -> usize {
        self.dropped
    }

    /// Drops all of them.
    pub(crate) fn drop_all(&mut self) {
        self.dropped = self.dropped.saturating_add(self.list.len());
        self.list.clear();
    }

    /// As one header's value, or nothing if there are none: in one line, whatever they hold.
    pub(crate) fn json(&self) -> Option<String> {
        (!self.list.is_empty()).then(|| serde_json::to_string(&self.list).ok()).flatten()
    }
}

/// How many headers [`headers::DROPPED`] tells of.
fn dropped_of(text: &str) -> usize {
    text.split(", ").find_map(|part| part.strip_prefix("headers ")?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    use crate::subject::Subject;

    fn delivery(stream: Stream, headers: Vec<(String, String)>) -> Delivery<()> {
        let subject = Subject::from_broker("orders.placed.O.e");
        Delivery {
            stream,
            subject,
            headers,
            payload: Bytes::new(),
            sequence: 1,
            time: time::OffsetDateTime::UNIX_EPOCH,
            delivered: 1,
            receipt: (),
        }
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    fn read_back(json: String, dropped: Option<&str>) -> Originals {
        let mut headers = vec![(headers::HEADERS.to_owned(), json)];
        headers.extend(dropped.map(|text| pair(headers::DROPPED, text)));
        Originals::of(&delivery(Stream::Retry, headers))
    }

    #[test]
    fn what_just_came_is_original_and_what_was_written_down_before_it_is_more_so() {
        let own = vec![pair("X", "1"), pair("X", "2"), pair("Nats-Schedule", "@at now")];
        assert_eq!(Originals::of(&delivery(Stream::Intake, own.clone())).list(), own);
        assert_eq!(Originals::of(&delivery(Stream::Events, own.clone())).list(), own);
        assert_eq!(Originals::of(&delivery(Stream::Retry, own)), Originals::default(), "the runtime's own");
        let admitted = vec![pair(headers::FUNCTION, "order"), pair(headers::HEADERS, r#"[["X","1"]]"#)];
        assert_eq!(Originals::of(&delivery(Stream::Events, admitted.clone())).list(), [pair("X", "1")]);
        assert_eq!(Originals::of(&delivery(Stream::Intake, admitted)).list(), [pair("X", "1")], "a redrive");
        let odd = vec![pair(headers::HEADERS, "[[1]]")];
        assert_eq!(Originals::of(&delivery(Stream::Events, odd.clone())).list(), odd);
    }

    #[test]
    fn what_is_dropped_is_counted_over_every_retry() {
        let large = pair("X", &"x".repeat(ORIGINALS_BYTES_MAX / 2));
        let first = Originals::of(&delivery(Stream::Events, vec![large.clone(), large.clone(), large]));
        assert_eq!((first.list().len(), first.dropped()), (1, 2));
        let mut second = read_back(first.json().unwrap(), Some("headers 2, history 9"));
        assert_eq!(second, first);
        second.drop_all();
        let headers = vec![pair(headers::DROPPED, "headers 3")];
        assert_eq!(Originals::of(&delivery(Stream::Retry, headers)), second);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_headers_come_back_exactly_and_within_their_limit(
            list in prop::collection::vec(("[!-9;-~]{1,20}", ".{0,20}", 0usize..150), 0..12),
        ) {
            let list: Vec<_> = list.into_iter().map(|(name, value, times)| (name, value.repeat(times))).collect();
            let came = Originals::of(&delivery(Stream::Intake, list.clone()));
            prop_assert_eq!(came.list().len() + came.dropped(), list.len());
            prop_assert!(list.starts_with(came.list()));
            if let Some(json) = came.json() {
                prop_assert!(json.len() <= ORIGINALS_BYTES_MAX && !json.contains(['\r', '\n']));
                let mark = format!("headers {}", came.dropped());
                prop_assert_eq!(read_back(json, Some(&mark)), came);
            } else {
                prop_assert!(came.list().is_empty());
            }
        }

        #[test]
        fn any_text_in_their_place_is_read_without_harm(json in ".{0,200}", mark in ".{0,40}") {
            let _ = read_back(json, Some(&mark));
        }
    }
}
