//! Scenario 9: events come and go by Knative's own broker. `till` is payment without JetStream: a Trigger brings what is
//! reserved to it, and a SinkBinding takes its answer back to the broker, where a Trigger brings it to `order`. KEDA keeps
//! payment at zero meanwhile; afterwards it gets the same events by the stream, and they have had their effects.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use jetlag::Envelope;
use jetlag_cli::books::Ledger;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::applied::objects_taken;
use crate::broker_filter::{about, find, pause};
use crate::cluster::{NAMESPACE, address};
use crate::front::Front;
use crate::market::Wish;
use crate::marks::seconds;
use crate::patience::{so, until};
use crate::requests::{pods_gone, serve};
use crate::shop::Shop;
use crate::watcher::{Sent, Watcher};
use crate::wishes;

/// How long Knative's controllers may take to make something ready.
const READY_LIMIT: Duration = Duration::from_secs(240);
/// How long an event may take to where it must come, from zero pods and on a busy machine.
const CARRIED_LIMIT: Duration = Duration::from_secs(120);
/// How long a refused event may take to the dead letter sink: less than the waits of the contract's seven retries together
/// (127 s), so that one that comes in time was not sent again before.
const REFUSED_LIMIT: Duration = Duration::from_secs(100);
/// How long the broker may keep whoever sends: over channels in memory it answers when everybody has had the event, other
/// attempts included.
const SENT_LIMIT: Duration = Duration::from_secs(180);
/// How long the broker may take for the first attempts at a gateway that is away.
const ATTEMPTS_LIMIT: Duration = Duration::from_secs(120);
/// How many attempts the gateway turns away: fewer than open the circuit breaker.
const TURNED_AWAY: usize = 3;
/// Two clocks' milliseconds are cut off in one difference.
const CUT_OFF_MS: u64 = 2;

const SERVICES: &str = "/apis/serving.knative.dev/v1/namespaces/jetlag/services";
const BROKERS: &str = "/apis/eventing.knative.dev/v1/namespaces/jetlag/brokers";
const TRIGGERS: &str = "/apis/eventing.knative.dev/v1/namespaces/jetlag/triggers";
const BINDINGS: &str = "/apis/sources.knative.dev/v1/namespaces/jetlag/sinkbindings";
/// Where the broker takes events.
const INGRESS: (&str, &str) = ("knative-eventing", "broker-ingress");
/// The paths of the watcher: of a subscriber, and of the dead letter sink that the manifests name.
const SEEN: &str = "/seen";
const LETTERS: &str = "/letters";

const RESERVED: &str = "inventory.reserved";
const PAID: &str = "payments.processed";
const CONFIRMED: &str = "orders.confirmed";

pub async fn run(shop: &Shop) -> Result<(), String> {
    shop.report.begin(9, "events come and go by Knative's broker");
    let watcher = Watcher::listen(&shop.cluster.place.watcher).await?;
    shop.all_at_zero().await?;
    let services = shop.cluster.api.list(SERVICES).await?;
    if !services.iter().any(|service| service["metadata"]["name"] == "order") {
        serve(shop, 9).await?;
    }
    let broker = connect(shop).await?;
    let revision = bind(shop, &broker).await?;
    watch(shop, PAID, &json!({"type": PAID, "tenant": "north"})).await?;
    watch(shop, CONFIRMED, &json!({"type": CONFIRMED})).await?;
    let front = Front::of(shop)?;
    pause(shop, "payment", Some("0")).await?;
    // One before it may have been made without the variable: its pod waits for a NATS of its own, and takes nothing.
    pods_gone(shop, &format!("serving.knative.dev/revision={revision}")).await?;
    let first = reserve(shop, &front, wishes::BROKERED).await?;
    carried(shop, &broker, &watcher, &first).await?;
    again(shop, &broker, &watcher, &first).await?;
    refused(shop, &broker, &watcher, &first).await?;
    let second = reserve(shop, &front, wishes::RETRIED).await?;
    retried(shop, &broker, &watcher, &second).await?;
    pause(shop, "payment", None).await?;
    shop.all_ended().await?;
    for order in [&first, &second] {
        once(shop, &watcher, order).await?;
    }
    shop.report.saw(9, "the same events by the stream afterwards: ids, effects", "the same, none");
    let letters = watcher.sent(LETTERS, |_| true);
    so(letters.len() == 2, || format!("not one dead letter for each refused event: {letters:?}"))?;
    shop.report.saw(9, "dead letters in the end", letters.len().to_string());
    Ok(())
}

/// The broker, as any service in the cluster reaches it.
#[derive(Debug)]
struct Broker {
    http: reqwest::Client,
    url: String,
}

impl Broker {
    async fn of(shop: &Shop) -> Result<Self, String> {
        let broker = shop.cluster.api.get(&format!("{BROKERS}/jetlag")).await?;
        let url = broker["status"]["address"]["url"].as_str().unwrap_or_default().to_owned();
        let ip = address(&shop.cluster.api, INGRESS.0, INGRESS.1).await?;
        let ip: SocketAddr = format!("{ip}:80").parse().map_err(|error| format!("{ip}: {error}"))?;
        let host = format!("{}.{}.svc.cluster.local", INGRESS.1, INGRESS.0);
        so(url == format!("http://{host}/{NAMESPACE}/jetlag"), || format!("the Broker is at {url:?}"))?;
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).resolve(&host, ip).build();
        Ok(Self { http: http.map_err(|error| error.to_string())?, url })
    }

    /// Sends the event as a CloudEvent in binary mode, and waits for the answer.
    async fn send(&self, event: &Envelope) -> Result<(), String> {
        let request = self
            .http
            .post(&self.url)
            .header("ce-specversion", "1.0")
            .header("ce-id", &event.id)
            .header("ce-type", &event.kind)
            .header("ce-source", "/tests/cluster")
            .header("ce-subject", &event.aggregate_id)
            .header("ce-time", jetlag::rfc3339(event.timestamp))
            .header("content-type", "application/json")
            .timeout(SENT_LIMIT);
        let answer = request.body(event.data.get().to_owned()).send().await;
        let status = answer.map_err(|error| format!("{}: {error}", self.url))?.status();
        so(status == 202, || format!("the broker answers {status} to the event {}", event.id))
    }
}

/// An order of which the goods are set aside, and the event that says so.
#[derive(Debug)]
struct Reserved {
    order_id: String,
    event: Envelope,
}

/// Applies the generated Broker and Triggers.
async fn connect(shop: &Shop) -> Result<Broker, String> {
    let began = shop.timeline.mark("scenario 9: the Broker and its Triggers are applied");
    let triggered = shop.cluster.place.triggered.display().to_string();
    let taken = taken(shop, &triggered).await?;
    all_ready(shop, &[BROKERS, TRIGGERS], taken).await?;
    let ready = shop.timeline.mark("scenario 9: the Broker and its Triggers are ready");
    let what = format!("Broker and Triggers ({taken} objects) ready, after they were applied");
    shop.report.saw(9, what, seconds(Some(ready - began)));
    Broker::of(shop).await
}

/// Applies payment without JetStream, and waits until Knative has told it where its events go: in which version of it.
async fn bind(shop: &Shop, broker: &Broker) -> Result<String, String> {
    let began = shop.timeline.mark("scenario 9: till is applied");
    let till = shop.cluster.place.till.display().to_string();
    taken(shop, &till).await?;
    // order and till, a Broker, the Triggers of both, and the binding.
    all_ready(shop, &[SERVICES, BROKERS, TRIGGERS, BINDINGS], 2 + 1 + 4 + 1).await?;
    let ready = shop.timeline.mark("scenario 9: till is ready");
    shop.report.saw(
        9,
        "till and its SinkBinding ready, after they were applied",
        seconds(Some(ready - began)),
    );
    let service = shop.cluster.api.get(&format!("{SERVICES}/till")).await?;
    let revision = service["status"]["latestReadyRevisionName"].as_str().unwrap_or_default().to_owned();
    let path = format!("/apis/serving.knative.dev/v1/namespaces/{NAMESPACE}/revisions/{revision}");
    let container = shop.cluster.api.get(&path).await?["spec"]["containers"][0].take();
    let variables = container["env"].as_array().cloned().unwrap_or_default();
    let value = |name: &str| {
        let named = variables.iter().find(|variable| variable["name"] == name);
        named.and_then(|variable| variable["value"].as_str()).unwrap_or_default().to_owned()
    };
    let (sink, overrides) = (value("K_SINK"), value("K_CE_OVERRIDES"));
    so(sink == broker.url && overrides == r#"{"extensions":{"tenant":"north"}}"#, || {
        format!("{revision} has K_SINK {sink:?} and K_CE_OVERRIDES {overrides:?}")
    })?;
    shop.report.saw(9, format!("K_SINK of {revision}, set by Knative's webhook"), sink);
    Ok(revision)
}

/// How many objects of a kustomization are taken. A webhook of Knative may be late on a busy machine; then it is asked again.
async fn taken(shop: &Shop, kustomization: &str) -> Result<usize, String> {
    until("Knative's webhook", READY_LIMIT, async || {
        objects_taken(&shop.cluster.place, &["-k", kustomization]).await
    })
    .await
}

/// Has events that pass `filter` sent to the watcher, too.
async fn watch(shop: &Shop, kind: &str, filter: &Value) -> Result<(), String> {
    let trigger = json!({
        "apiVersion": "eventing.knative.dev/v1", "kind": "Trigger",
        "metadata": {"name": format!("watch-{}", kind.replace('.', "-"))},
        "spec": {"broker": "jetlag", "filter": {"attributes": filter},
            "subscriber": {"uri": format!("http://{}{SEEN}", shop.cluster.place.watcher)}},
    });
    let before = shop.cluster.api.list(TRIGGERS).await?.len();
    shop.cluster.api.create(TRIGGERS, &trigger).await?;
    all_ready(shop, &[TRIGGERS], before + 1).await
}

/// Waits until there are `count` objects in these lists, and Knative calls each of them ready.
async fn all_ready(shop: &Shop, lists: &[&str], count: usize) -> Result<(), String> {
    until(&format!("{count} objects ready"), READY_LIMIT, async || {
        let (mut there, mut unready) = (0, Vec::new());
        for list in lists {
            for object in shop.cluster.api.list(list).await? {
                there += 1;
                let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
                let is_observed = object["status"]["observedGeneration"] == object["metadata"]["generation"];
                let is_true =
                    |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
                if !is_observed || !conditions.iter().any(is_true) {
                    unready
                        .push(format!("{}: {}", object["metadata"]["name"], object["status"]["conditions"]));
                }
            }
        }
        so(there == count && unready.is_empty(), || format!("{there} of {count}, not ready: {unready:?}"))
    })
    .await
}

/// Places an order, and waits until its goods are set aside: that is as far as it comes without payment.
async fn reserve(shop: &Shop, front: &Front, range: Range<usize>) -> Result<Reserved, String> {
    let at = shop.sure(range)?;
    let Some(Wish::Request { order, .. }) = shop.market.wishes.get(at) else {
        return Err("no order is sure".to_owned());
    };
    front.place(shop, at).await?;
    let order_id = order.order_id.clone();
    let event = until("the goods are set aside", CARRIED_LIMIT, async || {
        find(shop, &in_stream(RESERVED), &order_id).await?.ok_or_else(|| "not yet".to_owned())
    })
    .await?;
    Ok(Reserved { order_id, event })
}

/// By the broker alone: to till, back to the broker, to order, and its reply to the broker again.
async fn carried(shop: &Shop, broker: &Broker, watcher: &Watcher, order: &Reserved) -> Result<(), String> {
    let began = shop.timeline.mark("scenario 9: an event is sent to the broker");
    let followed = async {
        let paid = arrived(watcher, PAID, &order.order_id, 1).await?;
        let seen = shop.timeline.mark("scenario 9: what followed from it is seen");
        confirmed(shop, &order.order_id).await?;
        let ended = shop.timeline.mark("scenario 9: the order is confirmed");
        let reply = arrived(watcher, CONFIRMED, &order.order_id, 1).await?;
        Ok((paid, seen, ended, reply))
    };
    let ((), (paid, seen, ended, reply)) = tokio::try_join!(broker.send(&order.event), followed)?;
    let answered = shop.timeline.mark("scenario 9: the broker has answered");
    shop.report.saw(
        9,
        format!("{RESERVED} sent → till, from zero pods → {PAID} at a subscriber"),
        seconds(Some(seen - began)),
    );
    shop.report.saw(9, format!("{RESERVED} sent → the order confirmed"), seconds(Some(ended - began)));
    shop.report.saw(9, format!("{RESERVED} sent → answered by the broker"), seconds(Some(answered - began)));
    let is_till =
        |sent: &Sent| sent.attribute("source") == "/jetlag/payment" && sent.attribute("tenant") == "north";
    let is_order = |sent: &Sent| sent.attribute("source") == "/jetlag/order";
    so(paid.iter().all(is_till) && reply.iter().all(is_order), || format!("{paid:?}, {reply:?}"))?;
    let by_stream = find(shop, &in_stream(PAID), &order.order_id).await?;
    so(by_stream.is_none(), || format!("it was paid by the stream: {by_stream:?}"))?;
    let charges = charges(shop, &order.order_id).await?.0;
    so(charges == 1, || format!("{charges} charges of {}", order.order_id))
}

/// The same again: the gateway is asked under the same key, and the same follows, which order has had.
async fn again(shop: &Shop, broker: &Broker, watcher: &Watcher, order: &Reserved) -> Result<(), String> {
    let (_, replays) = charges(shop, &order.order_id).await?;
    broker.send(&order.event).await?;
    for kind in [PAID, CONFIRMED] {
        let both = arrived(watcher, kind, &order.order_id, 2).await?;
        let ids: Vec<&str> = both.iter().map(|sent| sent.attribute("id")).collect();
        so(ids.iter().all(|id| *id == ids[0]), || {
            format!("another {kind} followed from the same event: {ids:?}")
        })?;
    }
    let (charges, replays_now) = charges(shop, &order.order_id).await?;
    so(charges == 1 && replays_now > replays, || {
        format!("the same event again: {charges} charges, {replays} replays and then {replays_now}")
    })?;
    let ends = about(shop, &in_stream(CONFIRMED), &order.order_id).await?.len();
    so(ends == 1, || format!("{} is confirmed {ends} times", order.order_id))?;
    let seen = format!("1, {}, 1", replays_now - replays);
    shop.report.saw(9, "the same event again: charges, replays at the gateway, confirmations", seen);
    Ok(())
}

/// What a function refuses goes to the dead letter sink at once.
async fn refused(shop: &Shop, broker: &Broker, watcher: &Watcher, order: &Reserved) -> Result<(), String> {
    for (function, kind) in [("order", PAID), ("till", RESERVED)] {
        let data = r#"{"order_id":1}"#.to_owned();
        let data = RawValue::from_string(data).map_err(|error| error.to_string())?;
        let id = format!("strange-to-{function}");
        let event = Envelope { data, id: id.clone(), kind: kind.to_owned(), ..order.event.clone() };
        let began = shop.timeline.mark(format!("scenario 9: {function} is sent what is no event"));
        broker.send(&event).await?;
        let letter = until("the dead letter", REFUSED_LIMIT, async || {
            let letters = watcher.sent(LETTERS, |sent| sent.attribute("id") == id);
            letters.into_iter().next().ok_or_else(|| "not yet".to_owned())
        })
        .await?;
        let took = shop.timeline.mark(format!("scenario 9: the dead letter of {function}")) - began;
        so(u128::from(took) < REFUSED_LIMIT.as_millis(), || format!("{id} was sent again: {took} ms"))?;
        let code = letter.attribute("knativeerrorcode");
        so(code == "422" && letter.data == json!({"order_id": 1}), || format!("{letter:?}"))?;
        shop.report.saw(
            9,
            format!("{function} refuses an event (422) → dead letter sink"),
            format!("{took} ms"),
        );
    }
    Ok(())
}

/// While the gateway is away, till answers 503, and the broker waits as the contract says.
async fn retried(shop: &Shop, broker: &Broker, watcher: &Watcher, order: &Reserved) -> Result<(), String> {
    let before = turned_away(shop).await?.len();
    shop.cluster.control_gateway(&json!({"outage": true})).await?;
    let began = shop.timeline.mark("scenario 9: an event is sent while the gateway is away");
    let back = async {
        until("the broker tries again", ATTEMPTS_LIMIT, async || {
            let attempts = turned_away(shop).await?.len() - before;
            so(attempts >= TURNED_AWAY, || format!("{attempts} attempts"))
        })
        .await?;
        shop.cluster.control_gateway(&json!({"outage": false})).await
    };
    tokio::try_join!(broker.send(&order.event), back)?;
    confirmed(shop, &order.order_id).await?;
    let took = shop.timeline.mark("scenario 9: the order is confirmed all the same") - began;
    arrived(watcher, PAID, &order.order_id, 1).await?;
    let attempts = turned_away(shop).await?.split_off(before);
    let waits: Vec<u64> =
        attempts.iter().zip(attempts.iter().skip(1)).map(|(one, next)| next - one).collect();
    let contract = shop.cluster.functions.iter().find(|function| function.name == "payment");
    let first_ms = contract.ok_or("payment has no contract")?.retry.first_delay_ms;
    let is_kept = |(number, wait): (usize, &u64)| *wait + CUT_OFF_MS >= first_ms << number;
    so(waits.iter().enumerate().all(is_kept), || {
        format!("the broker did not wait {first_ms} ms and twice as long each time: {waits:?} ms")
    })?;
    let waits: Vec<String> = waits.into_iter().map(|wait| seconds(Some(wait))).collect();
    shop.report.saw(9, "503 from till: the broker's waits between attempts", waits.join(", "));
    shop.report.saw(
        9,
        format!("sent → confirmed, {} attempts turned away", attempts.len()),
        seconds(Some(took)),
    );
    Ok(())
}

/// What came by the stream, too, is what came by the broker, and it was done once.
async fn once(shop: &Shop, watcher: &Watcher, order: &Reserved) -> Result<(), String> {
    let by_stream = about(shop, &in_stream(PAID), &order.order_id).await?;
    let by_broker = watcher.sent(SEEN, |sent| is_about(sent, PAID, &order.order_id));
    let is_same =
        by_stream.len() == 1 && by_broker.iter().all(|sent| sent.attribute("id") == by_stream[0].id);
    so(is_same && !by_broker.is_empty(), || {
        format!("{by_stream:?} by the stream, {by_broker:?} by the broker")
    })?;
    let charges = charges(shop, &order.order_id).await?.0;
    let ends = about(shop, &in_stream(CONFIRMED), &order.order_id).await?.len();
    so((charges, ends) == (1, 1), || {
        format!("{} has {charges} charges and is confirmed {ends} times", order.order_id)
    })
}

fn in_stream(kind: &str) -> String {
    format!("{kind}.*.*")
}

fn is_about(sent: &Sent, kind: &str, order_id: &str) -> bool {
    sent.attribute("type") == kind && sent.data["order_id"] == *order_id
}

/// What the watcher has seen of this type about the order, once it is `count` times.
async fn arrived(watcher: &Watcher, kind: &str, order_id: &str, count: usize) -> Result<Vec<Sent>, String> {
    until(&format!("{kind} at a subscriber"), CARRIED_LIMIT, async || {
        let seen = watcher.sent(SEEN, |sent| is_about(sent, kind, order_id));
        so(seen.len() >= count, || format!("{} of {count}", seen.len()))?;
        Ok(seen)
    })
    .await
}

async fn confirmed(shop: &Shop, order_id: &str) -> Result<(), String> {
    until("the order is confirmed", CARRIED_LIMIT, async || {
        let confirmed = find(shop, &in_stream(CONFIRMED), order_id).await?;
        so(confirmed.is_some(), || "not yet".to_owned())
    })
    .await
}

/// How often the order was charged, and how many requests came to the gateway again.
async fn charges(shop: &Shop, order_id: &str) -> Result<(usize, u64), String> {
    let ledger: Ledger = shop.cluster.ask(&format!("{}/ledger", shop.cluster.gateway)).await?;
    let own = ledger.charges.iter().filter(|charge| charge.order_id.as_deref() == Some(order_id));
    Ok((own.count(), ledger.replays))
}

/// When the gateway turned requests away, in milliseconds since 1970.
async fn turned_away(shop: &Shop) -> Result<Vec<u64>, String> {
    /// What the gateway tells of outages, as far as it is needed here.
    #[derive(Deserialize)]
    struct TurnedAway {
        at_ms: Vec<u64>,
    }
    let told: TurnedAway = shop.cluster.ask(&format!("{}/turned-away", shop.cluster.gateway)).await?;
    Ok(told.at_ms)
}
