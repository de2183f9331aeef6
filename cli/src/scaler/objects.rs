//! The ScaledObjects that functions are scaled by, as they are written.

use std::fmt;
use std::path::{Path, PathBuf};

use jetlag::Description;
use jetlag::topology::Topology;
use keda::decision::Settings;
use keda::given::{Given, ScaledObject};

use super::{Plan, Watched};
use crate::objects;
use crate::problem::{Exit, Problem};

/// Where generated manifests are, beside `jetlag.yaml`.
const GENERATED: &str = "keda/base";

/// ScaledObjects with their files.
#[derive(Debug)]
pub(crate) struct Objects {
    written: Vec<Written>,
    /// Somebody named the files.
    are_named: bool,
}

#[derive(Debug, Clone)]
struct Written {
    file: String,
    object: ScaledObject,
}

/// Where it is written how a function is scaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In this file.
    File(String),
    /// Nowhere: it is what would be generated.
    Contract,
}

impl Objects {
    /// Those in the files and directories of `by` or, if there are none, what is generated and committed below `root`.
    ///
    /// # Errors
    /// A file cannot be read (66), is not understood, or has no ScaledObject (65).
    pub(crate) fn read(by: &[PathBuf], root: &Path) -> Result<Self, Problem> {
        let generated = root.join(GENERATED);
        // As a person would write it.
        let here = std::env::current_dir().unwrap_or_default();
        let generated = generated.strip_prefix(here).unwrap_or(&generated);
        if by.is_empty() {
            let written = if generated.is_dir() { written(generated)? } else { Vec::new() };
            return Ok(Self { written, are_named: false });
        }
        let mut all = Vec::new();
        for path in by {
            let written = written(path)?;
            if written.is_empty() {
                let what = format!("there is no ScaledObject in `{}`", path.display());
                return Err(Problem::new(Exit::Data, what).remedy(
                    "its apiVersion is keda.sh/v1alpha1; `jetlag manifests` writes one for each function",
                ));
            }
            all.extend(written);
        }
        Ok(Self { written: all, are_named: true })
    }

    /// How `function` is scaled; nothing if it reads no stream.
    ///
    /// # Errors
    /// What is written is not decided here, or is about a consumer that is not there (65).
    pub(crate) fn plan(&self, function: &Description, topology: &Topology) -> Result<Option<Plan>, Problem> {
        let mut objects = self.written.iter().filter(|written| written.target() == function.name);
        let plan = match (objects.next(), objects.next()) {
            (Some(one), Some(other)) => {
                let what = format!("`{}` and `{}` both scale `{}`", one.file, other.file, function.name);
                return Err(Problem::new(Exit::Data, what)
                    .remedy("KEDA refuses a second ScaledObject for one Deployment: leave one out"));
            }
            (Some(written), None) => written.plan(Origin::File(written.file.clone()))?,
            (None, _) => {
                let Some(object) = generated(function)? else { return Ok(None) };
                Written { file: String::new(), object }.plan(Origin::Contract)?
            }
        };
        match plan.watched.iter().find(|watched| !is_there(watched, topology)) {
            Some(watched) => Err(unknown(watched, &plan.origin, function, topology)),
            None => Ok(Some(plan)),
        }
    }

    /// Those that were named and are about none of `functions`.
    ///
    /// # Errors
    /// That is so of all of them (65).
    pub(crate) fn strangers(&self, functions: &[Description]) -> Result<Vec<String>, Problem> {
        if !self.are_named {
            return Ok(Vec::new());
        }
        let is_known = |target: &str| functions.iter().any(|function| function.name == target);
        let strangers = self.written.iter().filter(|written| !is_known(written.target()));
        let strangers: Vec<String> =
            strangers.map(|written| format!("`{}` in `{}`", written.target(), written.file)).collect();
        if strangers.len() == self.written.len() {
            let known: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
            let what =
                format!("no ScaledObject is for a function here: they are for {}", strangers.join(", "));
            return Err(Problem::new(Exit::Data, what)
                .remedy(format!("their scaleTargetRef.name may be: {}", known.join(", "))));
        }
        Ok(strangers)
    }
}

impl Written {
    fn target(&self) -> &str {
        &self.object.spec.scale_target_ref.name
    }

    fn plan(&self, origin: Origin) -> Result<Plan, Problem> {
        let wrong = |what: String| {
            Problem::new(
                Exit::Data,
                format!("{origin}: the ScaledObject `{}`: {what}", self.object.metadata.name),
            )
        };
        let settings = Settings::try_from(&self.object).map_err(|undecided| {
            wrong(undecided.to_string()).remedy(
                "`up --scale` scales by the lag of JetStream consumers: name another file with --scale-by",
            )
        })?;
        if settings.triggers.is_empty() {
            return Err(wrong("spec.triggers: there is none".to_owned()));
        }
        if settings.min > settings.max {
            let Settings { min, max, .. } = settings;
            return Err(wrong(format!(
                "spec.minReplicaCount: {min} is more than the maxReplicaCount, {max}"
            )));
        }
        let mut watched = Vec::new();
        for (index, trigger) in self.object.spec.triggers.iter().enumerate() {
            let said = |value: Option<&str>, key: &str| {
                let missing = || wrong(format!("spec.triggers[{index}].metadata.{key}: it is missing"));
                value.map(str::to_owned).ok_or_else(missing)
            };
            watched.push(Watched {
                stream: said(trigger.stream(), "stream")?,
                consumer: said(trigger.consumer(), "consumer")?,
            });
        }
        Ok(Plan { settings, watched, origin })
    }
}

fn written(path: &Path) -> Result<Vec<Written>, Problem> {
    let placed = objects::read(&[path.to_owned()])?;
    let scaled = placed.into_iter().filter_map(|placed| match placed.object {
        Given::ScaledObject(object) => Some(Written { file: placed.file, object }),
        _ => None,
    });
    Ok(scaled.collect())
}

fn generated(function: &Description) -> Result<Option<ScaledObject>, Problem> {
    let given = keda::generated(function).map_err(|error| {
        let what = format!("the ScaledObject of `{}` cannot be made", function.name);
        Problem::new(Exit::Internal, what).because(error)
    })?;
    let mut scaled = given.into_iter().filter_map(|given| match given {
        Given::ScaledObject(object) if !object.spec.triggers.is_empty() => Some(object),
        _ => None,
    });
    Ok(scaled.next())
}

fn is_there(watched: &Watched, topology: &Topology) -> bool {
    let mut consumers = topology.consumers.iter();
    consumers.any(|consumer| consumer.stream == watched.stream && consumer.durable == watched.consumer)
}

fn unknown(watched: &Watched, origin: &Origin, function: &Description, topology: &Topology) -> Problem {
    let Watched { stream, consumer } = watched;
    let own = topology.consumers.iter().filter(|consumer| consumer.durable == function.name);
    let own: Vec<String> =
        own.map(|consumer| format!("{} on {}", consumer.durable, consumer.stream)).collect();
    let name = &function.name;
    let what =
        format!("{origin}: `{name}` is scaled by the consumer {consumer} on {stream}, which no function has");
    Problem::new(Exit::Data, what).remedy(format!("the consumers of `{name}` are: {}", own.join(", ")))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{file}"),
            Self::Contract => f.write_str("its contract"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TILL: &str = r#"{"name": "till", "version": "0.1.0", "summary": "", "reads": "events",
        "listens_to": [{"type": "sales.made", "aggregate": "sale", "once_per_aggregate": false}], "emits": [], "admits": [],
        "keeps": [], "retry": {"first_delay_ms": 1, "max_delay_ms": 1, "max_attempts": 1}, "time_limit_ms": 1,
        "concurrency": 16, "batch": 1}"#;

    const OBJECT: &str = r#"{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: till},
        spec: {scaleTargetRef: {name: till}, pollingInterval: 1, maxReplicaCount: 3, triggers: [
            {type: nats-jetstream, metadata: {account: SHOP, stream: EVENTS, consumer: till, lagThreshold: "7"}}]}}"#;

    fn till() -> (Description, Topology) {
        let till: Description = serde_json::from_str(TILL).unwrap();
        let topology = Topology::of(std::slice::from_ref(&till), &jetlag::topology::Sizing::default());
        (till, topology)
    }

    /// What `up` would do, with `text` in a file.
    fn planned(text: &str) -> Result<Plan, Problem> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("till.yaml");
        std::fs::write(&file, text).unwrap();
        let objects = Objects::read(&[file], directory.path())?;
        let (till, topology) = till();
        objects.strangers(std::slice::from_ref(&till))?;
        Ok(objects.plan(&till, &topology)?.unwrap())
    }

    fn refused(text: &str) -> String {
        let problem = planned(text).unwrap_err();
        assert_eq!(problem.exit(), Exit::Data, "{problem}");
        problem.render()
    }

    #[test]
    fn a_function_is_scaled_as_it_is_written() {
        let plan = planned(OBJECT).unwrap();
        let Settings { polling, min, max, .. } = plan.settings;
        assert_eq!((polling, min, max), (Duration::from_secs(1), 0, 3));
        assert_eq!(plan.watched, [Watched { stream: "EVENTS".to_owned(), consumer: "till".to_owned() }]);
        assert!(
            plan.to_string().starts_with("0 to 3 processes, one for each 7 of EVENTS; polling 1 s"),
            "{plan}"
        );
    }

    #[test]
    fn a_function_that_nothing_is_written_of_is_scaled_as_its_contract_would_be() {
        let directory = tempfile::tempdir().unwrap();
        let objects = Objects::read(&[], directory.path()).unwrap();
        let (till, topology) = till();
        let plan = objects.plan(&till, &topology).unwrap().unwrap();
        assert_eq!(plan.origin, Origin::Contract);
        assert_eq!(plan.settings.triggers[0].target.get(), 32, "twice its concurrency");
        let streams: Vec<&str> = plan.watched.iter().map(|watched| watched.stream.as_str()).collect();
        assert_eq!(streams, ["EVENTS", "RETRY"], "every consumer of it counts");
        let deaf = Description { listens_to: Vec::new(), ..till };
        let none = Topology { consumers: Vec::new(), streams: Vec::new() };
        assert!(objects.plan(&deaf, &none).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_scaled_by_is_told_with_its_place() {
        assert!(refused("a: [").contains("is not understood"));
        let service = refused("{apiVersion: v1, kind: Service, metadata: {name: till}}");
        assert!(
            service.contains("there is no ScaledObject in") && service.contains("keda.sh/v1alpha1"),
            "{service}"
        );
        let kafka = refused(&OBJECT.replace("type: nats-jetstream", "type: kafka"));
        assert!(
            kafka.contains("till.yaml: the ScaledObject `till`: spec.triggers[0].type: `kafka`"),
            "{kafka}"
        );
        let unknown = refused(&OBJECT.replace("consumer: till", "consumer: tille"));
        assert!(unknown.contains("the consumer tille on EVENTS, which no function has"), "{unknown}");
        assert!(unknown.contains("are: till on EVENTS, till on RETRY"), "{unknown}");
        assert!(
            refused(&OBJECT.replace("consumer: till, ", ""))
                .contains("triggers[0].metadata.consumer: it is missing")
        );
        assert!(
            refused(&OBJECT.replace("maxReplicaCount: 3", "maxReplicaCount: 3, minReplicaCount: 4"))
                .contains("4 is more")
        );
        let (from, _) = OBJECT.split_once("triggers").unwrap();
        assert!(refused(&format!("{from}triggers: []}}}}")).contains("spec.triggers: there is none"));
        let other =
            refused(&OBJECT.replace("scaleTargetRef: {name: till}", "scaleTargetRef: {name: cellar}"));
        assert!(other.contains("`cellar` in") && other.contains("may be: till"), "{other}");
        assert!(refused(&format!("{OBJECT}\n---\n{OBJECT}")).contains("both scale `till`"));
    }

    #[test]
    fn a_file_that_is_not_there_is_no_input() {
        let problem = Objects::read(&["nowhere.yaml".into()], Path::new(".")).unwrap_err();
        assert_eq!(problem.exit(), Exit::NoInput);
    }
}
