//! Making and checking streams and consumers: what is missing is made, what differs is told with the difference.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::jetstream::api::{ApiError, Caller, RequestFailed, request};
use crate::jetstream::check::Difference;
use crate::topology::{ConsumerSpec, StreamSpec, Topology};

/// The broker's codes that mean: there is no such stream, or no such consumer.
const NOT_FOUND: [u64; 2] = [10059, 10014];
/// The broker's codes that waiting mends: no leader yet, peers that are not there yet, no room, JetStream not there yet.
const PASSING: [u64; 6] = [10008, 10009, 10005, 10023, 10039, 10076];
/// What an operator decides, and a function that starts takes as it is.
const SIZING: [&str; 6] =
    ["num_replicas", "max_age", "max_bytes", "ack_wait", "deliver_policy", "description"];
/// How often functions that add their subjects at the same time try again: one of them has its way each time.
const RACES_MAX: u32 = 20;
/// How long after an update one by another function may come that was made of what was there before it, and so undoes it:
/// the broker does not say no to that.
const RACE_TIME: Duration = Duration::from_millis(500);

/// What provisioning did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Provisioned {
    /// Streams and consumers that were made.
    pub created: Vec<String>,
    /// Streams that were given further subjects.
    pub extended: Vec<String>,
    /// What was there already, as it must be.
    pub unchanged: Vec<String>,
}

/// Why streams and consumers are not as they must be.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The broker does not answer, or has no JetStream.
    #[error("JetStream does not answer: {0}")]
    NoAnswer(String),
    /// The broker denies this user what it takes.
    #[error("{0}")]
    Denied(String),
    /// What is there is not what the contracts need.
    #[error(
        "{what} is there and differs; change it by hand, or remove it if nothing needs it:\n{difference}"
    )]
    Differs {
        /// Which stream or consumer.
        what: String,
        /// One line for each field: what is there, and what must be.
        difference: String,
    },
    /// The broker refuses to make it.
    #[error("the broker refuses to make {what}: {why}")]
    Refused {
        /// Which stream or consumer.
        what: String,
        /// In the broker's words.
        why: String,
    },
}

/// Makes `topology` true, or says what stands against it.
pub(super) async fn provision(caller: &Caller, topology: &Topology) -> Result<Provisioned, ProvisionError> {
    let mut done = Provisioned::default();
    for stream in &topology.streams {
        provision_stream(caller, stream, &mut done).await?;
    }
    for consumer in &topology.consumers {
        provision_consumer(caller, consumer, &mut done).await?;
    }
    Ok(done)
}

async fn provision_stream(
    caller: &Caller,
    spec: &StreamSpec,
    done: &mut Provisioned,
) -> Result<(), ProvisionError> {
    let what = format!("stream {}", spec.name);
    let mut is_extended = false;
    for _ in 0..RACES_MAX {
        let Some(found) =
            ask(caller, &format!("$JS.API.STREAM.INFO.{}", spec.name), &Value::Null, &what).await?
        else {
            match ask(caller, &format!("$JS.API.STREAM.CREATE.{}", spec.name), &spec.config, &what).await {
                Ok(_) => {
                    done.created.push(what);
                    return Ok(());
                }
                // Another function may have made it in this very moment, with its own subjects.
                Err(ProvisionError::Refused { .. }) if exists(caller, spec.name).await? => continue,
                Err(error) => return Err(error),
            }
        };
        let config = found.get("config").cloned().unwrap_or_default();
        let mut wanted = spec.config.clone();
        let missing = add_missing_subjects(&mut wanted, &config);
        let difference = difference(&wanted, &config, missing);
        if !difference.is_empty() {
            return Err(ProvisionError::Differs { what, difference: difference.join("\n") });
        }
        if !missing {
            if is_extended { &mut done.extended } else { &mut done.unchanged }.push(what);
            return Ok(());
        }
        let mut extended = config;
        if let (Some(object), Some(subjects)) = (extended.as_object_mut(), wanted.get("subjects")) {
            object.insert("subjects".into(), subjects.clone());
        }
        ask(caller, &format!("$JS.API.STREAM.UPDATE.{}", spec.name), &extended, &what).await?;
        is_extended = true;
        tokio::time::sleep(RACE_TIME).await;
    }
    Err(ProvisionError::Refused { what, why: "its subjects keep being changed by somebody else".into() })
}

async fn exists(caller: &Caller, stream: &str) -> Result<bool, ProvisionError> {
    let what = format!("stream {stream}");
    Ok(ask(caller, &format!("$JS.API.STREAM.INFO.{stream}"), &Value::Null, &what).await?.is_some())
}

async fn provision_consumer(
    caller: &Caller,
    spec: &ConsumerSpec,
    done: &mut Provisioned,
) -> Result<(), ProvisionError> {
    let (stream, durable) = (spec.stream, &spec.durable);
    let what = format!("consumer {durable} on {stream}");
    let info = format!("$JS.API.CONSUMER.INFO.{stream}.{durable}");
    if let Some(found) = ask(caller, &info, &Value::Null, &what).await? {
        let config = found.get("config").cloned().unwrap_or_default();
        let difference = difference(&spec.config, &config, false);
        if difference.is_empty() {
            done.unchanged.push(what);
            return Ok(());
        }
        return Err(ProvisionError::Differs { what, difference: difference.join("\n") });
    }
    let create = serde_json::json!({"stream_name": stream, "config": spec.config, "action": "create"});
    match ask(caller, &format!("$JS.API.CONSUMER.CREATE.{stream}.{durable}"), &create, &what).await {
        Ok(_) => done.created.push(what),
        // A replica of this function made it in this very moment.
        Err(ProvisionError::Refused { .. }) if ask(caller, &info, &Value::Null, &what).await?.is_some() => {
            done.unchanged.push(what);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// What of `topology` is missing, with no lines, or is otherwise there, with a line for each field.
pub(super) async fn differences(
    caller: &Caller,
    topology: &Topology,
) -> Result<Vec<Difference>, ProvisionError> {
    let mut differences = Vec::new();
    for Place { what, wanted, found } in look(caller, topology).await? {
        let Some(found) = found else {
            differences.push(Difference { what, fields: Vec::new() });
            continue;
        };
        // Other functions have their own subjects.
        let is_missing = add_missing_subjects(&mut wanted.clone(), &found);
        let mut fields = difference(wanted, &found, true);
        if is_missing {
            let subjects = |config: &Value| config.get("subjects").cloned().unwrap_or_default();
            fields.push(format!("  subjects: there is {}, needed is {}", subjects(&found), subjects(wanted)));
        }
        if !fields.is_empty() {
            differences.push(Difference { what, fields });
        }
    }
    Ok(differences)
}

/// What is there in another size than `topology` has, with a line for each field.
pub(super) async fn sizes(caller: &Caller, topology: &Topology) -> Result<Vec<Difference>, ProvisionError> {
    let mut sizes = Vec::new();
    for Place { what, wanted, found } in look(caller, topology).await? {
        let is_size = |name: &str| SIZING.contains(&name) && name != "description";
        let fields = found.map(|found| differing(wanted, &found, is_size)).unwrap_or_default();
        if !fields.is_empty() {
            sizes.push(Difference { what, fields });
        }
    }
    Ok(sizes)
}

/// A stream or a consumer: its configuration as it is wanted, and as it is, if it is there.
struct Place<'a> {
    what: String,
    wanted: &'a Value,
    found: Option<Value>,
}

async fn look<'a>(caller: &Caller, topology: &'a Topology) -> Result<Vec<Place<'a>>, ProvisionError> {
    let streams = topology.streams.iter().map(|spec| {
        (format!("stream {}", spec.name), format!("$JS.API.STREAM.INFO.{}", spec.name), &spec.config)
    });
    let consumers = topology.consumers.iter().map(|ConsumerSpec { stream, durable, config }| {
        let what = format!("consumer {durable} on {stream}");
        (what, format!("$JS.API.CONSUMER.INFO.{stream}.{durable}"), config)
    });
    let mut places = Vec::new();
    for (what, info, wanted) in streams.chain(consumers) {
        let found = ask(caller, &info, &Value::Null, &what).await?;
        let found = found.map(|found| found.get("config").cloned().unwrap_or_default());
        places.push(Place { what, wanted, found });
    }
    Ok(places)
}

/// The broker's answer, or `None` if there is no such thing.
async fn ask(
    caller: &Caller,
    subject: &str,
    body: &Value,
    what: &str,
) -> Result<Option<Value>, ProvisionError> {
    let payload = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let answer = request(caller, subject, None, payload).await;
    let answer = answer.map_err(|failed| match failed {
        RequestFailed::Denied(why) => ProvisionError::Denied(why),
        failed => ProvisionError::NoAnswer(failed.to_string()),
    })?;
    let json: Value = serde_json::from_slice(&answer.payload)
        .map_err(|error| ProvisionError::NoAnswer(format!("an odd answer on {subject}: {error}")))?;
    match json.get("error").map(|error| serde_json::from_value::<ApiError>(error.clone())) {
        None => Ok(Some(json)),
        Some(Ok(error)) if NOT_FOUND.contains(&error.err_code) => Ok(None),
        Some(Ok(error)) if PASSING.contains(&error.err_code) => {
            Err(ProvisionError::NoAnswer(error.to_string()))
        }
        Some(Ok(error)) => Err(ProvisionError::Refused { what: what.into(), why: error.to_string() }),
        Some(Err(error)) => Err(ProvisionError::Refused { what: what.into(), why: error.to_string() }),
    }
}

/// Makes `wanted`'s subjects those that are there and those that are wanted; whether any were missing.
fn add_missing_subjects(wanted: &mut Value, found: &Value) -> bool {
    let list = |value: &Value| -> Vec<String> {
        let subjects = value.get("subjects").and_then(Value::as_array);
        subjects.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (mut all, needed) = (list(found), list(wanted));
    let before = all.len();
    for subject in needed {
        if !all.contains(&subject) {
            all.push(subject);
        }
    }
    let missing = all.len() > before;
    if let Some(object) = wanted.as_object_mut()
        && !all.is_empty()
    {
        object.insert("subjects".into(), all.into());
    }
    missing
}

/// Every field of `wanted` that is otherwise in `found` and no operator's business, one line each.
fn difference(wanted: &Value, found: &Value, but_subjects: bool) -> Vec<String> {
    differing(wanted, found, |name| !(SIZING.contains(&name) || but_subjects && name == "subjects"))
}

/// Every field of `wanted` that is otherwise in `found` and that `counts`, one line each.
fn differing(wanted: &Value, found: &Value, counts: impl Fn(&str) -> bool) -> Vec<String> {
    let Some(fields) = wanted.as_object() else { return Vec::new() };
    fields
        .iter()
        .filter(|(name, _)| counts(name))
        .filter_map(|(name, wanted)| {
            let found = found.get(name).unwrap_or(&Value::Null);
            // The broker leaves out what is false, and one filter in a list of its own.
            let same = contains(found, wanted) || (*wanted == Value::Bool(false) && found.is_null());
            (!same).then(|| format!("  {name}: there is {found}, needed is {wanted}"))
        })
        .collect()
}

/// Whether `found` says what `wanted` says, and maybe more.
fn contains(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(name, value)| found.get(name).is_some_and(|found| contains(found, value)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found.iter().zip(wanted).all(|(found, wanted)| contains(found, wanted))
        }
        (found, wanted) => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_difference_names_the_field_and_both_values() {
        let wanted =
            json!({"discard": "new", "max_age": 1, "storage": "file", "sources": [{"name": "EVENTS"}]});
        let found = json!({"discard": "old", "max_age": 2, "storage": "file", "sources": [{"name": "EVENTS", "more": 1}]});
        assert_eq!(difference(&wanted, &found, false), ["  discard: there is \"old\", needed is \"new\""]);
    }

    #[test]
    fn subjects_of_other_functions_stay() {
        let mut wanted = json!({"subjects": ["a.b.*.*", "c.d.*.*"]});
        assert!(add_missing_subjects(&mut wanted, &json!({"subjects": ["x.y.*.*", "a.b.*.*"]})));
        assert_eq!(wanted["subjects"], json!(["x.y.*.*", "a.b.*.*", "c.d.*.*"]));
        assert!(!add_missing_subjects(&mut wanted.clone(), &wanted));
    }
}
