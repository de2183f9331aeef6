//! What the autoscaler sees and does, several times a second: lag of each trigger, and replicas.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use crate::cluster::{Cluster, NAMESPACE};

/// How often it is looked.
const INTERVAL: Duration = Duration::from_millis(250);
/// How many samples are kept: more than an hour of them.
const SAMPLES_MAX: usize = 20_000;
/// How many changes are told at most: under load the lag changes in every look.
const CHANGES_MAX: usize = 300;
/// The account that the monitoring page is asked for.
const ACCOUNT: &str = "JETLAG";

/// One look at everything.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Since the beginning of the recording.
    pub t_ms: u64,
    pub functions: BTreeMap<String, Look>,
}

/// One function in one look.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Look {
    /// What the Deployment is asked for, how many pods there are, and how many of them are ready.
    pub wanted: u64,
    pub pods: u64,
    pub ready: u64,
    /// What the HPA wants; nothing while KEDA holds the function at zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hpa: Option<u64>,
    /// For each stream what KEDA counts: inputs not delivered and those not answered. Empty while the broker is away.
    pub lag: BTreeMap<String, u64>,
}

impl Look {
    /// Over all triggers; nothing while the broker does not tell.
    pub fn lag(&self) -> Option<u64> {
        (!self.lag.is_empty()).then(|| self.lag.values().sum())
    }

    fn in_words(&self) -> String {
        let lag: Vec<String> = self.lag.iter().map(|(stream, lag)| format!("{stream} {lag}")).collect();
        let lag = if lag.is_empty() { "not told".to_owned() } else { lag.join(", ") };
        format!("{} wanted, {} ready, lag {lag}", self.wanted, self.ready)
    }
}

/// Records until it is dropped.
#[derive(Debug)]
pub struct Timeline {
    began: Instant,
    samples: Arc<Mutex<Vec<Sample>>>,
    marks: Mutex<Vec<(u64, String)>>,
    recording: tokio::task::JoinHandle<()>,
}

impl Drop for Timeline {
    fn drop(&mut self) {
        self.recording.abort();
    }
}

impl Timeline {
    /// Begins to record.
    pub fn record(cluster: Cluster) -> Self {
        let (began, samples) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let recording = tokio::spawn({
            let samples = Arc::clone(&samples);
            async move {
                let mut beat = tokio::time::interval(INTERVAL);
                beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                loop {
                    beat.tick().await;
                    // A moment in which the API server does not answer is a gap in the recording.
                    let Ok(functions) = look(&cluster).await else { continue };
                    let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
                    if samples.len() < SAMPLES_MAX {
                        samples.push(Sample { t_ms: millis(began.elapsed()), functions });
                    }
                }
            }
        });
        Self { began, samples, marks: Mutex::default(), recording }
    }

    /// Notes that something happens now, and returns when that is.
    pub fn mark(&self, what: impl Into<String>) -> u64 {
        let now = millis(self.began.elapsed());
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).push((now, what.into()));
        now
    }

    /// Everything that was seen from `t_ms` on.
    pub fn since(&self, t_ms: u64) -> Vec<Sample> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.iter().filter(|sample| sample.t_ms >= t_ms).cloned().collect()
    }

    /// The last look, if it came after `t_ms`.
    pub fn last(&self, t_ms: u64) -> Result<Sample, String> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.last().filter(|sample| sample.t_ms > t_ms).cloned().ok_or_else(|| "not looked yet".to_owned())
    }

    /// What changed in the last `span`, a line for each function and look in which it did, and what was marked.
    pub fn changes(&self, span: Duration) -> String {
        let from = millis(self.began.elapsed()).saturating_sub(millis(span));
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        let mut changes: Vec<(u64, String)> = self
            .marks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|mark| mark.0 >= from)
            .cloned()
            .collect();
        for sample in self.since(from) {
            for (name, look) in &sample.functions {
                let words = look.in_words();
                if seen.get(name) != Some(&words) {
                    changes.push((sample.t_ms, format!("{name}: {words}")));
                    seen.insert(name.clone(), words);
                }
            }
        }
        changes.sort_by_key(|change| change.0);
        let told = changes.iter().skip(changes.len().saturating_sub(CHANGES_MAX));
        let lines: String =
            told.map(|(t_ms, what)| format!("{:8.2} s  {what}\n", *t_ms as f64 / 1000.0)).collect();
        format!("the last looks, as seconds of the timeline:\n{lines}")
    }

    /// Writes everything as JSON, with how each function is scaled: what a decision can be compared with.
    pub async fn write(&self, cluster: &Cluster, file: &Path) -> Result<(), String> {
        let path = format!("/apis/keda.sh/v1alpha1/namespaces/{NAMESPACE}/scaledobjects");
        let scaled: BTreeMap<String, Value> = named(cluster.api.list(&path).await?)
            .map(|(name, mut object)| (name, object["spec"].take()))
            .collect();
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let marks: Vec<Value> =
            marks.into_iter().map(|(t_ms, what)| json!({"t_ms": t_ms, "what": what})).collect();
        let whole = json!({
            "hpa_sync_s": std::env::var("CLUSTER_HPA_SYNC").ok(),
            "scaled_objects": scaled,
            "marks": marks,
            "samples": self.since(0),
        });
        std::fs::write(file, whole.to_string()).map_err(|error| format!("{}: {error}", file.display()))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn named(items: Vec<Value>) -> impl Iterator<Item = (String, Value)> {
    items.into_iter().filter_map(|item| Some((item["metadata"]["name"].as_str()?.to_owned(), item)))
}

async fn look(cluster: &Cluster) -> Result<BTreeMap<String, Look>, String> {
    let deployments = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments");
    let scalers = format!("/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers");
    let page = format!("{}/jsz?acc={ACCOUNT}&consumers=true", cluster.monitor);
    let (deployments, scalers, page) =
        tokio::join!(cluster.api.list(&deployments), cluster.api.list(&scalers), cluster.ask::<Value>(&page));
    let mut functions: BTreeMap<String, Look> = named(deployments?)
        .map(|(name, deployment)| {
            let status = |field: &str| deployment["status"][field].as_u64().unwrap_or_default();
            let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or_default();
            (
                name,
                Look { wanted, pods: status("replicas"), ready: status("readyReplicas"), ..Look::default() },
            )
        })
        .collect();
    for (_, scaler) in named(scalers?) {
        let target = scaler["spec"]["scaleTargetRef"]["name"].as_str().unwrap_or_default();
        if let Some(function) = functions.get_mut(target) {
            function.hpa = scaler["status"]["desiredReplicas"].as_u64();
        }
    }
    // The broker may be away: that is part of the test.
    for (stream, consumer, lag) in lags(&page.unwrap_or_default()) {
        if let Some(function) = functions.get_mut(&consumer) {
            function.lag.insert(stream, lag);
        }
    }
    Ok(functions)
}

/// Stream, consumer and lag of every consumer on the monitoring page, counted as KEDA counts.
fn lags(page: &Value) -> Vec<(String, String, u64)> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let streams =
        list(&page["account_details"]).into_iter().flat_map(|account| list(&account["stream_detail"]));
    streams
        .flat_map(|stream| list(&stream["consumer_detail"]))
        .filter_map(|consumer| {
            let text = |field: &str| consumer[field].as_str().map(str::to_owned);
            let lag = consumer["num_pending"].as_u64()? + consumer["num_ack_pending"].as_u64()?;
            Some((text("stream_name")?, text("name")?, lag))
        })
        .collect()
}
