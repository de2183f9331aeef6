//! What a process looks after while it runs: its connection, its consumers, and the room in the stream of events.

use std::time::{Duration, Instant};

use crate::core::broker::Stream;
use crate::core::engine::Engine;
use crate::failure::chain;
use crate::jetstream::{JetStream, Link, Missing, Over, Session};
use crate::permissions::Permissions;
use crate::readiness::Readiness;

/// The condition that the process is connected.
pub(crate) const BROKER: &str = "jetstream";
/// The condition that JetStream answers, and the function's consumers are there.
pub(crate) const CONSUMERS: &str = "consumers";

/// How often the consumers are looked after. With the 3 s that a look may take, a process whose JetStream no longer
/// answers is not ready within 8 s.
const CONSUMERS_INTERVAL: Duration = Duration::from_secs(5);
/// How long a look through what is unanswered may take.
const UNREADABLE_MAX: Duration = Duration::from_secs(10);
/// How often the room in the stream of events is looked at, by processes that admit.
const ROOM_INTERVAL: Duration = Duration::from_secs(1);
/// The same once half of it is taken. What comes in between two looks must fit into what the high-water mark keeps free, a
/// tenth of the stream.
const ROOM_INTERVAL_NEAR: Duration = Duration::from_millis(200);

/// Looks after the connection and the consumers, and returns only when nothing can mend what is wrong, with what it is.
pub(crate) async fn watch(
    session: &Session,
    engine: &Engine<JetStream>,
    lanes: &[(Stream, usize)],
    needed: &Permissions,
    readiness: &Readiness,
) -> Over {
    let mut link = session.link();
    // Nothing has come over the first connection when this begins.
    let mut is_again = false;
    let mut was_up = false;
    let mut news = News::default();
    loop {
        let now = link.borrow_and_update().clone();
        if now != Link::Up && was_up {
            engine.meter.disconnected();
        }
        was_up = now == Link::Up;
        engine.meter.connected(was_up);
        engine.meter.in_flight(engine.pulse.holds());
        engine.meter.breaker_open_since(engine.breaker.outage().map(|(since, _)| since));
        let look = async {
            match now {
                Link::Up => {
                    readiness.holds(BROKER, "connected");
                    if std::mem::take(&mut is_again) {
                        // It may be another user now, or the same with other permissions.
                        if let Some(why) = session.lacks(needed).await {
                            return Some(Over::Denied(why));
                        }
                        look_for_unreadable(session, engine.terms.name, lanes).await;
                    }
                    let found = session.consumers_there(engine.terms.name, lanes).await;
                    for (stream, backlog) in found.iter().flatten() {
                        engine.meter.backlog(stream, backlog);
                    }
                    let found = found.and_then(|_| session.takes());
                    engine.meter.consumers(found.is_ok());
                    news.tell(found.as_ref().err());
                    match found {
                        Ok(()) => readiness.holds(CONSUMERS, "there"),
                        Err(missing) => readiness.fails(CONSUMERS, missing.to_string()),
                    }
                }
                Link::Down { .. } => readiness.fails(BROKER, "not connected"),
                Link::Denied(why) => return Some(Over::Denied(why)),
            }
            tokio::time::sleep(CONSUMERS_INTERVAL).await;
            None
        };
        tokio::select! {
            biased;
            changed = link.changed() => match changed {
                Ok(()) => is_again = true,
                // Whoever tells of the connection lives as long as the client.
                Err(_) => return Over::Dead,
            },
            over = look => if let Some(over) = over {
                return over;
            }
        }
    }
}

/// A connection may have ended at an input that the client cannot read.
pub(crate) async fn look_for_unreadable(
    session: &Session,
    function: &'static str,
    lanes: &[(Stream, usize)],
) {
    let looking = session.bury_what_cannot_be_read(function, lanes);
    match tokio::time::timeout(UNREADABLE_MAX, looking).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = chain(&error), "what is unanswered could not be looked through");
        }
        Err(_) => tracing::warn!("what is unanswered could not be looked through within {UNREADABLE_MAX:?}"),
    }
}

/// Looks at the room in the stream of events, and closes and opens admission by it. Never ends.
pub(crate) async fn watch_room(session: &Session, engine: &Engine<JetStream>) {
    let mut interval = ROOM_INTERVAL;
    loop {
        // Without an answer it stays as it is: what does not answer takes nothing in either.
        if let Ok(fill) = session.events_fill().await {
            engine.observe(fill.bytes, fill.bytes_max);
            let is_near = fill.bytes_max.is_some_and(|most| fill.bytes >= most / 2);
            interval = if is_near { ROOM_INTERVAL_NEAR } else { ROOM_INTERVAL };
        }
        tokio::time::sleep(interval).await;
    }
}

/// Says once what is missing, and once that it is there again.
#[derive(Debug, Default)]
struct News {
    missing: Option<(Missing, Instant)>,
}

impl News {
    fn tell(&mut self, missing: Option<&Missing>) {
        let kind = |missing: &Missing| std::mem::discriminant(missing);
        match (missing, self.missing.take()) {
            (Some(now), Some((before, since))) if kind(now) == kind(&before) => {
                self.missing = Some((before, since));
            }
            (Some(now), before) => {
                let error = now.to_string();
                match now {
                    Missing::Answer(_) | Missing::Takes(_) => {
                        tracing::warn!(error, "JetStream is lost: inputs wait there");
                    }
                    Missing::Consumer { .. } | Missing::Stream { .. } => {
                        tracing::error!(error, "nothing is delivered to this function");
                    }
                }
                self.missing = Some((now.clone(), before.map_or_else(Instant::now, |(_, since)| since)));
            }
            (None, Some((_, since))) => {
                let away_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(away_ms, "JetStream is there again, with this function's consumers");
            }
            (None, None) => {}
        }
    }
}
