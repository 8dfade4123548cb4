//! When the operator is killed.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;
use tokio::sync::watch;
use tokio::time::sleep;

/// How much there is to be killed in: from the first sign of an undisturbed operator until all was done.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub signs: u64,
    pub took: Duration,
}

impl Window {
    /// For the next operator, when others have got so far. It looks again at what they did, so not much less than all signs
    /// are to come from it.
    pub fn after(self, signs: u64) -> Self {
        let done = signs as f64 / self.signs as f64;
        let left = (1.0 - done).max(0.15);
        Self {
            signs: (self.signs as f64 * left) as u64,
            took: self.took.mul_f64(left),
        }
    }
}

/// A share of what is left to do, counted from the first sign of the process that is killed: how long it takes to come to that
/// says nothing. Most of the time passes in one write of the configuration, most of the signs take none: half of the moments
/// are counted in each.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    OfTheTime(f64),
    OfTheSigns { share: f64, pause: Duration },
}

impl Moment {
    pub fn draw(rng: &mut SmallRng) -> Self {
        let share = rng.random_range(0.0..1.0);
        if rng.random() {
            return Self::OfTheTime(share);
        }
        let pause = rng.random_range(Duration::ZERO..Duration::from_millis(20));
        Self::OfTheSigns { share, pause }
    }
}

/// What is seen of an operator from outside: each change that it made in the cluster, and each call to its gateway.
#[derive(Clone)]
pub struct Signs(watch::Sender<u64>);

impl Signs {
    pub fn none() -> Self {
        Self(watch::Sender::new(0))
    }

    pub fn seen(&self) {
        self.0.send_modify(|seen| *seen += 1);
    }

    pub fn so_far(&self) -> u64 {
        *self.0.borrow()
    }

    /// Counted from when so many had been seen. May never come: there may be less left to do.
    pub async fn come_to(&self, moment: Moment, from: u64, left: Window) {
        let (nth, pause) = match moment {
            Moment::OfTheTime(share) => (0, left.took.mul_f64(share)),
            Moment::OfTheSigns { share, pause } => ((left.signs as f64 * share) as u64, pause),
        };
        self.are_more_than(from + nth).await;
        sleep(pause).await;
    }

    pub async fn are_more_than(&self, many: u64) {
        let mut signs = self.0.subscribe();
        let come = signs.wait_for(|seen| *seen > many).await;
        come.expect("we hold the sender ourselves");
    }
}
