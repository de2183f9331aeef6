//! The bare client: one service of the pipeline with async-nats and nothing around it. No retries, no dead letters, no
//! metrics, no logs: how much of the time is the client's and the broker's own.

mod work;

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, Message};
use futures::StreamExt;
use tokio::sync::Semaphore;
use work::{ACK_WAIT, DELIVERIES_MAX, STREAM, Service};

/// How many inputs are asked for at a time.
const BATCH: usize = 500;

/// How many inputs are under way at most: their events are published and not yet acknowledged.
const WINDOW: usize = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let service = Service::from_env();
    let client = async_nats::connect(&service.url).await.expect("a broker");
    let context = jetstream::new(client);
    let stream = context.get_stream(STREAM).await.expect("the stream");
    let config = pull::Config {
        durable_name: Some(service.name.clone()),
        filter_subject: service.input.clone(),
        ack_wait: ACK_WAIT,
        max_deliver: DELIVERIES_MAX,
        max_ack_pending: service.ack_pending_max,
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await.expect("a consumer");
    let inputs = consumer.stream().max_messages_per_batch(BATCH).messages().await.expect("its messages");
    let charges = Semaphore::new(service.concurrency);
    inputs
        .for_each_concurrent(WINDOW, |input| handle(&service, &context, &charges, input.expect("an input")))
        .await;
}

async fn handle(service: &Service, context: &jetstream::Context, charges: &Semaphore, input: Message) {
    if let Some(time) = service.gateway {
        let _charging = charges.acquire().await.expect("an open gateway");
        tokio::time::sleep(time).await;
    }
    if let (Some(next), Some(output)) = (service.work(&input.payload), &service.output) {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, next.id);
        let published = context.publish_with_headers(output.clone(), headers, next.body.into()).await;
        published.expect("a connection").await.expect("what is published is stored");
    }
    input.ack().await.expect("a connection");
}
