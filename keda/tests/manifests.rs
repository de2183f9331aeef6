//! What is written for functions that are nobody's: strange values, long names, and what cannot be written.

#![cfg(test)]

use std::collections::BTreeMap;
use std::path::Path;

use jetlag::Description;
use keda::deploy::{FunctionDeploy, Streams};
use keda::{Deploy, files};
use serde_json::{Value, json};

/// A function that takes requests too, and reads `variables`.
fn function(name: &str, variables: &[&str]) -> Description {
    let variables: Vec<Value> =
        variables.iter().map(|name| json!({"name": name, "about": "something", "default": ""})).collect();
    serde_json::from_value(json!({
        "name": name, "version": "1", "summary": "Says {{ .Values }} and \"no\": yes.", "reads": "events",
        "listens_to": [{"type": "cart.left", "aggregate": "cart", "once_per_aggregate": true}],
        "emits": [], "admits": [], "keeps": [],
        "retry": {"first_delay_ms": 1, "max_delay_ms": 1, "max_attempts": 1},
        "time_limit_ms": 1, "concurrency": 5, "batch": 1,
        "scaling": {"min": 2, "max": 3, "cooldown_ms": 1, "polling_ms": 1},
        "endpoints": [{"path": "/carts", "event_type": "cart.left"}],
        "variables": variables,
    }))
    .unwrap()
}

fn with(name: &str, own: FunctionDeploy) -> Deploy {
    Deploy { functions: BTreeMap::from([(name.to_owned(), own)]), ..Deploy::default() }
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn objects(files: &BTreeMap<std::path::PathBuf, String>, path: &str) -> Vec<Value> {
    serde_yaml::from_multiple(&files[Path::new(path)]).unwrap()
}

fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

fn faults(functions: &[Description], deploy: &Deploy) -> String {
    files(functions, deploy).unwrap_err().faults.join("\n")
}

#[test]
fn a_value_that_yaml_would_read_as_something_else_stays_what_it_is() {
    let values = [
        "yes",
        "0123",
        "1e3",
        "~",
        "a: b",
        "# no comment",
        " padded ",
        "two\nlines",
        "{{ .Values }}",
        "'\"\\",
    ];
    let names: Vec<String> = (0..values.len()).map(|number| format!("VALUE_{number}")).collect();
    let pairs: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(values).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let deploy = with("till", FunctionDeploy { env: env(&pairs), ..FunctionDeploy::default() });
    let files = files(&[function("till", &names)], &deploy).unwrap();
    let base = objects(&files, "base/till.yaml");
    let data = &find(&base, "ConfigMap", "till")["data"];
    for (name, value) in pairs {
        assert_eq!(data[name], value);
    }
    let page = objects(&files, "base/provision.yaml");
    let contracts = &find(&page, "ConfigMap", "jetlag-contracts")["data"]["contracts.json"];
    let contracts: keda::Contracts = serde_json::from_str(contracts.as_str().unwrap()).unwrap();
    assert_eq!(contracts.functions[0].summary, "Says {{ .Values }} and \"no\": yes.");
    // In a template two braces begin an expression: those of a value are written as one.
    assert!(!files[Path::new("chart/templates/_helpers.tpl")].contains("Says {{ .Values"));
}

#[test]
fn the_longest_name_of_a_function_is_short_enough_for_everything_that_is_called_after_it() {
    let name = "f".repeat(jetlag::NAME_CHARS_MAX);
    let files = files(&[function(&name, &[])], &Deploy::default()).unwrap();
    let objects = objects(&files, &format!("base/{name}.yaml"));
    assert!(objects.len() > 8);
    for object in &objects {
        let name = object["metadata"]["name"].as_str().unwrap();
        assert!(name.len() + "keda-hpa-".len() <= 63, "{name}");
    }
    // It is never at zero, so that something can be said about how many may go at a time.
    find(&objects, "PodDisruptionBudget", &name);
}

#[test]
fn another_contract_or_another_size_is_another_job_and_another_setting_another_checksum() {
    let job = |functions: &[Description], deploy: &Deploy| {
        let files = files(functions, deploy).unwrap();
        let objects = objects(&files, "base/provision.yaml");
        let job = objects.iter().find(|object| object["kind"] == "Job").unwrap();
        job["metadata"]["name"].as_str().unwrap().to_owned()
    };
    let checksum = |deploy: &Deploy| {
        let files = files(&[function("till", &["A"])], deploy).unwrap();
        let objects = objects(&files, "base/till.yaml");
        find(&objects, "Deployment", "till")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            .clone()
    };
    let (till, plain) = (function("till", &["A"]), Deploy::default());
    let three = Deploy { streams: Streams { replicas: 3, ..Streams::default() }, ..Deploy::default() };
    let said = with("till", FunctionDeploy { env: env(&[("A", "1")]), ..FunctionDeploy::default() });
    let mut more = till.clone();
    more.listens_to[0].name = "cart.found".into();
    let one = |function: &Description| vec![function.clone()];
    assert_eq!(job(&one(&till), &plain), job(&one(&till), &said));
    assert_ne!(job(&one(&till), &plain), job(&one(&more), &plain));
    assert_ne!(job(&one(&till), &plain), job(&one(&till), &three));
    assert_ne!(checksum(&plain), checksum(&said));
    assert_eq!(checksum(&plain), checksum(&three));
}

#[test]
fn whoever_connects_is_told_where_its_files_are() {
    let deploy = Deploy { env: env(&[("NATS_CA", "/etc/jetlag/secrets/ca.pem")]), ..Deploy::default() };
    let files = files(&[function("till", &["NATS_CA"])], &deploy).unwrap();
    let till = objects(&files, "base/till.yaml");
    assert_eq!(find(&till, "ConfigMap", "till")["data"]["NATS_CA"], "/etc/jetlag/secrets/ca.pem");
    for path in ["base/provision.yaml", "base/rescue.yaml"] {
        let told = json!({"name": "NATS_CA", "value": "/etc/jetlag/secrets/ca.pem"});
        let objects = objects(&files, path);
        let job = objects.iter().find(|object| object["kind"].as_str().unwrap().ends_with("Job")).unwrap();
        let spec = job["spec"].get("jobTemplate").map_or(&job["spec"], |template| &template["spec"]);
        let container = &spec["template"]["spec"]["containers"][0];
        assert!(container["env"].as_array().unwrap().contains(&told), "{path}");
    }
}

#[test]
fn images_are_pulled_with_the_secrets_that_are_named() {
    let mut deploy = Deploy::default();
    deploy.images.pull_secrets = vec!["registry".into()];
    let files = files(&[function("till", &[])], &deploy).unwrap();
    for path in ["base/till.yaml", "base/provision.yaml", "base/rescue.yaml", "base/metrics.yaml"] {
        let objects = objects(&files, path);
        let account = objects.iter().find(|object| object["kind"] == "ServiceAccount").unwrap();
        assert_eq!(account["imagePullSecrets"], json!([{"name": "registry"}]), "{path}");
    }
    // In the chart they are a value, and stand there once.
    let template = &files[Path::new("chart/templates/till.yaml")];
    assert_eq!(template.matches("imagePullSecrets").count(), 1);
}

#[test]
fn whom_a_variable_names_may_be_reached_and_nobody_else() {
    let own = FunctionDeploy {
        env: env(&[("BANK_URL", "http://bank.money.svc.cluster.local:8080/v1"), ("NOTE", "no url")]),
        egress: vec!["https://10.1.2.3".into()],
        ..FunctionDeploy::default()
    };
    let files = files(&[function("till", &["BANK_URL", "NOTE"])], &with("till", own)).unwrap();
    let objects = objects(&files, "base/till.yaml");
    let egress = find(&objects, "NetworkPolicy", "till")["spec"]["egress"].as_array().unwrap().clone();
    let namespace =
        |name: &str| json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}]);
    let tcp = |port: u16| json!([{"port": port, "protocol": "TCP"}]);
    let address = json!([{"ipBlock": {"cidr": "10.1.2.3/32"}}]);
    let others: Vec<&Value> = egress.iter().filter(|rule| rule["ports"][0]["port"] != 53).collect();
    assert_eq!(
        others,
        [
            &json!({"to": namespace("nats"), "ports": tcp(4222)}),
            &json!({"to": address, "ports": tcp(443)}),
            &json!({"to": namespace("money"), "ports": tcp(8080)}),
        ]
    );
    assert_eq!(egress.len(), 4);
}

#[test]
fn what_the_broker_alone_knows_is_asked_at_its_monitoring_endpoint_and_told_to_prometheus() {
    let mut deploy = Deploy::default();
    deploy.broker.monitoring = "hub.bus.svc.cluster.local:8333".into();
    let files = files(&[function("till", &[])], &deploy).unwrap();
    let page = objects(&files, "base/metrics.yaml");
    let pod = &find(&page, "Deployment", "jetlag-metrics")["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    let arguments = container["args"].as_array().unwrap();
    assert!(arguments.contains(&json!("http://hub.bus.svc.cluster.local:8333")), "{arguments:?}");
    // The port that it answers on is the one that is probed, scraped and open.
    let port = &container["ports"][0]["containerPort"];
    assert!(arguments.contains(&json!(format!("0.0.0.0:{port}"))), "{arguments:?}");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], container["ports"][0]["name"]);
    }
    assert_eq!(pod["metadata"]["annotations"]["prometheus.io/port"], port.to_string());
    let service = &find(&page, "Service", "jetlag-metrics")["spec"]["ports"][0];
    assert_eq!((&service["port"], &service["targetPort"]), (port, &container["ports"][0]["name"]));
    let policy = &find(&page, "NetworkPolicy", "jetlag-metrics")["spec"];
    assert_eq!(policy["ingress"], json!([{"ports": [{"port": port, "protocol": "TCP"}]}]));
    let open: Vec<&Value> =
        policy["egress"].as_array().unwrap().iter().map(|rule| &rule["ports"][0]["port"]).collect();
    assert_eq!(open, [53, 4222, 8333]);
    let monitor = &objects(&files, "components/podmonitor/podmonitor.yaml")[0]["spec"];
    assert_eq!(monitor["podMetricsEndpoints"][0]["port"], container["ports"][0]["name"]);
    let labels = pod["metadata"]["labels"].as_object().unwrap();
    let selected = monitor["selector"]["matchLabels"].as_object().unwrap();
    assert!(selected.iter().all(|(name, value)| labels.get(name) == Some(value)), "{labels:?}");
    // It ends, so that whoever starts it reads its key anew; but a Job's pod it is not.
    assert!(pod["spec"].get("restartPolicy").is_none());
}

#[test]
fn a_rescue_comes_at_least_every_eighth_of_the_horizon() {
    let schedule = |hours: u64| {
        let horizon = std::time::Duration::from_secs(hours * 60 * 60);
        let deploy = Deploy { streams: Streams { horizon, ..Streams::default() }, ..Deploy::default() };
        let files = files(&[function("till", &[])], &deploy).unwrap();
        let objects = objects(&files, "base/rescue.yaml");
        find(&objects, "CronJob", "jetlag-rescue")["spec"]["schedule"].as_str().unwrap().to_owned()
    };
    assert_eq!(schedule(24), "7 * * * *");
    assert_eq!(schedule(2), "*/15 * * * *");
    assert_eq!(schedule(1), "*/6 * * * *");
}

#[test]
fn what_is_said_to_knative_is_held_against_what_it_takes() {
    let told = |knative: Value| {
        let knative: keda::deploy::Requests = serde_json::from_value(knative).unwrap();
        let own = FunctionDeploy { knative, ..FunctionDeploy::default() };
        files(&[function("till", &[])], &with("till", own)).map_or_else(|wrong| wrong.faults.len(), |_| 0)
    };
    assert_eq!(told(json!({"class": "kpa", "metric": "rps", "target": 100, "min": 3, "max": 3})), 0);
    assert_eq!(told(json!({"class": "hpa", "metric": "cpu", "target": 80})), 0);
    assert_eq!(told(json!({"class": "kpa", "metric": "cpu", "target": 80})), 1);
    assert_eq!(told(json!({"class": "hpa", "metric": "memory"})), 1);
    // The contract says at least 2 and at most 3.
    assert_eq!(told(json!({"min": 4})), 1);
    assert_eq!(told(json!({"max": 1})), 1);
    assert_eq!(told(json!({"max": 0})), 0, "that is no limit");
    assert_eq!(told(json!({"target": 0})), 1);
    assert_eq!(told(json!({"initial": 0})), 1);
    let mut deaf = function("till", &[]);
    deaf.endpoints.clear();
    let own = |min| FunctionDeploy {
        knative: keda::deploy::Requests { min, ..keda::deploy::Requests::default() },
        ..FunctionDeploy::default()
    };
    assert!(faults(&[deaf.clone()], &with("till", own(Some(1)))).contains("till takes no requests"));
    assert!(files(&[deaf], &with("till", own(None))).is_ok());
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let mut till = function("till", &["PORT"]);
    let mut required: Vec<jetlag::VariableDescription> =
        serde_json::from_value(json!([{"name": "PLACE", "about": "where", "default": null},
            {"name": "KEY", "about": "a key", "default": null, "secret": true}]))
        .unwrap();
    till.variables.append(&mut required);
    let own = FunctionDeploy {
        env: env(&[("KEY", "s3"), ("PORT", "1"), ("PLAICE", "here")]),
        egress: vec!["bank:443".into()],
        ..FunctionDeploy::default()
    };
    let mut deploy = with("till", own);
    deploy.functions.insert("clerk".into(), FunctionDeploy::default());
    deploy.env.insert("OTEL".into(), "x".into());
    let faults = faults(&[till, function("till-http", &[])], &deploy);
    for fault in [
        "till: PLACE is required (where): say it in deploy.functions.till.env",
        "till: KEY is a secret",
        "till: PORT is said by what is generated",
        "till: it reads no variable PLAICE",
        "till: egress `bank:443` is no URL",
        "deploy.functions.clerk: there is no such function",
        "deploy.env.OTEL: no function reads it",
        "a function cannot be called till-http: till takes requests under that name",
    ] {
        assert!(faults.contains(fault), "{fault}:\n{faults}");
    }
}
