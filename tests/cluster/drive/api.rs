//! Kubernetes' API, as JSON.

use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Identity, Method, RequestBuilder};
use serde_json::Value;

/// How long one request may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The API server, as its administrator.
#[derive(Debug, Clone)]
pub struct Api {
    url: String,
    http: reqwest::Client,
}

impl Api {
    /// The API server at `url`, with the administrator's certificate of `pki`.
    pub fn at(url: &str, pki: &Path) -> Result<Self, String> {
        let file = |name: &str| {
            let path = pki.join(name);
            std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let mut both = file("admin.key")?;
        both.extend(file("admin.crt")?);
        let odd = |error: reqwest::Error| format!("the certificates in {}: {error}", pki.display());
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_LIMIT)
            .tls_certs_only([Certificate::from_pem(&file("ca.crt")?).map_err(odd)?])
            .identity(Identity::from_pem(&both).map_err(odd)?)
            .build()
            .map_err(odd)?;
        Ok(Self { url: url.to_owned(), http })
    }

    /// The object, or the list of objects, at `path`.
    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.send(Method::GET, path, |request| request).await
    }

    /// The objects of the list at `path`.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, String> {
        match self.get(path).await?["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Err(format!("{path} is no list")),
        }
    }

    /// Merges `change` into the object at `path`.
    pub async fn merge(&self, path: &str, change: &Value) -> Result<Value, String> {
        let body = change.to_string();
        self.send(Method::PATCH, path, |request| {
            request.header("content-type", "application/merge-patch+json").body(body)
        })
        .await
    }

    /// Makes an object in the list at `path`.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, String> {
        self.send(Method::POST, path, |request| request.json(object)).await
    }

    /// Deletes the object at `path`, giving it `grace` to end.
    pub async fn delete(&self, path: &str, grace: Duration) -> Result<(), String> {
        let path = format!("{path}?gracePeriodSeconds={}", grace.as_secs());
        self.send(Method::DELETE, &path, |request| request).await.map(drop)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Value, String> {
        let wrong = |why: &dyn std::fmt::Display| format!("{path}: {why}");
        let request = with(self.http.request(method, format!("{}{path}", self.url)));
        let answer = request.send().await.map_err(|error| wrong(&error))?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(|error| wrong(&error))?;
        if status.is_success() {
            return Ok(body);
        }
        Err(wrong(&format!("{status}: {}", body["message"].as_str().unwrap_or("no reason"))))
    }
}
