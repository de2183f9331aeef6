//! The way messages take, chosen by URL.

use std::time::Duration;

use events::Channel;
use jetlag::{Environment, Failure};

use crate::Message;
use crate::mail::Mail;
use crate::webhook::Webhook;

/// Below the contract's time limit, so that the handler itself sees that there was no answer.
pub(crate) const SEND_TIMEOUT: Duration = Duration::from_secs(8);

/// A way to send messages.
pub enum Notifier {
    /// By an HTTP request.
    Webhook(Webhook),
    /// By SMTP.
    Mail(Box<Mail>),
}

impl Notifier {
    /// The way that `NOTIFY_URL` names.
    pub fn from_env(env: &mut Environment) -> Self {
        // A secret, for it may hold a password or be one as a whole.
        let url = env.secret(
            "NOTIFY_URL",
            "where messages go: https://… (a webhook), or smtp[s]://[user:password@]host[:port]?from=…&to=…[&tls=required]",
        );
        let url = url.expose();
        let fault = match url.split_once("://") {
            None if url.is_empty() => None, // That is a fault already.
            Some(("http" | "https", _)) => match Webhook::to(url) {
                Ok(webhook) => return Self::Webhook(webhook),
                Err(why) => Some(why),
            },
            Some(("smtp" | "smtps", _)) => match Mail::by(url) {
                Ok(mail) => return Self::Mail(Box::new(mail)),
                Err(why) => Some(why.to_string()),
            },
            _ => Some("must begin with http://, https://, smtp:// or smtps://".to_owned()),
        };
        if let Some(why) = fault {
            env.fault("NOTIFY_URL", why);
        }
        // Never used: a function with a fault in its environment does not start.
        Self::Webhook(Webhook::nowhere())
    }

    /// Which way it is.
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Webhook(_) => Channel::Webhook,
            Self::Mail(_) => Channel::Email,
        }
    }

    /// Sends `message`.
    ///
    /// # Errors
    /// The far side does not take it; the tables of [`webhook`](crate::webhook) and [`mail`](crate::mail) say what
    /// becomes of each case.
    pub async fn send(&self, message: &Message, traceparent: Option<&str>) -> Result<(), Failure> {
        match self {
            Self::Webhook(webhook) => webhook.send(message, traceparent).await,
            Self::Mail(mail) => mail.send(message).await,
        }
    }
}
