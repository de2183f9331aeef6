//! What was written is what is read, wherever it is read.

use bytes::Bytes;

use crate::core::broker::{Broker, Message, Stored, Stream};
use crate::testing::conformance::rig::{
    Check, Consumer, Rig, Settings, eventually, message, pull, same, subject, sure,
};

const ALL: Consumer = Consumer::of(Stream::Events, &["a.b.*.*"]);
/// How many writes are read back.
const WRITES: u64 = 200;

async fn at_leader<B: Broker>(broker: &B, on: &str) -> Result<Option<Stored>, String> {
    broker.last_at_leader(Stream::Events, &subject(on)).await.map_err(|error| error.to_string())
}

async fn direct<B: Broker>(broker: &B, on: &str) -> Result<Option<Stored>, String> {
    broker.last(Stream::Events, &subject(on)).await.map_err(|error| error.to_string())
}

fn place(found: Option<Stored>) -> Option<(String, u64)> {
    found.map(|found| (found.subject.to_string(), found.sequence))
}

pub(super) async fn the_last_on_a_pattern_is_the_newest<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    for on in ["a.b.A.1", "c.d.A.1", "a.b.A.2", "done.f.B.1", "a.b.A.1"] {
        broker.publish(Stream::Events, vec![message(on)]).await.map_err(|error| error.to_string())?;
    }
    let wanted = [
        ("*.*.A.1", Some(("a.b.A.1", 5))),
        ("*.*.A.2", Some(("a.b.A.2", 3))),
        ("c.d.A.*", Some(("c.d.A.1", 2))),
        ("*.*.B.1", Some(("done.f.B.1", 4))),
        ("a.b.A.2", Some(("a.b.A.2", 3))),
        ("*.*.C.1", None),
        ("a.b.A.9", None),
    ];
    for (pattern, wanted) in wanted {
        let wanted = wanted.map(|(on, sequence)| (on.to_owned(), sequence));
        same(pattern, place(at_leader(&broker, pattern).await?), wanted.clone())?;
        // A replica may lag, and comes to the same.
        eventually(pattern, async || same("direct", place(direct(&broker, pattern).await?), wanted.clone()))
            .await?;
    }
    Ok(())
}

pub(super) async fn the_leader_shows_every_write_that_was_answered<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let (writer, reader) = (rig.connect().await?, rig.connect().await?);
    for number in 1..=WRITES {
        let write = vec![message("state.f.k"), message(&format!("a.b.A.{number}"))];
        let last = writer.publish(Stream::Events, write).await.map_err(|error| error.to_string())?;
        // Through the other connection, which is at another server where there are several.
        let found = place(at_leader(&reader, "state.f.k").await?);
        same("the state", found, Some(("state.f.k".to_owned(), last - 1)))?;
        let pattern = format!("*.*.A.{number}");
        same("the guard", place(at_leader(&reader, &pattern).await?).map(|(_, s)| s), Some(last))?;
    }
    Ok(())
}

pub(super) async fn one_server_shows_every_write_that_was_answered<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let (writer, reader) = (rig.connect().await?, rig.connect().await?);
    for _ in 1..=WRITES {
        let last = writer.publish(Stream::Events, vec![message("state.f.k")]).await;
        let last = last.map_err(|error| error.to_string())?;
        let found = place(direct(&reader, "state.f.k").await?);
        if rig.replicas() == 1 {
            same("the state", found, Some(("state.f.k".to_owned(), last)))?;
        }
    }
    Ok(())
}

/// What an author or a stranger may put into a message.
fn oddities() -> Vec<Message> {
    let with = |payload: Bytes, headers: Vec<(&'static str, String)>| Message {
        headers,
        ..Message::new(subject("a.b.A.1"), payload)
    };
    vec![
        with(Bytes::new(), vec![]),
        with(Bytes::from_static(b"{\"a\": 1}"), vec![("Jetlag-Error", "größer als 4 € — 数".into())]),
        with(
            Bytes::from_static(&[0, 255, 13, 10, 0]),
            vec![("Jetlag-Error", "with: colons: and \"quotes\"".into())],
        ),
        with(Bytes::from_static(b"\r\n\r\nNATS/1.0\r\n"), vec![("A", "1".into()), ("a", "2".into())]),
        with(vec![b'x'; 100_000].into(), vec![("Jetlag-History", "long ".repeat(6000) + "end")]),
        with(Bytes::from_static(b"x"), vec![("Jetlag-Function", String::new()), ("B", "b".into())]),
    ]
}

/// The headers that are not the broker's own.
fn own(headers: &[(String, String)]) -> Vec<(String, String)> {
    let mut own: Vec<_> = headers.iter().filter(|(name, _)| !name.starts_with("Nats-")).cloned().collect();
    own.sort();
    own
}

pub(super) async fn bytes_and_headers_are_read_as_they_were_written<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    rig.subscribe(&ALL).await?;
    let (broker, mut lane) = (rig.connect().await?, rig.lane(&ALL).await?);
    for (number, written) in oddities().into_iter().enumerate() {
        let sequence =
            broker.publish(Stream::Events, vec![written.clone()]).await.map_err(|e| e.to_string())?;
        let what = |how: &str| format!("message {number}, {how}");
        let mut headers: Vec<_> =
            written.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        headers.sort();
        let delivery = pull(&mut lane).await?;
        same(&what("delivered: sequence"), delivery.sequence, sequence)?;
        same(&what("delivered: subject"), &delivery.subject, &written.subject)?;
        same(&what("delivered: headers"), own(&delivery.headers), headers.clone())?;
        sure(delivery.payload == written.payload, || what("delivered: payload"))?;
        let leader = at_leader(&broker, "a.b.A.1").await?;
        eventually("direct", async || {
            let found = direct(&broker, "a.b.A.1").await?;
            same("sequence", found.map(|found| found.sequence), Some(sequence))
        })
        .await?;
        let direct = direct(&broker, "a.b.A.1").await?;
        for (how, found) in [("at the leader", leader), ("direct", direct)] {
            let found = found.ok_or_else(|| what(how))?;
            same(&what(how), (found.subject, found.sequence), (written.subject.clone(), sequence))?;
            same(&what(how), own(&found.headers), headers.clone())?;
            sure(found.payload == written.payload, || format!("{}: payload", what(how)))?;
        }
    }
    Ok(())
}

pub(super) async fn a_line_break_in_a_header_does_no_harm<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    let mut written = message("a.b.A.1");
    written.headers = vec![
        ("Jetlag-Error", "one\r\nNats-Expected-Last-Subject-Sequence: 9\ntwo".into()),
        ("B", "b".into()),
    ];
    same("the message", broker.publish(Stream::Events, vec![written]).await, Ok(1))?;
    let found = at_leader(&broker, "a.b.A.1").await?.ok_or("nothing is there")?;
    same("the next header", found.header("B"), Some("b"))?;
    let error = found.header("Jetlag-Error").unwrap_or_default();
    sure(error.starts_with("one") && error.ends_with("two"), || format!("{error:?}"))?;
    same("an injected header", found.header("Nats-Expected-Last-Subject-Sequence"), None)
}
