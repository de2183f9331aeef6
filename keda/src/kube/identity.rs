//! Who an object is, and the objects that are little more than that.

use std::collections::BTreeMap;

use serde::Serialize;

/// Labels or annotations.
pub type Labels = BTreeMap<String, String>;

/// An object with a specification, which is most of them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Object<S> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
    spec: S,
}

/// What an object with this specification is.
pub trait Kind {
    /// Its group and version.
    const API: &'static str;
    /// Its kind.
    const KIND: &'static str;
}

impl<S: Kind> Object<S> {
    /// An object that is called so and says this.
    pub const fn new(metadata: Meta, spec: S) -> Self {
        Self { api_version: S::API, kind: S::KIND, metadata, spec }
    }
}

/// Name, namespace and labels.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Meta {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: Labels,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    annotations: Labels,
}

impl Meta {
    /// Of an object called `name` in `namespace`.
    pub fn of(name: &str, namespace: &str, labels: &Labels) -> Self {
        Self { name: Some(name.into()), namespace: Some(namespace.into()), ..Self::unnamed(labels) }
    }

    /// Of an object outside of namespaces.
    pub(crate) fn of_cluster(name: &str, labels: &Labels) -> Self {
        Self { name: Some(name.into()), ..Self::unnamed(labels) }
    }

    /// Of what is made from a template.
    pub fn unnamed(labels: &Labels) -> Self {
        Self { labels: labels.clone(), ..Self::default() }
    }

    /// With these annotations.
    pub fn annotated(mut self, annotations: Labels) -> Self {
        self.annotations.extend(annotations);
        self
    }
}

/// Labels or annotations of pairs.
pub fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// `v1` Namespace.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Namespace {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
}

impl Namespace {
    pub(crate) const fn new(metadata: Meta) -> Self {
        Self { api_version: "v1", kind: "Namespace", metadata }
    }
}

/// `v1` ServiceAccount, whose token no pod is given.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceAccount {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
    automount_service_account_token: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    image_pull_secrets: Vec<Named>,
}

/// An object of the same namespace.
#[derive(Debug, Serialize)]
pub(crate) struct Named {
    name: String,
}

impl Named {
    /// Called `name`.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }
}

impl ServiceAccount {
    /// Whose pods pull images with these Secrets.
    pub(crate) fn new(metadata: Meta, pull_secrets: &[String]) -> Self {
        let image_pull_secrets = pull_secrets.iter().map(|name| Named::new(name)).collect();
        let automount_service_account_token = false;
        Self {
            api_version: "v1",
            kind: "ServiceAccount",
            metadata,
            automount_service_account_token,
            image_pull_secrets,
        }
    }
}

/// `v1` ConfigMap.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConfigMap {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
    data: BTreeMap<String, String>,
}

impl ConfigMap {
    pub(crate) const fn new(metadata: Meta, data: BTreeMap<String, String>) -> Self {
        Self { api_version: "v1", kind: "ConfigMap", metadata, data }
    }
}
