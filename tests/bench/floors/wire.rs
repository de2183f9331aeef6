//! The wire: one service of the pipeline on a socket, without a client library. One thread, one read and one write for
//! each turn of the loop, credit given back in halves: how fast the broker lets five processes be.

mod work;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use work::{ACK_WAIT, DELIVERIES_MAX, STREAM, Service};

/// How many inputs are asked for at a time; twice as many are asked for at most.
const HALF: usize = 256;

/// How long a request for inputs stands: longer than a measurement.
const PULL_EXPIRES: Duration = Duration::from_secs(600);

const READ_BYTES: usize = 256 * 1024;

/// The subscriptions, and what their subjects begin with.
const INPUTS: &str = "1";
const ANSWERS: &str = "2";
const CREATED: &str = "3";

struct Wire {
    service: Service,
    socket: TcpStream,
    /// What is written at the end of this turn.
    out: Vec<u8>,
    /// Inputs that were asked for and have not come.
    credit: usize,
    /// Where inputs are acknowledged whose events wait for the broker's answer, by the number in that answer's subject.
    waiting: Vec<Option<String>>,
    free: Vec<usize>,
    /// Orders at the gateway, and until when; and those that wait before it.
    charging: VecDeque<(Instant, Input)>,
    queue: VecDeque<Input>,
}

struct Input {
    receipt: String,
    body: Vec<u8>,
}

/// One message from the broker.
struct Frame<'b> {
    subject: &'b str,
    subscription: &'b str,
    reply: &'b str,
    headers: &'b [u8],
    body: &'b [u8],
}

fn main() {
    let service = Service::from_env();
    let address = service.url.strip_prefix("nats://").expect("a nats:// URL");
    let socket = TcpStream::connect(address).expect("a broker");
    socket.set_nodelay(true).expect("a socket");
    let mut wire = Wire {
        service,
        socket,
        out: Vec::new(),
        credit: 0,
        waiting: Vec::new(),
        free: Vec::new(),
        charging: VecDeque::new(),
        queue: VecDeque::new(),
    };
    wire.greet();
    wire.run();
}

impl Wire {
    fn greet(&mut self) {
        self.say(r#"CONNECT {"verbose":false,"pedantic":false,"headers":true,"lang":"none","version":"0"}"#);
        let inbox = self.inbox();
        self.say(&format!("SUB {inbox}.in {INPUTS}"));
        self.say(&format!("SUB {inbox}.ok.* {ANSWERS}"));
        self.say(&format!("SUB {inbox}.made {CREATED}"));
        let Service { name, input, ack_pending_max, .. } = &self.service;
        let config = serde_json::json!({"stream_name": STREAM, "config": {
            "durable_name": name, "filter_subject": input, "ack_policy": "explicit", "deliver_policy": "all",
            "ack_wait": ACK_WAIT.as_nanos() as u64, "max_deliver": DELIVERIES_MAX, "max_ack_pending": ack_pending_max,
        }});
        let subject = format!("$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.{name}");
        self.publish(&subject, &format!("{inbox}.made"), config.to_string().as_bytes());
    }

    fn run(&mut self) {
        let mut buffer = Vec::with_capacity(READ_BYTES);
        let mut chunk = vec![0; READ_BYTES];
        loop {
            self.socket.write_all(&self.out).expect("a broker that listens");
            self.out.clear();
            let next =
                self.charging.front().map(|(until, _)| until.saturating_duration_since(Instant::now()));
            // A timeout of nothing would mean none.
            let wait = next.map(|time| time.max(Duration::from_micros(50)));
            self.socket.set_read_timeout(wait).expect("a socket");
            match self.socket.read(&mut chunk) {
                Ok(0) => panic!("the broker has closed the connection"),
                Ok(read) => buffer.extend_from_slice(&chunk[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("{error}"),
            }
            let mut at = 0;
            while let Some(length) = self.take(&buffer[at..]) {
                at += length;
            }
            buffer.drain(..at);
            self.charge();
        }
    }

    /// Reads one line of the protocol and what belongs to it, and gives its length; nothing if it has not all come.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(&bytes[..end]).expect("text");
        let begin = end + 2;
        let mut words = line.split_ascii_whitespace();
        let sizes = match words.next() {
            Some("MSG") => 1,
            Some("HMSG") => 2,
            Some("PING") => {
                self.say("PONG");
                return Some(begin);
            }
            Some("-ERR") => panic!("the broker says {line}"),
            _ => return Some(begin),
        };
        let words: Vec<&str> = words.collect();
        let number = |word: &str| word.parse::<usize>().expect("a size");
        let total = number(words[words.len() - 1]);
        let headers = if sizes == 2 { number(words[words.len() - 2]) } else { 0 };
        let payload = bytes.get(begin..begin + total)?;
        bytes.get(begin + total..begin + total + 2)?;
        self.frame(&Frame {
            subject: words[0],
            subscription: words[1],
            reply: if words.len() == 3 + sizes { words[2] } else { "" },
            headers: &payload[..headers],
            body: &payload[headers..],
        });
        Some(begin + total + 2)
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        match frame.subscription {
            INPUTS if frame.reply.is_empty() => {
                panic!("no inputs: {}", String::from_utf8_lossy(frame.headers));
            }
            INPUTS => {
                self.credit -= 1;
                self.refill();
                if self.service.gateway.is_some() {
                    let input = Input { receipt: frame.reply.to_owned(), body: frame.body.to_vec() };
                    self.queue.push_back(input);
                } else {
                    self.handle(frame.reply, frame.body);
                }
            }
            ANSWERS => {
                let error = frame.body.windows(7).any(|part| part == b"\"error\"");
                assert!(!error, "not stored: {}", String::from_utf8_lossy(frame.body));
                let slot = frame.subject.rsplit('.').next().and_then(|slot| slot.parse::<usize>().ok());
                let slot = slot.expect("the number of an answer");
                let receipt = self.waiting[slot].take().expect("an answer that is waited for");
                self.free.push(slot);
                self.publish(&receipt, "", b"");
            }
            _ => {
                let answer = String::from_utf8_lossy(frame.body);
                assert!(!answer.contains("\"error\""), "no consumer: {answer}");
                self.refill();
            }
        }
    }

    /// Asks for more as soon as half of what may be under way has come.
    fn refill(&mut self) {
        while self.credit <= HALF {
            self.credit += HALF;
            let pull = format!(r#"{{"batch":{HALF},"expires":{}}}"#, PULL_EXPIRES.as_nanos());
            let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{}", self.service.name);
            self.publish(&subject, &format!("{}.in", self.inbox()), pull.as_bytes());
        }
    }

    /// Lets orders into the gateway, and handles those that it has charged.
    fn charge(&mut self) {
        let Some(time) = self.service.gateway else { return };
        while self.charging.front().is_some_and(|(until, _)| *until <= Instant::now()) {
            if let Some((_, input)) = self.charging.pop_front() {
                self.handle(&input.receipt, &input.body);
            }
        }
        while self.charging.len() < self.service.concurrency
            && let Some(input) = self.queue.pop_front()
        {
            self.charging.push_back((Instant::now() + time, input));
        }
    }

    fn handle(&mut self, receipt: &str, body: &[u8]) {
        let (Some(next), Some(output)) = (self.service.work(body), self.service.output.clone()) else {
            return self.publish(receipt, "", b"");
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.waiting.push(None);
            self.waiting.len() - 1
        });
        self.waiting[slot] = Some(receipt.to_owned());
        let headers = format!("NATS/1.0\r\nNats-Msg-Id: {}\r\n\r\n", next.id);
        let (head, all) = (headers.len(), headers.len() + next.body.len());
        self.say(&format!("HPUB {output} {}.ok.{slot} {head} {all}", self.inbox()));
        self.out.extend_from_slice(headers.as_bytes());
        self.out.extend_from_slice(&next.body);
        self.say("");
    }

    fn publish(&mut self, subject: &str, reply: &str, body: &[u8]) {
        self.say(&format!("PUB {subject} {reply} {}", body.len()));
        self.out.extend_from_slice(body);
        self.say("");
    }

    fn say(&mut self, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    fn inbox(&self) -> String {
        format!("_INBOX.{}", self.service.name)
    }
}
