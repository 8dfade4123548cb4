//! What was put right again and again. Two who each put right what the other does would go on for ever, each write a write
//! of the gateway: who sees it happen waits longer each time, and says so. In memory alone: what is forgotten is noticed
//! again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use tokio::time::Instant;

use crate::resource::Agent;

/// In the place of a file's name: the agent's entry.
pub const ENTRY: &str = "entry";

/// Clones are the same memory.
#[derive(Clone, Default)]
pub struct Contests(Arc<Mutex<HashMap<ObjectRef<Agent>, OfAgent>>>);

/// By what is contested.
type OfAgent = BTreeMap<String, Contest>;

struct Contest {
    times: u32,
    last: Instant,
}

/// A person who tries something out is no contest.
const PATIENCE: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 60);
/// After such a time of peace it begins anew.
const PEACE: Duration = Duration::from_secs(10 * 60);

impl Contests {
    /// It was put right once more.
    pub fn corrected(&self, agent: &ObjectRef<Agent>, subject: &str) {
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_agent = all.entry(agent.clone()).or_default();
        let contest = of_agent
            .entry(subject.to_owned())
            .or_insert(Contest { times: 0, last: now });
        let is_over = now.duration_since(contest.last) > contest.pause() + PEACE;
        contest.times = if is_over {
            1
        } else {
            contest.times.saturating_add(1)
        };
        contest.last = now;
    }

    /// What is left alone for now, and for how long.
    pub fn of(&self, agent: &ObjectRef<Agent>) -> BTreeMap<String, Duration> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_agent = all.get(agent).into_iter().flatten();
        let left = of_agent.map(|(subject, contest)| {
            let left = contest.pause().saturating_sub(contest.last.elapsed());
            (subject.clone(), left)
        });
        left.filter(|(_, left)| !left.is_zero()).collect()
    }

    pub fn forget(&self, agent: &ObjectRef<Agent>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(agent);
    }
}

impl Contest {
    fn pause(&self) -> Duration {
        match self.times.checked_sub(PATIENCE) {
            None => Duration::ZERO,
            Some(beyond) => FIRST_PAUSE
                .saturating_mul(2_u32.saturating_pow(beyond))
                .min(LONGEST_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_round_of_a_contest_is_later_than_the_one_before() {
        let (contests, agent) = (Contests::default(), ObjectRef::new("triage").within("team"));
        let mut pauses = Vec::new();
        for _ in 0..9 {
            contests.corrected(&agent, "SOUL.md");
            let left = contests.of(&agent).get("SOUL.md").copied().unwrap_or_default();
            pauses.push(left.as_secs() / 60);
            tokio::time::sleep(left).await;
            assert!(contests.of(&agent).is_empty(), "and then it is tried again");
        }
        assert_eq!(pauses, [0, 0, 1, 2, 4, 8, 16, 30, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_happens_now_and_then_is_no_contest() {
        let (contests, agent) = (Contests::default(), ObjectRef::new("triage").within("team"));
        for _ in 0..9 {
            contests.corrected(&agent, "SOUL.md");
            assert!(contests.of(&agent).is_empty());
            tokio::time::sleep(PEACE + Duration::from_secs(1)).await;
        }
    }
}
