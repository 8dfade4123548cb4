//! What something cost: time, and the CPU time of one process, which says the same on a busy machine.

use std::fs;
use std::time::{Duration, Instant};

pub struct Watch {
    start: Instant,
    pid: u32,
    cpu: f64,
}

#[derive(Clone, Copy)]
pub struct Cost {
    pub took: Duration,
    /// Seconds.
    pub cpu: f64,
}

impl Watch {
    pub fn start(pid: u32) -> Self {
        Self {
            start: Instant::now(),
            pid,
            cpu: cpu(pid),
        }
    }

    pub fn stop(self) -> Cost {
        Cost {
            took: self.start.elapsed(),
            cpu: cpu(self.pid) - self.cpu,
        }
    }
}

/// Linux counts in hundredths of a second on every machine that this runs on.
const TICKS: f64 = 100.0;

/// Seconds that all threads of a process have computed, in the kernel and outside.
fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name may hold anything; the fields after it do not.
    let fields = stat.rsplit(") ").next().unwrap().split(' ');
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().unwrap())
        .sum();
    ticks / TICKS
}
