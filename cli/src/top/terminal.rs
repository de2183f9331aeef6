//! The terminal: taken while it is drawn on, and given back however that ends.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::terminal::is_raw_mode_enabled;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::{Asked, Buckets, Meters, Top, draw};
use crate::status::{Look, Snapshot};

/// How often it is seen whether keys are still wanted.
const KEYS_CHECKED: Duration = Duration::from_millis(100);
/// Keys and looks that wait to be shown at most.
const QUEUE: usize = 16;

/// What a look brought.
type Seen = Result<(Snapshot, std::collections::BTreeMap<String, Buckets>), String>;

/// A terminal that is given back when this is dropped; a panic gives it back too, before it is told.
struct Taken(DefaultTerminal);

impl Taken {
    fn take() -> io::Result<Self> {
        // Whatever fails half-way, a dropped one gives the terminal back.
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // A panic has given it back, and told of itself: a terminal that is given back twice writes over that.
        if is_raw_mode_enabled().unwrap_or(true) {
            let _ = ratatui::try_restore();
        }
    }
}

/// Keys, from a thread that waits for them: it ends when this is dropped.
struct Keys {
    wanted: Arc<AtomicBool>,
    events: mpsc::Receiver<Event>,
}

impl Keys {
    fn listen() -> Self {
        let (sender, events) = mpsc::channel(QUEUE);
        let wanted = Arc::new(AtomicBool::new(true));
        let still = Arc::clone(&wanted);
        std::thread::spawn(move || {
            while still.load(Ordering::Relaxed) {
                let event = match event::poll(KEYS_CHECKED) {
                    Ok(false) => continue,
                    Ok(true) => event::read(),
                    Err(error) => Err(error),
                };
                // A terminal that is gone has no keys any more: the channel's end says so.
                let Ok(event) = event else { return };
                if sender.blocking_send(event).is_err() {
                    return;
                }
            }
        });
        Self { wanted, events }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Relaxed);
    }
}

/// Looks again and again, unless it is paused.
struct Looking(JoinHandle<()>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn looking(
    mut look: Look,
    meters: Meters,
    interval: Duration,
    mut pause: tokio::sync::watch::Receiver<bool>,
) -> (Looking, mpsc::Receiver<Seen>) {
    let (sender, seen) = mpsc::channel(1);
    let task = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if pause.wait_for(|is_paused| !is_paused).await.is_err() {
                return;
            }
            ticks.tick().await;
            let brought = match look.snapshot().await {
                Ok(snapshot) => {
                    let buckets = meters.read(&snapshot).await;
                    Ok((snapshot, buckets))
                }
                Err(error) => Err(error.to_string()),
            };
            if sender.send(brought).await.is_err() {
                return;
            }
        }
    });
    (Looking(task), seen)
}

/// Shows `top` until a key or `end` ends it.
///
/// # Errors
/// The terminal cannot be drawn on.
pub async fn watch(
    mut top: Top,
    look: Look,
    meters: Meters,
    colour: bool,
    mut end: impl AsyncFnMut(),
) -> io::Result<()> {
    let mut taken = Taken::take()?;
    let mut keys = Keys::listen();
    let (pause, paused) = tokio::sync::watch::channel(false);
    let (_looking, mut seen) = looking(look, meters, top.interval, paused);
    loop {
        taken.0.draw(|frame| draw(&top, colour, frame))?;
        let step = tokio::select! {
            () = end() => ControlFlow::Break(()),
            event = keys.events.recv() => match event {
                None => ControlFlow::Break(()),
                Some(Event::Key(key)) if top.key(key) == Asked::Quit => ControlFlow::Break(()),
                Some(_) => ControlFlow::Continue(()),
            },
            brought = seen.recv() => match brought {
                Some(Ok((snapshot, buckets))) => {
                    top.take(snapshot, buckets);
                    ControlFlow::Continue(())
                }
                Some(Err(why)) => {
                    top.fail(why);
                    ControlFlow::Continue(())
                }
                None => return Err(io::Error::other("whoever looked at the broker has ended")),
            },
        };
        if step.is_break() {
            return Ok(());
        }
        pause.send_replace(top.is_paused());
    }
}
