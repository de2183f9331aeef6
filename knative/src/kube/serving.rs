//! Knative Serving's objects: `serving.knative.dev/v1`. A pod may say less here than elsewhere: what is common to the whole
//! pod is Knative's, and some of it needs a feature flag.

use keda::parts::{EnvFrom, EnvVar, Kind, Meta, Quantities};
use serde::Serialize;

/// What takes requests under one name.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceSpec {
    pub(crate) template: RevisionTemplate,
}

/// What each version is made of.
#[derive(Debug, Serialize)]
pub(crate) struct RevisionTemplate {
    pub(crate) metadata: Meta,
    pub(crate) spec: RevisionSpec,
}

/// A version.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RevisionSpec {
    pub(crate) container_concurrency: u32,
    pub(crate) timeout_seconds: u64,
    pub(crate) service_account_name: String,
    pub(crate) automount_service_account_token: bool,
    pub(crate) enable_service_links: bool,
    pub(crate) containers: [Container; 1],
    pub(crate) volumes: [Volume; 1],
}

/// A container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) ports: [Port; 1],
    pub(crate) env_from: [EnvFrom; 1],
    pub(crate) env: Vec<EnvVar>,
    pub(crate) resources: Quantities,
    pub(crate) liveness_probe: Liveness,
    pub(crate) readiness_probe: Readiness,
    pub(crate) security_context: Security,
    pub(crate) volume_mounts: [Mount; 1],
}

/// Without a name: another would choose the protocol.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Port {
    pub(crate) container_port: u16,
}

/// Asked by the kubelet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Liveness {
    pub(crate) http_get: HttpGet,
    pub(crate) period_seconds: u32,
    pub(crate) timeout_seconds: u32,
    pub(crate) failure_threshold: u32,
}

/// Asked by Knative's proxy in the pod.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Readiness {
    pub(crate) http_get: HttpGet,
}

#[derive(Debug, Serialize)]
pub(crate) struct HttpGet {
    pub(crate) path: &'static str,
    pub(crate) port: u16,
}

/// What the container may, as the restricted pod security level wants it of a pod that says nothing by itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Security {
    run_as_non_root: bool,
    run_as_user: u32,
    run_as_group: u32,
    allow_privilege_escalation: bool,
    read_only_root_filesystem: bool,
    capabilities: Capabilities,
    seccomp_profile: Seccomp,
}

#[derive(Debug, Serialize)]
struct Capabilities {
    drop: [&'static str; 1],
}

#[derive(Debug, Serialize)]
struct Seccomp {
    r#type: &'static str,
}

/// The user of the images.
const USER: u32 = 65532;

impl Default for Security {
    fn default() -> Self {
        Self {
            run_as_non_root: true,
            run_as_user: USER,
            run_as_group: USER,
            allow_privilege_escalation: false,
            read_only_root_filesystem: true,
            capabilities: Capabilities { drop: ["ALL"] },
            seccomp_profile: Seccomp { r#type: "RuntimeDefault" },
        }
    }
}

/// Where a volume is seen.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mount {
    pub(crate) name: &'static str,
    pub(crate) mount_path: &'static str,
    pub(crate) read_only: bool,
}

/// The keys of a Secret as files, if it is there.
#[derive(Debug, Serialize)]
pub(crate) struct Volume {
    pub(crate) name: &'static str,
    pub(crate) secret: SecretFiles,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecretFiles {
    pub(crate) secret_name: String,
    pub(crate) optional: bool,
    pub(crate) default_mode: u32,
}

impl Kind for ServiceSpec {
    const API: &'static str = "serving.knative.dev/v1";
    const KIND: &'static str = "Service";
}
