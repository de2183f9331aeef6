//! `jetlag manifests`: what is committed is what the contracts make, and it holds together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::objects::{Object, built, committed, helm, rendered};
use keda::Deploy;
use keda::deploy::{Requests, Resources, Streams};
use serde_json::json;

/// Names that end up in labels and host names.
const NAME_CHARS_MAX: usize = 63;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn jetlag(arguments: &[&str], application: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jetlag"));
    command
        .arg("manifests")
        .args(arguments)
        .arg("--app")
        .arg(application.join("jetlag.yaml"))
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_committed_manifests_are_what_the_contracts_make() {
    tests::built();
    let output = jetlag(&["--knative", "--diff", "--no-build"], &root());
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stdout), said(&output));
}

#[test]
fn every_name_is_short_and_nothing_is_there_twice() {
    let objects = committed(&root().join("keda/base"));
    assert!(objects.len() > 40, "{}", objects.len());
    let mut seen = BTreeSet::new();
    for object in &objects {
        assert!(object.name().len() <= NAME_CHARS_MAX, "{}", object.id());
        // KEDA's HPA is called so.
        assert!(object.kind() != "ScaledObject" || object.name().len() + "keda-hpa-".len() <= NAME_CHARS_MAX);
        assert!(seen.insert(object.id()), "{} is there twice", object.id());
    }
}

#[test]
fn every_reference_resolves_or_is_a_secret_that_the_operator_brings() {
    let directories = ["keda/base", "knative/serving", "knative/eventing"];
    let objects: Vec<Object> =
        directories.iter().flat_map(|directory| committed(&root().join(directory))).collect();
    let there: BTreeSet<String> = objects.iter().map(Object::id).collect();
    let references: BTreeSet<String> = objects.iter().flat_map(Object::references).collect();
    for kind in ["ConfigMap", "ServiceAccount", "Deployment", "TriggerAuthentication", "Secret"] {
        assert!(
            references.iter().any(|to| to.starts_with(kind)),
            "nothing refers to a {kind}: {references:?}"
        );
    }
    let missing: BTreeSet<&String> = references.difference(&there).collect();
    let documented = fs::read_to_string(root().join("docs/deploy.md")).unwrap();
    for secret in missing {
        let name = secret.strip_prefix("Secret/").unwrap_or_else(|| panic!("{secret} is not there"));
        assert!(documented.contains(&format!("`{name}`")), "docs/deploy.md does not tell of {secret}");
    }
}

#[test]
fn every_selector_finds_pods() {
    let objects = committed(&root().join("keda/base"));
    let pods: Vec<_> = objects.iter().filter_map(Object::pod_labels).collect();
    let mut count = 0;
    for (object, selector) in objects.iter().filter_map(|object| Some((object, object.selector()?))) {
        count += 1;
        assert!(
            pods.iter().any(|labels| selector.iter().all(|label| labels.contains(label))),
            "{}",
            object.id()
        );
    }
    assert!(count > 20, "{count}");
}

#[test]
fn whoever_is_scaled_says_no_number_of_replicas_and_has_the_time_to_stop() {
    let objects = committed(&root().join("keda/base"));
    let scaled: BTreeSet<String> = objects
        .iter()
        .filter(|object| object.kind() == "ScaledObject")
        .flat_map(Object::references)
        .collect();
    let deployments: Vec<_> = objects.iter().filter(|object| object.kind() == "Deployment").collect();
    // The front door, and what tells Prometheus what the broker alone knows.
    assert_eq!(deployments.len(), scaled.iter().filter(|to| to.starts_with("Deployment")).count() + 2);
    for deployment in deployments {
        let spec = &deployment.value()["spec"];
        assert_eq!(spec["replicas"].is_null(), scaled.contains(&deployment.id()), "{}", deployment.id());
        let pod = &spec["template"]["spec"];
        let stop_s = jetlag::STOP_MAX.as_secs();
        let has_inputs = deployment.name() != "jetlag-metrics";
        let grace_s = pod["terminationGracePeriodSeconds"].as_u64();
        assert!(!has_inputs || grace_s.unwrap() > stop_s, "{}", deployment.id());
    }
}

/// Needs `helm` (`HELM`, or on the search path): CI has it.
#[test]
#[ignore = "needs helm"]
fn the_chart_renders_the_base() {
    let mut base = committed(&root().join("keda/base"));
    // A chart is installed into a namespace that is there.
    base.retain(|object| object.kind() != "Namespace");
    let mut chart = rendered(&root().join("keda/chart"), &[]);
    base.sort_by_key(Object::id);
    chart.sort_by_key(Object::id);
    let ids = |objects: &[Object]| objects.iter().map(Object::id).collect::<Vec<_>>();
    assert_eq!(ids(&base), ids(&chart));
    for (one, other) in base.iter().zip(&chart) {
        assert_eq!(one.value(), other.value(), "{}", one.id());
    }
}

/// The same with its values for Knative, of which none is its base by itself. The function of another team that the
/// cluster run binds to a sink (`till`) is not the chart's.
#[test]
#[ignore = "needs helm and kustomize"]
fn the_chart_renders_what_is_for_knative() {
    let mut whole = built(&root().join("tests/cluster/evented"));
    whole.retain(|object| object.kind() != "Namespace" && object.id() != "SinkBinding/till");
    let mut chart = rendered(&root().join("keda/chart"), &["knative.serving=true", "knative.eventing=true"]);
    let id = |object: &Object| format!("{} {}", object.value()["apiVersion"], object.id());
    whole.sort_by_key(id);
    chart.sort_by_key(id);
    let ids = |objects: &[Object]| objects.iter().map(id).collect::<Vec<_>>();
    assert_eq!(ids(&whole), ids(&chart));
    for (one, other) in whole.iter().zip(&chart) {
        assert_eq!(one.value(), other.value(), "{}", one.id());
    }
    let is_there =
        |kind: &str, name: &str| whole.iter().any(|object| object.id() == format!("{kind}/{name}"));
    assert!(is_there("Service", "order") && is_there("Trigger", "order-payments-processed"));
    assert!(!is_there("Deployment", "order-http") && is_there("ScaledObject", "order"));
}

#[test]
#[ignore = "needs helm"]
fn a_value_of_the_chart_arrives_wherever_it_is_used() {
    let values = [
        "functions.payment.scaling.max=50",
        "functions.payment.env.PAYMENT_METHOD=pm_card_mastercard",
        "broker.url=nats://elsewhere:4222",
        "streams.replicas=3",
        "images.tag=9.9.9",
        "images.pull_secrets={one,other}",
        "broker.monitoring=elsewhere:8222",
        "metrics.verify_audit=12h",
    ];
    let before = rendered(&root().join("keda/chart"), &[]);
    let after = rendered(&root().join("keda/chart"), &values);
    let find = |objects: &[Object], kind: &str, name: &str| -> serde_json::Value {
        let found = objects.iter().find(|object| object.kind() == kind && object.name().starts_with(name));
        found.unwrap_or_else(|| panic!("{kind}/{name}")).value().clone()
    };
    assert_eq!(find(&after, "ScaledObject", "payment")["spec"]["maxReplicaCount"], json!(50));
    let data = &find(&after, "ConfigMap", "payment")["data"];
    assert_eq!(
        (&data["NATS_URL"], &data["PAYMENT_METHOD"]),
        (&json!("nats://elsewhere:4222"), &json!("pm_card_mastercard"))
    );
    let account = find(&after, "ServiceAccount", "jetlag-rescue");
    assert_eq!(account["imagePullSecrets"], json!([{"name": "one"}, {"name": "other"}]));
    let metrics = find(&after, "Deployment", "jetlag-metrics");
    let arguments = metrics["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    assert_eq!(
        arguments[3..],
        [json!("--monitor"), json!("http://elsewhere:8222"), json!("--verify-audit"), json!("12h")]
    );
    let checksum = |objects: &[Object], name: &str| {
        find(objects, "Deployment", name)["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            .clone()
    };
    assert_ne!(checksum(&before, "payment"), checksum(&after, "payment"));
    let job = find(&after, "Job", "jetlag-provision");
    assert_ne!(find(&before, "Job", "jetlag-provision")["metadata"]["name"], job["metadata"]["name"]);
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], json!("ghcr.io/jetlag-functions/jetlag:9.9.9"));
    assert_eq!(container["env"][0]["value"], json!("nats://elsewhere:4222"));
    let contracts = find(&after, "ConfigMap", "jetlag-contracts")["data"]["contracts.json"].clone();
    let contracts: keda::Contracts = serde_json::from_str(contracts.as_str().unwrap()).unwrap();
    assert_eq!(contracts.streams.replicas, 3);
}

#[test]
#[ignore = "needs helm"]
fn a_value_that_is_misspelt_is_told() {
    let output = helm(&root().join("keda/chart"), &["functions.payment.scaling.maximum=50"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("maximum"), "{}", said(&output));
}

/// Needs `kustomize` (`KUSTOMIZE`, or on the search path): CI has it.
#[test]
#[ignore = "needs kustomize"]
fn the_overlays_change_what_they_say_and_nothing_else() {
    let by_id = |directory: &str| -> BTreeMap<String, serde_json::Value> {
        let objects = built(&root().join("keda").join(directory));
        objects.iter().map(|object| (object.id(), object.value().clone())).collect()
    };
    let (base, dev, production) = (by_id("base"), by_id("overlays/dev"), by_id("overlays/production"));
    assert_eq!(base.len(), committed(&root().join("keda/base")).len());
    let changed = |other: &BTreeMap<String, serde_json::Value>| -> Vec<String> {
        base.iter().filter(|(id, value)| other.get(*id) != Some(*value)).map(|(id, _)| id.clone()).collect()
    };

    let is_scaled = |id: &&String| id.starts_with("Deployment/") || id.starts_with("ScaledObject/");
    assert_eq!(changed(&dev), base.keys().filter(is_scaled).cloned().collect::<Vec<_>>());
    assert_eq!(dev["ScaledObject/payment"]["spec"]["cooldownPeriod"], json!(15));
    assert_eq!(dev["Deployment/order-http"]["spec"]["replicas"], json!(1));

    let job = |objects: &BTreeMap<String, serde_json::Value>| -> Vec<String> {
        objects.keys().filter(|id| id.starts_with("Job/")).cloned().collect()
    };
    let expected = ["ConfigMap/jetlag-contracts".to_owned(), "Deployment/order-http".to_owned()];
    assert_eq!(changed(&production), [&expected[..], &job(&base)].concat());
    assert_eq!((job(&production).len(), production.len()), (1, base.len()));
    let contracts = production["ConfigMap/jetlag-contracts"]["data"]["contracts.json"].as_str().unwrap();
    let contracts: keda::Contracts = serde_json::from_str(contracts).unwrap();
    assert_eq!(contracts.streams.replicas, 3);
}

#[test]
fn the_page_has_the_defaults_of_every_setting() {
    let page = fs::read_to_string(root().join("docs/deploy.md")).unwrap();
    let Deploy { namespace, images, broker, streams, env: _, eventing, functions: _ } = Deploy::default();
    let Requests { timeout, initial, .. } = Requests::default();
    let Streams { replicas, .. } = streams;
    let sizes = serde_json::to_value(streams).unwrap();
    let Resources { cpu, memory, memory_max } = Resources::default();
    let row = |setting: &str, default: &str| format!("| `{setting}` | `{default}` |");
    for line in [
        row("namespace", &namespace),
        format!("| `images.prefix`, `images.tag` | `{}`, this version |", images.prefix),
        row("broker.url", &broker.url),
        row("broker.monitoring", &broker.monitoring),
        row("broker.account", &broker.account),
        row("streams.replicas", &replicas.to_string()),
        row("streams.horizon", sizes["horizon"].as_str().unwrap()),
        row("streams.max_bytes", sizes["max_bytes"].as_str().unwrap()),
        row("streams.ack_wait", sizes["ack_wait"].as_str().unwrap()),
        format!(
            "| `functions.<name>.resources` | `cpu: {cpu}`, `memory: {memory}`, `memory_max: {memory_max}` |"
        ),
        row("eventing.broker", &eventing.broker),
        row("eventing.class", eventing.class.annotation()),
        row("functions.<name>.knative.initial", &initial.to_string()),
        row("functions.<name>.knative.timeout", &format!("{}s", timeout.0.as_secs())),
    ] {
        assert!(page.contains(&line), "docs/deploy.md does not say {line}");
    }
}

/// docs/deploy.md makes a key for each of them.
#[test]
fn the_users_of_the_broker_are_found_in_its_configuration() {
    let broker = root().join("keda/broker");
    let configuration = fs::read_to_string(broker.join("jetlag.conf")).unwrap();
    // As `sed -n 's/^    # \([a-z0-9-]*\): .*/\1/p'` finds them.
    let named = configuration.lines().filter_map(|line| line.strip_prefix("    # ")?.split_once(": "));
    let is_name =
        |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let found: BTreeSet<&str> = named.map(|(name, _)| name).filter(|name| is_name(name)).collect();
    let claims: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&fs::read_to_string(broker.join("claims.json")).unwrap()).unwrap();
    assert_eq!(found, claims.keys().map(String::as_str).collect());
}

const TILL: &str = r#"{"name":"till","version":"1","summary":"Takes money.","reads":"events","listens_to":
    [{"type":"cart.left","aggregate":"cart","once_per_aggregate":true}],"emits":[],"admits":[],"keeps":[],
    "retry":{"first_delay_ms":1,"max_delay_ms":1,"max_attempts":1},"time_limit_ms":1,"concurrency":5,"batch":1,
    "scaling":{"min":0,"max":3,"cooldown_ms":1500,"polling_ms":1},
    "variables":[{"name":"TILL_URL","about":"where the money is","default":null}]}"#;

#[test]
fn the_functions_of_another_team_are_written_where_they_say() {
    let team = tempfile::tempdir().unwrap();
    let program = team.path().join("till");
    tests::script(&program, &format!("echo '{TILL}'"));
    fs::write(team.path().join("jetlag.yaml"), "").unwrap();
    let (program, output) = (program.display().to_string(), team.path().join("out"));
    let output_name = output.display().to_string();
    let run = |more: &[&str]| {
        let of_till = ["--function", program.as_str(), "--output", output_name.as_str()];
        jetlag(&[&of_till, more].concat(), team.path())
    };

    let lacking = run(&[]);
    assert_eq!(lacking.status.code(), Some(78));
    assert!(said(&lacking).contains("till: TILL_URL is required (where the money is)"), "{}", said(&lacking));

    let settings = "deploy:\n  namespace: shop\n  functions:\n    till:\n      env:\n        TILL_URL: https://bank.example\n";
    fs::write(team.path().join("jetlag.yaml"), settings).unwrap();
    assert_eq!(run(&["--check"]).status.code(), Some(1));
    assert!(!output.exists());
    let written = run(&[]);
    assert!(written.status.success(), "{}", said(&written));
    assert!(run(&["--check"]).status.success());

    let objects = committed(&output.join("base"));
    let scaled = objects.iter().find(|object| object.kind() == "ScaledObject").unwrap().value();
    assert_eq!(
        (&scaled["metadata"]["namespace"], &scaled["spec"]["cooldownPeriod"]),
        (&json!("shop"), &json!(2))
    );
    assert_eq!(scaled["spec"]["triggers"][0]["metadata"]["lagThreshold"], json!("10"));

    let page = output.join("base/till.yaml");
    let changed = fs::read_to_string(&page).unwrap().replace("maxReplicaCount: 3", "maxReplicaCount: 30");
    fs::write(&page, changed).unwrap();
    fs::write(output.join("base/purse.yaml"), format!("{}kind: Gone\n", keda::HEADER)).unwrap();
    fs::write(output.join("base/notes.md"), "ours\n").unwrap();
    let diff = run(&["--diff"]);
    assert_eq!(diff.status.code(), Some(1));
    let text = String::from_utf8(diff.stdout.clone()).unwrap();
    assert!(text.contains("-  maxReplicaCount: 30\n+  maxReplicaCount: 3\n"), "{text}");
    assert!(text.contains("-kind: Gone\n"), "{text}");
    assert!(said(&diff).contains("purse.yaml: is not made any more"), "{}", said(&diff));
    assert!(run(&[]).status.success() && run(&["--check"]).status.success());
    assert!(output.join("base/notes.md").exists() && !output.join("base/purse.yaml").exists());
}
