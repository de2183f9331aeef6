//! The end: nothing lost, nothing doubled, no dead letter unexplained, over everything that was done.

use jetlag_cli::books::{Books, Ledger, Received};
use jetlag_cli::demo;

use crate::cluster::Cluster;
use crate::patience::so;
use crate::proof::{self, Records};
use crate::shop::Shop;

pub async fn run(shop: &Shop) -> Result<(), String> {
    shop.report.begin(0, "the books are balanced");
    let Cluster { operator, topology, gateway, receiver, place, .. } = &shop.cluster;
    shop.all_ended().await?;
    let mut evidence = demo::read(operator, topology).await.map_err(|error| error.to_string())?;
    evidence.ledger = shop.cluster.ask::<Ledger>(&format!("{gateway}/ledger")).await?;
    evidence.received = shop.cluster.ask::<Received>(&format!("{receiver}/received")).await?;
    let answers = shop.answers.lock().map_err(|_| "a scenario has panicked")?;
    evidence.accepted.clone_from(&answers.accepted);
    let books = Books::balance(&evidence);
    let data = place.data.join("world");
    let records = Records { ledger: data.join("gateway.jsonl"), received: data.join("receiver.jsonl") };
    let faults = proof::faults(&shop.market, &answers, &evidence, &books, &records);
    let orders = &books.orders;
    let (charges, replays) = (evidence.ledger.charges.len(), evidence.ledger.replays);
    shop.report.saw(
        0,
        "orders accepted, confirmed, cancelled",
        format!("{}, {}, {}", answers.accepted.len(), orders.confirmed, orders.cancelled()),
    );
    shop.report.saw(0, "charges; asked for again and not made again", format!("{charges}; {replays}"));
    let (sent, again) = (books.notifications.sent, books.notifications.repeated());
    shop.report.saw(0, "notifications; under the same id again", format!("{sent}; {again}"));
    shop.report.saw(0, "dead letters, all explained", evidence.dead_letters.len().to_string());
    so(faults.is_empty(), || format!("{} faults:\n  {}", faults.len(), faults.join("\n  ")))?;
    shop.report.saw(0, "lost, doubled", "0, 0");
    Ok(())
}
