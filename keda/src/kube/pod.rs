//! Pods: containers, their environment, probes and rights.

use serde::Serialize;

use super::identity::{Meta, Named};
use super::workload::Selector;

/// The template that pods are made of.
#[derive(Debug, Serialize)]
pub(crate) struct PodTemplate {
    pub(crate) metadata: Meta,
    pub(crate) spec: PodSpec,
}

/// A pod.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PodSpec {
    pub(crate) service_account_name: String,
    pub(crate) automount_service_account_token: bool,
    pub(crate) enable_service_links: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) restart_policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) termination_grace_period_seconds: Option<u64>,
    pub(crate) security_context: PodSecurity,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) topology_spread_constraints: Vec<Spread>,
    pub(crate) containers: Vec<Container>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) volumes: Vec<Volume>,
}

/// What a pod may, as the restricted pod security level wants it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PodSecurity {
    run_as_non_root: bool,
    run_as_user: u32,
    run_as_group: u32,
    fs_group: u32,
    seccomp_profile: Seccomp,
}

#[derive(Debug, Serialize)]
struct Seccomp {
    r#type: &'static str,
}

/// The user of the images.
const USER: u32 = 65532;

impl Default for PodSecurity {
    fn default() -> Self {
        Self {
            run_as_non_root: true,
            run_as_user: USER,
            run_as_group: USER,
            fs_group: USER,
            seccomp_profile: Seccomp { r#type: "RuntimeDefault" },
        }
    }
}

/// How pods are spread over nodes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spread {
    pub(crate) max_skew: u32,
    pub(crate) topology_key: &'static str,
    pub(crate) when_unsatisfiable: &'static str,
    pub(crate) label_selector: Selector,
}

/// A container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) args: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ports: Vec<ContainerPort>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) env_from: Vec<EnvFrom>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Vec<EnvVar>,
    pub(crate) resources: Quantities,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) startup_probe: Option<Probe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) liveness_probe: Option<Probe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) readiness_probe: Option<Probe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lifecycle: Option<Lifecycle>,
    pub(crate) security_context: ContainerSecurity,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) volume_mounts: Vec<Mount>,
}

/// What a container may.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerSecurity {
    allow_privilege_escalation: bool,
    read_only_root_filesystem: bool,
    capabilities: Capabilities,
}

#[derive(Debug, Serialize)]
struct Capabilities {
    drop: [&'static str; 1],
}

impl Default for ContainerSecurity {
    fn default() -> Self {
        Self {
            allow_privilege_escalation: false,
            read_only_root_filesystem: true,
            capabilities: Capabilities { drop: ["ALL"] },
        }
    }
}

/// A port.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerPort {
    pub(crate) name: &'static str,
    pub(crate) container_port: u16,
}

/// Variables from a ConfigMap.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvFrom {
    config_map_ref: Named,
}

impl EnvFrom {
    /// From the ConfigMap `name`.
    pub fn config_map(name: &str) -> Self {
        Self { config_map_ref: Named::new(name) }
    }
}

/// A variable.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvVar {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_from: Option<ValueFrom>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ValueFrom {
    secret_key_ref: SecretKey,
}

#[derive(Debug, Serialize)]
struct SecretKey {
    name: String,
    key: String,
    optional: bool,
}

impl EnvVar {
    /// The variable `name`, with this value.
    pub fn value(name: &str, value: &str) -> Self {
        Self { name: name.into(), value: Some(value.into()), value_from: None }
    }

    /// The variable `name`, under that name in `secret`.
    pub fn secret(name: &str, secret: &str, optional: bool) -> Self {
        let secret_key_ref = SecretKey { name: secret.into(), key: name.into(), optional };
        Self { name: name.into(), value: None, value_from: Some(ValueFrom { secret_key_ref }) }
    }
}

/// What is asked for, and what is had at most.
#[derive(Debug, Serialize)]
pub struct Quantities {
    pub(crate) requests: Requests,
    pub(crate) limits: Limits,
}

#[derive(Debug, Serialize)]
pub(crate) struct Requests {
    pub(crate) cpu: String,
    pub(crate) memory: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Limits {
    pub(crate) memory: String,
}

impl Quantities {
    /// As the settings say.
    pub fn of(resources: &crate::deploy::Resources) -> Self {
        let crate::deploy::Resources { cpu, memory, memory_max } = resources.clone();
        Self { requests: Requests { cpu, memory }, limits: Limits { memory: memory_max } }
    }
}

/// A question over HTTP whose answer tells how a container is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Probe {
    http_get: HttpGet,
    pub(crate) period_seconds: u32,
    pub(crate) timeout_seconds: u32,
    pub(crate) failure_threshold: u32,
}

#[derive(Debug, Serialize)]
struct HttpGet {
    path: &'static str,
    port: &'static str,
}

impl Probe {
    /// Asks `path` every `period_seconds`; `failure_threshold` bad answers in a row are believed.
    pub(crate) const fn get(path: &'static str, period_seconds: u32, failure_threshold: u32) -> Self {
        Self {
            http_get: HttpGet { path, port: "http" },
            period_seconds,
            timeout_seconds: 2,
            failure_threshold,
        }
    }
}

/// What is done before a container is told to stop.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lifecycle {
    pre_stop: PreStop,
}

#[derive(Debug, Serialize)]
struct PreStop {
    sleep: Sleep,
}

#[derive(Debug, Serialize)]
struct Sleep {
    seconds: u64,
}

impl Lifecycle {
    pub(crate) const fn sleep_before_stop(seconds: u64) -> Self {
        Self { pre_stop: PreStop { sleep: Sleep { seconds } } }
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

/// Files from a Secret or a ConfigMap.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Volume {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<SecretFiles>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config_map: Option<Named>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SecretFiles {
    secret_name: String,
    optional: bool,
    default_mode: u32,
}

/// Readable for the user of the pod only, as `0440`.
const OWNER_AND_GROUP_READ: u32 = 0o440;

impl Volume {
    /// The keys of `secret` as files, if it is there.
    pub(crate) fn secret(name: &'static str, secret: &str) -> Self {
        let secret =
            SecretFiles { secret_name: secret.into(), optional: true, default_mode: OWNER_AND_GROUP_READ };
        Self { name, secret: Some(secret), config_map: None }
    }

    /// The keys of `config_map` as files.
    pub(crate) fn config_map(name: &'static str, config_map: &str) -> Self {
        Self { name, secret: None, config_map: Some(Named::new(config_map)) }
    }
}
