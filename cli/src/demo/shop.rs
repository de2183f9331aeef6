//! The shop that is demonstrated: the application, with its steps.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use events::StockReceived;
use jetlag::jetstream::{Connection, Operator};
use jetlag::topology::{AUDIT, EVENTS};
use jetlag::{Envelope, Payload, Subject};
use reqwest::Client;
use serde_json::value::to_raw_value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::evidence::{self, ALL_COPIES, ALL_EVENTS};
use super::number::grouped;
use super::opening::{Delivery, Opening};
use super::report::{Counts, Report, StockReport};
use super::rest::{self, Awaited, Rest};
use super::{ORDERS_FILE, Options, forget};
use crate::app::{self, App, Running};
use crate::books::Books;
use crate::console::Console;
use crate::http;
use crate::orders::{self, Outcome, Placement, Sheet, Tally};
use crate::problem::{Exit, Problem};
use crate::streams::Origin;

/// How long a connection to a companion may take; it is on this machine.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long one order is tried.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a delivery is announced before the broker counts as gone.
const ANNOUNCEMENTS_MAX: u32 = 5;
/// The wait between two announcements of one delivery.
const ANNOUNCEMENT_DELAY: Duration = Duration::from_millis(500);
/// The function that takes orders.
const FRONT_DOOR: &str = "order";

/// An application that runs, and the orders that it is to be given. Every step can be repeated; dropping it kills every
/// process.
#[derive(Debug)]
pub struct Shop {
    running: Running,
    operator: Operator,
    client: Client,
    file: PathBuf,
    sheet: Sheet,
    placement: Placement,
    console: Console,
}

/// What the shop opened with.
#[derive(Debug, Clone)]
pub struct Stocked {
    /// What arrived.
    pub opening: Opening,
    /// How many of its deliveries had not arrived in an earlier run.
    pub new: usize,
    /// The last sequence of EVENTS when all of it was booked.
    pub last_sequence: u64,
}

/// What came of placing the orders.
#[derive(Debug, Clone)]
pub struct Placed {
    /// How often each outcome was met.
    pub tally: Tally,
    /// The ids of the orders that were accepted, now or before.
    pub accepted: BTreeSet<String>,
}

impl Shop {
    /// Starts the application.
    ///
    /// # Errors
    /// The orders cannot be read, or the application cannot be started; nothing is left running then.
    pub async fn open(options: Options) -> Result<Self, Problem> {
        Self::open_until(options, std::future::pending()).await
    }

    /// Like [`Self::open`], and gives up, leaving nothing behind, as soon as `cancelled` completes.
    ///
    /// # Errors
    /// As [`Self::open`], or it was cancelled (130).
    pub async fn open_until(options: Options, cancelled: impl Future<Output = ()>) -> Result<Self, Problem> {
        let file = match &options.orders {
            Some(file) => file.clone(),
            None => app::root(options.app.manifest.as_deref())?.join(ORDERS_FILE),
        };
        let sheet = orders::read(&file)?;
        if options.fresh {
            forget(&options.app.data)?;
        }
        let console = options.app.console;
        let client = http::client(CONNECT_LIMIT, reqwest::ClientBuilder::no_proxy)?;
        let running = App::start_until(options.app, cancelled).await?;
        let placement = Placement {
            url: String::new(),
            concurrency: options.concurrency,
            patience: PATIENCE,
            orders_per_second: options.orders_per_second,
        };
        match connect(&running).await {
            Ok((operator, url)) => {
                let placement = Placement { url, ..placement };
                Ok(Self { running, operator, client, file, sheet, placement, console })
            }
            Err(problem) => {
                running.kill().await;
                Err(problem)
            }
        }
    }

    /// The application.
    pub const fn running(&self) -> &Running {
        &self.running
    }

    /// Where orders are placed.
    pub fn front_door(&self) -> String {
        format!("{}/orders", self.placement.url)
    }

    /// Every step, one after the other.
    ///
    /// # Errors
    /// A step cannot be done. That the books do not add up is no error.
    pub async fn demonstrate(&self) -> Result<Report, Problem> {
        let stocked = self.stock().await?;
        let before = self.books(&stocked).await?;
        let placed = self.place().await?;
        let rest = self.rest(&placed).await;
        self.balance(stocked, &before, placed, rest).await
    }

    /// Lets the opening stock arrive, as a publisher outside does, and waits until all of it is booked, together with
    /// whatever an earlier run left unfinished. What has arrived before does not arrive again.
    ///
    /// # Errors
    /// The broker does not answer, the stock is not booked, or an earlier run is too old to be told from this one.
    pub async fn stock(&self) -> Result<Stocked, Problem> {
        let opening = Opening::of(&self.sheet.orders);
        let there = self.known(&opening).await?;
        let subjects: BTreeSet<String> = opening.deliveries.iter().map(Delivery::subject).collect();
        let new = subjects.difference(&there).count();
        let bar = self.console.bar(opening.deliveries.len() as u64, "announcing stock");
        for delivery in &opening.deliveries {
            self.announce(delivery).await?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        let bar = self.console.bar(subjects.len() as u64, "booking stock");
        let rest =
            rest::reached(&self.operator, self.running.topology(), Awaited::deliveries(subjects), &bar).await;
        bar.finish_and_clear();
        if let Rest::Stalled(seconds) = rest {
            let what = format!("the stock is not booked, and nothing has moved for {seconds} s");
            return Err(Problem::new(Exit::Failed, what).remedy(self.where_to_look()));
        }
        let last_sequence =
            self.operator.stream_state(EVENTS).await.map_err(evidence::unreadable)?.last_sequence;
        self.console.note(&format!(
            "stock: {} pieces of {} SKUs in {} deliveries, {} of them new; of {} bestsellers only half of what is asked for",
            grouped(opening.pieces()),
            grouped(opening.skus() as u64),
            grouped(opening.deliveries.len() as u64),
            grouped(new as u64),
            opening.scarce.len(),
        ));
        Ok(Stocked { opening, new, last_sequence })
    }

    /// The books as they are now, before or after an order is placed.
    ///
    /// # Errors
    /// The broker or a companion does not answer.
    pub async fn books(&self, stocked: &Stocked) -> Result<Books, Problem> {
        self.books_with(BTreeSet::new(), stocked.last_sequence).await
    }

    /// Places every order of the file. One that was placed before is not placed again.
    ///
    /// # Errors
    /// No HTTP client can be made. What befalls an order is in the tally.
    pub async fn place(&self) -> Result<Placed, Problem> {
        let bar = self.console.bar(self.sheet.orders.len() as u64, "placing orders");
        let mut accepted = BTreeSet::new();
        let tally = orders::place_all(self.sheet.orders.clone(), &self.placement, |order, outcome| {
            bar.inc(1);
            if matches!(outcome, Outcome::Placed | Outcome::AlreadyPlaced) {
                accepted.insert(order.order_id.clone());
            }
        })
        .await?;
        bar.finish_and_clear();
        self.console.note(&format!(
            "orders: {} placed, {} placed before, {} not accepted, in {} ms",
            grouped(tally.placed),
            grouped(tally.already_placed),
            grouped(tally.refused + tally.unanswered),
            grouped(tally.elapsed_ms),
        ));
        Ok(Placed { tally, accepted })
    }

    /// Waits until every order that was accepted has ended, its customer is told, and nothing is left to be handled:
    /// for as long as anything moves. A broker that does not answer is waited for, and is a stall in the end.
    pub async fn rest(&self, placed: &Placed) -> Rest {
        let awaited = Awaited::orders(&placed.accepted);
        let bar = self.console.bar(2 * placed.accepted.len() as u64, "orders decided, customers told");
        let rest = rest::reached(&self.operator, self.running.topology(), awaited, &bar).await;
        bar.finish_and_clear();
        rest
    }

    /// Balances the books against how they were `before` the orders were placed.
    ///
    /// # Errors
    /// The broker or a companion does not answer.
    pub async fn balance(
        &self,
        stocked: Stocked,
        before: &Books,
        placed: Placed,
        rest: Rest,
    ) -> Result<Report, Problem> {
        let books = self.books_with(placed.accepted, stocked.last_sequence).await?;
        let mut report = Report {
            file: self.file.clone(),
            input: self.sheet.report.clone(),
            stock: StockReport::of(&stocked),
            placed: placed.tally,
            before: Counts::of(before),
            after: Counts::of(&books),
            rest,
            books,
        };
        report.conclude();
        Ok(report)
    }

    /// Stops everything, in order: functions finish what they have begun.
    pub async fn close(&self) {
        self.running.drain().await;
    }

    async fn books_with(&self, accepted: BTreeSet<String>, began_after: u64) -> Result<Books, Problem> {
        let work = evidence::gather(&self.operator, &self.running, &self.client, accepted, began_after);
        Ok(Books::balance(&self.console.watch("balancing the books", work).await?))
    }

    /// The subjects of everything that is still in EVENTS.
    ///
    /// Behind the horizon nothing is recognised as a repetition any more: a delivery would arrive again, and an order
    /// be placed again. The trail still knows of both.
    async fn known(&self, opening: &Opening) -> Result<BTreeSet<String>, Problem> {
        let events = self.operator.read(EVENTS, ALL_EVENTS, 1).await.map_err(evidence::unreadable)?;
        let there: BTreeSet<String> = events.into_iter().map(|event| event.subject).collect();
        let deliveries: BTreeSet<String> = opening.deliveries.iter().map(Delivery::subject).collect();
        let orders: BTreeSet<&str> = self.sheet.orders.iter().map(|order| order.order_id.as_str()).collect();
        let trail = self.operator.read(AUDIT, ALL_COPIES, 1).await.map_err(evidence::unreadable)?;
        let is_repeated = |subject: &str| {
            let parts = Subject::from_broker(subject).parse_event();
            deliveries.contains(subject)
                || parts.is_some_and(|event| {
                    event.kind == "orders.placed" && orders.contains(event.aggregate_id.as_str())
                })
        };
        let mut origins = trail.iter().map(|entry| Origin::of(entry).subject);
        if origins.any(|subject| !there.contains(&subject) && is_repeated(&subject)) {
            let data = self.running.status().data;
            let what = format!("the last demonstration in `{}` was more than a day ago", data.display());
            return Err(Problem::new(Exit::Data, what).remedy(
                "its orders would not be recognised and would be placed again: begin anew with --fresh",
            ));
        }
        Ok(there)
    }

    /// Publishes one delivery on the bare type, as the article's publishers do.
    async fn announce(&self, delivery: &Delivery) -> Result<(), Problem> {
        let event = envelope(delivery).map_err(|error| {
            Problem::new(Exit::Internal, format!("the delivery {} cannot be written", delivery.id))
                .because(error)
        })?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.operator.publish(StockReceived::TYPE, &delivery.id, event.clone().into()).await {
                Ok(()) => return Ok(()),
                Err(_) if attempts < ANNOUNCEMENTS_MAX => tokio::time::sleep(ANNOUNCEMENT_DELAY).await,
                Err(error) => {
                    let what = format!("the delivery {} cannot be announced", delivery.id);
                    return Err(Problem::new(Exit::Unavailable, what).because(error));
                }
            }
        }
    }

    fn where_to_look(&self) -> String {
        let data = self.running.status().data;
        format!("the functions say why in `{}`", data.join("logs").display())
    }
}

/// The article's JSON.
fn envelope(delivery: &Delivery) -> Result<Vec<u8>, serde_json::Error> {
    let Delivery { id, sku, quantity } = delivery.clone();
    let envelope = Envelope {
        id,
        kind: StockReceived::TYPE.to_owned(),
        aggregate_id: sku.clone(),
        data: to_raw_value(&StockReceived { sku, quantity })?,
        timestamp: OffsetDateTime::now_utc(),
        trace_id: Uuid::new_v4().simple().to_string(),
    };
    envelope.write()
}

async fn connect(running: &Running) -> Result<(Operator, String), Problem> {
    let url = running.url(FRONT_DOOR).ok_or_else(|| {
        Problem::new(Exit::Config, format!("there is no function `{FRONT_DOOR}` to place orders with"))
            .remedy("the demonstration is of the reference application: run it in a clone of its repository")
    })?;
    let broker = running.broker_url().unwrap_or_default();
    let operator = Operator::connect(&Connection::to(broker)).await;
    let operator = operator
        .map_err(|error| Problem::new(Exit::Unavailable, "the broker cannot be looked at").because(error))?;
    Ok((operator, url))
}
