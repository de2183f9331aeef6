use std::sync::atomic::AtomicUsize;

use serde::{Deserialize, Serialize};

use super::*;
use crate::invoke::{Crash, Delivered, Input, Parts};
use crate::{Contract, Effects, Event, Payload, Stored as _, kind_of};

#[derive(Debug, Serialize, Deserialize)]
struct Sent {
    id: String,
    weight: u32,
}

impl Payload for Sent {
    const TYPE: &'static str = "parcels.sent";
    const AGGREGATE: &'static str = "parcel";
    fn aggregate_id(&self) -> &str {
        &self.id
    }
    fn example() -> Self {
        Self { id: "P-1".into(), weight: 3 }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Billed {
    id: String,
    total: u32,
}

impl Payload for Billed {
    const TYPE: &'static str = "parcels.billed";
    const AGGREGATE: &'static str = "parcel";
    fn aggregate_id(&self) -> &str {
        &self.id
    }
    fn example() -> Self {
        Self { id: "P-1".into(), total: 3 }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Total(u32);

impl crate::Stored for Total {
    const KIND: &'static str = "total";
}

const CONTRACT: Contract<Sent, Billed> =
    Contract::new("billing", "Bills what was sent.").keeps(&[kind_of::<Total>()]);

/// How often the handler has run: what a crash does to the world outside.
type Runs = Arc<AtomicUsize>;

async fn bill(runs: &Runs, event: Event<Sent>, state: State) -> Result<Effects<Billed>, Failure> {
    runs.fetch_add(1, Ordering::Relaxed);
    let Sent { id, weight } = event.data;
    if weight == 0 {
        return Err(Failure::reject("nothing weighs nothing"));
    }
    let total: Total = state.get("all").await?.unwrap_or_default();
    let total = total.0 + weight;
    Ok(Effects::emit(Billed { id, total }).put("all", &Total(total)))
}

async fn invoke(request: Request) -> (Report, usize) {
    let runs = Runs::default();
    let report = report(Bindings::new(CONTRACT, Arc::clone(&runs), bill), request).await.unwrap();
    (report, runs.load(Ordering::Relaxed))
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn kinds(report: &Report) -> Vec<&'static str> {
    let kind = |delivered: &Delivered| match &delivered.disposition {
        Disposition::Ack { already: false } => "ack",
        Disposition::Ack { already: true } => "already",
        Disposition::Retry { .. } => "retry",
        Disposition::DeadLetter { .. } => "dead letter",
        Disposition::Release => "release",
        Disposition::Crash => "crash",
    };
    report.deliveries.iter().map(kind).collect()
}

fn effects(report: &Report) -> usize {
    report.deliveries.iter().map(|delivered| delivered.events.len() + delivered.state.len()).sum()
}

#[tokio::test]
async fn an_example_just_works_and_state_and_fields_can_be_given() {
    let (first, _) = invoke(Request::default()).await;
    assert_eq!(kinds(&first), ["ack"]);
    assert_eq!(first.deliveries[0].events[0].kind, "parcels.billed");
    assert_eq!(first.state[&format!("{}/all", Total::KIND)].get(), "3");

    let parts = Parts { fields: [("weight".into(), raw("4"))].into(), ..Parts::default() };
    let state = [("total/all".to_owned(), raw("10"))].into();
    let (second, _) = invoke(Request { input: Input::Parts(parts), state, ..Request::default() }).await;
    assert_eq!(second.state["total/all"].get(), "14");
    assert_eq!(second.deliveries[0].events[0].data.get(), r#"{"id":"P-1","total":14}"#);
}

#[tokio::test]
async fn whatever_goes_wrong_the_effects_are_there_once() {
    let with = |request| invoke(request);
    let (twice, runs) = with(Request { duplicate: true, ..Request::default() }).await;
    assert_eq!((kinds(&twice), effects(&twice)), (vec!["ack", "already"], 2));
    assert!(runs <= 2);
    for (crash, again) in
        [(Crash::BeforeCommit, "ack"), (Crash::AfterCommit, "already"), (Crash::BeforeAck, "already")]
    {
        let (report, _) = with(Request { crash: Some(crash), ..Request::default() }).await;
        assert_eq!(kinds(&report), ["crash", again], "{crash:?}");
        assert_eq!(effects(&report), 2, "{crash:?}");
        assert_eq!(report.deliveries[1].delivery, 2);
        assert!(report.deliveries[1].at_ms >= 15_000, "not before the broker has waited for an answer");
    }
}

#[tokio::test]
async fn failures_on_purpose_are_tried_again_until_they_are_over() {
    let (report, runs) = invoke(Request { fail_first: 2, ..Request::default() }).await;
    assert_eq!((kinds(&report), runs), (vec!["retry", "retry", "ack"], 1));
    assert_eq!(report.deliveries.iter().map(|d| d.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(report.deliveries[2].at_ms > report.deliveries[1].at_ms);
    // The eighth is the last.
    let (report, runs) = invoke(Request { fail_first: 1, attempt: 8, ..Request::default() }).await;
    assert_eq!((kinds(&report), runs), (vec!["dead letter"], 0));
}

#[tokio::test]
async fn what_is_refused_is_a_dead_letter_and_a_wrong_request_is_none() {
    let parts = Parts { fields: [("weight".into(), raw("0"))].into(), ..Parts::default() };
    let (report, _) = invoke(Request { input: Input::Parts(parts), ..Request::default() }).await;
    assert_eq!(kinds(&report), ["dead letter"]);
    let (report, runs) = invoke(Request { input: Input::Bytes("{".into()), ..Request::default() }).await;
    let Disposition::DeadLetter { reason, .. } = &report.deliveries[0].disposition else { panic!() };
    assert_eq!((reason.as_str(), runs), ("not_an_event", 0));

    let refused = async |request| {
        super::report(Bindings::new(CONTRACT, Runs::default(), bill), request).await.unwrap_err().to_string()
    };
    let parts = Parts { kind: Some("parcels.lost".into()), ..Parts::default() };
    let text = refused(Request { input: Input::Parts(parts), ..Request::default() }).await;
    assert_eq!(text, "billing does not take parcels.lost: it takes parcels.sent");
    let state = [("count/all".to_owned(), raw("1"))].into();
    assert!(refused(Request { state, ..Request::default() }).await.contains("the kinds are total"));
}

#[tokio::test]
async fn a_cloud_event_is_a_view_of_an_event() {
    let event = r#"{"specversion":"1.0","id":"c","source":"/x","type":"parcels.sent","subject":"P-9","data":{"id":"P-9","weight":1}}"#;
    let (report, _) = invoke(Request { input: Input::Bytes(event.into()), ..Request::default() }).await;
    assert_eq!(kinds(&report), ["ack"]);
    assert_eq!(report.deliveries[0].events[0].key, "P-9");
}
