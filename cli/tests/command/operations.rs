//! `jetlag status`, `jetlag top`, the ways to name a broker, completions and manual pages.

mod credentials;
mod terminal;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use async_nats::{Client, HeaderMap};
use jetlag_cli::app::App;
use serde_json::{Value, json};
use tests::{Server, until};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::shop::Shop;

/// The command, in an environment that names no broker.
fn jetlag(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jetlag"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NATS_")) {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

fn code_and_words(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn status(arguments: &[&str]) -> (Option<i32>, Value) {
    let output = jetlag(&[&["status", "-o", "json"], arguments].concat()).output().unwrap();
    let json = serde_json::from_slice(&output.stdout);
    (output.status.code(), json.unwrap_or_else(|_| panic!("{:?}", code_and_words(&output))))
}

fn kinds(status: &Value) -> Vec<String> {
    let findings = status["findings"].as_array().unwrap().iter();
    findings.map(|finding| format!("{} {}", finding["kind"], finding["place"]).replace('"', "")).collect()
}

async fn ask(client: &Client, subject: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let mut map = HeaderMap::new();
    headers.iter().for_each(|(name, value)| map.insert(*name, *value));
    let answer = client.request_with_headers(subject.to_owned(), map, body.to_owned().into()).await.unwrap();
    let json: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
    assert!(json.get("error").is_none(), "{subject}: {json}");
    json
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_wrong_is_told_by_status_and_shown_by_top() {
    let shop = Shop::new();
    let running = App::start(shop.options()).await.unwrap();
    let data = shop.data().display().to_string();
    let (code, calm) = status(&["--data", &data]);
    assert_eq!((code, kinds(&calm)), (Some(0), vec![]), "{calm}");
    let clerk = &calm["functions"][0];
    assert_eq!((&clerk["name"], clerk["lanes"].as_array().unwrap().len()), (&json!("clerk"), 3));
    assert_eq!((&clerk["retries"]["waiting"], &clerk["breaker"]), (&json!(0), &Value::Null));

    // Nobody pulls in this shop: a sale waits. Two retries wait, three inputs were given up, and the breaker is open.
    let client = async_nats::connect(running.broker_url().unwrap()).await.unwrap();
    ask(&client, "sales.made.S-1.e1", &[], "{}").await;
    let (soon, late) = (Duration::hours(1), Duration::hours(2));
    for (id, wait) in [("late", late), ("soon", soon)] {
        let at = format!("@at {}", (OffsetDateTime::now_utc() + wait).format(&Rfc3339).unwrap());
        let target = format!("retry.clerk.{id}.2");
        let headers = [("Nats-Schedule", at.as_str()), ("Nats-Schedule-Target", target.as_str())];
        ask(&client, &format!("schedule.clerk.{id}.2"), &headers, "{}").await;
    }
    for (id, reason) in [("a", "rejected"), ("b", "attempts_exhausted"), ("c", "rejected")] {
        ask(&client, &format!("dlq.clerk.{id}"), &[("Jetlag-Reason", reason)], "{}").await;
    }
    let at = |ago: Duration| (OffsetDateTime::now_utc() - ago).format(&Rfc3339).unwrap();
    let record =
        json!({"position": "open", "since": at(Duration::minutes(5)), "until": at(Duration::seconds(-20))});
    ask(&client, "state.clerk._jetlag%2Fbreaker", &[], &record.to_string()).await;

    let (code, seen) = status(&["--data", &data]);
    assert_eq!(
        (code, kinds(&seen)),
        (
            Some(1),
            vec!["breaker_open clerk".into(), "dead_letters clerk".into(), "dead_letters clerk".into()]
        )
    );
    let clerk = &seen["functions"][0];
    let lanes: Vec<_> = clerk["lanes"].as_array().unwrap().iter().map(|lane| lane["lag"].as_u64()).collect();
    assert_eq!(lanes, [Some(0), Some(1), Some(0)], "one waits on EVENTS: {clerk}");
    assert!(clerk["oldest"].is_string() && clerk["breaker"]["is_open"] == true);
    assert_eq!(clerk["dead_letters"]["by_reason"], json!({"rejected": 2, "attempts_exhausted": 1}));
    assert_eq!((&clerk["retries"]["waiting"], &clerk["retries"]["is_exact"]), (&json!(2), &json!(true)));
    let next = OffsetDateTime::parse(clerk["retries"]["next"].as_str().unwrap(), &Rfc3339).unwrap();
    assert!(next - OffsetDateTime::now_utc() <= soon, "the next one is the one that is due first");
    let command = seen["findings"][2]["command"].as_str().unwrap();
    assert_eq!(command, format!("jetlag dlq list --function clerk --reason rejected --data {data}"));
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let listed = jetlag(&words).output().unwrap();
    assert_eq!(
        listed.status.code(),
        Some(0),
        "what is told to be run can be run: {:?}",
        code_and_words(&listed)
    );
    let text = jetlag(&["status", "--data", &data]).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("WRONG  clerk: 2 dead letters: rejected"), "{text}");

    // The breaker closes, and still nobody pulls: that is told once the sale has waited for long enough.
    let closed = json!({"position": "closed", "since": at(Duration::ZERO)});
    ask(&client, "state.clerk._jetlag%2Fbreaker", &[], &closed.to_string()).await;
    until("function that nobody runs", async || {
        kinds(&status(&["--data", &data]).1).contains(&"nobody_pulls clerk".to_owned()).then_some(())
    })
    .await;

    terminal::is_given_back_however_it_ends(&data, &running.broker_url().unwrap()).await;
    let piped = jetlag(&["top", "--data", &data]).stdin(Stdio::null()).output().unwrap();
    let (code, words) = code_and_words(&piped);
    assert!(code == Some(64) && words.contains("jetlag status"), "{words}");
    running.drain().await;
    let (code, words) = code_and_words(&jetlag(&["status", "--data", &data]).output().unwrap());
    assert_eq!(code, Some(66), "{words}");
}

/// Certificates for 127.0.0.1 of an authority of their own, if this machine can make some.
fn certificates(directory: &Path) -> bool {
    let run = |arguments: &str| {
        let made = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output();
        made.is_ok_and(|output| output.status.success())
    };
    std::fs::write(directory.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let sign = "x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 2";
    run(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"))
        && ["server", "client"].iter().all(|name| {
            run(&format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"))
                && run(&format!("{sign} -in {name}.csr -out {name}.pem -extfile names"))
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_is_reached_by_flags_by_the_environment_and_by_contexts_of_the_nats_command() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).display().to_string();
    let is_encrypted = certificates(directory.path());
    assert!(is_encrypted, "openssl makes the certificates of this test");
    let user = nkeys::KeyPair::new_user();
    std::fs::write(place("seed"), user.seed().unwrap()).unwrap();
    let configuration = format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}\n\
         accounts: {{ A: {{ jetstream: enabled, users: [\
         {{user: ann, password: word}}, {{nkey: {}}},\
         {{user: bob, password: word, permissions: {{publish: \">\", subscribe: [\"_MINE.>\"]}}}}] }} }}",
        place("server.pem"),
        place("server.key"),
        place("ca.pem"),
        user.public_key()
    );
    let server = Server::start(directory.path(), &configuration, &[]).await;
    let url = format!("nats://127.0.0.1:{}", server.port);
    let (ca, cert, key) = (place("ca.pem"), place("client.pem"), place("client.key"));
    let tls = ["--tls-ca", &ca, "--tls-cert", &cert, "--tls-key", &key];
    let contexts = directory.path().join("nats/context");
    std::fs::create_dir_all(&contexts).unwrap();
    let write = |name: &str, change: Value| {
        let mut context = json!({
            "description": "", "url": url, "user": "", "password": "", "nkey": "", "creds": "", "token": "",
            "ca": ca, "cert": cert, "key": key, "inbox_prefix": "", "socks_proxy": "",
        });
        context.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        std::fs::write(contexts.join(format!("{name}.json")), context.to_string()).unwrap();
    };
    write("ann", json!({"user": "ann", "password": "env://WORD"}));
    write("seed", json!({"nkey": "$SEEDS/seed"}));
    write("bob", json!({"user": "bob", "password": "word", "inbox_prefix": "_MINE"}));
    write("far", json!({"socks_proxy": "socks5://127.0.0.1:1"}));
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = jetlag(&[&["status"], arguments].concat());
        command.current_dir(directory.path()).env("XDG_CONFIG_HOME", directory.path());
        command.env("WORD", "word").env("SEEDS", directory.path());
        command.envs(environment.iter().copied());
        code_and_words(&command.output().unwrap())
    };
    // There is a broker and nothing of Jetlag's on it, which is what is told once it is reached.
    let reached = |(code, words): (Option<i32>, String)| {
        assert!(code == Some(1) && words.contains("something looks wrong"), "{code:?} {words}");
        words
    };
    let flags = |more: &[&'static str]| [&["--url", url.as_str()], &tls[..], more].concat();
    let seed = place("seed");
    reached(run(&flags(&["--user", "ann", "--password", "word"]), &[]));
    reached(run(&[&flags(&[])[..], &["--nkey", &seed]].concat(), &[]));
    let certificates = [("NATS_CA", ca.as_str()), ("NATS_CERT", &cert), ("NATS_KEY", &key)];
    let by_environment = |more: &[(&'static str, &str)]| {
        let named = [("NATS_URL", url.as_str())];
        let all: Vec<(&str, String)> = named
            .iter()
            .chain(&certificates)
            .chain(more)
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        run(&[], &all)
    };
    reached(by_environment(&[("NATS_USER", "ann"), ("NATS_PASSWORD", "word")]));
    reached(by_environment(&[("NATS_NKEY", &user.seed().unwrap())]));
    reached(run(&["--context", "ann"], &[]));
    reached(run(&["--context", "seed"], &[("NATS_URL", "nats://127.0.0.1:1")]));
    reached(run(&["--context", "bob"], &[]));
    reached(run(&["--context", "seed", "--user", "ann", "--password", "word"], &[]));
    reached(run(&[], &[("NATS_CONTEXT", "ann")]));
    std::fs::write(directory.path().join("nats/context.txt"), "ann\n").unwrap();
    assert!(reached(run(&[], &[])).contains("the selected context `ann` is meant"));

    let refused = |arguments: &[&str], code: i32, words: &str| {
        let told = run(arguments, &[]);
        assert!(told.0 == Some(code) && told.1.contains(words), "{arguments:?}: {told:?}");
    };
    refused(&["--context", "nowhere"], 66, "there are: ann, bob, far, seed");
    refused(&["--context", "far"], 78, "`socks_proxy`");
    refused(&["--context", "ann", "--creds", "/nonexistent"], 78, "cannot read `/nonexistent`");
    refused(&["--context", "ann", "--user", "ann", "--password", "wrong"], 78, "refuses this user");
    refused(&["--url", &url, "--user", "ann", "--password", "word"], 69, "--tls-ca");
    refused(&["--data", "nowhere"], 66, "nothing runs in `nowhere`");
}

/// The commands in the help of `words`, without `help` itself.
fn commands(words: &[&str]) -> Vec<String> {
    let help = jetlag(&[words, &["--help"]].concat()).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let Some((_, after)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let lines = after.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned).collect()
}

#[test]
fn shells_complete_every_command_and_each_has_its_manual_page() {
    let mut all: Vec<String> = Vec::new();
    for command in commands(&[]) {
        let inner = commands(&[&command]);
        all.extend(inner.iter().map(|name| format!("{command} {name}")));
        all.push(command);
    }
    assert!(all.contains(&"dlq redrive".to_owned()) && all.contains(&"top".to_owned()), "{all:?}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = jetlag(&["completions", shell]).output().unwrap();
        let script = String::from_utf8(script.stdout).unwrap();
        for word in all.iter().flat_map(|command| command.split(' ')).chain(["--context", "--tls-ca"]) {
            let word = if shell == "fish" { word.trim_start_matches("--") } else { word };
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    let written = jetlag(&["man", pages.to_str().unwrap()]).output().unwrap();
    assert_eq!(written.status.code(), Some(0), "{:?}", code_and_words(&written));
    for command in &all {
        let page = pages.join(format!("jetlag-{}.1", command.replace(' ', "-")));
        let text = std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("no {}", page.display()));
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{}", page.display());
    }
    assert!(std::fs::read_to_string(pages.join("jetlag.1")).unwrap().contains("jetlag\\-status"));
    std::fs::write(directory.path().join("file"), "").unwrap();
    let inside_a_file = directory.path().join("file/man");
    let refused = jetlag(&["man", inside_a_file.to_str().unwrap()]).output().unwrap();
    assert_eq!(refused.status.code(), Some(73));
}
