//! The rules of the layout: who may import whom, and what is deliberately absent (docs/ARCHITECTURE.md, invariants).

use std::fs;
use std::path::{Path, PathBuf};

/// A rule: files below these places must not contain any of these words, with the reason.
struct Rule {
    places: &'static [&'static str],
    but: &'static [&'static str],
    words: &'static [&'static str],
    reason: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        places: &["runtime/src"],
        but: &["runtime/src/jetstream"],
        words: &["async_nats::", "use async_nats"],
        reason: "only the broker edge imports the broker's client",
    },
    Rule {
        places: &["runtime/src"],
        but: &["runtime/src/http"],
        words: &["axum::", "tower_http::"],
        reason: "only the HTTP edge imports the HTTP server",
    },
    Rule {
        places: &["runtime/src/jetstream"],
        but: &["runtime/src/jetstream/conformance.rs"],
        words: &[
            "double_ack",
            ".fetch()",
            ".batch()",
            ".heartbeat(",
            "jetstream::new",
            "jetstream::consumer",
            "jetstream::context",
        ],
        reason: "the client's convenience layer hangs, strands messages and says Ok to what did not happen (docs/conformance.md)",
    },
    Rule {
        places: &["runtime/src/core"],
        but: &[],
        words: &[
            "SystemTime",
            "now_utc",
            "now_local",
            "std::time::Instant",
            "std::net",
            "std::fs",
            "tokio::net",
            "rand::",
        ],
        reason: "the core does no IO, reads no wall clock and draws no random numbers",
    },
    Rule {
        places: &["keda/src/decision", "keda/src/lint"],
        but: &[],
        words: &["SystemTime", "Instant", "std::net", "std::fs", "std::env", "tokio::", "rand::"],
        reason: "decisions and rules are pure: whoever calls says what time it is and what was read",
    },
    Rule {
        places: &["runtime/src/core"],
        but: &[],
        words: &["crate::jetstream", "crate::http", "crate::serve", "crate::function::"],
        reason: "the core knows no edge: vocabulary <- core <- edges <- serve",
    },
    Rule {
        places: &[
            "runtime/src/contract.rs",
            "runtime/src/effects.rs",
            "runtime/src/event.rs",
            "runtime/src/failure.rs",
            "runtime/src/identity.rs",
            "runtime/src/payload.rs",
            "runtime/src/retry.rs",
            "runtime/src/state.rs",
            "runtime/src/subject.rs",
            "runtime/src/token.rs",
            "runtime/src/topology.rs",
        ],
        but: &[],
        words: &["crate::core", "crate::jetstream", "crate::http", "crate::telemetry", "crate::serve"],
        reason: "the vocabulary knows neither the core nor an edge",
    },
    Rule {
        places: &["functions", "cli/src", "tests/world/src"],
        but: &[],
        words: &["async_nats::", "use async_nats"],
        reason: "the broker's client is behind the runtime",
    },
    Rule {
        places: &["functions/events/src"],
        but: &[],
        words: &["Contract<", "reqwest", "tokio"],
        reason: "events are payloads only",
    },
    Rule {
        places: &[
            "functions/events/src",
            "functions/order/src",
            "functions/payment/src",
            "functions/inventory/src",
        ],
        but: &[],
        words: &["f64", "f32"],
        reason: "money is never a float",
    },
];

#[test]
fn imports_go_one_way() {
    let mut broken = Vec::new();
    for rule in RULES {
        let mut seen = 0;
        for place in rule.places {
            for file in rust_files(&root().join(place)) {
                let name = file.strip_prefix(root()).unwrap().display().to_string();
                if rule.but.iter().any(|but| name.starts_with(but)) {
                    continue;
                }
                seen += 1;
                for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
                    // Comments may name what code may not use.
                    let code = line.split("//").next().unwrap_or_default();
                    for word in rule.words.iter().filter(|word| code.contains(**word)) {
                        broken.push(format!("{name}:{}: {word}: {}", number + 1, rule.reason));
                    }
                }
            }
        }
        assert!(seen > 0, "the rule {:?} looks at no file: {:?}", rule.reason, rule.places);
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_file_holds_one_noun() {
    const LINES_MAX: usize = 500;
    let heaps: Vec<String> = ["runtime/src", "functions", "keda/src", "cli/src", "tests"]
        .iter()
        .flat_map(|place| rust_files(&root().join(place)))
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, file)| format!("{} has {lines} lines", file.display()))
        .collect();
    assert!(heaps.is_empty(), "{}", heaps.join("\n"));
}

#[test]
fn every_reason_for_a_dead_letter_has_its_page() {
    for reason in jetlag::Reason::ALL {
        let page = root().join(format!("docs/errors/{reason}.md"));
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        for part in ["What happened", "What Jetlag did", "What to do"] {
            assert!(text.contains(part), "{} has no part {part:?}", page.display());
        }
    }
}

#[test]
fn every_code_over_http_is_documented() {
    let source = fs::read_to_string(root().join("runtime/src/http/problem.rs")).unwrap();
    let documented = fs::read_to_string(root().join("docs/errors/README.md")).unwrap();
    // `Kind::new(StatusCode::…, "code", "title")`
    let kinds: Vec<&str> =
        source.split("Kind::new(").skip(1).filter(|rest| rest.contains("StatusCode")).collect();
    let codes: Vec<&str> = kinds.iter().filter_map(|rest| rest.split('"').nth(1)).collect();
    assert!(codes.len() > 10, "{codes:?}");
    for code in codes {
        let is_documented =
            documented.contains(&format!("`{code}`")) || documented.contains(&format!("[{code}]({code}.md)"));
        assert!(is_documented, "docs/errors/README.md does not tell of {code}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn rust_files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(place).unwrap_or_else(|error| panic!("{}: {error}", place.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
