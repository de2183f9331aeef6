//! The file that `jetlag provision` reads: contracts, and how streams are made.

use jetlag::Description;
use jetlag::topology::{Sizing, Topology};
use serde::{Deserialize, Serialize};

use crate::deploy::Streams;
use crate::document::literal;

/// Contracts, and how streams are made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contracts {
    /// How streams and consumers are made where they are not there yet.
    pub streams: Streams,
    /// The functions. Their examples are left out.
    pub functions: Vec<Description>,
}

impl Contracts {
    /// Of `functions`, without what provisioning does not need.
    pub fn of(functions: &[Description], streams: &Streams) -> Self {
        let mut functions = functions.to_vec();
        for function in &mut functions {
            for kind in function.listens_to.iter_mut().chain(&mut function.emits).chain(&mut function.admits)
            {
                kind.example = None;
            }
        }
        functions.sort_by(|one, other| one.name.cmp(&other.name));
        Self { streams: *streams, functions }
    }

    /// The streams and consumers that they need.
    pub fn topology(&self) -> Topology {
        Topology::of(&self.functions, &self.sizing())
    }

    /// In the form of the runtime.
    pub fn sizing(&self) -> Sizing {
        self.streams.sizing()
    }

    /// As the file is written.
    pub(crate) fn to_json(&self) -> String {
        // Plain data: it always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The same as a template of the chart, whose values say how streams are made.
    pub(crate) fn to_template(&self) -> String {
        let json = literal(&self.to_json());
        let streams = serde_json::to_value(self.streams).unwrap_or_default();
        let fields = streams.as_object().into_iter().flatten();
        // The streams come first, so that the first line of such a name is theirs.
        fields.fold(json, |json, (name, value)| {
            let expression = match value {
                serde_json::Value::String(_) => format!("{{{{ .Values.streams.{name} | quote }}}}"),
                _ => format!("{{{{ .Values.streams.{name} | int64 }}}}"),
            };
            json.replacen(&format!("\"{name}\": {value}"), &format!("\"{name}\": {expression}"), 1)
        })
    }
}
