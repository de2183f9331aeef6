//! One nats-server or three, with an account for each property.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jetlag::testing::conformance::{Property, Real};
use jetlag_cli::broker::{Places, find};
use jetlag_cli::console::Console;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tests::free_port;

/// How long servers may take until they listen and have a leader.
const START_MAX: Duration = Duration::from_secs(60);

/// Servers, killed when this is dropped.
pub struct Servers {
    pub real: Real,
    servers: Vec<Child>,
    _data: TempDir,
}

impl Servers {
    /// Starts `count` servers; with more than one they are a cluster, and streams have as many copies.
    pub async fn start(count: u8, properties: &[Property]) -> Self {
        let binary =
            find(&Places::from_env(None), &Console::silent()).await.unwrap_or_else(|p| panic!("{p:?}"));
        let data = tempfile::tempdir().unwrap();
        // Ports are found by asking for any; those of the cluster have to be known to all before they start.
        let routes: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let mut servers = Vec::new();
        let mut urls = Vec::new();
        for number in 0..usize::from(count) {
            let directory = data.path().join(number.to_string());
            fs::create_dir_all(&directory).unwrap();
            let file = directory.join("nats.conf");
            fs::write(&file, configuration(&directory, number, &routes, properties).to_string()).unwrap();
            let log = fs::File::create(directory.join("log")).unwrap();
            let server = Command::new(&binary.path)
                .arg("-c")
                .arg(&file)
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap();
            let ports = directory.join(format!("ports/nats-server_{}.ports", server.id()));
            servers.push(server);
            urls.push(ports);
        }
        let mut known = Vec::new();
        for ports in urls {
            known.push(url_in(&ports).await);
        }
        let url = known.join(",");
        Self { real: Real { url, replicas: count }, servers, _data: data }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// JSON is a form of the server's own format.
fn configuration(directory: &Path, number: usize, routes: &[u16], properties: &[Property]) -> Value {
    let accounts: Map<String, Value> = properties
        .iter()
        .map(|property| {
            let name = property.name;
            (name.into(), json!({"jetstream": "enabled", "users": [{"user": name, "password": name}]}))
        })
        .collect();
    let ports = directory.join("ports");
    fs::create_dir_all(&ports).unwrap();
    let mut settings = json!({
        "server_name": format!("conformance-{number}"),
        "host": "127.0.0.1",
        "port": -1,
        "ports_file_dir": ports,
        "accounts": accounts,
        "jetstream": {"store_dir": directory.join("store"), "max_file_store": 64_i64 << 30},
    });
    if routes.len() > 1 {
        let urls: Vec<String> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        settings["cluster"] = json!({
            "name": "conformance",
            "listen": format!("127.0.0.1:{}", routes[number]),
            "routes": urls,
        });
    }
    settings
}

async fn url_in(ports: &PathBuf) -> String {
    let looking = async {
        loop {
            let text = fs::read(ports).ok();
            let json = text.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            if let Some(url) = json.as_ref().and_then(|json| json["nats"][0].as_str()) {
                return url.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(START_MAX, looking)
        .await
        .unwrap_or_else(|_| panic!("{} is not there", ports.display()))
}
