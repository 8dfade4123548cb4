//! A disk as it is in bad hours: what was not synced may be lost, wholly, in part or torn, in any order; it gets full;
//! the power goes; a sync takes its time.

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use redb::StorageBackend;

#[derive(Clone)]
pub(crate) struct Disk(Arc<Platters>);

struct Platters {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What is shown.
    current: Vec<u8>,
    synced: Vec<u8>,
    /// Since the last sync.
    unsynced: Vec<Done>,
    operations: usize,
    syncs: usize,
    fault: Option<(usize, Fault)>,
    /// Syncs wait.
    held: bool,
    waiting: bool,
}

enum Done {
    Wrote(usize, Vec<u8>),
    Resized(usize),
}

/// What happens at an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It fails, and so does everything after it.
    PowerCut,
    /// It alone fails. A write has reached the disk by half.
    Once(io::ErrorKind),
}

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

impl Disk {
    pub(super) fn new() -> Self {
        Self::holding(Vec::new())
    }

    fn holding(image: Vec<u8>) -> Self {
        Self(Arc::new(Platters {
            state: Mutex::new(State {
                current: image.clone(),
                synced: image,
                ..State::default()
            }),
            changed: Condvar::new(),
        }))
    }

    /// With what was synced.
    pub(super) fn copy(&self) -> Self {
        Self::holding(self.0.state.lock().unwrap().synced.clone())
    }

    /// At that operation, counted from now on.
    pub(super) fn fail_at(&self, operation: usize, fault: Fault) {
        let mut state = self.0.state.lock().unwrap();
        state.operations = 0;
        state.fault = Some((operation, fault));
    }

    pub(super) fn operations(&self) -> usize {
        self.0.state.lock().unwrap().operations
    }

    pub(super) fn syncs(&self) -> usize {
        self.0.state.lock().unwrap().syncs
    }

    pub(crate) fn length(&self) -> u64 {
        self.0.state.lock().unwrap().current.len() as u64
    }

    /// From now on a sync waits until it is let go.
    pub(super) fn hold_syncs(&self) {
        self.0.state.lock().unwrap().held = true;
    }

    pub(super) fn wait_for_a_sync(&self) {
        let state = self.0.state.lock().unwrap();
        let long = Duration::from_secs(60);
        let waited = self
            .0
            .changed
            .wait_timeout_while(state, long, |state| !state.waiting);
        assert!(!waited.unwrap().1.timed_out(), "nothing was synced");
    }

    pub(super) fn let_syncs_go(&self) {
        self.0.state.lock().unwrap().held = false;
        self.0.changed.notify_all();
    }

    /// The disk that is found when the power is back. Even seeds lose all that was not synced, as the strictest disk
    /// does; odd ones keep any part of it.
    pub(super) fn after_power_cut(&self, seed: u64) -> Self {
        let state = self.0.state.lock().unwrap();
        let mut image = state.synced.clone();
        let mut rng = SmallRng::seed_from_u64(seed);
        for done in state.unsynced.iter().filter(|_| seed % 2 == 1) {
            let fate = rng.random_range(0..4);
            match done {
                Done::Resized(length) if fate > 0 => image.resize(*length, 0),
                Done::Resized(_) => {}
                Done::Wrote(offset, bytes) => {
                    for (n, sector) in bytes.chunks(SECTOR).enumerate() {
                        let kept = fate > 1 || (fate == 1 && rng.random_bool(0.5));
                        let at = offset + n * SECTOR;
                        // Beyond the end there is no file to hold it.
                        if let Some(place) = image.get_mut(at..at + sector.len()).filter(|_| kept) {
                            place.copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        Self::holding(image)
    }
}

impl State {
    fn operate(&mut self) -> io::Result<()> {
        let now = self.operations;
        self.operations += 1;
        match self.fault {
            Some((at, Fault::PowerCut)) if now >= at => Err(io::Error::other("the power is gone")),
            Some((at, Fault::Once(kind))) if now == at => Err(kind.into()),
            Some(_) | None => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.length())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.state.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        let found = state.current.get(offset..offset + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.0.state.lock().unwrap();
        state.operate()?;
        let length = usize::try_from(length).unwrap();
        state.current.resize(length, 0);
        state.unsynced.push(Done::Resized(length));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.state.lock().unwrap();
        let operated = state.operate();
        let data = if operated.is_ok() {
            data
        } else {
            &data[..data.len() / 2]
        };
        let offset = usize::try_from(offset).unwrap();
        state.current[offset..offset + data.len()].copy_from_slice(data);
        state.unsynced.push(Done::Wrote(offset, data.to_vec()));
        operated
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.state.lock().unwrap();
        state.operate()?;
        if state.held {
            state.waiting = true;
            self.0.changed.notify_all();
            state = self.0.changed.wait_while(state, |state| state.held).unwrap();
            state.waiting = false;
        }
        let State { synced, unsynced, .. } = &mut *state;
        for done in unsynced.drain(..) {
            match done {
                Done::Resized(length) => synced.resize(length, 0),
                Done::Wrote(offset, data) => synced[offset..offset + data.len()].copy_from_slice(&data),
            }
        }
        state.syncs += 1;
        Ok(())
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}
