//! What is decoded from outside, each as one function of bytes: what the fuzzer calls, and the ordinary tests call with
//! every file of the corpus. None of them may panic, whatever the bytes.

use events::{
    AuditSealed, InventoryRejected, InventoryReleased, InventoryReserved, NotificationSent, OrderCancelled,
    OrderConfirmed, OrderPlaced, PaymentDeclined, PaymentProcessed, StockReceived,
};
use jetlag::testing::fuzzing;
use jetlag::{Envelope, Incoming, Payload};

/// An event's envelope.
pub fn event(bytes: &[u8]) {
    fuzzing::event(bytes);
}

/// An event's envelope and its data, as the function reads it that listens to it; what is valid is also written, and
/// reads back the same.
pub fn payload(bytes: &[u8]) {
    let Ok(event) = Envelope::read(bytes) else { return };
    let data = &event.data;
    again::<OrderPlaced>(data);
    again::<OrderConfirmed>(data);
    again::<OrderCancelled>(data);
    again::<InventoryReserved>(data);
    again::<InventoryRejected>(data);
    again::<InventoryReleased>(data);
    again::<StockReceived>(data);
    again::<PaymentProcessed>(data);
    again::<PaymentDeclined>(data);
    again::<NotificationSent>(data);
    again::<AuditSealed>(data);
}

fn again<P: Payload>(data: &jetlag::RawValue) {
    let Ok(read) = P::decode(P::TYPE, data) else { return };
    let written = serde_json::value::to_raw_value(&read).expect("what was read can be written");
    let reread = P::decode(P::TYPE, &written).expect("what was written can be read");
    let rewritten = serde_json::value::to_raw_value(&reread).expect("and written again");
    assert_eq!(written.get(), rewritten.get(), "{}", P::TYPE);
    assert_eq!(read.aggregate_id(), reread.aggregate_id());
}

/// A CloudEvent over HTTP: lines of headers, an empty line, and the body.
pub fn cloud_event(bytes: &[u8]) {
    fuzzing::cloud_event(bytes);
}

/// A subject, and its tokens.
pub fn subject(bytes: &[u8]) {
    fuzzing::subject(bytes);
}

/// A dead letter: lines of headers, an empty line, and the input's bytes.
pub fn dead_letter(bytes: &[u8]) {
    fuzzing::dead_letter(bytes);
}

/// A message as it is delivered to a function, retries among them: the stream's first letter, then as a dead letter.
pub fn delivery(bytes: &[u8]) {
    fuzzing::delivery(bytes);
}

/// A `jetlag.yaml`.
pub fn manifest(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = jetlag_cli::app::check_manifest(text);
    }
}

/// A `traceparent`.
pub fn traceparent(bytes: &[u8]) {
    fuzzing::traceparent(bytes);
}
