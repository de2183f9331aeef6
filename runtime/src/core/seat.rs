//! What an input occupies of its process: credit of its lane until it is decided, a slot while its handler runs, and room
//! while it waits for its commit.
//!
//! A commit takes as long as the broker's disk, and a group of them little longer than one. So who waits for it makes way: the
//! more is decided meanwhile, the larger is the next group.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{AcquireError, Notify, Semaphore, SemaphorePermit};

/// How many inputs wait for their commits at most, beside those in slots.
const COMMITTING_MAX: usize = 1024;
/// One that commits more than this takes the room of several: all together commit 16 MiB at most.
const COMMITTING_BYTES: usize = 16 * 1024;

/// The slots of a process, and the room for what waits for its commit.
#[derive(Debug)]
pub(crate) struct Seats {
    concurrency: usize,
    slots: Semaphore,
    room: Semaphore,
}

/// What one input occupies. Dropped, it is free again.
#[derive(Debug, Default)]
pub(crate) struct Seat<'s> {
    slot: Option<SemaphorePermit<'s>>,
    credit: Option<&'s mut Credit>,
    has_made_way: bool,
}

/// How many inputs of a lane are where.
#[derive(Debug, Default)]
pub(crate) struct Held {
    undecided: AtomicUsize,
    in_groups: AtomicUsize,
    freed: Notify,
}

/// What an input takes of its lane's credit, until it is answered or waits for its commit.
#[derive(Debug)]
pub(crate) struct Credit {
    held: Arc<Held>,
    at: At,
}

/// Where an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Undecided,
    /// It waits for a commit of its own.
    Alone,
    /// It waits for a commit that it shares with others.
    InGroup,
}

impl Seats {
    /// `concurrency` slots.
    pub(crate) fn new(concurrency: usize) -> Self {
        Self { concurrency, slots: Semaphore::new(concurrency), room: Semaphore::new(COMMITTING_MAX) }
    }

    /// A slot, as soon as one is free.
    pub(crate) async fn take<'s>(&'s self, credit: Option<&'s mut Credit>) -> Seat<'s> {
        Seat { slot: self.slots.acquire().await.ok(), credit, has_made_way: false }
    }

    /// `count` slots at once.
    pub(crate) async fn take_many(&self, count: usize) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.slots.acquire_many(u32::try_from(count).unwrap_or(u32::MAX)).await
    }

    /// Everything that there is, once nothing runs here any more and nothing waits for its commit.
    pub(crate) async fn take_all(&self) -> [Result<SemaphorePermit<'_>, AcquireError>; 2] {
        // In this order: who has to run again after its commit has left its room before it waits for a slot.
        let slots = self.take_many(self.concurrency).await;
        [slots, self.room.acquire_many(u32::try_from(COMMITTING_MAX).unwrap_or(u32::MAX)).await]
    }

    /// Room for what commits so many bytes, if there is any.
    fn room(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let share = bytes.div_ceil(COMMITTING_BYTES).clamp(1, COMMITTING_MAX);
        self.room.try_acquire_many(u32::try_from(share).ok()?).ok()
    }

    #[cfg(test)]
    pub(crate) fn free_slots(&self) -> usize {
        self.slots.available_permits()
    }
}

impl<'s> Seat<'s> {
    /// Makes way for others while the commit of so many bytes is waited for, as long as what this gives is held; not if
    /// there is no room for that. With `in_group`, the commit is shared with others.
    pub(crate) fn make_way(
        &mut self,
        seats: &'s Seats,
        bytes: usize,
        in_group: bool,
    ) -> Option<SemaphorePermit<'s>> {
        self.slot.as_ref()?;
        let room = seats.room(bytes)?;
        if let Some(credit) = &mut self.credit {
            credit.go(if in_group { At::InGroup } else { At::Alone });
        }
        self.slot = None;
        self.has_made_way = true;
        Some(room)
    }

    /// The commit is waited for no more. The lane's credit may be overdrawn by that for a while.
    pub(crate) fn has_waited(&mut self) {
        if let Some(credit) = &mut self.credit {
            credit.go(At::Undecided);
        }
    }

    /// Takes a slot again, if it has made way: its handler is to run once more.
    pub(crate) async fn come_back(&mut self, seats: &'s Seats) {
        if self.has_made_way {
            self.slot = seats.slots.acquire().await.ok();
            self.has_made_way = false;
        }
    }
}

impl Held {
    /// How many more inputs a lane may have asked for that holds `most` undecided ones at a time. While a group is stored, as
    /// many as are in it come in addition, so that the next is no smaller: until the broker has stored the one, it does not
    /// deliver for the other.
    pub(crate) fn free(&self, most: usize) -> usize {
        let in_groups = self.in_groups.load(Ordering::Relaxed);
        (most + in_groups).saturating_sub(self.undecided.load(Ordering::Relaxed))
    }

    /// Waits until something is free that was not.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    pub(crate) fn free_up(&self) {
        self.freed.notify_one();
    }

    fn count_of(&self, at: At) -> Option<&AtomicUsize> {
        match at {
            At::Undecided => Some(&self.undecided),
            At::InGroup => Some(&self.in_groups),
            At::Alone => None,
        }
    }
}

impl Credit {
    /// Takes some of what `held` counts.
    pub(crate) fn take(held: &Arc<Held>) -> Self {
        held.undecided.fetch_add(1, Ordering::Relaxed);
        Self { held: Arc::clone(held), at: At::Undecided }
    }

    fn go(&mut self, to: At) {
        if to == self.at {
            return;
        }
        if let Some(count) = self.held.count_of(to) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.leave();
        self.at = to;
    }

    fn leave(&self) {
        if let Some(count) = self.held.count_of(self.at) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        if self.at == At::Undecided {
            self.held.free_up();
        }
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;
