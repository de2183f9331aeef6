//! What the environment says about running a function.

use std::time::Duration;

use crate::environment::Environment;
use crate::jetstream::Connection;
use crate::sink::Sink;
use crate::{Breaker, Durability, Terms, Trigger, telemetry};

/// What the environment says about running a function.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) connection: Connection,
    /// Where events go instead, if no broker is named.
    pub(crate) sink: Option<Sink>,
    pub(crate) port: u16,
    pub(crate) trigger: Trigger,
    pub(crate) provision: bool,
    pub(crate) breaker: Option<Breaker>,
    pub(crate) durability: Durability,
    pub(crate) telemetry: telemetry::Settings,
}

impl Settings {
    pub(crate) fn from_env(env: &mut Environment, terms: &Terms) -> Self {
        let connection = Connection::from_env(env);
        let sink = Sink::from_env(env);
        let port = env.parsed_or("PORT", 8080, "port of HTTP: probes, metrics, endpoints, trigger; 0 is any");
        let trigger =
            env.parsed_or("JETLAG_TRIGGER", terms.trigger, "where inputs come from: stream, http or both");
        if trigger.pulls() && !terms.trigger.pulls() {
            env.fault(
                "JETLAG_TRIGGER",
                "must be http: the contract says so, and there are no consumers to pull from",
            );
        }
        let provision = env.parsed_or(
            "JETLAG_PROVISION",
            true,
            "make streams and consumers that are missing: true or false",
        );
        let breaker = terms.breaker.map(|breaker| breaker_from_env(env, breaker));
        let durability = env.parsed_or(
            "JETLAG_DURABILITY",
            terms.durability,
            "always where the broker syncs every write to disk, so that commits share their syncs; else default",
        );
        let telemetry = telemetry::Settings::read(env);
        Self { connection, sink, port, trigger, provision, breaker, durability, telemetry }
    }
}

/// The contract's breaker, as the environment has it.
fn breaker_from_env(env: &mut Environment, contract: Breaker) -> Breaker {
    let failures = env.parsed_or(
        "JETLAG_BREAKER_FAILURES",
        contract.failures,
        "consecutive outages that the circuit breaker bears; one more opens it",
    );
    let open_for_ms = env.parsed_or(
        "JETLAG_BREAKER_OPEN_MS",
        u64::try_from(contract.open_for.as_millis()).unwrap_or(u64::MAX),
        "how long an open circuit breaker waits before one input tries, in milliseconds",
    );
    if open_for_ms == 0 {
        env.fault("JETLAG_BREAKER_OPEN_MS", "must be more than 0");
    }
    Breaker::after(failures).open_for(Duration::from_millis(open_for_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_changes_the_breaker_of_a_contract_that_has_one() {
        const CONTRACT: crate::Contract<crate::AnyEvent, crate::Nothing> =
            crate::Contract::new("till", "Charges.");
        let (without, terms) = (CONTRACT.terms(), CONTRACT.breaker(Breaker::after(5)).terms());
        let settings = |variables: [(&str, &str); 2], terms: &Terms| {
            let mut env = Environment::of(variables);
            (Settings::from_env(&mut env, terms).breaker, env.faults().len())
        };
        let set = [("JETLAG_BREAKER_FAILURES", "2"), ("JETLAG_BREAKER_OPEN_MS", "1500")];
        let breaker = Breaker::after(2).open_for(Duration::from_millis(1500));
        assert_eq!(settings(set, &terms), (Some(breaker), 0));
        assert_eq!(settings([("", ""), ("", "")], &terms), (terms.breaker, 0));
        assert_eq!(settings(set, &without), (None, 0));
        assert_eq!(settings([("JETLAG_BREAKER_OPEN_MS", "0"), ("", "")], &terms).1, 1);
    }

    #[test]
    fn whoever_runs_the_broker_says_how_it_syncs() {
        const CONTRACT: crate::Contract<crate::AnyEvent, crate::Nothing> =
            crate::Contract::new("till", "Charges.");
        let durability = |said: &str| {
            let mut env = Environment::of([("JETLAG_DURABILITY", said)]);
            (Settings::from_env(&mut env, &CONTRACT.terms()).durability, env.faults().len())
        };
        assert_eq!(durability("always"), (Durability::Always, 0));
        assert_eq!(durability("default"), (Durability::Default, 0));
        assert_eq!(durability("never").1, 1);
    }

    #[test]
    fn the_contract_says_where_inputs_come_from_and_the_environment_may_say_otherwise() {
        const CONTRACT: crate::Contract<crate::AnyEvent, crate::Nothing> =
            crate::Contract::new("till", "Charges.");
        let trigger = |contract: Trigger, said: Option<&str>| {
            let mut env = Environment::of([said.map_or(("", ""), |said| ("JETLAG_TRIGGER", said))]);
            (Settings::from_env(&mut env, &CONTRACT.trigger(contract).terms()).trigger, env.faults().len())
        };
        assert_eq!(trigger(Trigger::Both, None), (Trigger::Both, 0));
        assert_eq!(trigger(Trigger::Both, Some("stream")), (Trigger::Stream, 0));
        assert_eq!(trigger(Trigger::Stream, Some("http")), (Trigger::Http, 0));
        assert_eq!(trigger(Trigger::Http, None), (Trigger::Http, 0));
        assert_eq!(trigger(Trigger::Http, Some("both")).1, 1);
    }
}
