//! How Knative runs a function that takes requests: what the settings say, and the contract where they say nothing.

use jetlag::Description;

use crate::deploy::{Class, Deploy, Metric, Requests, SINK_BROKER};
use crate::egress::Place;
use crate::scaling::seconds;
use crate::workload::takes_requests;

/// Where the brokers of Knative Eventing take events, in the class that comes with it.
const BROKER_INGRESS: &str = "http://broker-ingress.knative-eventing.svc.cluster.local";

/// How Knative runs a function that takes requests, everything said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Who scales it.
    pub class: Class,
    /// What is looked at.
    pub metric: Metric,
    /// How much of that one process bears.
    pub target: u32,
    /// How many processes there are when there is nothing to do.
    pub min: u32,
    /// How many there are at most.
    pub max: u32,
    /// How long fewer must be enough before one goes.
    pub scale_down_delay_s: u64,
    /// How many a new version begins with.
    pub initial: u32,
    /// How many requests one process is given at a time; 0 is any number.
    pub concurrency: u32,
    /// How long one request may take.
    pub timeout_s: u64,
}

impl Settled {
    /// For `function`, as `deploy` and its contract say.
    pub fn of(function: &Description, deploy: &Deploy) -> Self {
        let said = deploy.functions.get(&function.name).map(|own| own.knative.clone()).unwrap_or_default();
        let Requests {
            class, metric, target, min, max, scale_down_delay, initial, concurrency, timeout, ..
        } = said;
        let at_a_time = u32::try_from(function.concurrency).unwrap_or(u32::MAX);
        let contract_delay_s = seconds(function.scaling.cooldown_ms);
        Self {
            class,
            metric,
            target: target.unwrap_or(at_a_time),
            min: min.unwrap_or(function.scaling.min),
            max: max.unwrap_or(function.scaling.max),
            scale_down_delay_s: scale_down_delay.map_or(contract_delay_s, |delay| delay.0.as_secs()),
            initial,
            concurrency: concurrency.unwrap_or(at_a_time),
            timeout_s: timeout.0.as_secs(),
        }
    }

    /// What is wrong with what `deploy` says of `function`.
    pub(crate) fn faults(function: &Description, deploy: &Deploy) -> Vec<String> {
        let name = &function.name;
        let place = format!("deploy.functions.{name}.knative");
        let said = deploy.functions.get(name).map(|own| &own.knative);
        let Some(said) = said.filter(|said| **said != Requests::default()) else { return Vec::new() };
        if !takes_requests(function) {
            return vec![format!("{place}: {name} takes no requests")];
        }
        let Self { class, metric, min, max, initial, .. } = Self::of(function, deploy);
        let sink = sink_faults(function, said);
        let of_pods = matches!(metric, Metric::Cpu | Metric::Memory);
        let mut faults = sink;
        if class == Class::Kpa && of_pods {
            faults.push(format!("{place}.metric: {} is for the class hpa", metric.annotation()));
        }
        if of_pods && said.target.is_none() {
            faults.push(format!("{place}.target: the metric {} has no default", metric.annotation()));
        }
        if max > 0 && min > max {
            faults.push(format!("{place}: min is {min}, and max {max}"));
        }
        if said.target == Some(0) {
            faults.push(format!("{place}.target: it must be more than 0"));
        }
        if initial == 0 {
            faults.push(format!("{place}.initial: it must be more than 0, or what cannot start takes over"));
        }
        faults
    }
}

/// What is wrong with the sink that `said` names for `function`.
fn sink_faults(function: &Description, said: &Requests) -> Vec<String> {
    let place = format!("deploy.functions.{}.knative", function.name);
    let Some(sink) = &said.sink else {
        let is_alone = !said.extensions.is_empty();
        return is_alone.then(|| format!("{place}.extensions: there is no sink")).into_iter().collect();
    };
    let mut faults = Vec::new();
    let is_url = |url: &str| ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    if sink != SINK_BROKER && !(is_url(sink) && Place::of(sink).is_some()) {
        faults.push(format!("{place}.sink: it must be {SINK_BROKER}, or a URL such as http://host/path"));
    }
    for name in said.extensions.keys() {
        let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if name.is_empty() || !is_name {
            faults.push(format!("{place}.extensions: {name:?} has other than lower-case letters and digits"));
        }
    }
    // A process of its own would pull from the streams.
    let needs = function.needs_broker(function.trigger);
    faults.extend(needs.into_iter().map(|why| format!("{place}.sink: {why}")));
    faults
}

/// Where the sink of a function is, as far as it is known before it runs.
pub(crate) fn sink_place(own: &Requests) -> Option<Place> {
    let sink = own.sink.as_deref()?;
    Place::of(if sink == SINK_BROKER { BROKER_INGRESS } else { sink })
}
