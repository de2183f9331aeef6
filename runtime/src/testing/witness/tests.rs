use bytes::Bytes;

use super::*;
use crate::core::broker::Expect;
use crate::parcels::Sent;
use crate::{Contract, identity};

const INPUT: &str = "parcels.sent.P-1.e";

const CONTRACT: Contract<Sent, Sent> = Contract::new("post", "Sends parcels.");

/// A witness of a function of which the input had its letter and was then redriven.
fn witness() -> Witness {
    let mut witness = Witness::default();
    witness.watch(CONTRACT.terms());
    let receipt = stored(&format!("done.post.P-1.{}", id("")), &[(headers::CAUSE, INPUT), dead()]);
    witness.published(Stream::Events, 1, &receipt);
    let letter = [(headers::SUBJECT, INPUT), (headers::ORIGIN, "Events 1"), dead()];
    witness.published(Stream::DeadLetters, 1, &stored("dlq.post.x", &letter));
    witness.redriven(cause(Some("again")));
    assert_eq!(witness.objection(), None);
    witness
}

fn cause(redrive: Option<&str>) -> Cause {
    let redrive = redrive.map(str::to_owned);
    Cause { function: "post", subject: Subject::from_broker(INPUT), redrive }
}

fn id(redrive: &str) -> String {
    identity::derive(&["post", INPUT, redrive, "0"])
}

const fn dead() -> (&'static str, &'static str) {
    (headers::REASON, "rejected")
}

fn stored(subject: &str, headers: &[(&str, &str)]) -> Stored {
    let own = (headers::FUNCTION, "post");
    let headers = headers.iter().chain([&own]).map(|(name, value)| ((*name).into(), (*value).into()));
    let subject = Subject::from_broker(subject);
    Stored { subject, sequence: 1, headers: headers.collect(), payload: Bytes::new() }
}

fn retry(attempt: &str, redrive: Option<&str>) -> Stored {
    let mut headers = vec![(headers::SUBJECT, INPUT), (headers::ATTEMPT, attempt)];
    headers.extend(redrive.map(|redrive| (headers::REDRIVE, redrive)));
    stored("retry.post.x.1", &headers)
}

#[test]
fn a_straggler_of_the_life_that_died_may_be_acknowledged_after_the_redrive() {
    let mut witness = witness();
    witness.acked("post", Stream::Retry, &retry("2", None));
    assert_eq!(witness.objection(), None);
}

#[test]
fn a_redriven_input_is_not_done_with_because_its_first_life_is() {
    let mut witness = witness();
    witness.acked("post", Stream::Retry, &retry("1", Some("again")));
    assert!(witness.objection().unwrap().contains("before anything came of it"));
}

#[test]
fn a_redriven_input_has_a_commit_of_its_own() {
    let mut witness = witness();
    let commit = |redrive| stored(&format!("parcels.sent.P-1.{}", id(redrive)), &[(headers::CAUSE, INPUT)]);
    witness.published(Stream::Events, 2, &commit("again"));
    witness.acked("post", Stream::Retry, &retry("1", Some("again")));
    assert_eq!(witness.objection(), None);
    witness.published(Stream::Events, 3, &commit(""));
    assert!(witness.objection().unwrap().contains("1 commits and 1 receipts"));
}

#[test]
fn an_event_under_an_id_that_does_not_follow_from_its_cause_is_noticed() {
    let mut witness = witness();
    witness.published(Stream::Events, 2, &stored("parcels.sent.P-1.new", &[(headers::CAUSE, INPUT)]));
    assert!(witness.objection().unwrap().contains("does not follow from"));
}

#[test]
fn state_is_written_only_after_what_the_broker_told() {
    let mut witness = Witness::default();
    let subject = Subject::of_state("post", "parcel", "P-1");
    let after = |sequence| {
        let mut message = Message::new(subject.clone(), Bytes::new());
        message.expect = Some(Expect { sequence, scope: None });
        [message]
    };
    witness.tell(7, &subject, 4);
    witness.sent(7, &after(4));
    assert_eq!(witness.objection(), None);
    witness.sent(8, &after(4));
    assert!(witness.objection().unwrap().contains("process 8 insists on 4"));
}
