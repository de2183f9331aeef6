//! Whether the broker can be reached, as the client's events tell it: one line of log on loss, and one on return.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_nats::{ClientError, ConnectErrorKind, Event, ServerError};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::jetstream::denial::{Denial, Denials};

/// The wait before the first attempt to connect again; it doubles from there.
const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(20);
/// The longest wait between attempts to connect again.
const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(2);
/// So many refusals of this user in a row are no accident of a server that is just starting.
const REFUSALS_MAX: u32 = 5;

/// Whether the broker can be reached, as a function watches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Connected.
    Up,
    /// Not connected; the client keeps trying.
    Down {
        /// Since when.
        since: Instant,
    },
    /// The broker refuses what the function needs: nothing will mend that but other permissions or credentials.
    Denied(String),
}

impl Link {
    /// Whether the client is trying to connect.
    pub const fn is_down(&self) -> bool {
        matches!(self, Self::Down { .. })
    }
}

/// Turns the client's events into a [`Link`].
#[derive(Debug)]
pub(super) struct Observer {
    link: watch::Sender<Link>,
    denials: watch::Sender<Denials>,
    /// The user's name, once it is known.
    user: Arc<OnceLock<String>>,
    past: Mutex<Past>,
}

/// What came before.
#[derive(Debug, Default)]
struct Past {
    lost_at: Option<Instant>,
    /// How often this user was refused since the last connection.
    refusals: u32,
}

impl Observer {
    /// One that learns the user's name from `user`.
    pub(super) fn new(user: Arc<OnceLock<String>>) -> Self {
        let (link, denials) =
            (watch::Sender::new(Link::Down { since: Instant::now() }), watch::Sender::default());
        Self { link, denials, user, past: Mutex::default() }
    }

    /// The state of the connection, and what the broker denies over it.
    pub(super) fn watch(&self) -> (watch::Receiver<Link>, watch::Receiver<Denials>) {
        (self.link.subscribe(), self.denials.subscribe())
    }

    /// Takes one event of the client.
    pub(super) fn hear(&self, event: Event) {
        match event {
            Event::Connected => self.connected(),
            Event::Disconnected => self.lost(),
            // By this process itself.
            Event::Closed => self.set(Link::Down { since: Instant::now() }),
            Event::ServerError(ServerError::AuthorizationViolation) => {
                tracing::warn!("the broker no longer accepts this user");
            }
            Event::ServerError(error) => {
                let text = error.to_string();
                match Denial::read(&text) {
                    Some(denial) => {
                        let why = denial.told_of(self.user.get().map_or("this user", String::as_str));
                        // Whoever waits for what is denied finds the connection denied.
                        self.deny(why.clone());
                        self.denials.send_modify(|denials| denials.note(&denial, &why));
                    }
                    None => tracing::warn!(error = text, "the broker reports an error"),
                }
            }
            Event::ClientError(ClientError::Other(text)) if is_refusal(&text) => self.refused(&text),
            Event::LameDuckMode => {
                tracing::info!("the server is about to stop: another one, or its next start, takes over");
            }
            Event::SlowConsumer(_) => {
                tracing::warn!("the broker's messages come faster than they are taken");
            }
            Event::ClientError(_) | Event::Draining => {}
        }
    }

    fn connected(&self) {
        let lost_at = {
            let mut past = self.past();
            past.refusals = 0;
            past.lost_at.take()
        };
        if let Some(lost_at) = lost_at {
            let away_ms = u64::try_from(lost_at.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(away_ms, "the broker is back");
        }
        self.set(Link::Up);
    }

    fn lost(&self) {
        let is_news = {
            let mut past = self.past();
            let is_news = past.lost_at.is_none();
            past.lost_at.get_or_insert_with(Instant::now);
            is_news
        };
        if is_news {
            tracing::warn!("the broker is lost: connecting again");
        }
        self.set(Link::Down { since: Instant::now() });
    }

    fn refused(&self, text: &str) {
        let refusals = {
            let mut past = self.past();
            past.refusals += 1;
            past.refusals
        };
        if refusals >= REFUSALS_MAX {
            self.deny(format!(
                "it refused this user {refusals} times ({text}): check NATS_CREDS or NATS_NKEY, and whether they have expired"
            ));
        }
    }

    /// What is denied stays so: later events of the connection change nothing.
    fn deny(&self, why: String) {
        self.link.send_if_modified(|link| {
            let is_news = !matches!(link, Link::Denied(_));
            if is_news {
                *link = Link::Denied(why);
            }
            is_news
        });
    }

    fn set(&self, now: Link) {
        self.link.send_if_modified(|link| {
            let is_same = std::mem::discriminant(link) == std::mem::discriminant(&now);
            let is_news = !matches!(link, Link::Denied(_)) && !is_same;
            if is_news {
                *link = now;
            }
            is_news
        });
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client tells of failed attempts to connect in words only.
fn is_refusal(text: &str) -> bool {
    [ConnectErrorKind::AuthorizationViolation, ConnectErrorKind::Authentication]
        .iter()
        .any(|kind| text == kind.to_string())
}

/// How long a new client waits before each attempt to connect: not at all before its very first, for which it asks too.
pub(super) fn connect_delay() -> impl Fn(usize) -> Duration + Send + Sync + 'static {
    let was_asked = AtomicBool::new(false);
    move |attempt| {
        let is_first = !was_asked.swap(true, Ordering::Relaxed);
        if is_first { Duration::ZERO } else { reconnect_delay(attempt) }
    }
}

/// How long to wait before the attempt with this number, from 1: it doubles, up to [`RECONNECT_DELAY_MAX`], less up to
/// half of it by chance, so that functions that lost the same broker do not all come back in the same moment.
fn reconnect_delay(attempt: usize) -> Duration {
    let exponent = u32::try_from(attempt.saturating_sub(1).min(16)).unwrap_or(16);
    let most = RECONNECT_DELAY_MIN.saturating_mul(2u32.saturating_pow(exponent)).min(RECONNECT_DELAY_MAX);
    // The standard library's own source of chance: nothing hangs on its quality.
    let chance = u32::try_from(RandomState::new().hash_one(attempt) % 1000).unwrap_or_default();
    most - most * chance / 2000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_error(text: &str) -> Event {
        Event::ServerError(ServerError::Other(text.into()))
    }

    #[test]
    fn a_permission_violation_stays_whatever_the_connection_does() {
        let user = Arc::new(OnceLock::new());
        let observer = Observer::new(Arc::clone(&user));
        let (link, denials) = observer.watch();
        observer.hear(Event::Connected);
        assert_eq!(*link.borrow(), Link::Up);
        user.set("payment (UABC)".to_owned()).unwrap();
        observer.hear(server_error(r#"Permissions Violation for Publish to "dlq.payment.7""#));
        observer.hear(server_error(r#"Permissions Violation for Publish to "done.payment.7.8""#));
        observer.hear(Event::Disconnected);
        observer.hear(Event::Connected);
        let told = |why: &str| why.contains("user payment (UABC) may not") && why.contains("dlq.payment.*");
        assert!(matches!(&*link.borrow(), Link::Denied(why) if told(why)));
        let of = |subject: &str| denials.borrow().of(subject).map(str::to_owned);
        assert!(of("dlq.payment.7").is_some_and(|why| told(&why)) && of("dlq.payment.8").is_none());
        assert!(of("done.payment.7.8").is_some(), "each subject has its own");
    }

    #[test]
    fn a_user_is_denied_after_refusals_in_a_row_and_not_after_one() {
        let observer = Observer::new(Arc::default());
        let (link, _) = observer.watch();
        let refusal =
            || Event::ClientError(ClientError::Other(ConnectErrorKind::AuthorizationViolation.to_string()));
        for _ in 0..REFUSALS_MAX - 1 {
            observer.hear(refusal());
        }
        observer.hear(Event::Connected);
        observer.hear(Event::Disconnected);
        observer.hear(refusal());
        assert!(link.borrow().is_down());
        for _ in 0..REFUSALS_MAX {
            observer.hear(Event::ClientError(ClientError::Other(ConnectErrorKind::Io.to_string())));
            observer.hear(refusal());
        }
        assert!(matches!(&*link.borrow(), Link::Denied(_)));
    }

    #[test]
    fn only_the_first_attempt_of_all_is_made_at_once() {
        let delay = connect_delay();
        assert_eq!(delay(1), Duration::ZERO);
        assert!(delay(1) > Duration::ZERO && delay(2) > Duration::ZERO);
    }

    #[test]
    fn attempts_to_reconnect_slow_down_to_a_limit_and_differ() {
        for attempt in 1..100 {
            let delay = reconnect_delay(attempt);
            assert!(delay >= RECONNECT_DELAY_MIN / 2 && delay <= RECONNECT_DELAY_MAX, "{delay:?}");
        }
        assert!(reconnect_delay(1) <= RECONNECT_DELAY_MIN);
        let late: std::collections::BTreeSet<Duration> = (0..20).map(|_| reconnect_delay(50)).collect();
        assert!(late.len() > 1 && late.iter().all(|delay| *delay >= RECONNECT_DELAY_MAX / 2), "{late:?}");
    }
}
