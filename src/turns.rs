//! Whose turn it is to be woken. A message starts a turn of a model: 56 of them have kept a 2026.7.35 from answering
//! anything for 15 s. So what else there is to do for any agent of a gateway goes first, and then one message follows
//! another at a short distance. Nobody waits for ever: an agent that has waited for some seconds is woken whatever else goes
//! on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use tokio::time::Instant;

use crate::resource::Gateway;

/// Clones are the same.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<ObjectRef<Gateway>, OfGateway>>>);

#[derive(Default)]
struct OfGateway {
    under_way: usize,
    /// When the last work ended.
    ended: Option<Instant>,
    /// When the next message may be sent.
    next: Option<Instant>,
}

/// Something is being written for an agent of this gateway, for as long as it is held.
pub struct Work {
    turns: Turns,
    gateway: ObjectRef<Gateway>,
}

/// Between two messages: a hundred agents are awake within 6 s.
const DISTANCE: Duration = Duration::from_millis(60);
/// After the entry come the files, after one pass the next: a moment without work is not the end of it.
const BREATH: Duration = Duration::from_millis(400);
/// With the time that the message itself takes, an agent is woken within 10 s of being ready.
const PATIENCE: Duration = Duration::from_secs(7);

impl Turns {
    pub fn work(&self, gateway: ObjectRef<Gateway>) -> Work {
        self.with(&gateway, |of| of.under_way += 1);
        Work {
            turns: self.clone(),
            gateway,
        }
    }

    /// None: it is its turn, and nobody else's for a moment. Some: when to ask again.
    pub fn take(&self, gateway: &ObjectRef<Gateway>, waited: Duration) -> Option<Duration> {
        let now = Instant::now();
        self.with(gateway, |of| {
            let rest = of.ended.map_or(Duration::ZERO, |ended| {
                BREATH.saturating_sub(now.duration_since(ended))
            });
            let is_busy = of.under_way > 0 || !rest.is_zero();
            if is_busy && waited < PATIENCE {
                return Some(rest.max(BREATH / 2).min(PATIENCE.saturating_sub(waited)));
            }
            match of.next.map(|next| next.saturating_duration_since(now)) {
                Some(wait) if !wait.is_zero() => Some(wait),
                Some(_) | None => {
                    of.next = Some(now + DISTANCE);
                    None
                }
            }
        })
    }

    fn with<T>(&self, gateway: &ObjectRef<Gateway>, act: impl FnOnce(&mut OfGateway) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(all.entry(gateway.clone()).or_default())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.turns.with(&self.gateway, |of| {
            of.under_way = of.under_way.saturating_sub(1);
            of.ended = Some(Instant::now());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway() -> ObjectRef<Gateway> {
        ObjectRef::new("harbour").within("team")
    }

    #[tokio::test(start_paused = true)]
    async fn work_goes_first_but_not_for_ever() {
        let turns = Turns::default();
        let work = turns.work(gateway());
        assert!(turns.take(&gateway(), Duration::ZERO).is_some());
        assert_eq!(turns.take(&gateway(), PATIENCE), None);
        drop(work);
        let rest = turns.take(&gateway(), Duration::ZERO);
        tokio::time::sleep(rest.unwrap() + BREATH).await;
        assert_eq!(turns.take(&gateway(), Duration::ZERO), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_follows_another_at_a_distance() {
        let turns = Turns::default();
        let begin = Instant::now();
        for _ in 0..10 {
            while let Some(wait) = turns.take(&gateway(), Duration::ZERO) {
                tokio::time::sleep(wait).await;
            }
        }
        assert_eq!(begin.elapsed(), DISTANCE * 9);
    }
}
