//! Notifications by mail: a conversation word by word, and one with a real client.

use std::time::Duration;

use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::running::Running;

/// How long a reply may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(10);

struct Conversation(BufReader<TcpStream>);

impl Conversation {
    async fn start(receiver: &Running) -> Self {
        let mut conversation =
            Conversation(BufReader::new(TcpStream::connect(&receiver.smtp).await.unwrap()));
        assert_eq!(conversation.hear().await, "220");
        conversation
    }

    /// The code of the next reply, all its lines read.
    async fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("no reply in time").unwrap();
            if line.get(3..4) != Some("-") {
                return line.get(..3).unwrap_or_default().to_owned();
            }
        }
    }

    async fn say(&mut self, text: &str) -> String {
        self.0.write_all(format!("{text}\r\n").as_bytes()).await.unwrap();
        self.hear().await
    }

    /// Sends the commands that come before the lines of a mail.
    async fn open(&mut self) {
        for (command, code) in [
            ("EHLO test", "250"),
            ("MAIL FROM:<shop@example.org>", "250"),
            ("RCPT TO:<ada@example.org>", "250"),
            ("DATA", "354"),
        ] {
            assert_eq!(self.say(command).await, code, "{command}");
        }
    }
}

#[tokio::test]
async fn a_mail_is_counted_by_its_message_id_with_dots_unstuffed() {
    let receiver = Running::receiver(&[]);
    let mut conversation = Conversation::start(&receiver).await;
    let mail = "Message-ID: <m1@shop>\r\nSubject: hello\r\n\r\n..\r\n..two\r\nend\r\n.";
    for _ in 0..2 {
        conversation.open().await;
        assert_eq!(conversation.say(mail).await, "250");
    }
    assert_eq!(conversation.say("NOOP").await, "250");
    assert_eq!(conversation.say("QUIT").await, "221");
    assert_eq!(conversation.hear().await, "", "the connection is closed");
    assert_eq!(
        receiver.get("/received").await,
        json!({"total": 2, "distinct": 1, "duplicates": ["m1@shop"], "by_channel": {"http": 0, "smtp": 2}})
    );
    let content = &receiver.get("/received/m1@shop").await["content"];
    assert_eq!((&content["from"], &content["to"]), (&json!("shop@example.org"), &json!(["ada@example.org"])));
    let text = "Message-ID: <m1@shop>\r\nSubject: hello\r\n\r\n.\r\n.two\r\nend\r\n";
    assert_eq!(content["text"], json!(text));
}

#[tokio::test]
async fn a_real_client_delivers() {
    let receiver = Running::receiver(&[]);
    let (host, port) = receiver.smtp.split_once(':').unwrap();
    let client =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(port.parse().unwrap()).build();
    let mail = lettre::Message::builder()
        .from("shop@example.org".parse().unwrap())
        .to("ada@example.org".parse().unwrap())
        .message_id(Some("<order-7@shop>".to_owned()))
        .subject("Your order")
        .body(".\nis on its way".to_owned())
        .unwrap();
    for _ in 0..2 {
        client.send(mail.clone()).await.unwrap();
    }
    let message = receiver.get("/received/order-7@shop").await;
    assert_eq!(message["count"], json!(2));
    assert!(message["content"]["text"].as_str().unwrap().ends_with("\r\n\r\n.\r\nis on its way\r\n"));
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let receiver = Running::receiver(&[]);
    let mut conversation = Conversation::start(&receiver).await;
    let commands = "EHLO test\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<>\r\nDATA\r\n\
                    Message-ID: <p@q>\r\n\r\n.\r\nQUIT\r\n";
    conversation.0.write_all(commands.as_bytes()).await.unwrap();
    for code in ["250", "250", "250", "501", "354", "250", "221"] {
        assert_eq!(conversation.hear().await, code);
    }
}

#[tokio::test]
async fn mails_beyond_the_limits_are_refused_and_the_connection_goes_on() {
    let receiver = Running::receiver(&[]);
    let mut conversation = Conversation::start(&receiver).await;
    let many_lines = format!("{}\r\n", "x".repeat(998)).repeat(1100);
    for (mail, code) in [
        ("Subject: no id\r\n\r\n.".to_owned(), "554"),
        (format!("Message-ID: <a@b>\r\n\r\n{}\r\n.", "x".repeat(999)), "554"),
        (format!("Message-ID: <a@b>\r\n\r\n{many_lines}."), "552"),
        ("Message-ID: <a@b>\r\n\r\nsmuggled\n.\nMAIL FROM:<x@y>\r\n.".to_owned(), "554"),
        ("Message-ID: <a@b>\r\n\r\nfits\r\n.".to_owned(), "250"),
    ] {
        conversation.open().await;
        assert_eq!(conversation.say(&mail).await, code);
    }
    assert_eq!(conversation.say(&"x".repeat(1023)).await, "500");
    assert_eq!(receiver.get("/received").await["total"], json!(1));
}

#[tokio::test]
async fn during_an_outage_mail_is_turned_away() {
    let receiver = Running::receiver(&[]);
    let mut conversation = Conversation::start(&receiver).await;
    conversation.open().await;
    receiver.control(json!({"outage": true})).await;
    assert_eq!(conversation.say("Message-ID: <a@b>\r\n\r\n.").await, "421");
    let mut late = BufReader::new(TcpStream::connect(&receiver.smtp).await.unwrap());
    let mut line = String::new();
    timeout(PATIENCE, late.read_line(&mut line)).await.unwrap().unwrap();
    assert!(line.starts_with("421"), "{line}");
    assert_eq!(receiver.get("/received").await["total"], json!(0));
}

#[tokio::test]
async fn mail_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("receiver.jsonl");
    let receiver = Running::receiver_on(&data);
    let mut conversation = Conversation::start(&receiver).await;
    conversation.open().await;
    assert_eq!(conversation.say("Message-ID: <a@b>\r\n\r\n.").await, "250");
    receiver.kill();
    let receiver = Running::receiver_on(&data);
    assert_eq!(receiver.get("/received/a@b").await["count"], json!(1));
}
