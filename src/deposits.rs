//! What passes have deposited with the sessions, and what came of it.
//!
//! A pass never waits for a write of a gateway's configuration: while one is in flight, hundreds of others wait to go along
//! with the next. So a deposit lives here, and its answer wakes the Agent again. All of it may be lost: the next pass reads
//! the configuration, and deposits what still differs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::gateway::commit::{Commits, EntryChange, NotCommitted, Removal, Removed};
use crate::resource::Agent;
use crate::turns::Work;

/// Clones are the same place.
#[derive(Clone)]
pub struct Deposits {
    slots: Arc<Mutex<HashMap<ObjectRef<Agent>, Slot>>>,
    answered: mpsc::UnboundedSender<ObjectRef<Agent>>,
}

/// What shall be done to an agent's entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    Put(EntryChange),
    TakeOut(Removal),
}

/// An order, and how it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Deposit {
    pub order: Order,
    /// The request that it answers, as the pass that made it was asked.
    pub ask: String,
    pub answer: Answer,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    UnderWay,
    /// `again`: how long from now before the same may be asked for once more, where it does not show.
    Done {
        again: Duration,
    },
    Removed {
        removed: Removed,
        again: Duration,
    },
    /// `again`: how long from now before the same may be asked for once more.
    Not {
        why: NotCommitted,
        again: Duration,
    },
}

struct Slot {
    number: u64,
    order: Order,
    ask: String,
    state: State,
    failures: u32,
    /// How often in a row the same was deposited, answered and deposited again.
    repeats: u32,
}

enum State {
    UnderWay,
    Done(Instant),
    Removed(Removed, Instant),
    Not(NotCommitted, Instant),
}

const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(60);
/// A gateway that does not tell of changes is read anew after this long.
const SHOWS_AFTER: Duration = Duration::from_secs(2);
const REJECTED_FOR: Duration = Duration::from_secs(600);

impl Deposits {
    /// The receiver yields each Agent whose deposit was answered.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<ObjectRef<Agent>>) {
        let (answered, answers) = mpsc::unbounded_channel();
        let slots = Arc::default();
        (Self { slots, answered }, answers)
    }

    pub fn look(&self, agent: &ObjectRef<Agent>) -> Option<Deposit> {
        self.with(|slots| {
            let Slot {
                number: _,
                order,
                ask,
                state,
                failures: _,
                repeats,
            } = slots.get(agent)?;
            let now = Instant::now();
            let shows = |at: &Instant| {
                let patience = SHOWS_AFTER
                    .saturating_mul(2u32.saturating_pow(*repeats))
                    .min(LAST);
                (*at + patience).saturating_duration_since(now)
            };
            let answer = match state {
                State::UnderWay => Answer::UnderWay,
                State::Done(at) => Answer::Done { again: shows(at) },
                State::Removed(removed, at) => Answer::Removed {
                    removed: removed.clone(),
                    again: shows(at),
                },
                State::Not(why, not_before) => Answer::Not {
                    why: why.clone(),
                    again: not_before.saturating_duration_since(now),
                },
            };
            Some(Deposit {
                order: order.clone(),
                ask: ask.clone(),
                answer,
            })
        })
    }

    /// Does it in the background, and wakes the Agent when it is answered. One that is under way is not taken back: the
    /// session carries out an agent's orders in turn.
    pub fn deposit(&self, agent: ObjectRef<Agent>, commits: &Commits, order: Order, ask: String, work: Work) {
        let number = self.with(|slots| {
            let before = slots.get(&agent);
            let number = before.map_or(0, |slot| slot.number) + 1;
            let failures = before.map_or(0, |slot| slot.failures);
            let is_again = before.is_some_and(|slot| slot.order == order);
            let repeats = before.filter(|_| is_again).map_or(0, |slot| slot.repeats + 1);
            let slot = Slot {
                number,
                order: order.clone(),
                ask,
                state: State::UnderWay,
                failures,
                repeats,
            };
            slots.insert(agent.clone(), slot);
            number
        });
        let (here, commits) = (self.clone(), commits.clone());
        tokio::spawn(async move {
            let result = match order {
                Order::Put(change) => commits.put(change).await.map(|_| State::Done(Instant::now())),
                Order::TakeOut(removal) => {
                    let removed = commits.take_out(removal).await;
                    removed.map(|removed| State::Removed(removed, Instant::now()))
                }
            };
            here.hear(&agent, number, result);
            drop(work);
        });
    }

    /// The gateway was away: another one may have come back, which takes what this one refused.
    pub fn forget_refusal(&self, agent: &ObjectRef<Agent>) {
        self.with(|slots| {
            let is_refused = |slot: &Slot| matches!(slot.state, State::Not(NotCommitted::Rejected(_), _));
            if slots.get(agent).is_some_and(is_refused) {
                slots.remove(agent);
            }
        });
    }

    /// The object is gone, or its gateway is another one.
    pub fn forget(&self, agent: &ObjectRef<Agent>) {
        self.with(|slots| slots.remove(agent));
    }

    fn hear(&self, agent: &ObjectRef<Agent>, number: u64, result: Result<State, NotCommitted>) {
        self.with(|slots| {
            // A later order has taken the place of this one.
            let Some(slot) = slots.get_mut(agent).filter(|slot| slot.number == number) else {
                return;
            };
            slot.state = match result {
                Ok(state) => {
                    slot.failures = 0;
                    state
                }
                Err(why) => {
                    let ceiling = FIRST.saturating_mul(2u32.saturating_pow(slot.failures)).min(LAST);
                    slot.failures = slot.failures.saturating_add(1);
                    // Full jitter with a floor: agents that failed together do not return together.
                    let pause = match &why {
                        // Useless until something changes, and not everything that does is told.
                        NotCommitted::Rejected(_) => REJECTED_FOR,
                        NotCommitted::Refused(_) | NotCommitted::Unfinished(_) => {
                            FIRST / 5 + rand::random_range(Duration::ZERO..=ceiling)
                        }
                    };
                    State::Not(why, Instant::now() + pause)
                }
            };
        });
        // Nobody listens any more once the controllers have stopped.
        self.answered.send(agent.clone()).ok();
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<ObjectRef<Agent>, Slot>) -> T) -> T {
        act(&mut self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
