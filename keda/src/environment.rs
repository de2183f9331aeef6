//! What a function is told by its environment, as far as it is no secret.

use std::collections::{BTreeMap, BTreeSet};

use jetlag::Description;
use sha2::{Digest, Sha256};

use crate::deploy::Deploy;
use crate::egress::Place;
use crate::workload::PORT;

/// Variables that are said by what is generated.
const OWN: [&str; 4] = ["NATS_URL", "PORT", "JETLAG_PROVISION", "JETLAG_TRIGGER"];
/// As many characters of a checksum as tell two apart.
const CHECKSUM_CHARS: usize = 16;

/// The environment of a function.
#[derive(Debug)]
pub(crate) struct Environment {
    /// The ConfigMap's content.
    pub(crate) data: BTreeMap<String, String>,
    /// Of the data.
    pub(crate) checksum: String,
    /// Whom the values name, the broker among them.
    pub(crate) places: BTreeSet<Place>,
}

impl Environment {
    /// What `deploy` says to `function`, and what is wrong with that.
    pub(crate) fn of(function: &Description, deploy: &Deploy) -> (Self, Vec<String>) {
        let name = &function.name;
        let mut faults = Vec::new();
        let mut data = BTreeMap::from([
            ("NATS_URL".to_owned(), deploy.broker.url.clone()),
            ("PORT".to_owned(), PORT.to_string()),
            // The Job does it, before anything is scaled, as a user that may.
            ("JETLAG_PROVISION".to_owned(), "false".to_owned()),
        ]);
        let own = deploy.functions.get(name);
        for variable in &function.variables {
            let said =
                own.and_then(|own| own.env.get(&variable.name)).or_else(|| deploy.env.get(&variable.name));
            match said {
                Some(_) if variable.secret => faults.push(format!(
                    "{name}: {} is a secret: leave it out here, and put it into the Secret `{name}`",
                    variable.name
                )),
                Some(_) if OWN.contains(&variable.name.as_str()) => {
                    faults.push(format!(
                        "{name}: {} is said by what is generated: leave it out",
                        variable.name
                    ));
                }
                Some(value) => drop(data.insert(variable.name.clone(), value.clone())),
                None if variable.default.is_none() && !variable.secret => faults.push(format!(
                    "{name}: {} is required ({}): say it in deploy.functions.{name}.env",
                    variable.name, variable.about
                )),
                None => {}
            }
        }
        for variable in own.iter().flat_map(|own| own.env.keys()) {
            if !function.variables.iter().any(|known| known.name == *variable) {
                faults.push(format!("{name}: it reads no variable {variable}; see `{name} --help`"));
            }
        }
        let mut places: BTreeSet<Place> =
            data.values().flat_map(|value| value.split(',')).filter_map(Place::of).collect();
        for url in own.iter().flat_map(|own| &own.egress) {
            match Place::of(url) {
                Some(place) => drop(places.insert(place)),
                None => faults.push(format!("{name}: egress `{url}` is no URL such as http://host:8080")),
            }
        }
        let checksum = checksum(&data);
        (Self { data, checksum, places }, faults)
    }
}

/// A short checksum of `value` as JSON, as the chart computes it too.
fn checksum(value: &BTreeMap<String, String>) -> String {
    // Go's JSON escapes these, for readers that are browsers.
    let json = serde_json::to_string(value).unwrap_or_default();
    let json = json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    short_hash(&json, CHECKSUM_CHARS)
}

/// The first `chars` hexadecimal digits of the SHA-256 of `text`.
pub(crate) fn short_hash(text: &str, chars: usize) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).take(chars).map(char::from).collect()
}
