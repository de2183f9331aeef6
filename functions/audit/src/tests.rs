use events::OrderPlaced;
use jetlag::testing::state;
use jetlag::{Envelope, Event};
use proptest::prelude::*;

use super::*;
use crate::verify::{Broken, Checkpoint, Verifier};

mod pipeline;

/// The AUDIT stream, and what the function has committed so far.
#[derive(Default, Clone)]
struct Trail {
    entries: Vec<(String, Vec<u8>)>,
    head: Option<Chain>,
}

fn written<P: Payload>(payload: &P, id: usize) -> (String, Vec<u8>) {
    let json = serde_json::json!({
        "id": format!("e{id}"), "type": P::TYPE, "aggregate_id": payload.aggregate_id(), "data": payload,
        "timestamp": "2025-01-02T03:04:05Z", "trace_id": "0af7651916cd43dd8448eb211c80319c",
    })
    .to_string()
    .into_bytes();
    (Envelope::read(&json).unwrap().subject().as_str().to_owned(), json)
}

impl Trail {
    fn order(&mut self) {
        let order = OrderPlaced { order_id: format!("ORD-{}", self.entries.len()), ..OrderPlaced::example() };
        self.entries.push(written(&order, self.entries.len()));
    }

    fn orders(count: usize) -> Self {
        let mut trail = Self::default();
        (0..count).for_each(|_| trail.order());
        trail
    }

    fn batch(&self, from: u64, to: u64) -> Batch<AnyEvent> {
        (from..=to)
            .map(|sequence| {
                let json = &self.entries[sequence as usize - 1].1;
                let envelope = Envelope::read(json).unwrap();
                let any = AnyEvent { kind: envelope.kind, data: envelope.data };
                Recorded {
                    event: Event::of(OrderPlaced::example()).map(|_| any),
                    sequence,
                    bytes: json.clone().into(),
                }
            })
            .collect()
    }

    async fn run(&self, batch: Batch<AnyEvent>) -> Result<Effects<AuditSealed>, Failure> {
        seal(&(), batch, state(CONTRACT, self.head.clone().map(|head| (HEAD, head)))).await
    }

    /// Seals the entries from `from` to `to` and commits: the checkpoint becomes an entry of the trail.
    async fn seal(&mut self, from: u64, to: u64) -> Result<bool, Failure> {
        let effects = self.run(self.batch(from, to)).await?;
        for sealed in effects.events() {
            sealed.validate().unwrap();
            self.entries.push(written(sealed, self.entries.len()));
        }
        if let Some(head) = effects.written(HEAD) {
            self.head = Some(head);
        }
        Ok(!effects.events().is_empty())
    }

    fn seen(&self) -> u64 {
        self.head.as_ref().map_or(0, |head| head.seen)
    }

    fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Seals until there is nothing left to seal.
    async fn seal_all(&mut self, batch: u64) {
        // Each batch makes one entry more at most, so that it comes to rest, and soon.
        let rounds = self.len() + 2;
        for _ in 0..rounds {
            let (from, to) = (self.seen() + 1, self.len().min(self.seen() + batch));
            if from <= to {
                self.seal(from, to).await.unwrap();
            }
        }
        assert_eq!(self.seen(), self.len(), "sealing has not come to rest after {rounds} rounds");
    }

    fn verified(&self) -> (Vec<Broken>, Verifier) {
        let mut verifier = Verifier::default();
        let feed = |(at, (subject, bytes)): (usize, &(String, Vec<u8>))| {
            verifier.feed(at as u64 + 1, subject, bytes)
        };
        let broken = self.entries.iter().enumerate().flat_map(feed).collect();
        (broken, verifier)
    }
}

#[tokio::test]
async fn a_batch_becomes_one_checkpoint_that_continues_the_last() {
    let mut trail = Trail::orders(3);
    let effects = trail.run(trail.batch(1, 3)).await.unwrap();
    let [first] = effects.events() else { panic!("{effects:?}") };
    assert_eq!((first.checkpoint.as_str(), first.from, first.to, first.entries), ("1", 1, 3, 3));
    assert_eq!(first.previous, Hash::ZERO.to_string());
    let first = first.clone();

    trail.seal(1, 3).await.unwrap();
    trail.order();
    let effects = trail.run(trail.batch(4, 5)).await.unwrap();
    let [second] = effects.events() else { panic!("{effects:?}") };
    assert_eq!((second.checkpoint.as_str(), second.from, second.to), ("2", 4, 5));
    assert_eq!(second.previous, first.hash);
}

#[tokio::test]
async fn a_batch_of_checkpoints_alone_makes_none_but_is_folded() {
    let mut trail = Trail::orders(2);
    assert!(trail.seal(1, 2).await.unwrap());
    assert!(!trail.seal(3, 3).await.unwrap(), "or it would never end");
    let head = trail.head.clone().unwrap();
    assert_eq!((head.checkpoint, head.to, head.seen), (1, 2, 3));
    trail.order();
    trail.seal(4, 4).await.unwrap();
    let sealed = trail.verified().1.last().unwrap();
    assert_eq!((sealed.number, sealed.to), (2, 4), "the next one reaches back over it");
    assert_eq!(trail.verified().0, []);
}

#[tokio::test]
async fn what_was_sealed_already_is_passed_over() {
    let mut trail = Trail::orders(5);
    trail.seal(1, 3).await.unwrap();
    let effects = trail.run(trail.batch(1, 3)).await.unwrap();
    assert!(effects.events().is_empty() && effects.written::<Chain>(HEAD).is_none());
    let effects = trail.run(trail.batch(2, 5)).await.unwrap();
    assert_eq!((effects.events()[0].from, effects.events()[0].to), (4, 5));

    let mut shuffled = trail.batch(4, 5);
    shuffled.extend(trail.batch(4, 4));
    assert_eq!(
        trail.run(shuffled).await.unwrap().events(),
        effects.events(),
        "neither order nor repetition matters"
    );
}

#[tokio::test]
async fn an_entry_that_is_not_there_yet_is_waited_for() {
    let mut trail = Trail::orders(9);
    let early = format!("{:?}", trail.run(trail.batch(2, 4)).await.unwrap_err());
    assert!(
        early.contains("Retry { after: Some(1s) }")
            && early.contains("entry 1 has to be sealed before entry 2"),
        "{early}"
    );
    trail.seal(1, 4).await.unwrap();
    let mut gap = trail.batch(5, 9);
    gap.remove(2);
    let behind = gap.split_off(2);
    assert!(
        trail
            .run(behind.clone())
            .await
            .unwrap_err()
            .to_string()
            .contains("entry 5 has to be sealed before entry 8")
    );
    // Two processes share a consumer, and each is given every other entry: both get on.
    gap.extend(behind);
    let effects = trail.run(gap).await.unwrap();
    assert_eq!((effects.events()[0].from, effects.events()[0].to), (5, 6));
    assert!(format!("{effects:?}").contains("upto: Some(6)"), "the rest comes again: {effects:?}");
    assert!(trail.run(Batch::new()).await.unwrap().events().is_empty());
}

#[tokio::test]
async fn every_way_to_forge_a_trail_is_found() {
    let mut trail = Trail::orders(6);
    trail.seal(1, 3).await.unwrap();
    trail.seal(4, 7).await.unwrap();
    trail.order();
    trail.seal_all(100).await;
    assert_eq!(trail.verified().0, []);
    assert_eq!(trail.verified().1.unsealed(), 1);
    assert_eq!(trail.verified().1.truncated(trail.head.as_ref().unwrap()), None);

    let forged = |change: &dyn Fn(&mut Trail)| {
        let mut forged = trail.clone();
        change(&mut forged);
        forged.verified().0
    };
    let altered = |trail: &mut Trail| trail.entries[1] = Trail::orders(1).entries[0].clone();
    assert_eq!(forged(&altered), [Broken::Altered { checkpoint: 1, from: 1, to: 3 }]);
    assert_eq!(
        forged(&|trail| trail.entries.swap(4, 5)),
        [Broken::Altered { checkpoint: 2, from: 4, to: 7 }]
    );
    let misfiled = forged(&|trail| trail.entries[1].0 = "orders.placed.ORD-7.e1".into());
    assert!(matches!(misfiled[..], [Broken::Misfiled { sequence: 2, .. }]), "{misfiled:?}");

    // A checkpoint made up from nothing.
    let linked = forged(&|trail| trail.entries[7] = written(&AuditSealed::example(), 7));
    assert!(linked.contains(&Broken::Link { checkpoint: "1".into(), sequence: 8 }), "{linked:?}");

    // Two histories spliced: each half is right in itself, and the second does not continue the first.
    let mut other = Trail { entries: trail.entries[..6].to_vec(), head: None };
    other.entries.swap(0, 1);
    other.entries.remove(3);
    other.order();
    other.seal(1, 3).await.unwrap();
    other.seal(4, 7).await.unwrap();
    let spliced = forged(&|trail| trail.entries[7] = other.entries[7].clone());
    assert_eq!(spliced[0], Broken::Link { checkpoint: "2".into(), sequence: 8 });

    // A checkpoint taken out, with what follows moved up.
    let removed = forged(&|trail| drop(trail.entries.remove(7)));
    assert!(removed.iter().any(|broken| matches!(broken, Broken::Link { .. })), "{removed:?}");

    let (_, whole) = trail.verified();
    let mut cut = trail.clone();
    cut.entries.truncate(9);
    let (broken, verifier) = cut.verified();
    assert_eq!(broken, [], "a cut end is not seen by the trail itself");
    let Checkpoint { to: sealed, .. } = whole.last().unwrap();
    assert_eq!(verifier.truncated(cut.head.as_ref().unwrap()), Some(Broken::Truncated { sealed, found: 7 }));
}

#[tokio::test]
async fn a_sequence_that_is_gone_or_comes_twice_is_told() {
    let mut trail = Trail::orders(4);
    trail.seal_all(100).await;
    let mut verifier = Verifier::default();
    let feed = |verifier: &mut Verifier, sequence: u64| {
        let (subject, bytes) = &trail.entries[sequence as usize - 1];
        verifier.feed(sequence, subject, bytes)
    };
    assert_eq!(feed(&mut verifier, 1), []);
    assert_eq!(feed(&mut verifier, 4), [Broken::Missing { from: 2, to: 3 }]);
    assert_eq!(feed(&mut verifier, 4), [Broken::OutOfOrder { sequence: 4, after: 4 }]);
    assert_eq!(feed(&mut verifier, 5), [], "what is missing is told once, not again by the checkpoint");
}

#[tokio::test]
async fn a_trail_whose_beginning_has_expired_is_verified_from_its_first_whole_checkpoint() {
    let mut trail = Trail::orders(12);
    trail.seal(1, 4).await.unwrap();
    trail.seal(5, 8).await.unwrap();
    trail.seal_all(100).await;
    let from = |trail: &Trail, first: u64| -> Vec<Broken> {
        let mut verifier = Verifier::beginning_at(first);
        let kept = trail.entries.iter().enumerate().skip(first as usize - 1);
        kept.flat_map(|(at, (subject, bytes))| verifier.feed(at as u64 + 1, subject, bytes)).collect()
    };
    for first in 1..=trail.len() {
        assert_eq!(from(&trail, first), [], "from {first}");
    }
    trail.entries[6].1.push(b' ');
    assert_eq!(from(&trail, 5), [Broken::Altered { checkpoint: 2, from: 5, to: 8 }]);
    assert_eq!(from(&trail, 6), [], "the rest of a checkpoint that is no longer whole proves nothing");
}

#[test]
fn the_contract_holds() {
    assert_eq!(CONTRACT.terms().faults(), Vec::<String>::new());
}

#[derive(Debug, Clone)]
enum Step {
    Order,
    /// The next entries, that many at most.
    Seal(u64),
    /// Entries from so far back, up to so far ahead: redelivered, early, or both.
    Stray(u64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Order),
        2 => (1..6u64).prop_map(Step::Seal),
        1 => (0..8u64, 0..8u64).prop_map(|(back, ahead)| Step::Stray(back, ahead)),
    ];
    proptest::collection::vec(step, 0..60)
}

async fn sealed_by(steps: &[Step]) -> Trail {
    let mut trail = Trail::default();
    for step in steps {
        let (seen, len) = (trail.seen(), trail.len());
        let _ = match *step {
            Step::Order => {
                trail.order();
                continue;
            }
            Step::Seal(count) => trail.seal(seen + 1, len.min(seen + count)).await,
            Step::Stray(back, ahead) => {
                trail.seal((seen + 4).saturating_sub(back).max(1), len.min(seen + ahead)).await
            }
        };
    }
    trail.seal_all(3).await;
    trail
}

proptest! {
    #[test]
    fn however_batches_come_the_chain_is_whole_and_comes_to_rest(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut trail = runtime.block_on(sealed_by(&steps));
        let (broken, verifier) = trail.verified();
        prop_assert_eq!(broken, []);
        let unsealed = trail.entries.iter().rev().take(verifier.unsealed());
        prop_assert!(unsealed.clone().all(|(subject, _)| subject.starts_with("audit.sealed.")));
        // One more order, and everything before it is sealed.
        trail.order();
        runtime.block_on(trail.seal_all(100));
        prop_assert_eq!(trail.verified().1.unsealed(), 1);
    }

    #[test]
    fn one_changed_byte_in_what_is_sealed_is_found(steps in steps(), which: prop::sample::Index, place: prop::sample::Index) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut trail = runtime.block_on(sealed_by(&steps));
        let sealed = trail.verified().1.last().map_or(0, |last| last.to) as usize;
        prop_assume!(sealed > 0);
        let bytes = &mut trail.entries[which.index(sealed)].1;
        let place = place.index(bytes.len());
        bytes[place] ^= 1;
        prop_assert_ne!(trail.verified().0, []);
    }
}
