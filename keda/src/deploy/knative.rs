//! What Knative is told besides: how it scales what takes requests, and how events come by its broker.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time;

/// How Knative Serving runs a function that takes requests. What is not said, its contract says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Requests {
    /// Who scales it: Knative's own autoscaler, or the HPA, which cannot go to zero.
    pub class: Class,
    /// What is looked at.
    pub metric: Metric,
    /// How much of that one process bears; the contract's concurrency if it is not said.
    pub target: Option<u32>,
    /// How many processes there are when there is nothing to do; as the contract says.
    pub min: Option<u32>,
    /// How many there are at most; as the contract says.
    pub max: Option<u32>,
    /// How long fewer must be enough before one goes; the contract's cooldown.
    pub scale_down_delay: Option<Span>,
    /// How many a new version begins with: it takes no request before they are ready.
    pub initial: u32,
    /// How many requests one process is given at a time, 0 for any number; the contract's concurrency.
    pub concurrency: Option<u32>,
    /// How long one request may take. It is also how long a pod may take to stop.
    pub timeout: Span,
    /// Where its events go without JetStream: [`SINK_BROKER`], or a URL. Not said: they are committed to JetStream.
    pub sink: Option<String>,
    /// Attributes that are added to them there.
    pub extensions: BTreeMap<String, String>,
}

/// The sink that is the broker of [`Eventing`].
pub const SINK_BROKER: &str = "broker";

/// A time such as `90s` or `5m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(#[serde(with = "time")] pub Duration);

/// Who scales what takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Knative's own autoscaler.
    Kpa,
    /// The HPA.
    Hpa,
}

/// What an autoscaler of requests looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Requests under way.
    Concurrency,
    /// Requests a second.
    Rps,
    /// Processor time, in percent of what is asked for; of the class `hpa` alone.
    Cpu,
    /// Memory, in MiB; of the class `hpa` alone.
    Memory,
}

/// How events come by Knative Eventing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Eventing {
    /// The name of the broker.
    pub broker: String,
    /// What it is made of.
    pub class: BrokerClass,
    /// Where an event goes that nobody could handle: a URL.
    pub dead_letters: Option<String>,
}

/// What a broker of Knative is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BrokerClass {
    /// The one that comes with Knative Eventing, over channels.
    #[serde(rename = "MTChannelBasedBroker")]
    Channels,
    /// The one on NATS JetStream, of knative-extensions/eventing-natss.
    #[serde(rename = "NatsJetStreamBroker")]
    JetStream,
}

/// How long a request may take: as long as a pod needs to stop, since Knative gives it so long for both
/// ([`Requests::timeout`]). 30 s in which it still takes what is on its way, and 36 s to finish it, and a margin.
const TIMEOUT: Duration = Duration::from_secs(90);

impl Default for Requests {
    fn default() -> Self {
        Self {
            class: Class::Kpa,
            metric: Metric::Concurrency,
            target: None,
            min: None,
            max: None,
            scale_down_delay: None,
            initial: 1,
            concurrency: None,
            timeout: Span(TIMEOUT),
            sink: None,
            extensions: BTreeMap::new(),
        }
    }
}

impl Default for Eventing {
    fn default() -> Self {
        Self { broker: "jetlag".into(), class: BrokerClass::Channels, dead_letters: None }
    }
}

impl Class {
    /// As Knative's annotation has it.
    pub const fn annotation(self) -> &'static str {
        match self {
            Self::Kpa => "kpa.autoscaling.knative.dev",
            Self::Hpa => "hpa.autoscaling.knative.dev",
        }
    }
}

impl Metric {
    /// As Knative's annotation has it.
    pub const fn annotation(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Rps => "rps",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

impl BrokerClass {
    /// As Knative's annotation has it.
    pub const fn annotation(self) -> &'static str {
        match self {
            Self::Channels => "MTChannelBasedBroker",
            Self::JetStream => "NatsJetStreamBroker",
        }
    }
}
