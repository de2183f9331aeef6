use super::*;
use crate::permissions::pattern::{covers, overlap};

/// A function as its program describes it.
fn described(change: impl FnOnce(&mut serde_json::Value)) -> Description {
    let kind = |name: &str| serde_json::json!({"type": name, "aggregate": "x", "once_per_aggregate": false});
    let mut json = serde_json::json!({
        "name": "till", "version": "1", "summary": "Charges.", "reads": "events",
        "listens_to": [kind("a.b")], "emits": [kind("c.d")], "admits": [kind("e.f")], "keeps": ["total"],
        "retry": {"first_delay_ms": 1, "max_delay_ms": 1, "max_attempts": 1},
        "time_limit_ms": 1, "concurrency": 1, "batch": 1,
        "scaling": {"min": 0, "max": 1, "cooldown_ms": 1, "polling_ms": 1},
    });
    change(&mut json);
    serde_json::from_value(json).unwrap()
}

fn subjects(grants: &[Grant]) -> Vec<&str> {
    grants.iter().map(|grant| grant.subject.as_str()).collect()
}

#[test]
fn a_function_may_do_what_its_contract_says() {
    let user = Permissions::of(&described(|_| {}));
    assert_eq!(
        subjects(&user.publish),
        [
            "$JS.API.CONSUMER.INFO.EVENTS.till",
            "$JS.API.CONSUMER.MSG.NEXT.EVENTS.till",
            "$JS.ACK.EVENTS.till.>",
            "$JS.API.CONSUMER.INFO.RETRY.till",
            "$JS.API.CONSUMER.MSG.NEXT.RETRY.till",
            "$JS.ACK.RETRY.till.>",
            "$JS.API.STREAM.MSG.GET.RETRY",
            "$JS.API.CONSUMER.INFO.INTAKE.till",
            "$JS.API.CONSUMER.MSG.NEXT.INTAKE.till",
            "$JS.ACK.INTAKE.till.>",
            "$JS.API.STREAM.MSG.GET.INTAKE",
            "$JS.API.STREAM.INFO.EVENTS",
            "$JS.API.STREAM.MSG.GET.EVENTS",
            "$JS.API.DIRECT.GET.EVENTS.state.till.*",
            "c.d.*.*",
            "e.f.*.*",
            "state.till.*",
            "done.till.*.*",
            "schedule.till.*.*",
            "dlq.till.*",
            "$SYS.REQ.USER.INFO",
        ]
    );
    assert_eq!(subjects(&user.subscribe), ["_INBOX_till.>"]);
}

#[test]
fn what_a_contract_does_not_say_is_not_granted() {
    let none = serde_json::json!([]);
    let without = |field: &str| {
        let user = Permissions::of(&described(|json| json[field] = none.clone()));
        subjects(&user.publish).join(" ")
    };
    assert!(!without("keeps").contains("DIRECT.GET"));
    assert!(!without("admits").contains("INTAKE") && !without("admits").contains("e.f"));
    assert!(!without("emits").contains("c.d"));
    let only_admits = without("listens_to");
    for subject in ["NEXT.EVENTS", "RETRY", "state.till.*", "done.", "schedule."] {
        assert!(!only_admits.replace("GET.EVENTS.state", "").contains(subject), "{subject}: {only_admits}");
    }
    let trail = Permissions::of(&described(|json| json["reads"] = "audit".into()));
    let trail = subjects(&trail.publish).join(" ");
    assert!(trail.contains("MSG.NEXT.AUDIT.till") && trail.contains("state.till.*"));
    assert!(!trail.contains("RETRY") && !trail.contains("NEXT.EVENTS") && !trail.contains("schedule."));
}

/// Only the provisioner makes, and nobody takes away a stream, a consumer, or what is in a stream of events.
#[test]
fn nobody_may_take_anything_away_but_those_who_must() {
    let functions = [described(|_| {}), described(|json| json["name"] = "desk".into())];
    let users = Permissions::all(&functions);
    assert_eq!(users.len(), 7);
    for user in &users {
        let allows = |subject: &str| user.publish.iter().any(|grant| overlap(&grant.subject, subject));
        for subject in [
            "$JS.API.STREAM.PURGE.*",
            "$JS.API.STREAM.DELETE.*",
            "$JS.API.CONSUMER.DELETE.>",
            "$JS.API.STREAM.MSG.DELETE.EVENTS",
            "$JS.API.STREAM.MSG.DELETE.AUDIT",
            "$JS.API.STREAM.SNAPSHOT.*",
            "$JS.API.STREAM.RESTORE.*",
            "$JS.API.CONSUMER.PAUSE.>",
            "$JS.API.CONSUMER.RESET.>",
            "$JS.API.CONSUMER.DURABLE.CREATE.>",
        ] {
            assert!(!allows(subject), "{} may {subject}", user.user);
        }
        assert_eq!(allows("$JS.API.*.CREATE.>"), user.user == "provision", "{}", user.user);
        for grant in &user.subscribe {
            assert!(covers(&format!("_INBOX_{}.>", user.user), &grant.subject));
        }
        let subjects = subjects(&user.publish);
        let distinct: std::collections::BTreeSet<_> = subjects.iter().collect();
        assert_eq!(distinct.len(), subjects.len(), "a line twice: {subjects:?}");
        for one in &user.publish {
            let wider =
                user.publish.iter().find(|other| *other != one && covers(&other.subject, &one.subject));
            assert_eq!(wider, None, "{} is there already", one.subject);
        }
    }
    let own = |subject: &str| {
        let owners = users.iter().filter(|user| user.publish.iter().any(|g| covers(&g.subject, subject)));
        owners.map(|user| user.user.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(own("state.till.x"), ["till", "rescue"]);
    assert_eq!(own("$JS.API.CONSUMER.MSG.NEXT.RETRY.till"), ["till"]);
    assert_eq!(own("$JS.ACK.INTAKE.till.1.2.3.4.5"), ["till"]);
}

#[test]
fn who_tells_how_everything_is_only_reads() {
    for function in [described(|_| {}), described(|json| json["admits"] = serde_json::json!([]))] {
        let admits = !function.admits.is_empty();
        let user = Permissions::of_operation(METRICS, &[function]).unwrap();
        let reads = ["$JS.API.STREAM.INFO.", "$JS.API.CONSUMER.LIST.", "$JS.API.DIRECT.GET.", USER_INFO];
        for subject in subjects(&user.publish) {
            assert!(reads.iter().any(|read| subject.starts_with(read)), "{subject}");
        }
        assert_eq!(subjects(&user.publish).contains(&"$JS.API.DIRECT.GET.INTAKE"), admits);
    }
}

#[test]
fn the_forms_hold_every_line() {
    let users = Permissions::all(&[described(|json| json["name"] = "till-2".into())]);
    let (text, claims) = (server_configuration("JETLAG", &users), claims_json(&users));
    assert!(text.contains("nkey: $TILL_2_NKEY"), "{text}");
    for user in &users {
        for (grants, claimed) in [(&user.publish, "pub"), (&user.subscribe, "sub")] {
            assert_eq!(claims[&user.user][claimed]["allow"], serde_json::json!(subjects(grants)));
            for grant in grants {
                assert!(text.contains(&format!("# to {}\n            \"{}\"", grant.why, grant.subject)));
            }
        }
    }
}

#[test]
fn a_function_of_requests_alone_pulls_nothing_and_may_not() {
    let function = described(|json| json["trigger"] = "http".into());
    let user = Permissions::of(&function);
    assert!(subjects(&user.publish).iter().all(|subject| !subject.starts_with("$JS.API.CONSUMER.")));
    assert!(subjects(&user.publish).contains(&"c.d.*.*"));
    let topology = crate::topology::Topology::of(&[function], &crate::topology::Sizing::default());
    assert!(topology.consumers.is_empty() && !topology.streams.is_empty());
}
