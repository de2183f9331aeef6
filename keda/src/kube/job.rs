//! Jobs: what runs once, and what runs by the clock.

use serde::Serialize;

use super::identity::{Kind, Meta};
use super::pod::PodTemplate;

/// What a Job runs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobSpec {
    pub(crate) backoff_limit: u32,
    pub(crate) active_deadline_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttl_seconds_after_finished: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pod_failure_policy: Option<FailurePolicy>,
    pub(crate) template: PodTemplate,
}

/// Which ends of a pod end the Job.
#[derive(Debug, Serialize)]
pub(crate) struct FailurePolicy {
    rules: [FailureRule; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FailureRule {
    action: &'static str,
    on_exit_codes: ExitCodes,
}

#[derive(Debug, Serialize)]
struct ExitCodes {
    operator: &'static str,
    values: Vec<u8>,
}

impl FailurePolicy {
    /// A pod that exits with one of these is not followed by another.
    pub(crate) fn give_up_at(codes: &[u8]) -> Self {
        let on_exit_codes = ExitCodes { operator: "In", values: codes.to_vec() };
        Self { rules: [FailureRule { action: "FailJob", on_exit_codes }] }
    }
}

/// When a CronJob runs, and what.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CronJobSpec {
    pub(crate) schedule: String,
    pub(crate) time_zone: &'static str,
    pub(crate) concurrency_policy: &'static str,
    pub(crate) starting_deadline_seconds: u64,
    pub(crate) successful_jobs_history_limit: u32,
    pub(crate) failed_jobs_history_limit: u32,
    pub(crate) job_template: JobTemplate,
}

/// The Job that a CronJob makes.
#[derive(Debug, Serialize)]
pub(crate) struct JobTemplate {
    pub(crate) metadata: Meta,
    pub(crate) spec: JobSpec,
}

impl Kind for JobSpec {
    const API: &'static str = "batch/v1";
    const KIND: &'static str = "Job";
}

impl Kind for CronJobSpec {
    const API: &'static str = "batch/v1";
    const KIND: &'static str = "CronJob";
}
