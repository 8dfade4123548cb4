//! How much may be in hand at once, for all who ask together. Who comes when there is no room is told to come again: it is
//! not kept waiting, because what waits takes up room, too.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::control_plane::status::Status;

/// Bytes of bodies that are being read or worked on. The worst JSON takes 300 times its length (lists of maps of one entry).
pub(super) const BODIES: usize = 32 << 20;
/// Bytes of answers that wait for their readers. All of 10,000 Agents are 40 MB.
pub(super) const ANSWERS: usize = 256 << 20;
/// A watch that nobody reads holds 64 KiB of events. kubectl and a controller have a dozen.
pub(super) const WATCHES: usize = 10_000;

#[derive(Clone)]
pub(super) struct Room {
    bodies: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    watches: Arc<Semaphore>,
    backups: Arc<Semaphore>,
}

/// Given back when it is dropped.
pub(super) struct Place(#[expect(dead_code, reason = "held, not used")] OwnedSemaphorePermit);

impl Room {
    pub(super) fn empty() -> Self {
        let of = |places| Arc::new(Semaphore::new(places));
        Self {
            bodies: of(BODIES),
            answers: of(ANSWERS),
            watches: of(WATCHES),
            backups: of(1),
        }
    }

    pub(super) fn body(&self, bytes: usize) -> Result<Place, Status> {
        place(&self.bodies, bytes)
    }

    pub(super) fn answer(&self, bytes: usize) -> Result<Place, Status> {
        place(&self.answers, bytes)
    }

    pub(super) fn watch(&self) -> Result<Place, Status> {
        place(&self.watches, 1)
    }

    pub(super) fn backup(&self) -> Result<Place, Status> {
        place(&self.backups, 1)
    }
}

fn place(places: &Arc<Semaphore>, count: usize) -> Result<Place, Status> {
    let count = u32::try_from(count).map_err(|_| Status::too_many_requests())?;
    let permit = Arc::clone(places).try_acquire_many_owned(count);
    permit.map(Place).map_err(|_| Status::too_many_requests())
}
