use std::sync::Arc;

use futures::FutureExt;

use super::*;

#[tokio::test]
async fn who_waits_for_a_commit_gives_slot_and_credit_to_others_and_takes_both_back() {
    let (seats, held) = (Seats::new(1), Arc::new(Held::default()));
    let mut credit = Credit::take(&held);
    let mut seat = seats.take(Some(&mut credit)).await;
    assert_eq!((seats.free_slots(), held.free(4)), (0, 3));
    let room = seat.make_way(&seats, 100, true);
    assert!(room.is_some());
    // As many again as wait with it.
    assert_eq!((seats.free_slots(), held.free(4)), (1, 5));
    drop(room);
    seat.has_waited();
    let other = seats.take(None).await;
    assert!(seat.come_back(&seats).now_or_never().is_none(), "somebody else has the slot");
    drop(other);
    seat.come_back(&seats).await;
    assert_eq!((seats.free_slots(), held.free(4)), (0, 3));
    drop(seat);
    drop(credit);
    assert_eq!(held.free(4), 4);
    assert!(held.freed().now_or_never().is_some());
}

#[tokio::test]
async fn who_finds_no_room_keeps_its_slot() {
    let (seats, held) = (Seats::new(2), Arc::new(Held::default()));
    let large = COMMITTING_MAX * COMMITTING_BYTES;
    let (mut first, mut second) = (Credit::take(&held), Credit::take(&held));
    let mut one = seats.take(Some(&mut first)).await;
    let _room = one.make_way(&seats, large + 1, true).expect("room for one, however large");
    let mut other = seats.take(Some(&mut second)).await;
    assert!(other.make_way(&seats, 1, true).is_none());
    other.has_waited();
    assert_eq!((seats.free_slots(), held.free(2)), (1, 2));
    assert!(seats.take_all().now_or_never().is_none(), "one runs, and one waits");
}

#[tokio::test]
async fn everything_is_free_when_nothing_runs_and_nothing_waits() {
    let seats = Seats::new(2);
    let mut seat = seats.take(None).await;
    let room = seat.make_way(&seats, 1, false);
    let mut all = Box::pin(seats.take_all());
    assert!((&mut all).now_or_never().is_none(), "one waits for its commit");
    drop(room);
    assert!((&mut all).now_or_never().is_some());
}
