use std::sync::Arc;

use super::*;
use crate::core::broker::Schedule;
use crate::core::mark::{Mark, Occasion};
use crate::failure::Reason;
use crate::memory::Still;
use crate::memory::server::Receipt;
use crate::memory::server::consumer::ACK_WAIT;

const HORIZON: Duration = Duration::from_secs(6_400);
/// When an event of the beginning is too old to be left where it is, and when too old to be carried on.
const OLD: Duration = Duration::from_secs(3_300);
const LATE: Duration = Duration::from_secs(6_301);
const FUNCTION: &str = "payment";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

impl Archive for Still {
    async fn page(&self, stream: Stream, filter: &Subject, from: u64) -> Result<Vec<Kept>, Unavailable> {
        Ok(self.with(|server, _| server.page(stream, filter, from, 2)))
    }

    async fn remove(&self, stream: Stream, sequence: u64) -> Result<(), Unavailable> {
        self.with(|server, _| server.remove(stream, sequence));
        Ok(())
    }
}

/// What a consumer gives at once.
struct Direct {
    broker: Arc<Still>,
    consumer: usize,
    credit: usize,
}

impl Lane<Receipt> for Direct {
    async fn request(&mut self, credit: usize) {
        self.credit += credit;
    }

    async fn next(&mut self) -> Pulled<Receipt> {
        let consumer = self.consumer;
        match self.broker.with(|server, now| server.fetch(consumer, now)) {
            Some(delivery) => {
                self.credit -= 1;
                Pulled::Delivery(Box::new(delivery))
            }
            None => Pulled::Expired(std::mem::take(&mut self.credit)),
        }
    }

    async fn close(self) -> Vec<Delivery<Receipt>> {
        Vec::new()
    }
}

/// A function's consumers, and what they read.
struct Town {
    broker: Arc<Still>,
    events: usize,
}

impl Backlog<Receipt> for Town {
    type Lane = Direct;

    async fn oldest(&self) -> Result<Option<Delivery<Receipt>>, Unavailable> {
        Ok(self.broker.with(|server, _| server.oldest(self.events)))
    }

    async fn open(&self) -> Result<Direct, Unavailable> {
        Ok(Direct { broker: Arc::clone(&self.broker), consumer: self.events, credit: 0 })
    }
}

impl Town {
    /// A town to which these orders have come.
    fn new(orders: &[&str]) -> Self {
        let broker = Arc::new(Still::new());
        let filter = vec![Subject::from_broker("orders.placed.*.*")];
        let events = broker.with(|server, _| {
            server.keep(Stream::Events, HORIZON);
            server.subscribe(Stream::Events, filter, 100)
        });
        let town = Self { broker, events };
        orders.iter().for_each(|order| town.come(order));
        town
    }

    fn come(&self, order: &str) {
        let mut event = Message::new(Subject::of_event("orders.placed", order, "e"), body(order).into());
        event.headers = vec![(headers::TRACEPARENT, TRACE.into()), ("X-Tenant", "a".into())];
        // A stranger's words.
        event.headers.push((headers::ATTEMPT, "7".into()));
        self.publish(Stream::Events, event);
    }

    fn publish(&self, stream: Stream, message: Message) {
        self.broker.publish_now(stream, &[message]).unwrap();
    }

    /// Something is committed, or given up for `reason`, for the order.
    fn guard(&self, order: &str, reason: Option<Reason>) {
        let mut guard = Message::new(Subject::of_receipt(FUNCTION, order, &id(order)), "{}".into());
        guard.headers.extend(reason.map(|reason| (headers::REASON, reason.code().to_owned())));
        self.publish(Stream::Events, guard);
    }

    fn fetch(&self) -> Delivery<Receipt> {
        self.broker.with(|server, now| server.fetch(self.events, now)).unwrap()
    }

    async fn round(&self) -> Rescued {
        Rescue::new(&*self.broker, FUNCTION, HORIZON).events(self).await.unwrap()
    }

    async fn weed(&self, stream: Stream) -> Rescued {
        let filter = Subject::from_broker(">");
        Rescue::new(&*self.broker, FUNCTION, HORIZON).weed(stream, &filter).await.unwrap()
    }

    fn there(&self, stream: Stream) -> Vec<Stored> {
        self.broker.with(|server, _| {
            let live = server.log(stream).history().filter(|entry| entry.is_live);
            live.map(|entry| entry.stored.clone()).collect()
        })
    }

    fn is_answered(&self) -> bool {
        self.broker.with(|server, _| server.oldest(self.events)).is_none()
    }

    async fn mark(&self, order: &str) -> Option<Mark> {
        let subject = Subject::of_mark(FUNCTION, &id(order));
        let mark = self.broker.last_at_leader(Stream::Events, &subject).await.unwrap();
        mark.map(|mark| serde_json::from_slice(&mark.payload).unwrap())
    }
}

fn body(order: &str) -> String {
    format!(
        r#"{{"id":"e","type":"orders.placed","aggregate_id":"{order}","data":{{ }},"timestamp":"2025-01-01T00:00:00Z"}}"#
    )
}

fn id(order: &str) -> String {
    let subject = Subject::of_event("orders.placed", order, "e");
    crate::core::inbound::cause_id(FUNCTION, &subject, None, 0)
}

fn retry(order: &str, attempt: u32) -> Message {
    let mut message = Message::new(Subject::of_retry(FUNCTION, &id(order), attempt), body(order).into());
    let subject = Subject::of_event("orders.placed", order, "e");
    message.headers = vec![(headers::SUBJECT, subject.to_string()), (headers::ATTEMPT, attempt.to_string())];
    message
}

#[tokio::test(start_paused = true)]
async fn one_that_was_committed_is_acknowledged() {
    let town = Town::new(&["a"]);
    town.guard("a", None);
    assert_eq!(town.round().await, Rescued::default(), "it is young");
    town.broker.pass(OLD);
    assert_eq!(town.round().await, Rescued { answered: 1, ..Rescued::default() });
    assert!(town.is_answered() && town.there(Stream::Retry).is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_that_was_given_up_gets_the_dead_letter_that_is_missing() {
    let town = Town::new(&["a"]);
    town.guard("a", Some(Reason::Rejected));
    town.broker.pass(OLD);
    assert_eq!(town.round().await, Rescued { answered: 1, ..Rescued::default() });
    let letters = town.there(Stream::DeadLetters);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].subject, Subject::of_dead_letter(FUNCTION, &id("a")));
    assert_eq!(letters[0].header(headers::REASON), Some("rejected"));
    assert_eq!(letters[0].header(headers::SUBJECT), Some("orders.placed.a.e"));
    assert_eq!(letters[0].payload, body("a"));
    assert!(town.is_answered() && town.there(Stream::Retry).is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_whose_retry_waits_is_acknowledged() {
    let town = Town::new(&["a"]);
    let mut waiting = retry("a", 2);
    waiting.subject = Subject::of_schedule(FUNCTION, &id("a"), 2);
    waiting.schedule =
        Some(Schedule { at: town.broker.now() + HORIZON, target: Subject::of_retry(FUNCTION, &id("a"), 2) });
    town.publish(Stream::Retry, waiting);
    town.broker.pass(OLD);
    assert_eq!(town.round().await, Rescued { answered: 1, ..Rescued::default() });
    assert!(town.is_answered());
    assert_eq!(town.there(Stream::Retry).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_of_which_nothing_is_known_goes_to_its_function_once_and_as_it_was() {
    let town = Town::new(&["a"]);
    town.broker.pass(OLD);
    assert_eq!(town.round().await, Rescued { carried: 1, ..Rescued::default() });
    assert_eq!(town.round().await, Rescued::default());
    assert!(town.is_answered());
    let carried = town.there(Stream::Retry);
    assert_eq!(carried.len(), 1);
    assert_eq!(carried[0].subject, Subject::of_retry(FUNCTION, &id("a"), 1));
    assert_eq!(carried[0].payload, body("a"));
    assert_eq!(carried[0].header(headers::SUBJECT), Some("orders.placed.a.e"));
    assert_eq!(carried[0].header(headers::FUNCTION), Some(FUNCTION));
    assert_eq!(carried[0].header(headers::TRACEPARENT), Some(TRACE));
    assert_eq!(carried[0].header(headers::ATTEMPT), Some("1"), "what a stranger says counts nothing");
    assert!(carried[0].header(headers::HEADERS).unwrap().contains(r#"["X-Tenant","a"]"#));
    assert_eq!(carried[0].header(headers::SUSPECT), None, "nobody has run it");
    // What its function makes of it has the same cause, and so the same guard.
    let again = Known::of(FUNCTION, Stream::Retry, &carried[0]);
    assert_eq!((again.id, again.attempt), (id("a"), 1));
}

#[tokio::test(start_paused = true)]
async fn a_young_one_that_came_along_is_given_back_and_nothing_speaks_against_it() {
    let town = Town::new(&["old"]);
    town.broker.pass(OLD);
    town.come("young");
    assert_eq!(town.round().await, Rescued { carried: 1, given_back: 1, ..Rescued::default() });
    let again = town.fetch();
    assert_eq!((again.subject.as_str(), again.delivered), ("orders.placed.young.e", 2));
    assert_eq!(town.mark("young").await.unwrap().released, Some(Occasion::of(&again).before()));
    assert_eq!(town.there(Stream::Retry).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_round_that_dies_before_it_acknowledges_doubles_nothing() {
    let town = Town::new(&["a"]);
    town.broker.pass(OLD);
    let rescue = Rescue::new(&*town.broker, FUNCTION, HORIZON);
    let carried = Rescued { carried: 1, ..Rescued::default() };
    assert_eq!(rescue.carried(&town.fetch(), false).await.unwrap(), carried);
    assert!(!town.is_answered());
    town.broker.pass(OLD + ACK_WAIT);
    assert_eq!(town.round().await, Rescued { answered: 1, ..Rescued::default() });
    assert!(town.is_answered());
    assert_eq!(town.there(Stream::Retry).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_goes_from_hand_to_hand_is_carried_on_all_the_same() {
    let town = Town::new(&["a", "b"]);
    town.broker.pass(OLD);
    let held = [town.fetch(), town.fetch()];
    assert_eq!(town.round().await, Rescued { carried: 2, ..Rescued::default() });
    assert!(town.is_answered());
    let carried = town.there(Stream::Retry);
    assert_eq!(carried.len(), held.len());
    assert!(carried.iter().all(|one| one.header(headers::SUSPECT).is_some()), "whoever has it may die of it");
}

#[tokio::test(start_paused = true)]
async fn one_whose_process_may_have_died_of_it_stays_a_suspect() {
    let town = Town::new(&["dead", "back"]);
    town.fetch();
    let back = town.fetch();
    give_back_unrun(&*town.broker, FUNCTION, &id("back"), &back).await;
    town.broker.pass(OLD);
    assert_eq!(town.round().await, Rescued { carried: 2, ..Rescued::default() });
    for one in town.there(Stream::Retry) {
        let is_suspect = one.header(headers::SUSPECT).is_some();
        assert_eq!(is_suspect, one.subject == Subject::of_retry(FUNCTION, &id("dead"), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_can_tell_of_one_at_the_end_of_its_horizon_and_it_is_left_where_it_is() {
    let town = Town::new(&["a", "committed"]);
    town.broker.pass(Duration::from_secs(60));
    town.guard("committed", None);
    town.broker.pass(LATE);
    let done = town.round().await;
    assert_eq!((done.late, done.carried, done.answered), (1, 0, 1));
    assert!(town.there(Stream::Retry).is_empty() && !town.is_answered());
}

#[tokio::test(start_paused = true)]
async fn what_nothing_expires_of_is_left_unless_it_was_answered_for() {
    let town = Town::new(&[]);
    for order in ["a", "b", "c", "d", "e"] {
        town.publish(Stream::Retry, retry(order, 2));
    }
    town.guard("b", None);
    town.guard("d", Some(Reason::Rejected));
    assert_eq!(town.weed(Stream::Retry).await, Rescued { answered: 2, ..Rescued::default() });
    let left: Vec<_> = town.there(Stream::Retry).into_iter().map(|one| one.subject).collect();
    assert_eq!(left, ["a", "c", "e"].map(|order| Subject::of_retry(FUNCTION, &id(order), 2)));
    assert_eq!(town.there(Stream::DeadLetters).len(), 1, "the one that was missing");
}

#[tokio::test(start_paused = true)]
async fn at_the_door_only_what_was_admitted_or_refused_is_taken_away() {
    let town = Town::new(&["admitted"]);
    for payload in [body("admitted"), body("waits"), "refused".into(), "unread".into()] {
        town.publish(Stream::Intake, Message::new(Subject::from_broker("orders.placed"), payload.into()));
    }
    let letter = Subject::of_dead_letter(FUNCTION, &unreadable_id(Stream::Intake, 3));
    town.publish(Stream::DeadLetters, Message::new(letter, "refused".into()));
    assert_eq!(town.weed(Stream::Intake).await, Rescued { answered: 2, ..Rescued::default() });
    let left: Vec<_> = town.there(Stream::Intake).into_iter().map(|one| one.payload).collect();
    assert_eq!(left, [body("waits"), "unread".into()]);
}
