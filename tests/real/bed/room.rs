//! How many gateways run at once in one test program: three. Each takes 0.8 GB of memory and, at its start, a core
//! for five seconds or more; with ten at once none is ready in time.

use std::sync::{Condvar, Mutex};

const GATEWAYS: usize = 3;

static FREE: Mutex<usize> = Mutex::new(GATEWAYS);
static CHANGED: Condvar = Condvar::new();

/// Room for one gateway, given back when dropped.
pub struct Room(());

impl Room {
    /// Waits for room for `count` gateways and takes it in one go: two tests that each hold one and each wait for
    /// a second would wait for ever.
    pub fn take(count: usize) -> Vec<Self> {
        assert!(
            count <= GATEWAYS,
            "{count} gateways in one test, but at most {GATEWAYS} run at once"
        );
        let mut free = FREE.lock().unwrap();
        while *free < count {
            free = CHANGED.wait(free).unwrap();
        }
        *free -= count;
        (0..count).map(|_| Self(())).collect()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        *FREE.lock().unwrap() += 1;
        CHANGED.notify_all();
    }
}
