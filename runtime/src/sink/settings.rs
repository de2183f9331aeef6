//! What the environment says of a sink.

use std::collections::BTreeMap;

use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use crate::environment::Environment;
use crate::http::outgoing::encoded;

/// The attributes that are the event's own: an extension cannot take their names.
const ATTRIBUTES: [&str; 9] =
    ["id", "source", "specversion", "type", "subject", "time", "datacontenttype", "dataschema", "data"];

/// A sink: where events go, and what is added to each.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub(crate) url: String,
    pub(crate) extensions: Vec<(HeaderName, HeaderValue)>,
}

/// `K_CE_OVERRIDES`, as Knative's SinkBinding writes it.
#[derive(Deserialize)]
struct Overrides {
    #[serde(default)]
    extensions: BTreeMap<String, String>,
}

impl Sink {
    /// The sink that `env` names, if it names one and no broker.
    pub(crate) fn from_env(env: &mut Environment) -> Option<Self> {
        let url = env.text_if_set("K_SINK", "where events go as CloudEvents if NATS_URL is not set");
        let overrides =
            env.text_if_set("K_CE_OVERRIDES", "attributes that are added to them, as Knative has it");
        let has_broker = env.of_others("NATS_URL").is_some();
        let url = url.filter(|_| !has_broker)?;
        let is_url = reqwest::Url::parse(&url)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_url {
            env.fault("K_SINK", "it must be a URL of http or https, such as http://broker.example/shop");
        }
        let extensions = match overrides.map(|json| serde_json::from_str::<Overrides>(&json)) {
            None => BTreeMap::new(),
            Some(Ok(overrides)) => overrides.extensions,
            Some(Err(error)) => {
                env.fault("K_CE_OVERRIDES", format_args!("it must be like {{\"extensions\":{{}}}}: {error}"));
                BTreeMap::new()
            }
        };
        let extensions = extensions.into_iter().filter_map(|(name, value)| {
            let read = extension(&name, &value);
            read.map_err(|why| env.fault("K_CE_OVERRIDES", format_args!("{name:?}: {why}"))).ok()
        });
        Some(Self { url, extensions: extensions.collect() })
    }
}

/// An extension as the header that brings it.
fn extension(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !is_name {
        return Err("the name of an extension has lower-case letters and digits");
    }
    if ATTRIBUTES.contains(&name) {
        return Err("this attribute is the event's own");
    }
    let header = HeaderName::try_from(format!("ce-{name}")).map_err(|_| "it is no name of a header")?;
    let value = HeaderValue::try_from(encoded(value)).map_err(|_| "its value is too long")?;
    Ok((header, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<const N: usize>(variables: [(&str, &str); N]) -> (Option<Sink>, Vec<String>) {
        let mut env = Environment::of(variables);
        let sink = Sink::from_env(&mut env);
        (sink, env.faults().to_vec())
    }

    #[test]
    fn a_sink_is_used_only_where_no_broker_is_named() {
        let sink = ("K_SINK", "http://sink.example/shop");
        assert!(read([sink]).0.is_some());
        assert!(read([sink, ("NATS_URL", "")]).0.is_some());
        assert!(read([sink, ("NATS_URL", "nats://n:4222")]).0.is_none());
        assert!(read([]).0.is_none());
    }

    #[test]
    fn what_is_wrong_with_it_is_told_at_once() {
        for url in ["sink.example", "ftp://sink.example", "http://", "file:///etc"] {
            assert_eq!(read([("K_SINK", url)]).1.len(), 1, "{url}");
        }
        let sink = ("K_SINK", "http://sink.example");
        let overrides = |json| read([sink, ("K_CE_OVERRIDES", json)]);
        let (read, faults) = overrides(r#"{"extensions":{"tenant":"a b","Bad":"x","id":"y"},"other":1}"#);
        assert_eq!(read.unwrap().extensions, [("ce-tenant".parse().unwrap(), "a%20b".parse().unwrap())]);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert_eq!(overrides("{").1.len(), 1);
        assert_eq!(overrides("{}").1, [""; 0]);
    }
}
