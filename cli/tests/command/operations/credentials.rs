//! A broker that wants to know who it is, and TLS before anything is said.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use tests::Server;

/// A NATS JWT: `claims` about `subject`, signed by `issuer`.
fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, claims: &Value) -> String {
    let encoded = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let header = encoded(json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let body = encoded(json!({
        "jti": name, "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject.public_key(), "name": name,
        "nats": claims,
    }));
    let text = format!("{header}.{body}");
    let signature = BASE64URL_NOPAD.encode(&issuer.sign(text.as_bytes()).unwrap());
    format!("{text}.{signature}")
}

/// The JWT of an account, with JetStream if it has room for that.
fn account(operator: &KeyPair, account: &KeyPair, name: &str, storage: i64) -> String {
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": storage, "disk_storage": storage, "streams": -1, "consumer": -1,
    });
    jwt(operator, account, name, &json!({"type": "account", "version": 2, "limits": limits}))
}

/// The JWT of a user of `account`.
fn user(account: &KeyPair, user: &KeyPair) -> String {
    let claims =
        json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}});
    jwt(account, user, "ann", &claims)
}

/// What `nsc generate creds` writes.
fn credentials(path: &Path, jwt: &str, seed: &str) {
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Runs `jetlag status` with these arguments and this environment; what is not there is told by its exit code and its words.
struct Asking<'d> {
    directory: &'d Path,
}

impl Asking<'_> {
    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut command = super::jetlag(&[&["status"], arguments].concat());
        command.current_dir(self.directory).env("XDG_CONFIG_HOME", self.directory);
        super::code_and_words(&command.envs(environment.iter().copied()).output().unwrap())
    }

    /// There is a broker and nothing of Jetlag's on it, which is what is told once it is reached.
    #[track_caller]
    fn reaches(&self, arguments: &[&str], environment: &[(&str, &str)]) {
        let told = self.run(arguments, environment);
        assert!(told.0 == Some(1) && told.1.contains("something looks wrong"), "{arguments:?}: {told:?}");
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str], code: i32, words: &str) {
        let told = self.run(arguments, &[]);
        assert!(told.0 == Some(code) && told.1.contains(words), "{arguments:?}: {told:?}");
    }

    fn save(&self, name: &str, context: &Value) {
        let contexts = self.directory.join("nats/context");
        std::fs::create_dir_all(&contexts).unwrap();
        std::fs::write(contexts.join(format!("{name}.json")), context.to_string()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_an_operators_account_is_known_by_its_credentials_behind_tls_first() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).display().to_string();
    assert!(super::certificates(directory.path()), "openssl makes the certificates of this test");
    let (operator, system, shop) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
    let (ann, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let (word, seed) = (user(&shop, &ann), ann.seed().unwrap());
    credentials(Path::new(&place("ann.creds")), &word, &seed);
    // An account that no operator signed for.
    credentials(
        Path::new(&place("stranger.creds")),
        &user(&KeyPair::new_account(), &stranger),
        &stranger.seed().unwrap(),
    );
    std::fs::write(place("empty.creds"), "").unwrap();
    let own = jwt(&operator, &operator, "shop", &json!({"type": "operator", "version": 2}));
    let configuration = format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, handshake_first: true }}\n\
         operator: {own}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {}: {} }}",
        place("server.pem"),
        place("server.key"),
        system.public_key(),
        system.public_key(),
        account(&operator, &system, "system", 0),
        shop.public_key(),
        account(&operator, &shop, "shop", -1),
    );
    let server = Server::start(directory.path(), &configuration, &[]).await;
    let url = format!("nats://127.0.0.1:{}", server.port);
    let (ca, creds) = (place("ca.pem"), place("ann.creds"));
    let asking = Asking { directory: directory.path() };
    let flags = ["--url", &url, "--tls-ca", &ca];
    let flags = |more: &[&'static str], creds: &str| {
        let file = place(creds);
        let all = [&flags[..], more].concat().into_iter().map(str::to_owned);
        all.chain(["--creds".to_owned(), file]).collect::<Vec<_>>()
    };
    let with = |more: &[&'static str], name: &str, check: &dyn Fn(&[&str])| {
        let all = flags(more, name);
        check(&all.iter().map(String::as_str).collect::<Vec<_>>());
    };
    with(&["--tls-first"], "ann.creds", &|all| asking.reaches(all, &[]));
    asking.reaches(&["--url", &url, "--tls-first"], &[("NATS_CREDS", &creds), ("NATS_CA", &ca)]);
    asking.save("file", &json!({"url": url, "creds": creds, "ca": ca, "tls_first": true}));
    asking.save(
        "words",
        &json!({"url": url, "user_jwt": word, "user_seed": seed, "ca": ca, "tls_first": true}),
    );
    asking.save("late", &json!({"url": url, "creds": creds, "ca": ca}));
    asking.reaches(&["--context", "file"], &[]);
    asking.reaches(&["--context", "words"], &[]);

    with(&["--tls-first"], "stranger.creds", &|all| asking.fails(all, 78, "refuses this user"));
    with(&["--tls-first"], "empty.creds", &|all| asking.fails(all, 78, "no credentials in"));
    with(&["--tls-first"], "absent.creds", &|all| asking.fails(all, 78, "absent.creds"));
    asking.fails(&["--url", &url, "--tls-first", "--tls-ca", &ca], 78, "refuses this user");
    asking.fails(&["--url", &url, "--tls-first", "--creds", &creds], 69, "--tls-ca");
    with(&[], "ann.creds", &|all| asking.fails(all, 69, "--tls-first"));
    asking.fails(&["--context", "late"], 69, "tls_first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_given_by_a_flag_the_environment_the_url_or_a_context() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "authorization { token: w0rd }", &[]).await;
    let address = format!("127.0.0.1:{}", server.port);
    let url = format!("nats://{address}");
    let asking = Asking { directory: directory.path() };
    asking.reaches(&["--url", &url, "--token", "w0rd"], &[]);
    asking.reaches(&["--url", &url], &[("NATS_TOKEN", "w0rd")]);
    asking.reaches(&["--url", &format!("nats://w0rd@{address}")], &[]);
    asking.save("token", &json!({"url": url, "token": "env://WORD"}));
    asking.reaches(&["--context", "token"], &[("WORD", "w0rd")]);
    asking.fails(&["--context", "token"], 78, "`env://WORD` names a variable that is not set");
    asking.fails(&["--url", &url], 78, "refuses this user");
    asking.fails(&["--url", &url, "--token", "sword"], 78, "refuses this user");
    asking.fails(&["--url", &url, "--user", "ann", "--password", "w0rd"], 78, "refuses this user");
}
