//! The files of `knative/`: what is written, and committed; and the same for the chart, which is KEDA's and has both.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jetlag::Description;
use keda::parts::{Document, Kustomization, Page, Patch, http_name, page, takes_requests};
use keda::{Deploy, Unwritable};

use crate::binding::binding;
use crate::{eventing, service};

/// The files for `functions`, by their path in `knative/`. `base` is where from there the base of `keda/` is.
///
/// # Errors
/// An object cannot be written: a fault of this crate.
pub fn files(
    functions: &[Description],
    deploy: &Deploy,
    base: &str,
) -> Result<BTreeMap<PathBuf, String>, Unwritable> {
    let mut functions = functions.to_vec();
    functions.sort_by(|one, other| one.name.cmp(&other.name));
    let served: Vec<&Description> = functions.iter().filter(|function| takes_requests(function)).collect();
    let triggered: Vec<&Description> =
        functions.iter().filter(|function| eventing::is_triggered(function)).collect();

    let mut pages: Vec<(&str, String, Vec<Document>)> = Vec::new();
    for function in &served {
        pages.push(("serving", function.name.clone(), service::objects(function, deploy).into()));
    }
    for function in &triggered {
        pages.push(("eventing", function.name.clone(), events_of(function, deploy)));
    }
    pages.push(("eventing", "broker".into(), vec![eventing::broker(deploy)]));

    let of = |directory: &str| {
        let names =
            pages.iter().filter(|(of, ..)| *of == directory).map(|(_, name, _)| format!("{name}.yaml"));
        Kustomization::component(names)
    };
    let mut serving = of("serving");
    serving.patches = served
        .iter()
        .flat_map(|function| {
            let (name, http) = (&function.name, http_name(&function.name));
            [
                ("apps/v1", "Deployment", &http),
                ("policy/v1", "PodDisruptionBudget", &http),
                ("v1", "Service", name),
            ]
            .map(|(api, kind, name)| Patch::delete(api, kind, name, &deploy.namespace))
        })
        .collect();
    let mut whole = Kustomization::of(std::iter::once(base.to_owned()));
    whole.components = vec!["../serving".to_owned()];
    let serving = Document::of(&serving).because(
        "resources",
        "For clusters with Knative Serving: what takes requests is scaled by them. In an overlay of your own: `components: [../../knative/serving]`.",
    );
    let serving = if served.is_empty() {
        serving
    } else {
        serving.because("patches", "In place of what serves them without Knative.")
    };
    let kustomizations = [
        ("serving", serving),
        (
            "eventing",
            Document::of(&of("eventing")).because(
                "resources",
                "For clusters with Knative Eventing, beside `serving`: events that others send as CloudEvents come to functions whose contract says trigger(http) or trigger(both).",
            ),
        ),
        (
            "base",
            Document::of(&whole).because(
                "components",
                "KEDA scales what comes from the streams, Knative what comes as requests. With events by its broker: `components: [../knative/eventing]` in an overlay over this one.",
            ),
        ),
    ];
    let documents = pages.iter().flat_map(|(_, _, documents)| documents);
    let of_kustomizations = kustomizations.iter().map(|(_, document)| document);
    let faults: Vec<String> =
        documents.chain(of_kustomizations).flat_map(Document::faults).cloned().collect();
    if !faults.is_empty() {
        return Err(Unwritable { faults });
    }
    let mut files = BTreeMap::new();
    for (directory, name, documents) in &pages {
        files.insert(PathBuf::from(directory).join(format!("{name}.yaml")), page(documents));
    }
    for (directory, document) in kustomizations {
        files.insert(PathBuf::from(directory).join("kustomization.yaml"), page(&[document]));
    }
    Ok(files)
}

/// How events come to `function`, and, where they go to no stream, where those go that follow.
fn events_of(function: &Description, deploy: &Deploy) -> Vec<Document> {
    let mut documents = eventing::triggers(function, deploy);
    documents.extend(binding(function, deploy));
    documents
}

/// The same for the chart, each part under a condition of its values.
pub fn chart(functions: &[Description], deploy: &Deploy) -> Vec<Page> {
    let mut functions: Vec<&Description> = functions.iter().collect();
    functions.sort_by(|one, other| one.name.cmp(&other.name));
    let served = functions.iter().filter(|function| takes_requests(function));
    let triggered = functions.iter().filter(|function| eventing::is_triggered(function));
    let triggers = triggered.flat_map(|function| events_of(function, deploy));
    [
        Page {
            name: "knative-serving".into(),
            condition: ".Values.knative.serving",
            documents: served.flat_map(|function| service::objects(function, deploy)).collect(),
        },
        Page {
            name: "knative-eventing".into(),
            condition: ".Values.knative.eventing",
            documents: std::iter::once(eventing::broker(deploy)).chain(triggers).collect(),
        },
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use keda::deploy::{BrokerClass, Class, Eventing, FunctionDeploy, Metric, Requests};
    use serde_json::{Value, json};

    use super::*;

    fn function(trigger: &str, kind: &str) -> Description {
        serde_json::from_value(json!({
            "name": "till", "version": "1", "summary": "Takes money.", "reads": "events", "emits": [], "keeps": [],
            "listens_to": [{"type": kind, "aggregate": "cart", "once_per_aggregate": true},
                {"type": "cart.left", "aggregate": "cart", "once_per_aggregate": true}],
            "admits": [{"type": "cart.taken", "aggregate": "cart", "once_per_aggregate": true}],
            "retry": {"first_delay_ms": 500, "max_delay_ms": 4_000, "max_attempts": 3},
            "time_limit_ms": 1, "concurrency": 5, "batch": 1, "trigger": trigger,
            "scaling": {"min": 2, "max": 3, "cooldown_ms": 1_500, "polling_ms": 1},
        }))
        .unwrap()
    }

    fn objects(files: &BTreeMap<PathBuf, String>, path: &str) -> Vec<Value> {
        serde_yaml::from_multiple(&files[Path::new(path)]).unwrap()
    }

    fn of(function: Description, deploy: &Deploy) -> BTreeMap<PathBuf, String> {
        files(&[function], deploy, "../../keda/base").unwrap()
    }

    #[test]
    fn what_the_settings_do_not_say_the_contract_says() {
        let plain = of(function("http", "cart.found"), &Deploy::default());
        let service = objects(&plain, "serving/till.yaml").remove(0);
        let template = &service["spec"]["template"];
        let said =
            |key: &str| template["metadata"]["annotations"][format!("autoscaling.knative.dev/{key}")].clone();
        assert_eq!(
            ["class", "metric", "target", "min-scale", "max-scale", "initial-scale", "scale-down-delay"]
                .map(said),
            ["kpa.autoscaling.knative.dev", "concurrency", "5", "2", "3", "1", "2s"].map(Value::from)
        );
        let spec = &template["spec"];
        assert_eq!((&spec["containerConcurrency"], &spec["timeoutSeconds"]), (&json!(5), &json!(90)));
        assert_eq!(spec["containers"][0]["env"][0], json!({"name": "JETLAG_TRIGGER", "value": "http"}));

        let knative: Requests = serde_json::from_value(json!({
            "class": "hpa", "metric": "cpu", "target": 80, "min": 1, "max": 7, "scale_down_delay": "5m",
            "initial": 2, "concurrency": 0, "timeout": "2m"
        }))
        .unwrap();
        assert_eq!((knative.class, knative.metric), (Class::Hpa, Metric::Cpu));
        let own = FunctionDeploy { knative, ..FunctionDeploy::default() };
        let deploy = Deploy { functions: BTreeMap::from([("till".to_owned(), own)]), ..Deploy::default() };
        let tuned = of(function("http", "cart.found"), &deploy);
        let service = objects(&tuned, "serving/till.yaml").remove(0);
        let template = &service["spec"]["template"];
        let said =
            |key: &str| template["metadata"]["annotations"][format!("autoscaling.knative.dev/{key}")].clone();
        assert_eq!(
            ["class", "metric", "target", "min-scale", "max-scale", "initial-scale", "scale-down-delay"]
                .map(said),
            ["hpa.autoscaling.knative.dev", "cpu", "80", "1", "7", "2", "300s"].map(Value::from)
        );
        assert_eq!(template["spec"]["containerConcurrency"], 0);
        assert_eq!(template["spec"]["timeoutSeconds"], 120);
    }

    #[test]
    fn each_type_of_input_has_a_trigger_and_every_type_has_one_without_a_filter() {
        let eventing = Eventing {
            broker: "shop".into(),
            class: BrokerClass::JetStream,
            dead_letters: Some("http://letters".into()),
        };
        let deploy = Deploy { eventing, ..Deploy::default() };
        let files = of(function("both", "cart.found"), &deploy);
        let broker = objects(&files, "eventing/broker.yaml").remove(0);
        assert_eq!(broker["metadata"]["name"], "shop");
        assert_eq!(
            broker["metadata"]["annotations"]["eventing.knative.dev/broker.class"],
            "NatsJetStreamBroker"
        );
        let triggers = objects(&files, "eventing/till.yaml");
        let names: Vec<&Value> = triggers.iter().map(|trigger| &trigger["metadata"]["name"]).collect();
        assert_eq!(names, ["till-cart-found", "till-cart-left"]);
        assert_eq!(triggers[0]["spec"]["filter"], json!({"attributes": {"type": "cart.found"}}));
        assert_eq!(
            triggers[0]["spec"]["delivery"],
            json!({"retry": 2, "backoffPolicy": "exponential", "backoffDelay": "PT0.5S",
                "deadLetterSink": {"uri": "http://letters"}})
        );
        let any = objects(&of(function("both", "*.*"), &deploy), "eventing/till.yaml");
        assert_eq!(any.len(), 1);
        assert_eq!(
            (&any[0]["metadata"]["name"], &any[0]["spec"]["filter"]),
            (&json!("till-any"), &Value::Null)
        );
    }

    #[test]
    fn a_function_with_a_sink_has_a_binding_and_no_broker_of_nats() {
        let with = |sink: Value, trigger: &str| {
            let knative: Requests = serde_json::from_value(sink).unwrap();
            let own = FunctionDeploy { knative, ..FunctionDeploy::default() };
            let deploy =
                Deploy { functions: BTreeMap::from([("till".to_owned(), own)]), ..Deploy::default() };
            let function = function(trigger, "cart.found");
            (of(function.clone(), &deploy), keda::files(&[function], &deploy))
        };
        let extensions = json!({"tenant": "north"});
        let (files, base) = with(json!({"sink": "broker", "extensions": extensions}), "http");
        let objects_of_till = objects(&files, "eventing/till.yaml");
        let binding = objects_of_till.last().unwrap();
        assert_eq!(
            (&binding["apiVersion"], &binding["kind"], &binding["metadata"]["name"]),
            (&json!("sources.knative.dev/v1"), &json!("SinkBinding"), &json!("till"))
        );
        assert_eq!(
            binding["spec"],
            json!({
                "subject": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "till"},
                "sink": {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "jetlag"}},
                "ceOverrides": {"extensions": extensions},
            })
        );
        let validated = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cluster/evented/binding.yaml");
        let validated: Vec<Value> =
            serde_yaml::from_multiple(&std::fs::read_to_string(validated).unwrap()).unwrap();
        assert_eq!(validated.as_slice(), std::slice::from_ref(binding), "what the cluster run has validated");
        let base = base.unwrap();
        let config = |files: &BTreeMap<PathBuf, String>| {
            let all = objects(files, "base/till.yaml");
            all.into_iter().find(|object| object["kind"] == "ConfigMap").unwrap()["data"].clone()
        };
        assert_eq!(config(&base).get("NATS_URL"), None);
        assert!(base[Path::new("base/till.yaml")].contains("knative-eventing"), "it may reach the broker");
        let (files, _) = with(json!({"sink": "http://sink.shop.svc/in"}), "http");
        let objects_of_till = objects(&files, "eventing/till.yaml");
        assert_eq!(
            objects_of_till.last().unwrap()["spec"]["sink"],
            json!({"uri": "http://sink.shop.svc/in"})
        );
        let (files, base) = with(json!({}), "http");
        assert!(objects(&files, "eventing/till.yaml").iter().all(|object| object["kind"] == "Trigger"));
        assert!(config(&base.unwrap()).get("NATS_URL").is_some());

        let faults = |sink: Value, trigger: &str| with(sink, trigger).1.unwrap_err().faults;
        assert_eq!(faults(json!({"sink": "broker"}), "both").len(), 1);
        assert_eq!(faults(json!({"sink": "nowhere", "extensions": {"Tenant": "x"}}), "http").len(), 2);
        assert_eq!(faults(json!({"extensions": {"tenant": "x"}}), "http").len(), 1);
    }

    #[test]
    fn a_function_of_the_streams_alone_is_keda_s_and_one_of_requests_alone_is_not() {
        let paths = |trigger: &str| {
            let files = of(function(trigger, "cart.found"), &Deploy::default());
            files.into_keys().filter(|path| path.ends_with("till.yaml")).collect::<Vec<_>>()
        };
        assert!(paths("stream").is_empty());
        assert_eq!(paths("http"), [Path::new("eventing/till.yaml"), Path::new("serving/till.yaml")]);
        let kinds = |trigger: &str| {
            let files = keda::files(&[function(trigger, "cart.found")], &Deploy::default()).unwrap();
            let kinds: Vec<String> = objects(&files, "base/till.yaml")
                .iter()
                .filter_map(|object| Some(object["kind"].as_str()?.to_owned()))
                .filter(|kind| ["Deployment", "ScaledObject"].contains(&kind.as_str()))
                .collect();
            kinds
        };
        assert_eq!(kinds("stream"), ["Deployment", "ScaledObject"]);
        assert_eq!(kinds("http"), ["Deployment"]);
        assert_eq!(kinds("both"), ["Deployment", "ScaledObject", "Deployment"]);
    }
}
