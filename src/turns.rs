//! Whose turn it is to be woken. A message starts a turn of a model: 56 of them have kept a 2026.7.35 from answering
//! anything for 15 s. So what else there is to do for any agent of a gateway goes first, and then one message follows
//! another at a short distance. Nobody waits for ever: an agent that has waited for some seconds is woken whatever else goes
//! on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use tokio::time::Instant;

use crate::resource::{Agent, Gateway};

/// Clones are the same.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<ObjectRef<Gateway>, OfGateway>>>);

#[derive(Default)]
struct OfGateway {
    under_way: usize,
    /// When the last work ended.
    ended: Option<Instant>,
    /// When the next message may be sent that has no place yet.
    next: Option<Instant>,
    /// When it is whose turn.
    places: HashMap<ObjectRef<Agent>, Instant>,
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
/// While something is being written nobody asks again sooner: each of fifty who wait would make a pass of it.
const WORK: Duration = Duration::from_secs(1);
/// With the time that the message itself takes, an agent is woken within 10 s of being ready.
const PATIENCE: Duration = Duration::from_secs(7);
/// A place that is not taken by then is nobody's.
const LATE: Duration = Duration::from_secs(10);

impl Turns {
    pub fn work(&self, gateway: ObjectRef<Gateway>) -> Work {
        self.with(&gateway, |of| of.under_way += 1);
        Work {
            turns: self.clone(),
            gateway,
        }
    }

    /// None: it is its turn. Some: when to ask again. Who waits has a place, and asks no more until then: when all asked
    /// whenever one had been woken, 56 were 1,600 passes.
    pub fn take(
        &self,
        gateway: &ObjectRef<Gateway>,
        agent: &ObjectRef<Agent>,
        waited: Duration,
    ) -> Option<Duration> {
        let now = Instant::now();
        self.with(gateway, |of| {
            if let Some(pause) = of.busy_for(now)
                && waited < PATIENCE
            {
                of.places.remove(agent);
                return Some(pause.min(PATIENCE.saturating_sub(waited)));
            }
            of.places.retain(|_, at| now < *at + LATE);
            let at = *of.places.entry(agent.clone()).or_insert_with(|| {
                let at = of.next.map_or(now, |next| next.max(now));
                of.next = Some(at + DISTANCE);
                at
            });
            if at > now {
                return Some(at - now);
            }
            of.places.remove(agent);
            None
        })
    }

    /// Whether something is being written for an agent of this gateway, or was a moment ago.
    pub fn is_busy(&self, gateway: &ObjectRef<Gateway>) -> bool {
        self.with(gateway, |of| of.busy_for(Instant::now())).is_some()
    }

    fn with<T>(&self, gateway: &ObjectRef<Gateway>, act: impl FnOnce(&mut OfGateway) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(all.entry(gateway.clone()).or_default())
    }
}

impl OfGateway {
    fn busy_for(&self, now: Instant) -> Option<Duration> {
        let since = self.ended.map(|ended| now.duration_since(ended));
        let rest = since.map_or(Duration::ZERO, |since| BREATH.saturating_sub(since));
        match (self.under_way, rest.is_zero()) {
            (0, true) => None,
            (0, false) => Some(rest),
            (_, _) => Some(WORK),
        }
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

    fn agent(number: usize) -> ObjectRef<Agent> {
        ObjectRef::new(&format!("agent-{number}")).within("team")
    }

    #[tokio::test(start_paused = true)]
    async fn work_goes_first_but_not_for_ever() {
        let turns = Turns::default();
        let work = turns.work(gateway());
        assert!(turns.take(&gateway(), &agent(0), Duration::ZERO).is_some());
        assert_eq!(turns.take(&gateway(), &agent(0), PATIENCE), None);
        drop(work);
        assert!(turns.is_busy(&gateway()), "the next piece of it may follow");
        let rest = turns.take(&gateway(), &agent(1), Duration::ZERO);
        tokio::time::sleep(rest.unwrap() + BREATH).await;
        assert!(!turns.is_busy(&gateway()));
        assert_eq!(turns.take(&gateway(), &agent(1), Duration::ZERO), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_follows_another_at_a_distance_and_asks_twice() {
        let turns = Turns::default();
        let waits: Vec<_> = (0..10)
            .map(|number| {
                turns
                    .take(&gateway(), &agent(number), Duration::ZERO)
                    .unwrap_or_default()
            })
            .collect();
        assert_eq!(waits, (0..10).map(|number| DISTANCE * number).collect::<Vec<_>>());
        tokio::time::sleep(DISTANCE * 9).await;
        for number in 1..10 {
            assert_eq!(turns.take(&gateway(), &agent(number), Duration::ZERO), None);
        }
        // Who was woken and is to be woken again stands at the end.
        assert_eq!(turns.take(&gateway(), &agent(3), Duration::ZERO), Some(DISTANCE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_nobody_takes_is_given_up() {
        let turns = Turns::default();
        for number in 0..3 {
            turns.take(&gateway(), &agent(number), Duration::ZERO);
        }
        tokio::time::sleep(LATE * 2).await;
        assert_eq!(turns.take(&gateway(), &agent(3), Duration::ZERO), None);
        turns.with(&gateway(), |of| {
            assert!(of.places.is_empty(), "{:?}", of.places.len());
        });
    }
}
