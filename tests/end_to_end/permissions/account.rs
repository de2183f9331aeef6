//! The account of the five functions of the application, as an operator sets it up: the generated block is included in the
//! configuration of the server, and each user has an nkey.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jetlag::jetstream::{Connection, Operator};
use jetlag::permissions::{
    OPERATOR, PROVISION, Permissions, claims_json, key_variable, server_configuration,
};
use jetlag::{Description, Environment};
use jetlag_cli::app::{Build, describe};
use jetlag_cli::console::Console;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tests::{Server, built};

/// The name of the account.
pub const ACCOUNT: &str = "JETLAG";

pub struct Account {
    pub server: Server,
    pub functions: Vec<Description>,
    keys: BTreeMap<String, KeyPair>,
    directory: PathBuf,
}

/// The functions of the application, built and asked.
pub async fn functions() -> Vec<Description> {
    built();
    describe(None, Build::Beside, Console::silent()).await.unwrap()
}

/// The program `name` of the workspace, beside this one.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().and_then(Path::parent).unwrap().join(name)
}

impl Account {
    /// With users as nkeys in the server's configuration.
    pub async fn open(directory: &Path, functions: Vec<Description>) -> Self {
        let users = Permissions::all(&functions);
        let keys: BTreeMap<_, _> =
            users.iter().map(|user| (user.user.clone(), KeyPair::new_user())).collect();
        std::fs::write(directory.join("jetlag.conf"), server_configuration(ACCOUNT, &users)).unwrap();
        let env: Vec<_> = keys.iter().map(|(user, key)| (key_variable(user), key.public_key())).collect();
        let server = Server::start(directory, "accounts { include \"jetlag.conf\" }", &env).await;
        Self { server, functions, keys, directory: directory.to_owned() }
    }

    pub fn path(&self) -> &Path {
        &self.directory
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.server.port)
    }

    pub fn seed(&self, user: &str) -> String {
        self.keys[user].seed().unwrap()
    }

    /// A connection as one of the users of operations.
    pub async fn operator(&self, user: &str) -> Operator {
        let (url, seed) = (self.url(), self.seed(user));
        let mut env = Environment::of([("NATS_URL", url.as_str()), ("NATS_NKEY", seed.as_str())]);
        Operator::connect_as(&Connection::from_env(&mut env), user).await.unwrap()
    }

    /// Makes the streams and consumers, and gives the connection of whoever looks at them.
    pub async fn provisioned(&self) -> Operator {
        let sizing = jetlag::topology::Sizing {
            ack_wait: std::time::Duration::from_secs(2),
            events_bytes_max: 64 * 1024 * 1024,
            ..Default::default()
        };
        let topology = jetlag::topology::Topology::of(&self.functions, &sizing);
        self.operator(PROVISION).await.provision(&topology).await.unwrap();
        self.operator(OPERATOR).await
    }
}

/// A server whose users have JWTs, and a credentials file for `user`; everything that `nsc` would make.
pub async fn with_jwts(directory: &Path, functions: &[Description], user: &str) -> (Server, PathBuf) {
    let (operator, system, account, key) =
        (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account(), KeyPair::new_user());
    let no_limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
    });
    let mut limits = no_limits.clone();
    for limit in ["mem_storage", "disk_storage", "streams", "consumer"] {
        limits[limit] = (-1).into();
    }
    let jwt_of_operator = jwt(&operator, &operator.public_key(), "O", json!({"type": "operator"}));
    let jwt_of_system =
        jwt(&operator, &system.public_key(), "SYS", json!({"type": "account", "limits": no_limits}));
    let jwt_of_account =
        jwt(&operator, &account.public_key(), ACCOUNT, json!({"type": "account", "limits": limits}));
    let configuration = format!(
        "operator: {jwt_of_operator}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload {{\n{}: {jwt_of_system}\n{}: {jwt_of_account}\n}}",
        system.public_key(),
        system.public_key(),
        account.public_key(),
    );
    let mut claims = claims_json(&Permissions::all(functions))[user].clone();
    claims["type"] = "user".into();
    for limit in ["subs", "data", "payload"] {
        claims[limit] = (-1).into();
    }
    let jwt_of_user = jwt(&account, &key.public_key(), user, claims);
    let file = directory.join(format!("{user}.creds"));
    let seed = key.seed().unwrap();
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{jwt_of_user}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    std::fs::write(&file, text).unwrap();
    (Server::start(directory, &configuration, &[]).await, file)
}

fn jwt(issuer: &KeyPair, subject: &str, name: &str, mut claims: Value) -> String {
    claims["version"] = 2.into();
    let head = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let body = json!({
        "jti": name, "iat": 1_700_000_000, "iss": issuer.public_key(), "name": name, "sub": subject, "nats": claims,
    });
    let signed = format!("{}.{}", base64(head.to_string().as_bytes()), base64(body.to_string().as_bytes()));
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", base64(&signature))
}

/// Base 64 for addresses, without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}
