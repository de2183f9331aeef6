//! Messages by SMTP: one mail each, whose Message-ID is made of the message's id, so that a mail that was sent twice
//! (the connection broke before the answer came) is one mail in most mailboxes.
//!
//! | The server | What we make of it | Why |
//! |---|---|---|
//! | 250 | sent | |
//! | no connection, no answer in time, no TLS, 4xx | outage | it is down or overrun; the recipient is the same for all, so what keeps one mail out keeps all out |
//! | 530, 534, 535, 538 | outage | our password is wrong, for every mail alike: they wait until it is mended |
//! | other 5xx | reject | this mail is not acceptable, now or later |

use jetlag::Failure;
use lettre::message::Mailbox;
use lettre::transport::smtp;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use crate::Message;
use crate::notifier::SEND_TIMEOUT;

/// A mail server, a sender and a recipient.
pub struct Mail {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Mailbox,
}

/// What is wrong with the URL of a mail server. The URL stays out, for it may hold a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadUrl {
    #[error("is not a URL of the form smtp[s]://[user:password@]host[:port]?from=…&to=…")]
    Form,
    #[error("must have a mail address as {0}=…")]
    Address(&'static str),
    #[error("has a password, but neither smtps:// nor tls=required would keep it secret")]
    PasswordInTheClear,
}

/// Why a mail was not taken. The server's text stays out, for it may quote an address.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the mail server cannot be reached")]
    Unreachable(#[source] smtp::Error),
    #[error("the mail server does not answer within {} s", SEND_TIMEOUT.as_secs())]
    Slow,
    #[error("the mail server answers {0}")]
    Unavailable(u16),
    #[error("the mail server answers {0}: check the user and the password in NOTIFY_URL")]
    Misconfigured(u16),
    #[error("the mail server refuses the mail: {0}")]
    Refused(u16),
    #[error("the mail cannot be written")]
    Unwritable(#[source] lettre::error::Error),
}

impl Mail {
    pub(crate) fn by(url: &str) -> Result<Self, BadUrl> {
        let parsed: reqwest::Url = url.parse().map_err(|_| BadUrl::Form)?;
        let query =
            |name| parsed.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let address = |name| query(name).and_then(|text| text.parse().ok()).ok_or(BadUrl::Address(name));
        let is_local = matches!(parsed.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let is_secret = parsed.scheme() == "smtps" || query("tls").as_deref() == Some("required");
        if parsed.password().is_some() && !is_secret && !is_local {
            return Err(BadUrl::PasswordInTheClear);
        }
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| BadUrl::Form)?;
        let server = server.timeout(Some(SEND_TIMEOUT)).build();
        Ok(Self { server, from: address("from")?, to: address("to")? })
    }

    pub(crate) async fn send(&self, message: &Message) -> Result<(), Failure> {
        self.hand_over(message).await.map_err(Trouble::into_failure)
    }

    async fn hand_over(&self, message: &Message) -> Result<(), Trouble> {
        let mail = lettre::Message::builder()
            .from(self.from.clone())
            .to(self.to.clone())
            .message_id(Some(format!("<{}@{}>", message.message_id, self.from.email.domain())))
            .subject(subject(message))
            .body(message.text.clone())
            .map_err(Trouble::Unwritable)?;
        // The client's own limit is for each command; this one is for the whole conversation.
        match tokio::time::timeout(SEND_TIMEOUT, self.server.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(judge(error)),
            Err(_) => Err(Trouble::Slow),
        }
    }
}

fn subject(message: &Message) -> String {
    let became = if message.reason.is_some() { "cancelled" } else { "confirmed" };
    format!("Order {} {became}", message.order_id)
}

fn judge(error: smtp::Error) -> Trouble {
    match error.status().map(u16::from) {
        None => Trouble::Unreachable(error),
        Some(code @ (530 | 534 | 535 | 538)) => Trouble::Misconfigured(code),
        Some(code) if error.is_permanent() => Trouble::Refused(code),
        Some(code) => Trouble::Unavailable(code),
    }
}

impl Trouble {
    fn into_failure(self) -> Failure {
        match self {
            Self::Unreachable(_) | Self::Slow | Self::Unavailable(_) | Self::Misconfigured(_) => {
                Failure::outage(self)
            }
            Self::Refused(_) | Self::Unwritable(_) => Failure::reject(self),
        }
    }
}
