//! Dead letters are looked at, mended, and sent to their function again, and to that function alone.

use jetlag::topology::DEAD_LETTERS;
use jetlag_cli::letters::{self, Pick};
use tests::until;

use crate::shop::Opened;

/// An order that nobody placed, reserved: with `amount` as it is in the data.
fn reserved(amount: &str) -> String {
    format!(
        r#"{{"id":"r-1","type":"inventory.reserved","aggregate_id":"R-1","data":{{"order_id":"R-1","customer_id":"C","amount":{amount},"currency":"GBP"}},"timestamp":"2026-11-21T14:00:00Z","trace_id":""}}"#
    )
}

#[tokio::test]
async fn a_mended_dead_letter_goes_to_the_function_that_gave_it_up_and_leaves_once() {
    let opened = Opened::new().await;
    opened.operator.publish("inventory.reserved.R-1.r-1", "r-1", reserved("-1").into()).await.unwrap();
    let of_payment = Pick { function: Some("payment".into()), ..Pick::default() };
    let list = async || letters::select(&opened.operator, &of_payment).await.unwrap();
    let first = until("dead letter of payment", async || list().await.pop()).await;
    assert_eq!((first.reason.as_str(), first.aggregate_id.as_deref()), ("invalid_data", Some("R-1")));

    // As it is, it dies again: a new dead letter, and the old one is gone.
    let redrive = async |with: Option<&str>| {
        letters::redrive(&opened.operator, &of_payment, with.map(str::as_bytes), None, "ann").await.unwrap()
    };
    assert_eq!(redrive(None).await.done, 1);
    let second = until("second dead letter", async || list().await.pop()).await;
    assert!(second.sequence > first.sequence);

    // Another event is not sent in its place.
    let outcome = redrive(Some(&reserved("12.50").replace("r-1", "r-2"))).await;
    assert_eq!((outcome.done, outcome.left), (0, 1));
    assert!(outcome.refusals[0].why.contains("only the data may be changed"), "{outcome:?}");

    // Mended it is charged: once, though it is sent twice, as after an interruption before it was taken out.
    let mut letter = opened.operator.dead_letters(second.sequence).await.unwrap().remove(0).unwrap();
    letter.payload = reserved("12.50").into();
    opened.operator.redrive(&letter, "ann").await.unwrap();
    assert_eq!(redrive(Some(&reserved("12.50"))).await.done, 1);
    opened.event("payments.processed.R-1.*").await;
    until("end of the retries", async || {
        let (waiting, held) = opened.operator.lag("RETRY", "payment").await.ok()?;
        (waiting + held == 0).then_some(())
    })
    .await;
    assert_eq!(opened.events("payments.processed.R-1.*").await.len(), 1);
    assert_eq!(list().await.len(), 0);
    // Who did it stands in the trail, once for each dead letter.
    let notes = opened.events("done.payment.R-1.*").await;
    let notes: Vec<_> = notes
        .iter()
        .filter(|note| String::from_utf8_lossy(&note.payload).contains(r#""by":"ann""#))
        .collect();
    assert_eq!(notes.len(), 2);
    // Nobody else was asked again: what order and inventory gave up for the same event is still there, if they did.
    let others = letters::select(&opened.operator, &Pick::default()).await.unwrap();
    assert!(others.iter().all(|letter| letter.function != "payment"), "{others:?}");
    let state = opened.operator.stream_state(DEAD_LETTERS).await.unwrap();
    assert_eq!(state.messages, others.len() as u64);
    opened.shop.close().await;
}
