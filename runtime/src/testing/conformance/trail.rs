//! The trail: what the broker copies of the stream of events.

use crate::core::broker::{Broker, Lane, Message, Stream};
use crate::testing::conformance::rig::{
    Check, Consumer, Rig, Settings, comes_to, lag, message, next, nothing, same, sure,
};

const TRAIL: Consumer = Consumer::of(Stream::Audit, &["audit.*"]);

pub(super) async fn the_trail_has_every_event_and_no_state<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events, Stream::Audit], Settings::default()).await?;
    rig.subscribe(&TRAIL).await?;
    let broker = rig.connect().await?;
    for on in ["a.b.A.1", "state.f.k", "done.f.A.2", "c.d.B%20.3"] {
        let mut event = message(on);
        event.payload = on.to_owned().into();
        event.headers = vec![("Jetlag-Cause", format!("cause of {on}"))];
        broker.publish(Stream::Events, vec![event]).await.map_err(|error| error.to_string())?;
    }
    comes_to(rig, &TRAIL, lag(3, 0)).await?;
    let mut lane = rig.lane(&TRAIL).await?;
    lane.request(10).await;
    for (place, on) in ["a.b.A.1", "done.f.A.2", "c.d.B%20.3"].into_iter().enumerate() {
        let copy = next(&mut lane).await?;
        same("sequence", copy.sequence, place as u64 + 1)?;
        sure(copy.subject.as_str().starts_with("audit."), || copy.subject.to_string())?;
        same("payload", copy.payload.as_ref(), on.as_bytes())?;
        let cause = format!("cause of {on}");
        same("headers", copy.header("Jetlag-Cause"), Some(cause.as_str()))?;
        // The fifth word of this header is where the original subject is found.
        let source = copy.header("Nats-Stream-Source").unwrap_or_default();
        same("subject", source.split(' ').nth(4), Some(on)).map_err(|why| format!("{why} in {source:?}"))?;
    }
    nothing(&mut lane).await
}

pub(super) async fn the_trail_has_every_version_in_the_order_of_the_events<R: Rig>(rig: &R) -> Check {
    const EVENTS: u64 = 100;
    rig.provide(&[Stream::Events, Stream::Audit], Settings::default()).await?;
    rig.subscribe(&TRAIL).await?;
    let broker = rig.connect().await?;
    let events = |from| -> Vec<Message> {
        (from..from + EVENTS / 2)
            .map(|number: u64| Message {
                payload: number.to_string().into(),
                ..message(&format!("a.b.{number}.x"))
            })
            .collect()
    };
    for from in [0, EVENTS / 2] {
        broker.publish(Stream::Events, events(from)).await.map_err(|error| error.to_string())?;
    }
    comes_to(rig, &TRAIL, lag(EVENTS, 0)).await?;
    let mut lane = rig.lane(&TRAIL).await?;
    for wanted in 0..EVENTS {
        lane.request(1).await;
        let copy = next(&mut lane).await?;
        same("the next", copy.payload.as_ref(), wanted.to_string().as_bytes())?;
        broker.ack(&copy.receipt).await;
    }
    Ok(())
}
