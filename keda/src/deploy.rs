//! What contracts cannot know: the `deploy` section of jetlag.yaml. Every setting has a default.

mod knative;

use std::collections::BTreeMap;
use std::time::Duration;

use jetlag::topology::Sizing;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use knative::{BrokerClass, Class, Eventing, Metric, Requests, SINK_BROKER, Span};

/// Where functions run, and what of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct Deploy {
    /// The namespace of everything that is generated.
    pub namespace: String,
    /// Where images are, and of which version.
    pub images: Images,
    /// Where the broker is, for functions and for KEDA.
    pub broker: BrokerPlace,
    /// How streams are made.
    pub streams: Streams,
    /// Environment of every function, such as `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub env: BTreeMap<String, String>,
    /// How events come by Knative Eventing, where it is used.
    pub eventing: Eventing,
    /// What only one function is told or allowed, by its name.
    pub functions: BTreeMap<String, FunctionDeploy>,
}

/// Where images are: `<prefix><function>:<tag>`, and `<prefix>jetlag:<tag>` for the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Images {
    /// With the slash at its end.
    pub prefix: String,
    /// Never `latest`: what runs could not be told, and could not be gone back to.
    pub tag: String,
    /// Secrets in the namespace with which they are pulled from a private registry.
    pub pull_secrets: Vec<String>,
}

/// Where the broker is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrokerPlace {
    /// Servers, separated by commas: `NATS_URL`.
    pub url: String,
    /// Host and port of the monitoring endpoint. KEDA asks the server that leads a consumer, which it finds by host name:
    /// in a cluster of servers this must be the headless service.
    pub monitoring: String,
    /// The account that the streams are in.
    pub account: String,
}

/// How streams and consumers are made where they are not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Streams {
    /// Copies of each stream: 1, 3 or 5.
    pub replicas: u8,
    /// How long events are kept, such as `24h`.
    #[serde(with = "time")]
    pub horizon: Duration,
    /// The most bytes of events and state, such as `8Gi`.
    #[serde(with = "bytes")]
    pub max_bytes: i64,
    /// How long a consumer waits for a sign of work before it delivers again, such as `15s`.
    #[serde(with = "time")]
    pub ack_wait: Duration,
}

/// What one function is told or allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FunctionDeploy {
    /// Its environment, over that of every function. Where a value is a URL, its host and port may be reached.
    pub env: BTreeMap<String, String>,
    /// What else it may reach, as URLs.
    pub egress: Vec<String>,
    /// What its containers ask for and get at most.
    pub resources: Resources,
    /// How Knative runs it, where that is used and it takes requests.
    pub knative: Requests,
}

/// What a container asks for and gets at most, as Kubernetes writes quantities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// Processor time that it is sure of.
    pub cpu: String,
    /// Memory that it is sure of.
    pub memory: String,
    /// Memory at which it is killed.
    pub memory_max: String,
}

impl Default for Deploy {
    fn default() -> Self {
        Self {
            namespace: "jetlag".into(),
            images: Images::default(),
            broker: BrokerPlace::default(),
            streams: Streams::default(),
            env: BTreeMap::new(),
            eventing: Eventing::default(),
            functions: BTreeMap::new(),
        }
    }
}

impl Default for Images {
    fn default() -> Self {
        Self {
            prefix: "ghcr.io/jetlag-functions/".into(),
            tag: env!("CARGO_PKG_VERSION").into(),
            pull_secrets: Vec::new(),
        }
    }
}

impl Default for BrokerPlace {
    fn default() -> Self {
        Self {
            url: "nats://nats.nats.svc.cluster.local:4222".into(),
            monitoring: "nats.nats.svc.cluster.local:8222".into(),
            account: "JETLAG".into(),
        }
    }
}

impl Default for Streams {
    fn default() -> Self {
        let Sizing { replicas, horizon, events_bytes_max, ack_wait } = Sizing::default();
        Self { replicas, horizon, max_bytes: events_bytes_max, ack_wait }
    }
}

impl Default for Resources {
    fn default() -> Self {
        Self { cpu: "50m".into(), memory: "32Mi".into(), memory_max: "256Mi".into() }
    }
}

impl Deploy {
    /// The image of the program `name`.
    pub fn image(&self, name: &str) -> String {
        format!("{}{name}:{}", self.images.prefix, self.images.tag)
    }
}

impl Streams {
    /// In the form of the runtime.
    pub const fn sizing(&self) -> Sizing {
        Sizing {
            replicas: self.replicas,
            horizon: self.horizon,
            events_bytes_max: self.max_bytes,
            ack_wait: self.ack_wait,
        }
    }
}

/// A time such as `90s`, `30m`, `24h` or `7d`.
mod time {
    use super::{Deserialize, Deserializer, Duration, Error, Serializer, scaled, unscaled};

    const UNITS: [(&str, i64); 4] = [("d", 24 * 60 * 60), ("h", 60 * 60), ("m", 60), ("s", 1)];

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        let seconds = scaled(&text, &UNITS).and_then(|seconds| u64::try_from(seconds).ok());
        seconds
            .map(Duration::from_secs)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is no time such as 90s, 30m, 24h or 7d")))
    }

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        serializer.serialize_str(&unscaled(seconds, &UNITS))
    }
}

/// A number of bytes such as `512Mi` or `8Gi`.
mod bytes {
    use super::{Deserialize, Deserializer, Error, Serializer, scaled, unscaled};

    const UNITS: [(&str, i64); 4] = [("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = String::deserialize(deserializer)?;
        scaled(&text, &UNITS)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is no size such as 512Mi or 8Gi")))
    }

    pub(super) fn serialize<S: Serializer>(bytes: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&unscaled(*bytes, &UNITS))
    }
}

/// A whole number above zero with one of `units`, in the smallest of them.
fn scaled(text: &str, units: &[(&str, i64)]) -> Option<i64> {
    units.iter().find_map(|(unit, factor)| {
        let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*factor).filter(|number| *number > 0)
    })
}

/// `number` with the largest of `units` in which it is whole.
fn unscaled(number: i64, units: &[(&str, i64)]) -> String {
    let whole = units.iter().find(|(_, factor)| number.checked_rem(*factor) == Some(0));
    whole.map_or_else(|| number.to_string(), |(unit, factor)| format!("{}{unit}", number / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_a_default_and_what_is_unknown_is_refused() {
        let read = |text: &str| serde_yaml::from_str::<Deploy>(text).map_err(|error| error.to_string());
        let deploy =
            read("streams: {replicas: 3, horizon: 48h, max_bytes: 2Gi}\nimages: {tag: 1.2.3}").unwrap();
        assert_eq!(deploy.image("till"), "ghcr.io/jetlag-functions/till:1.2.3");
        let sizing = deploy.streams.sizing();
        assert_eq!((sizing.replicas, sizing.events_bytes_max), (3, 2 << 30));
        assert_eq!(sizing.horizon, Duration::from_secs(48 * 60 * 60));
        assert_eq!(sizing.ack_wait, Sizing::default().ack_wait);
        assert!(read("name_space: x").unwrap_err().contains("name_space"));
        assert!(read("streams: {horizon: 0h}").unwrap_err().contains("no time"));
        assert!(read("streams: {max_bytes: 8G}").unwrap_err().contains("no size"));
    }
}
