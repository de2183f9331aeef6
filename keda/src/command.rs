//! What runs the command line in the cluster: the Job that makes streams and consumers, and the CronJob that carries on
//! what would expire.

use std::collections::BTreeMap;

use jetlag::{Description, ROUNDS_PER_HORIZON};

use crate::contracts::Contracts;
use crate::deploy::{Deploy, Resources, Streams};
use crate::document::Document;
use crate::egress;
use crate::environment::short_hash;
use crate::function::NAMESPACE;
use crate::kube::identity::{ConfigMap, Meta, Object};
use crate::kube::job::{CronJobSpec, FailurePolicy, JobSpec, JobTemplate};
use crate::kube::network::NetworkPolicySpec;
use crate::kube::pod::{
    Container, ContainerSecurity, EnvVar, Mount, PodSecurity, PodSpec, PodTemplate, Quantities, Volume,
};
use crate::kube::workload::Selector;
use crate::shared::account;
use crate::workload::FILE_MODE;
use crate::{names, values};

/// The file of the contracts, in the Job.
const FILE: &str = "contracts.json";
/// Where it is.
const DIRECTORY: &str = "/etc/jetlag/contracts";
/// Where the keys of the Secret are files.
const SECRETS: &str = "/etc/jetlag/secrets";
/// How often a pod of the Job is tried again; each waits for the broker by itself first.
const PROVISION_RETRIES: u32 = 4;
/// How long all of that may take, in seconds.
const PROVISION_LIMIT_S: u64 = 15 * 60;
/// How long the Job is kept when it is done, in seconds: long enough to be read, and applying the manifests again later
/// looks again.
const PROVISION_KEPT_S: u64 = 60 * 60;
/// The wrong command line, and what is there is not what the contracts need: another try ends the same way.
const HOPELESS: [u8; 3] = [64, 66, 78];
/// How much of a hash tells two sets of contracts apart in a name.
const HASH_CHARS: usize = 8;
/// The longest pause between two rounds of the rescue that a schedule is written for, in minutes.
const PAUSE_MINUTES_MAX: u64 = 60;
/// What the broker's client reads from the Secret.
const SECRET_VARIABLE: &str = "NATS_NKEY";
/// What it reads besides, each the path of a file: as functions are told.
const FILE_VARIABLES: [&str; 4] = ["NATS_CREDS", "NATS_CA", "NATS_CERT", "NATS_KEY"];

/// Everything about the Job `jetlag-provision`.
pub(crate) fn provision(functions: &[Description], deploy: &Deploy) -> Vec<Document> {
    let name = names::PROVISION;
    let meta = Meta::of(name, &deploy.namespace, &names::labels_of(name));
    vec![account(meta, deploy), contracts(functions, deploy), job(functions, deploy), policy(deploy, name)]
}

/// The name of the Job for these contracts.
pub(crate) fn job_name(functions: &[Description], deploy: &Deploy) -> String {
    let contracts = Contracts::of(functions, &deploy.streams).to_json();
    let image = deploy.image(names::COMMAND);
    format!("{}-{}", names::PROVISION, short_hash(&format!("{image}\n{contracts}"), HASH_CHARS))
}

/// The ConfigMap with the contracts.
pub(crate) fn contracts(functions: &[Description], deploy: &Deploy) -> Document {
    let meta = Meta::of(names::CONTRACTS, &deploy.namespace, &names::labels_of(names::PROVISION));
    let contracts = Contracts::of(functions, &deploy.streams).to_json();
    let in_chart =
        [format!("  {FILE}: |-"), "    {{- include \"jetlag.contracts\" . | nindent 4 }}".to_owned()];
    Document::of(&ConfigMap::new(meta, BTreeMap::from([(FILE.to_owned(), contracts)])))
        .tunable("metadata/namespace", NAMESPACE)
        .tunable_below("data", &in_chart)
}

/// The Job.
pub(crate) fn job(functions: &[Description], deploy: &Deploy) -> Document {
    let name = names::PROVISION;
    let labels = names::labels_of(name);
    let mut pod =
        pod(deploy, name, vec!["provision".into(), "--contracts".into(), format!("{DIRECTORY}/{FILE}")]);
    pod.volumes.push(Volume::config_map("contracts", names::CONTRACTS));
    for container in &mut pod.containers {
        container.volume_mounts.push(Mount { name: "contracts", mount_path: DIRECTORY, read_only: true });
    }
    let spec = JobSpec {
        backoff_limit: PROVISION_RETRIES,
        active_deadline_seconds: PROVISION_LIMIT_S,
        ttl_seconds_after_finished: Some(PROVISION_KEPT_S),
        pod_failure_policy: Some(FailurePolicy::give_up_at(&HOPELESS)),
        template: PodTemplate { metadata: Meta::unnamed(&labels), spec: pod },
    };
    let meta = Meta::of(&job_name(functions, deploy), &deploy.namespace, &labels);
    tunables(Document::of(&Object::new(meta, spec)), "spec/template/spec")
        .tunable("metadata/name", format!("printf \"{name}-%s\" (include \"jetlag.hash\" .)"))
        .because(
            "metadata/name",
            "A Job cannot be changed: its name has a hash of the contracts and the image, so that other contracts are another Job.",
        )
        .because(
            "spec/ttlSecondsAfterFinished",
            "It can be read for an hour. Applied again after that it runs again, and changes nothing where all is as it must be.",
        )
        .because(
            "spec/podFailurePolicy",
            "Exit code 78: streams or consumers are there and differ, which no other try mends. The log has the difference.",
        )
}

/// The CronJob `jetlag-rescue`.
pub(crate) fn rescue(deploy: &Deploy) -> Vec<Document> {
    let name = names::RESCUE;
    let labels = names::labels_of(name);
    let meta = || Meta::of(name, &deploy.namespace, &labels);
    let (schedule, pause_s) = schedule(&deploy.streams);
    let spec = CronJobSpec {
        schedule,
        time_zone: "Etc/UTC",
        concurrency_policy: "Forbid",
        starting_deadline_seconds: pause_s,
        successful_jobs_history_limit: 1,
        failed_jobs_history_limit: 3,
        job_template: JobTemplate {
            metadata: Meta::unnamed(&labels),
            spec: JobSpec {
                backoff_limit: 1,
                active_deadline_seconds: pause_s,
                ttl_seconds_after_finished: None,
                pod_failure_policy: None,
                template: PodTemplate {
                    metadata: Meta::unnamed(&labels),
                    spec: pod(deploy, name, vec!["rescue".into(), "--once".into()]),
                },
            },
        },
    };
    let cron = tunables(Document::of(&Object::new(meta(), spec)), "spec/jobTemplate/spec/template/spec")
        .tunable("spec/schedule", ".Values.rescue.schedule | quote")
        .because(
            "spec/schedule",
            "At least every eighth of the horizon, and every hour where that is longer: a round that finds nothing costs a few requests.",
        )
        .because("spec/concurrencyPolicy", "Two at a time are safe, and of no use.");
    vec![account(meta(), deploy), cron, policy(deploy, name)]
}

/// What of a pod of the command line can be tuned in the chart.
pub(crate) fn tunables(document: Document, pod: &str) -> Document {
    document
        .tunable("metadata/namespace", NAMESPACE)
        .tunable(&format!("{pod}/containers/0/image"), format!("{} | quote", values::image(names::COMMAND)))
        .tunable(&format!("{pod}/containers/0/env/0/value"), ".Values.broker.url | quote")
        .because(&format!("{pod}/volumes/0/secret/defaultMode"), FILE_MODE)
}

/// A schedule that is at least as often as a rescue must be, and its pause in seconds.
pub(crate) fn schedule(streams: &Streams) -> (String, u64) {
    let minutes = streams.horizon.as_secs() / u64::from(ROUNDS_PER_HORIZON) / 60;
    // Only divisors of an hour: at others, a clock's last pause in the hour is another.
    let pause = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, PAUSE_MINUTES_MAX];
    let pause = pause.into_iter().rev().find(|pause| *pause <= minutes).unwrap_or(1);
    let schedule = match pause {
        PAUSE_MINUTES_MAX => "7 * * * *".to_owned(),
        pause => format!("*/{pause} * * * *"),
    };
    (schedule, pause * 60)
}

/// A pod that runs the command line with `args`, and ends: with the Secret `name`.
pub(crate) fn pod(deploy: &Deploy, name: &str, args: Vec<String>) -> PodSpec {
    let url = EnvVar::value("NATS_URL", &deploy.broker.url);
    let told = FILE_VARIABLES.iter().filter_map(|name| Some(EnvVar::value(name, deploy.env.get(*name)?)));
    let container = Container {
        name: names::COMMAND.into(),
        image: deploy.image(names::COMMAND),
        args,
        ports: Vec::new(),
        env_from: Vec::new(),
        env: std::iter::once(url).chain(told).chain([EnvVar::secret(SECRET_VARIABLE, name, true)]).collect(),
        resources: Quantities::of(&Resources::default()),
        startup_probe: None,
        liveness_probe: None,
        readiness_probe: None,
        lifecycle: None,
        security_context: ContainerSecurity::default(),
        volume_mounts: vec![Mount { name: "secrets", mount_path: SECRETS, read_only: true }],
    };
    PodSpec {
        service_account_name: name.into(),
        automount_service_account_token: false,
        enable_service_links: false,
        restart_policy: Some("Never"),
        termination_grace_period_seconds: None,
        security_context: PodSecurity::default(),
        topology_spread_constraints: Vec::new(),
        containers: vec![container],
        volumes: vec![Volume::secret("secrets", name)],
    }
}

fn policy(deploy: &Deploy, name: &str) -> Document {
    let spec = NetworkPolicySpec {
        pod_selector: Selector { match_labels: names::selector(name) },
        policy_types: vec!["Ingress", "Egress"],
        ingress: Vec::new(),
        egress: egress::common(&deploy.broker.url),
    };
    Document::of(&Object::new(Meta::of(name, &deploy.namespace, &names::labels_of(name)), spec))
        .tunable("metadata/namespace", NAMESPACE)
        .tunable_below("spec/egress", &["{{- toYaml .Values.egress | nindent 2 }}".to_owned()])
        .because("spec/egress", "DNS and the broker.")
}
