//! Scenario 6: least privilege. Every pod is connected as its own user, and what its contract does not say is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{ConnectOptions, Event};
use jetlag::permissions::Permissions;
use serde::Deserialize;

use crate::cluster::{Cluster, NAMESPACE};
use crate::patience::{so, until};
use crate::shop::Shop;
use crate::wishes;

/// How long the broker may take to refuse everything that one user tries.
const REFUSAL_LIMIT: Duration = Duration::from_secs(20);
/// What nobody who handles events may do, whoever else may.
const NEVER: [&str; 6] = [
    "$JS.API.STREAM.DELETE.EVENTS",
    "$JS.API.STREAM.PURGE.EVENTS",
    "$JS.API.STREAM.PURGE.DLQ",
    "$JS.API.STREAM.UPDATE.EVENTS",
    "$JS.API.CONSUMER.DELETE.EVENTS.payment",
    "$JS.API.STREAM.MSG.DELETE.AUDIT",
];

#[derive(Debug, Deserialize)]
struct Connections {
    connections: Vec<Connected>,
}

#[derive(Debug, Deserialize)]
struct Connected {
    name: Option<String>,
    account: Option<String>,
    /// Of a user that is known by an nkey: the public key.
    authorized_user: Option<String>,
}

pub async fn run(shop: &Shop) -> Result<(), String> {
    shop.report.begin(6, "least privilege");
    let cluster = &shop.cluster;
    // Something to do for each of them, so that each of them is there.
    let at = shop.sure(wishes::RIGHTS)?;
    shop.order(at..at + 1, None).await?;
    let keys = public_keys(cluster).await?;
    let functions = shop.functions();
    let mut unseen: BTreeSet<String> = functions.iter().cloned().collect();
    until("every function at the broker", Duration::from_secs(60), async || {
        for connected in connections(cluster).await? {
            let name = connected.name.unwrap_or_default();
            if functions.contains(&name) && connected.account.as_deref() == Some("JETLAG") {
                so(connected.authorized_user.as_ref() == keys.get(&name), || {
                    format!("{name} is somebody else")
                })?;
                unseen.remove(&name);
            }
        }
        so(unseen.is_empty(), || format!("{unseen:?} were not seen"))
    })
    .await?;
    shop.report.saw(
        6,
        "functions connected as their own user, by their own nkey",
        functions.len().to_string(),
    );

    let users: Vec<Permissions> = cluster.functions.iter().map(Permissions::of).collect();
    let mut refused = 0;
    for user in &users {
        let tried = forbidden(user, &users);
        refused += tried.len();
        try_all(cluster, user, tried).await?;
    }
    let seen = format!("{refused}, by {} users; all refused", users.len());
    shop.report.saw(6, "subjects of other users tried with a function's own credentials", seen);
    let policies = format!("/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies");
    let policies = cluster.api.list(&policies).await?.len();
    shop.report.saw(6, "NetworkPolicies", format!("{policies} applied; the CNI bridge plugin enforces none"));
    shop.all_ended().await
}

/// The public key of each user, as the broker was given it.
async fn public_keys(cluster: &Cluster) -> Result<BTreeMap<String, String>, String> {
    cluster.functions.iter().map(|function| &function.name).try_fold(BTreeMap::new(), |mut keys, name| {
        let variable = jetlag::permissions::key_variable(name);
        let key =
            cluster.place.public_keys.get(&variable).ok_or_else(|| format!("{variable} is not known"))?;
        keys.insert(name.clone(), key.clone());
        Ok(keys)
    })
}

async fn connections(cluster: &Cluster) -> Result<Vec<Connected>, String> {
    let url = format!("{}/connz?auth=true&limit=1024", cluster.monitor);
    cluster.ask::<Connections>(&url).await.map(|page| page.connections)
}

/// One subject for everything that others may publish to and `user` may not.
fn forbidden(user: &Permissions, users: &[Permissions]) -> BTreeSet<String> {
    let others = users.iter().filter(|other| other.user != user.user).flat_map(|other| &other.publish);
    let others = others.map(|grant| grant.subject.as_str()).chain(NEVER);
    let subjects = others.map(|subject| subject.replace(['*', '>'], "x"));
    subjects.filter(|subject| !user.publish.iter().any(|grant| matches(&grant.subject, subject))).collect()
}

/// Whether `pattern` matches `subject`.
fn matches(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some(one), Some(other)) if one == "*" || one == other => {}
            _ => return false,
        }
    }
}

/// Publishes to every one of `subjects` with the credentials of `user`, and waits until each of them was refused.
async fn try_all(cluster: &Cluster, user: &Permissions, subjects: BTreeSet<String>) -> Result<(), String> {
    let said = Arc::new(Mutex::new(String::new()));
    let seed = seed(cluster, &user.user).await?;
    let options = ConnectOptions::with_nkey(seed).event_callback({
        let said = Arc::clone(&said);
        move |event| {
            if let Event::ServerError(error) = event {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.push_str(&error.to_string());
                said.push('\n');
            }
            async {}
        }
    });
    let client = options.connect(&cluster.broker).await.map_err(|error| format!("{}: {error}", user.user))?;
    for subject in &subjects {
        client.publish(subject.clone(), "".into()).await.map_err(|error| error.to_string())?;
    }
    client.flush().await.map_err(|error| error.to_string())?;
    until(&format!("the broker refusing {}", user.user), REFUSAL_LIMIT, async || {
        let said = said.lock().unwrap_or_else(PoisonError::into_inner).to_lowercase();
        let taken =
            subjects.iter().filter(|subject| !said.contains(&format!("\"{}\"", subject.to_lowercase())));
        let taken: Vec<_> = taken.collect();
        so(taken.is_empty(), || format!("{taken:?} were taken"))
    })
    .await
}

/// The seed that the pods of `user` have.
async fn seed(cluster: &Cluster, user: &str) -> Result<String, String> {
    let template = "go-template={{.data.NATS_NKEY | base64decode}}";
    cluster.kubectl(&["get", "secret", "-n", NAMESPACE, user, "-o", template]).await?.good()
}
