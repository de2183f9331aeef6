//! Which port each function listens on.

use std::collections::BTreeMap;
use std::net::TcpListener;

use crate::problem::{Exit, Problem};

/// The port of the broker, unless it is taken: where every NATS tool looks first.
const CUSTOMARY_NATS_PORT: u16 = 4222;

/// The port of each function. They are held until this is dropped: a build lies between the choice and the use, and
/// a stranger on a function's port would look like a function that is ready.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    numbers: BTreeMap<String, u16>,
    held: Vec<TcpListener>,
}

impl Ports {
    /// The port of each.
    pub(crate) const fn numbers(&self) -> &BTreeMap<String, u16> {
        &self.numbers
    }

    /// Lets go of the ports, for the functions to take.
    pub(crate) fn release(&mut self) {
        self.held.clear();
    }
}

/// Gives each of `names` a port: `base`, `base + 1` and so on, or free ones if `base` is 0.
///
/// # Errors
/// A port is taken (69), or there are not enough of them (64).
pub(crate) fn reserve<'a>(base: u16, names: impl Iterator<Item = &'a str>) -> Result<Ports, Problem> {
    let mut ports = Ports::default();
    for (offset, name) in (0_u16..).zip(names) {
        let port = if base == 0 { Some(0) } else { base.checked_add(offset) };
        let port = port.ok_or_else(|| {
            Problem::new(Exit::Usage, format!("--port-base {base} leaves no port for `{name}`"))
        })?;
        let listener = TcpListener::bind(("127.0.0.1", port)).map_err(|error| {
            Problem::new(Exit::Unavailable, format!("port {port} is needed for `{name}`, and cannot be had"))
                .because(error)
                .remedy("choose other ports with --port-base N, or --port-base 0 for any that are free")
        })?;
        let chosen = listener.local_addr().map_err(|error| {
            Problem::new(Exit::Internal, format!("the port of `{name}` cannot be told")).because(error)
        })?;
        ports.numbers.insert(name.to_owned(), chosen.port());
        ports.held.push(listener);
    }
    Ok(ports)
}

/// The port of the broker: the one that was asked for, else the customary one if it is free, else any (0).
///
/// # Errors
/// The one that was asked for is taken (69).
pub(crate) fn for_broker(wanted: Option<u16>) -> Result<u16, Problem> {
    let free = |port| TcpListener::bind(("127.0.0.1", port));
    match wanted {
        Some(port) => free(port).map(|_| port).map_err(|error| {
            Problem::new(
                Exit::Unavailable,
                format!("port {port} is needed for the broker, and cannot be had"),
            )
            .because(error)
            .remedy("choose another with --nats-port N, or --nats-port 0 for any that is free")
        }),
        None => Ok(free(CUSTOMARY_NATS_PORT).map_or(0, |_| CUSTOMARY_NATS_PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_all_different() {
        let ports = reserve(0, ["order", "audit", "payment"].into_iter()).unwrap();
        let mut numbers: Vec<_> = ports.numbers.values().collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 3);
        assert!(!numbers.contains(&&0));
    }

    #[test]
    fn a_port_that_is_taken_is_said_before_anything_starts() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = holder.local_addr().unwrap().port();
        let problem = reserve(taken, ["order"].into_iter()).unwrap_err();
        assert_eq!(problem.exit(), Exit::Unavailable);
        assert!(problem.to_string().contains(&taken.to_string()));
        assert_eq!(reserve(65535, ["a", "b"].into_iter()).unwrap_err().exit(), Exit::Usage);
    }
}
