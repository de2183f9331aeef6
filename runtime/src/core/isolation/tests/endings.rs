//! How runs alone end while the stream is full, and while the process is to stop.

use super::*;

/// How long the tries to write a mark take that a process makes which is to stop.
const TRIES_TAKE: Duration = Duration::from_secs(15);

#[tokio::test(start_paused = true)]
async fn the_end_of_a_lone_run_is_recorded_however_long_the_stream_is_full() {
    let town = Town::new(&["p"]);
    Book::set(&town.book.deadly, &["p"]);
    town.deliver(town.process()).await;
    let engine = town.process().engine;
    let delivery = town.fetch(town.events).pop().unwrap();
    let inbound = Inbound::read(&CONTRACT.terms(), &delivery).unwrap();
    let Standing::Suspect(suspect) = standing(&engine, &delivery, &inbound).await else { panic!("trusted") };
    let lone = suspect.begin(&engine).await.unwrap();
    town.broker.with(|server, _| (server.is_full, server.full_takes_versions) = (true, false));
    let retry = Disposition::Retry { after: Duration::ZERO, error: "it came back".into() };
    let full = async {
        tokio::time::sleep(10 * TRIES_TAKE).await;
        assert_eq!(town.mark(&CONTRACT.terms(), "p").await.lone_runs.len(), 1);
        town.broker.with(|server, _| server.is_full = false);
    };
    tokio::join!(lone.end(&engine, &retry), full);
    assert!(town.mark(&CONTRACT.terms(), "p").await.lone_runs.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_to_stop_does_not_wait_for_a_full_stream() {
    let town = Town::new(&["p"]);
    Book::set(&town.book.deadly, &["p"]);
    town.deliver(town.process()).await;
    let process = town.process();
    let delivery = town.fetch(town.events).pop().unwrap();
    let inbound = Inbound::read(&CONTRACT.terms(), &delivery).unwrap();
    let standing = standing(&process.engine, &delivery, &inbound).await;
    let Standing::Suspect(suspect) = standing else { panic!("trusted") };
    let lone = suspect.begin(&process.engine).await.unwrap();
    town.broker.with(|server, _| (server.is_full, server.full_takes_versions) = (true, false));
    let began = Instant::now();
    process.drain.cancel();
    lone.end(&process.engine, &Disposition::Retry { after: Duration::ZERO, error: "it came back".into() })
        .await;
    assert!(began.elapsed() <= TRIES_TAKE, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_to_stop_gives_back_what_it_would_run_one_by_one() {
    let town = Town::new(&["a", "b", "c"]);
    let process = || town.start(Bindings::new(TRAIL, Arc::clone(&town.book), read_trail));
    Book::set(&town.book.deadly, &["c"]);
    let batch = town.fetch(town.trail);
    let _ = tokio::time::timeout(LIFE, live_batch(Arc::clone(&process().engine), batch)).await;
    town.wait();
    assert_eq!(town.book.take_runs(), ["a", "b", "c"], "all of them in flight when it died");

    let stopping = process();
    let batch = town.fetch(town.trail);
    assert_eq!(batch.len(), 3);
    let stopped = async {
        tokio::time::sleep(WORK / 2).await;
        stopping.drain.cancel();
    };
    tokio::join!(live_batch(Arc::clone(&stopping.engine), batch), stopped);
    assert_eq!(town.book.take_runs(), ["a", "|"], "what had begun comes to its end");
    assert_eq!(town.fetch(town.trail).len(), 2, "the rest is there for the next at once");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stood_still_while_it_was_to_stop_has_had_no_tries() {
    let town = Town::new(&["p"]);
    Book::set(&town.book.deadly, &["p"]);
    town.deliver(town.process()).await;
    let process = town.process();
    let delivery = town.fetch(town.events).pop().unwrap();
    let inbound = Inbound::read(&CONTRACT.terms(), &delivery).unwrap();
    let standing = standing(&process.engine, &delivery, &inbound).await;
    let Standing::Suspect(suspect) = standing else { panic!("trusted") };
    let lone = suspect.begin(&process.engine).await.unwrap();
    town.broker.with(|server, _| (server.is_full, server.full_takes_versions) = (true, false));
    process.drain.cancel();
    let retry = Disposition::Retry { after: Duration::ZERO, error: "it came back".into() };
    let still = async {
        tokio::time::advance(4 * TRIES_TAKE).await;
        // It looks once at how late it is while the stream is full still.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        town.broker.with(|server, _| server.is_full = false);
    };
    tokio::join!(lone.end(&process.engine, &retry), still);
    assert!(town.mark(&CONTRACT.terms(), "p").await.lone_runs.is_empty());
}
