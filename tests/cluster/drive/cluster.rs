//! The system in the cluster, and everything of it that can be reached from the node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jetlag::jetstream::{Connection, Operator};
use jetlag::topology::{Sizing, Topology};
use jetlag::{Description, Environment};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::Api;
use crate::customers::Counter;
use crate::patience::until;

/// Where the functions run.
pub const NAMESPACE: &str = "jetlag";
/// The name of the cluster's only node.
pub const NODE: &str = "lab-node";
/// How long an answer of a program in the cluster may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long the broker's pod may take to answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);
/// How long one `kubectl` or `helm` may take.
const PROGRAM_LIMIT: Duration = Duration::from_secs(180);

/// Where the run finds what the lab made; from the environment that tests/cluster/run sets.
#[derive(Debug, Clone)]
pub struct Place {
    /// The directory of the lab's certificates.
    pub pki: PathBuf,
    /// The API server.
    pub api: String,
    /// The program, and the file that says where the cluster is.
    pub kubectl: PathBuf,
    pub kubeconfig: PathBuf,
    /// What is applied: a kustomization.
    pub overlay: PathBuf,
    /// What is applied over that for Knative: a kustomization. And where its ingress is.
    pub requests: PathBuf,
    pub ingress: String,
    /// What is applied for Knative's broker, two kustomizations: the generated Broker and Triggers, and a function whose
    /// events go to that broker. And where the driver listens for what the broker sends it.
    pub triggered: PathBuf,
    pub till: PathBuf,
    pub watcher: String,
    /// What is only validated, a kustomization with everything for Knative.
    pub evented: PathBuf,
    /// What is only validated: the generated manifests, and a kustomization with their component for Prometheus.
    pub manifests: PathBuf,
    pub monitored: PathBuf,
    /// The program that renders the chart.
    pub helm: PathBuf,
    /// Where broker, gateway and receiver keep their files.
    pub data: PathBuf,
    /// The seed of the broker's user `operator`.
    pub operator_nkey: String,
    /// The public keys of all users, by the variable that the broker has them in.
    pub public_keys: BTreeMap<String, String>,
}

impl Place {
    pub fn from_env() -> Result<Self, String> {
        let text = |name: &str| {
            std::env::var(name).map_err(|_| format!("{name} is not set: start it with tests/cluster/run"))
        };
        let path = |name: &str| text(name).map(PathBuf::from);
        Ok(Self {
            pki: path("CLUSTER_PKI")?,
            api: text("CLUSTER_API")?,
            kubectl: path("CLUSTER_KUBECTL")?,
            kubeconfig: path("KUBECONFIG")?,
            overlay: path("CLUSTER_OVERLAY")?,
            requests: path("CLUSTER_KNATIVE")?,
            ingress: text("CLUSTER_INGRESS")?,
            triggered: path("CLUSTER_TRIGGERED")?,
            till: path("CLUSTER_TILL")?,
            watcher: text("CLUSTER_WATCHER")?,
            evented: path("CLUSTER_EVENTED")?,
            manifests: path("CLUSTER_MANIFESTS")?,
            monitored: path("CLUSTER_MONITORED")?,
            helm: path("CLUSTER_HELM")?,
            data: path("CLUSTER_DATA")?,
            operator_nkey: text("CLUSTER_OPERATOR_NKEY")?,
            public_keys: std::env::vars().filter(|(name, _)| name.ends_with("_NKEY")).collect(),
        })
    }
}

/// What the ConfigMap of contracts says, as far as it is needed here.
#[derive(Debug, Deserialize)]
struct Contracts {
    functions: Vec<Description>,
}

/// The system in the cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub place: Place,
    pub api: Api,
    pub http: reqwest::Client,
    pub operator: Operator,
    pub topology: Topology,
    pub functions: Vec<Description>,
    /// Addresses of Services: the broker, its monitoring, the gateway and the receiver.
    pub broker: String,
    pub monitor: String,
    pub gateway: String,
    pub receiver: String,
}

impl Cluster {
    /// Connects to everything; the manifests are applied by then.
    pub async fn connect(place: Place) -> Result<Self, String> {
        let api = Api::at(&place.api, &place.pki)?;
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build();
        let http = http.map_err(|error| error.to_string())?;
        let contracts =
            api.get(&format!("/api/v1/namespaces/{NAMESPACE}/configmaps/jetlag-contracts")).await?;
        let contracts = contracts["data"]["contracts.json"].as_str().unwrap_or_default();
        let contracts: Contracts =
            serde_json::from_str(contracts).map_err(|error| format!("contracts.json: {error}"))?;
        let functions = contracts.functions;
        let topology = Topology::of(&functions, &Sizing::default());
        let nats = address(&api, "nats", "nats").await?;
        let broker = format!("nats://{nats}:4222");
        let known = [("NATS_URL", broker.as_str()), ("NATS_NKEY", place.operator_nkey.as_str())];
        let connection = Connection::from_env(&mut Environment::of(known));
        let operator = until("the broker", CONNECT_LIMIT, async || {
            Operator::connect(&connection).await.map_err(|error| error.to_string())
        })
        .await?;
        let gateway = format!("http://{}:8080", address(&api, "world", "gateway").await?);
        let receiver = format!("http://{}:8080", address(&api, "world", "receiver").await?);
        let monitor = format!("http://{nats}:8222");
        Ok(Self { place, api, http, operator, topology, functions, broker, monitor, gateway, receiver })
    }

    /// Where customers order: the Service that any pod in the cluster would use.
    pub async fn counter(&self) -> Result<Counter, String> {
        let doors = vec![format!("http://{}", address(&self.api, NAMESPACE, "order").await?)];
        Ok(Counter { http: self.http.clone(), operator: self.operator.clone(), doors })
    }

    /// What a program answers on `url`.
    pub async fn ask<T: DeserializeOwned>(&self, url: &str) -> Result<T, String> {
        let asking = async {
            let answer = self.http.get(url).timeout(ANSWER_LIMIT).send().await?.error_for_status()?;
            answer.json().await
        };
        asking.await.map_err(|error| error.to_string())
    }

    /// Turns switches of the gateway.
    pub async fn control_gateway(&self, switches: &Value) -> Result<(), String> {
        let url = format!("{}/control", self.gateway);
        let request = self.http.put(&url).json(switches).timeout(ANSWER_LIMIT);
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        answer.map(drop).map_err(|error| error.to_string())
    }

    /// The pods that take `POST /orders`.
    pub async fn doors(&self) -> Result<Vec<Value>, String> {
        let selector = "app.kubernetes.io/name=order,app.kubernetes.io/component=http";
        self.api.list(&format!("/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={selector}")).await
    }

    /// Runs `kubectl` and returns what it printed.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<Printed, String> {
        kubectl(&self.place, arguments).await
    }
}

/// What a program printed.
#[derive(Debug)]
pub struct Printed {
    program: String,
    pub is_good: bool,
    pub out: String,
    pub err: String,
}

impl Printed {
    /// The output of a command that ended well.
    pub fn good(self) -> Result<String, String> {
        if self.is_good { Ok(self.out) } else { Err(format!("{}: {}", self.program, self.err.trim())) }
    }
}

/// Runs `kubectl` and returns what it printed.
pub async fn kubectl(place: &Place, arguments: &[&str]) -> Result<Printed, String> {
    run(place, &place.kubectl, arguments).await
}

/// Runs `helm` and returns what it printed.
pub async fn helm(place: &Place, arguments: &[&str]) -> Result<Printed, String> {
    run(place, &place.helm, arguments).await
}

async fn run(place: &Place, program: &Path, arguments: &[&str]) -> Result<Printed, String> {
    let name = program.display().to_string();
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).env("KUBECONFIG", &place.kubeconfig).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PROGRAM_LIMIT, command.output())
        .await
        .map_err(|_| format!("{name} {arguments:?} did not end within {} s", PROGRAM_LIMIT.as_secs()))?
        .map_err(|error| format!("{name}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    Ok(Printed { program: name, is_good: output.status.success(), out, err })
}

/// The address of a Service.
pub async fn address(api: &Api, namespace: &str, name: &str) -> Result<String, String> {
    let service = api.get(&format!("/api/v1/namespaces/{namespace}/services/{name}")).await?;
    let address = service["spec"]["clusterIP"].as_str().filter(|ip| *ip != "None");
    address.map(str::to_owned).ok_or_else(|| format!("the Service {namespace}/{name} has no address"))
}
