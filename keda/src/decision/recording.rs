//! Recordings of a real cluster, as the cluster run writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::replay::{Change, Sample, explain};
use super::{Reading, Replicas, SYNC, Settings, Undecided};
use crate::given::{Metadata, ScaledObject, ScaledObjectSpec};

/// Lag of each trigger and replicas of each Deployment over time, with how each is scaled.
#[derive(Debug, Clone, Deserialize)]
pub struct Recording {
    /// How often the HPA looked, such as `5s`; Kubernetes' default if it is not said.
    #[serde(default)]
    pub hpa_sync_s: Option<String>,
    /// What each ScaledObject says, by its name.
    pub scaled_objects: BTreeMap<String, ScaledObjectSpec>,
    /// Look by look.
    pub samples: Vec<Look>,
}

/// One look at everything.
#[derive(Debug, Clone, Deserialize)]
pub struct Look {
    /// Since the beginning.
    pub t_ms: u64,
    /// By the name of the Deployment.
    pub functions: BTreeMap<String, Function>,
}

/// One function in a look.
#[derive(Debug, Clone, Deserialize)]
pub struct Function {
    /// How many are asked for.
    pub wanted: u32,
    /// How many pods there are.
    pub pods: u32,
    /// By stream; what is missing could not be read.
    #[serde(default)]
    pub lag: BTreeMap<String, u64>,
}

impl Recording {
    /// Every change of every function that is scaled, by its name, explained or not.
    ///
    /// # Errors
    /// A ScaledObject says what is not decided here.
    pub fn explain(&self) -> Result<BTreeMap<String, Vec<Change>>, Undecided> {
        let sync = self.hpa_sync_s.as_deref().and_then(|text| text.trim_end_matches('s').parse().ok());
        let sync = sync.map_or(SYNC, Duration::from_secs);
        let explained = |(name, spec): (&String, &ScaledObjectSpec)| {
            let metadata = Metadata { name: name.clone(), ..Metadata::default() };
            let object = ScaledObject { metadata, spec: spec.clone() };
            let settings = Settings::try_from(&object)?;
            let changes = explain(&settings, sync, &self.samples_of(&object));
            Ok((name.clone(), changes))
        };
        self.scaled_objects.iter().map(explained).collect()
    }

    fn samples_of(&self, object: &ScaledObject) -> Vec<Sample> {
        let target = &object.spec.scale_target_ref.name;
        let samples = self.samples.iter().filter_map(|look| {
            let function = look.functions.get(target)?;
            let reading = |stream: Option<&str>| {
                let lag = stream.and_then(|stream| function.lag.get(stream));
                lag.map_or(Reading::Failed, |lag| Reading::Lag(*lag))
            };
            let readings = object.spec.triggers.iter().map(|trigger| reading(trigger.text("stream")));
            Some(Sample {
                at: Duration::from_millis(look.t_ms),
                replicas: Replicas { wanted: function.wanted, running: function.pods },
                readings: readings.collect(),
            })
        });
        samples.collect()
    }
}
