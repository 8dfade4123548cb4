//! Those who report with a token, agent after agent, round and round: each reads the token of an agent from the agent's own
//! file, at that moment, and asks whose it is. An agent is slower than that: it has read its file, thinks, and reports.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::ResourceExt;
use quartermaster::authenticator::Which;
use rand::RngExt;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::consumer::Consumer;

/// What an agent's file holds now. None: there is none, or no token in it.
pub type Read = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How the agents of one client go about it.
#[derive(Debug, Clone, Copy)]
pub struct Habit {
    /// Between reading and reporting, at most.
    pub thinks: Duration,
    /// Between two reports.
    pub rests: Duration,
}

#[derive(Default)]
pub struct Clients {
    running: Vec<(Arc<AtomicU64>, JoinHandle<()>)>,
    told: Arc<Told>,
}

#[derive(Default)]
struct Told {
    is_over: AtomicBool,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default, Clone)]
pub struct Counts {
    pub authentications: u64,
    /// With the one that is still on its way into force, and with the one before.
    pub next: u64,
    pub previous: u64,
    /// The file held no token.
    pub without: Vec<String>,
    pub refused: Vec<String>,
}

impl Counts {
    /// All were let in, and had something to be let in with.
    pub fn are_good(&self, told: &str) {
        let Self {
            authentications,
            next: _,
            previous: _,
            without,
            refused,
        } = self;
        let many = refused.len();
        assert!(
            refused.is_empty(),
            "{told}: {many} of {authentications} refused: {refused:#?}"
        );
        assert!(without.is_empty(), "{told}: no token in the files of {without:?}");
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            authentications: _,
            next,
            previous,
            without: _,
            refused,
        } = self;
        let refused = refused.len();
        write!(
            out,
            "{refused} refused, {next} with the next token, {previous} with the one before"
        )
    }
}

impl Clients {
    /// One more, with the agents of these names.
    pub fn begin(&mut self, agents: &[String], habit: Habit, read: Read, consumer: Arc<Consumer>) {
        let told = Arc::clone(&self.told);
        let done = Arc::new(AtomicU64::new(0));
        let mut agents = agents.to_vec();
        let middle = rand::rng().random_range(0..agents.len());
        agents.rotate_left(middle);
        let counted = Arc::clone(&done);
        let client = async move {
            for agent in agents.iter().cycle() {
                if told.is_over.load(Ordering::Relaxed) {
                    return;
                }
                told.one(agent, habit, &read, &consumer).await;
                counted.fetch_add(1, Ordering::Relaxed);
                sleep(habit.rests).await;
            }
        };
        self.running.push((done, tokio::spawn(client)));
    }

    /// Until each client has reported so often. Twice, and nobody holds a token any more that was read before now.
    pub async fn report(&self, times: u64) {
        let before: Vec<u64> = self.done();
        while self
            .done()
            .iter()
            .zip(&before)
            .any(|(now, before)| *now < before + times)
        {
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn done(&self) -> Vec<u64> {
        let running = self.running.iter();
        running.map(|(done, _)| done.load(Ordering::Relaxed)).collect()
    }

    pub fn counts(&self) -> Counts {
        self.told.counts.lock().unwrap().clone()
    }

    pub async fn end(self) -> Counts {
        self.told.is_over.store(true, Ordering::Relaxed);
        for (_, client) in self.running {
            client.await.unwrap();
        }
        self.told.counts.lock().unwrap().clone()
    }
}

impl Told {
    async fn one(&self, agent: &str, habit: Habit, read: &Read, consumer: &Consumer) {
        let Some(token) = read(agent) else {
            self.counts.lock().unwrap().without.push(agent.to_owned());
            return;
        };
        if !habit.thinks.is_zero() {
            let thinks = rand::rng().random_range(Duration::ZERO..habit.thinks);
            sleep(thinks).await;
        }
        let found = consumer.whose(&token).await;
        let mut counts = self.counts.lock().unwrap();
        counts.authentications += 1;
        match found {
            Ok(found) if found.agent.name_any() == agent => match found.which {
                Which::InForce => {}
                Which::Next => counts.next += 1,
                Which::Previous => counts.previous += 1,
            },
            Ok(found) => {
                let whose = found.agent.name_any();
                counts.refused.push(format!("{agent}: taken for {whose}"));
            }
            Err(refused) => counts.refused.push(format!("{agent}: {refused}")),
        }
    }
}

/// As an agent finds it in its file.
pub fn token_in(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("AUTH_TOKEN=\"")?;
    let (token, _) = after.split_once('"')?;
    Some(token)
}

/// Each of these is still its agent's, as the one before.
pub async fn old_ones_count(old: &BTreeMap<String, String>, consumer: &Consumer, told: &str) {
    for (agent, token) in old {
        let found = consumer.whose(token).await;
        let found = found.unwrap_or_else(|refused| panic!("{told}: the one before of {agent}: {refused}"));
        assert_eq!(
            (found.agent.name_any(), found.which),
            (agent.clone(), Which::Previous),
            "{told}"
        );
    }
}
