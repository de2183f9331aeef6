//! `notify` against a real webhook and a real, small SMTP server.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may panic, and so may what serves it")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use events::{Channel, NotificationSent, OrderCancelled, OrderConfirmed};
use jetlag::testing::{Fault, System};
use jetlag::{Environment, Event, Payload, Reason};
use notification::{CONTRACT, Decided, Notifier, notify};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

fn notifier(url: &str) -> Notifier {
    let mut env = Environment::of([("NOTIFY_URL", url)]);
    let notifier = Notifier::from_env(&mut env);
    assert!(env.faults().is_empty(), "{:?}", env.faults());
    notifier
}

fn confirmed() -> Event<Decided> {
    Event::of(OrderConfirmed::example()).map(Into::into)
}

fn cancelled() -> Event<Decided> {
    Event::of(OrderCancelled::example()).map(Into::into)
}

async fn failure(notifier: &Notifier) -> String {
    format!("{:?}", notify(notifier, confirmed()).await.unwrap_err())
}

/// A webhook that gives one answer and keeps what it was sent.
#[derive(Clone)]
struct Hook {
    status: u16,
    sent: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

impl Hook {
    async fn open(status: u16) -> (Self, Notifier) {
        let hook = Self { status, sent: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks/1?token=s3cret", listener.local_addr().unwrap());
        let router = Router::new().fallback(Self::take).with_state(hook.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (hook, notifier(&url))
    }

    async fn take(State(hook): State<Self>, headers: HeaderMap, body: String) -> StatusCode {
        hook.sent.lock().unwrap().push((headers, serde_json::from_str(&body).unwrap()));
        StatusCode::from_u16(hook.status).unwrap()
    }
}

/// An SMTP server that takes mails, or answers the recipient with something else than 250.
struct Post {
    mails: Arc<Mutex<Vec<String>>>,
}

impl Post {
    async fn open(recipient_answer: &'static str) -> (Self, Notifier) {
        let mails: Arc<Mutex<Vec<String>>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "smtp://{}?from=shop%40example.com&to=desk%40example.org",
            listener.local_addr().unwrap()
        );
        let kept = mails.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Self::converse(stream, recipient_answer, kept.clone()));
            }
        });
        (Self { mails }, notifier(&url))
    }

    async fn converse(mut stream: TcpStream, recipient_answer: &'static str, mails: Arc<Mutex<Vec<String>>>) {
        let (reader, mut writer) = stream.split();
        let mut lines = BufReader::new(reader).lines();
        writer.write_all(b"220 post ESMTP\r\n").await.unwrap();
        while let Ok(Some(line)) = lines.next_line().await {
            let answer = match line.split([' ', ':']).next().unwrap() {
                "EHLO" => "250 post",
                "RCPT" => recipient_answer,
                "DATA" => {
                    writer.write_all(b"354 go on\r\n").await.unwrap();
                    let mut mail = String::new();
                    while let Ok(Some(line)) = lines.next_line().await {
                        if line == "." {
                            break;
                        }
                        mail.push_str(&line);
                        mail.push('\n');
                    }
                    mails.lock().unwrap().push(mail);
                    "250 taken"
                }
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            writer.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_webhook_gets_the_message_under_its_id() {
    let (hook, notifier) = Hook::open(204).await;
    let sent = notify(&notifier, confirmed()).await.unwrap();
    assert_eq!(
        (sent.channel, sent.about.as_str(), sent.order_id.as_str()),
        (Channel::Webhook, "orders.confirmed", "ORD-1")
    );
    assert_eq!(sent.message_id, confirmed().idempotency_key("notify"));
    assert_eq!(sent.validate(), Ok(()));
    let (headers, body) = hook.sent.lock().unwrap().pop().unwrap();
    assert_eq!(headers["idempotency-key"], sent.message_id.as_str());
    assert_eq!(body["message_id"], sent.message_id.as_str());
    assert_eq!(body["amount"].to_string(), "12.50");
    assert_eq!(body["text"], "Your order ORD-1 is confirmed. We charged 12.50 USD.");
}

#[tokio::test]
async fn a_repetition_has_the_same_id_and_another_event_has_another() {
    let (hook, notifier) = Hook::open(200).await;
    for event in [confirmed(), confirmed(), cancelled()] {
        notify(&notifier, event).await.unwrap();
    }
    let sent = hook.sent.lock().unwrap();
    let id = |at: usize| &sent[at].1["message_id"];
    assert_eq!(id(0), id(1));
    assert_ne!(id(0), id(2));
    assert_eq!(sent[2].1["reason"], "out_of_stock");
}

#[tokio::test]
async fn a_webhook_that_is_down_is_an_outage_and_its_url_stays_secret() {
    let (_, notifier_down) = Hook::open(503).await;
    assert!(failure(&notifier_down).await.contains("Outage"));
    let (_, notifier_refusing) = Hook::open(422).await;
    assert!(failure(&notifier_refusing).await.contains("Reject"));

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let told = failure(&notifier(&format!("http://{closed}/s3cret"))).await;
    assert!(told.contains("Outage") && !told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn a_mail_is_sent_with_a_message_id_of_the_event() {
    let (post, notifier) = Post::open("250 ok").await;
    let sent = notify(&notifier, cancelled()).await.unwrap();
    assert_eq!((sent.channel, sent.about.as_str()), (Channel::Email, "orders.cancelled"));
    let mail = post.mails.lock().unwrap().pop().unwrap();
    for part in [
        format!("Message-ID: <{}@example.com>\n", sent.message_id),
        "From: shop@example.com\n".into(),
        "To: desk@example.org\n".into(),
        "Subject: Order ORD-1 cancelled\n".into(),
        "not everything in it is in stock".into(),
    ] {
        assert!(mail.contains(&part), "{part} is not in {mail}");
    }
}

#[tokio::test]
async fn a_mail_server_that_cannot_is_an_outage_and_one_that_will_not_is_a_rejection() {
    let (_, busy) = Post::open("450 mailbox of desk@example.org is busy").await;
    assert!(failure(&busy).await.contains("Outage"));
    let (_, locked) = Post::open("535 bad password").await;
    assert!(failure(&locked).await.contains("Outage"));
    let (_, unknown) = Post::open("550 no such user desk@example.org").await;
    let told = failure(&unknown).await;
    assert!(told.contains("Reject") && told.contains("550") && !told.contains("desk@"), "{told}");

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = notifier(&format!("smtp://{closed}?from=a@example.com&to=b@example.com"));
    assert!(failure(&nobody).await.contains("Outage"));
}

#[tokio::test]
async fn an_order_id_cannot_write_headers_of_its_own() {
    let (post, notifier) = Post::open("250 ok").await;
    let mut order = OrderConfirmed::example();
    order.order_id = "O\r\nBcc: all@example.com\r\n\r\n.\r\n".into();
    notify(&notifier, Event::of(order).map(Into::into)).await.unwrap();
    let mail = post.mails.lock().unwrap().pop().unwrap();
    let (headers, _) = mail.split_once("\n\n").unwrap();
    assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
}

#[test]
fn a_url_that_cannot_be_used_is_a_fault_at_the_start() {
    for (url, part) in [
        ("", "is not set"),
        ("ftp://x", "must begin with"),
        ("http://", "is not a URL"),
        ("smtp://host?to=a@example.com", "from="),
        ("smtp://host?from=a@example.com&to=nobody", "to="),
        ("smtp://host?from=a@example.com&to=b@example.com&tls=maybe", "is not a URL"),
        ("smtp://me:s3cret@host?from=a@example.com&to=b@example.com", "keep it secret"),
    ] {
        let mut env = Environment::of([("NOTIFY_URL", url)]);
        let _ = Notifier::from_env(&mut env);
        let [fault] = env.faults() else { panic!("{url}: {:?}", env.faults()) };
        assert!(fault.contains(part) && !fault.contains("s3cret"), "{url}: {fault}");
    }
    for url in [
        "smtps://me:s3cret@host:465?from=a@example.com&to=b@example.com",
        "smtp://me:pw@host?tls=required&from=a@example.com&to=b@example.com",
    ] {
        let _ = notifier(url);
    }
}

#[tokio::test]
async fn whatever_happens_to_the_process_a_message_keeps_its_id() {
    let faults = [Fault::TimeOut, Fault::Duplicate, Fault::CrashBeforeCommit, Fault::CrashAfterCommit];
    for fault in faults {
        let (hook, notifier) = Hook::open(200).await;
        let mut system = System::of_seed(1).function(CONTRACT, notifier, notify);
        system.fault("notification", fault);
        system.publish(OrderConfirmed::example());
        let course = system.run().await;
        assert_eq!(system.events::<NotificationSent>().len(), 1, "{fault:?}\n{course}");
        let sent = hook.sent.lock().unwrap();
        let id = |at: usize| &sent[at].1["message_id"];
        assert!((0..sent.len()).all(|at| id(at) == id(0)), "{fault:?}\n{course}");
        assert!(sent.len() <= 2, "{fault:?}\n{course}");
    }
}

#[tokio::test]
async fn a_message_that_nobody_takes_is_a_dead_letter() {
    let (_, notifier) = Hook::open(422).await;
    let mut system = System::of_seed(1).function(CONTRACT, notifier, notify);
    system.publish(OrderCancelled::example());
    let course = system.run().await;
    assert_eq!(system.dead_letters()[0].reason, Reason::Rejected.code(), "{course}");
    assert!(system.events::<NotificationSent>().is_empty());
}
