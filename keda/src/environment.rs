//! What a function is told by its environment, as far as it is no secret.

use std::collections::{BTreeMap, BTreeSet};

use jetlag::Description;
use sha2::{Digest, Sha256};

use crate::deploy::Deploy;
use crate::egress::{self, Place};
use crate::requests::sink_place;
use crate::workload::PORT;

/// Variables that are said by what is generated.
const OWN: [&str; 6] = ["NATS_URL", "K_SINK", "K_CE_OVERRIDES", "PORT", "JETLAG_PROVISION", "JETLAG_TRIGGER"];
/// As many characters of a checksum as tell two apart.
pub(crate) const CHECKSUM_CHARS: usize = 16;

/// The environment of a function.
#[derive(Debug)]
pub(crate) struct Environment {
    /// What is said by what is generated.
    given: BTreeMap<String, String>,
    /// What the settings say.
    pub(crate) own: BTreeMap<String, String>,
    /// Whom the settings name, the broker left out.
    pub(crate) places: BTreeSet<Place>,
    /// What is wrong with the settings.
    pub(crate) faults: Vec<String>,
}

impl Environment {
    /// What `deploy` says to `function`, and what is wrong with that.
    pub(crate) fn of(function: &Description, deploy: &Deploy) -> Self {
        let name = &function.name;
        let settings = deploy.functions.get(name);
        let mut given = BTreeMap::from([
            ("NATS_URL".to_owned(), deploy.broker.url.clone()),
            ("PORT".to_owned(), PORT.to_string()),
            // The Job does it, before anything is scaled, as a user that may.
            ("JETLAG_PROVISION".to_owned(), "false".to_owned()),
        ]);
        if settings.is_some_and(|settings| settings.knative.sink.is_some()) {
            // Where a broker is named, there is no sink.
            given.remove("NATS_URL");
        }
        let (mut own, mut faults) = (BTreeMap::new(), Vec::new());
        for variable in &function.variables {
            let said = settings.and_then(|settings| settings.env.get(&variable.name));
            match said.or_else(|| deploy.env.get(&variable.name)) {
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
                Some(value) => drop(own.insert(variable.name.clone(), value.clone())),
                None if variable.default.is_none() && !variable.secret => faults.push(format!(
                    "{name}: {} is required ({}): say it in deploy.functions.{name}.env",
                    variable.name, variable.about
                )),
                None => {}
            }
        }
        for variable in settings.iter().flat_map(|settings| settings.env.keys()) {
            if !function.variables.iter().any(|known| known.name == *variable) {
                faults.push(format!("{name}: it reads no variable {variable}; see `{name} --help`"));
            }
        }
        let mut places = egress::named_by(own.values().map(String::as_str));
        for url in settings.iter().flat_map(|settings| &settings.egress) {
            match Place::of(url) {
                Some(place) => drop(places.insert(place)),
                None => faults.push(format!("{name}: egress `{url}` is no URL such as http://host:8080")),
            }
        }
        places.extend(settings.and_then(|settings| sink_place(&settings.knative)));
        Self { given, own, places, faults }
    }

    /// What is said by what is generated.
    pub(crate) const fn given(&self) -> &BTreeMap<String, String> {
        &self.given
    }

    /// The content of the ConfigMap.
    pub(crate) fn data(&self) -> BTreeMap<String, String> {
        self.given.iter().chain(&self.own).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// A short checksum of the content, as the chart computes it too.
    pub(crate) fn checksum(&self) -> String {
        // Go's JSON escapes these, for readers that are browsers.
        let json = serde_json::to_string(&self.data()).unwrap_or_default();
        let json = json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
        short_hash(&json, CHECKSUM_CHARS)
    }
}

/// The first `chars` hexadecimal digits of the SHA-256 of `text`.
pub(crate) fn short_hash(text: &str, chars: usize) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).take(chars).map(char::from).collect()
}
