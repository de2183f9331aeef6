//! Looks after the functions of a running application: nothing expires that a function has not answered for.

use std::time::Duration;

use jetlag::jetstream::{Connection, Operator, RescueError};
use jetlag::{ROUNDS_PER_HORIZON, Rescued};
use tokio::task::JoinHandle;

use crate::console::Console;

/// How often the broker is asked for until it is there.
const CONNECT_PAUSE: Duration = Duration::from_secs(1);
/// The longest wait between two rounds, whatever the horizon: it may be changed at the broker meanwhile.
const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// A task that runs until it is dropped. It may be dropped anywhere: what a round has not done, the next one does.
#[derive(Debug)]
pub(super) struct Rescuer(JoinHandle<()>);

impl Drop for Rescuer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Rescuer {
    pub(super) fn start(broker_url: String, functions: Vec<String>, console: Console) -> Self {
        Self(tokio::spawn(async move {
            let connection = Connection::to(broker_url);
            let operator = loop {
                match Operator::connect(&connection).await {
                    Ok(operator) => break operator,
                    Err(_) => tokio::time::sleep(CONNECT_PAUSE).await,
                }
            };
            loop {
                let pause = match round(&operator, &functions, console).await {
                    Ok(horizon) => (horizon / ROUNDS_PER_HORIZON).min(PAUSE_MAX),
                    // Nothing expires.
                    Err(RescueError::NoHorizon) => PAUSE_MAX,
                    // The broker is being restarted.
                    Err(_) => CONNECT_PAUSE,
                };
                tokio::time::sleep(pause).await;
            }
        }))
    }
}

/// One round for every function, and how long events are kept.
async fn round(operator: &Operator, functions: &[String], console: Console) -> Result<Duration, RescueError> {
    let horizon = operator.horizon().await?;
    for function in functions {
        let Rescued { carried, late, .. } = operator.rescue(function, horizon).await?;
        if carried > 0 {
            console
                .aside(function, &format!("is behind: {carried} events were carried on before they expired"));
        }
        if late > 0 {
            console.warn(&format!(
                "{function}: {late} events expire; nobody can tell whether they were handled"
            ));
        }
    }
    Ok(horizon)
}
