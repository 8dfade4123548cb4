//! What a test makes go wrong: a [`Fault`] waits for a call, a [`Deed`] is done at once. Both are plain data, so that
//! the administrative port takes them as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::Client;
use super::events::Audience;
use super::pairing;
use super::refusal::Answer;
use super::restart::{self, Wish};
use super::witness::{Witness, Witnessed};
use super::world::World;
use super::writes;

/// What happens to the n-th next call of a method.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    pub method: String,
    /// 1 is the next call.
    #[serde(default = "first")]
    pub nth: u64,
    #[serde(default)]
    pub when: When,
    pub hit: Hit,
}

fn first() -> u64 {
    1
}

/// Whether the call is carried out first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    Before,
    #[default]
    After,
}

/// What becomes of the answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Hit {
    /// It never comes.
    Drop,
    /// It comes so many milliseconds later.
    Delay(u64),
    /// It comes twice.
    Duplicate,
    /// The connection is closed with a code and a reason instead.
    Close { code: u16, reason: String },
    /// The stream ends without a word instead.
    Cut,
    /// This error comes instead.
    Refuse(Value),
    /// The gateway restarts instead of answering.
    Restart,
    /// The gateway is killed instead of answering, and started again.
    Kill,
}

/// What is done to a gateway at once.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Deed {
    Restart,
    /// SIGKILL, and a new start: what was under way is lost, what was written is there, nobody is told.
    Kill,
    /// Nothing is answered any more, no tick is sent; connections stay.
    Freeze,
    Thaw,
    /// The next write takes the lock and never gives it back.
    WedgeWrites,
    /// So many `tick` events to everybody.
    Flood(u32),
    /// Every connection is closed.
    CloseAll {
        code: u16,
        reason: String,
    },
    LoseFile {
        agent: String,
        name: String,
    },
    EditFile {
        agent: String,
        name: String,
        content: String,
    },
    LoseEntry {
        agent: String,
    },
    /// Another shared token from now on; who came with the old one is sent away with 4001.
    ChangeToken(String),
    /// Whoever waits to be paired is let in, as by its owner.
    Approve,
}

/// Armed faults, and how often each method was called.
#[derive(Debug, Default)]
pub(super) struct Faults {
    armed: Vec<Fault>,
    pub(super) calls: BTreeMap<String, u64>,
    pub(super) wedged: bool,
    pub(super) witness: Option<Witness>,
}

/// What was waiting for this very call.
#[derive(Debug, Clone, Default)]
pub(super) struct Armed {
    fault: Option<Fault>,
    witnessed: Option<Witnessed>,
}

impl Faults {
    pub(super) fn arm(&mut self, fault: Fault) {
        self.armed.push(fault);
    }

    pub(super) fn armed(&self) -> usize {
        self.armed.len()
    }

    pub(super) fn disarm(&mut self) {
        self.armed.clear();
    }

    pub(super) fn count(&mut self, method: &str) {
        *self.calls.entry(method.to_owned()).or_default() += 1;
    }

    /// One call has come: every fault of its method is a call nearer.
    pub(super) fn strike(&mut self, method: &str, params: &Value) -> Armed {
        let mut struck = None;
        for (at, fault) in self.armed.iter_mut().enumerate() {
            if fault.method == method {
                fault.nth = fault.nth.saturating_sub(1);
                if fault.nth == 0 && struck.is_none() {
                    struck = Some(at);
                }
            }
        }
        let witnessed = self.witness.as_ref().map(|witness| Witnessed {
            witness: witness.clone(),
            method: method.to_owned(),
            params: params.clone(),
        });
        Armed {
            fault: struck.map(|at| self.armed.remove(at)),
            witnessed,
        }
    }
}

impl Armed {
    /// Strikes where nothing shall be carried out; says whether it did.
    pub(super) fn before(&self, world: &Arc<World>, client: &Arc<Client>, id: &Value) -> bool {
        let Some(hit) = self.hit(When::Before) else {
            return false;
        };
        strike(world, client, id, Ok(Value::Null), &hit, true);
        // A delay before a call delays its answer: the call is carried out.
        !matches!(hit, Hit::Delay(_) | Hit::Duplicate)
    }

    fn hit(&self, now: When) -> Option<Hit> {
        match &self.fault {
            Some(Fault { when, hit, .. }) if *when == now => Some(hit.clone()),
            Some(_) => None,
            None => self.witnessed.as_ref()?.ask(now),
        }
    }
}

/// The answer of a call that was carried out, or what is made of it.
pub(super) fn after(world: &Arc<World>, client: &Arc<Client>, id: &Value, answer: Answer, armed: &Armed) {
    match armed.hit(When::After) {
        Some(hit) => strike(world, client, id, answer, &hit, false),
        None => client.answer(id, &answer),
    }
}

fn strike(world: &Arc<World>, client: &Arc<Client>, id: &Value, answer: Answer, hit: &Hit, early: bool) {
    match hit {
        Hit::Drop => {}
        Hit::Delay(_) | Hit::Duplicate if early => {}
        Hit::Delay(ms) => {
            let (client, id, delay) = (Arc::clone(client), id.clone(), Duration::from_millis(*ms));
            world.spawn(async move {
                tokio::time::sleep(delay).await;
                client.answer(&id, &answer);
            });
        }
        Hit::Duplicate => {
            client.answer(id, &answer);
            client.answer(id, &answer);
        }
        Hit::Close { code, reason } => client.close(*code, reason),
        Hit::Cut => client.cut(),
        Hit::Refuse(error) => client.refuse(id, error),
        Hit::Restart => restart::schedule(world, Wish::Asked),
        Hit::Kill => restart::kill(world),
    }
}

pub(super) fn perform(world: &Arc<World>, deed: Deed) {
    match deed {
        Deed::Restart => restart::schedule(world, Wish::Asked),
        Deed::Kill => restart::kill(world),
        Deed::Freeze => {
            world.frozen.send_replace(true);
        }
        Deed::Thaw => {
            world.frozen.send_replace(false);
        }
        Deed::WedgeWrites => world.lock().faults.wedged = true,
        Deed::Flood(count) => {
            let state = world.lock();
            for _ in 0..count {
                state.tell(
                    Audience::Everybody,
                    "tick",
                    &json!({ "ts": world.clock.now_ms() }),
                );
            }
        }
        Deed::CloseAll { code, reason } => {
            for client in world.lock().clients.values() {
                client.close(code, &reason);
            }
        }
        Deed::LoseFile { agent, name } => {
            let mut state = world.lock();
            if let Some(workspace) = state.roster.find(&agent).map(|agent| agent.workspace.clone()) {
                state.files.remove(&workspace, &name);
            }
        }
        Deed::EditFile { agent, name, content } => {
            let mut state = world.lock();
            if let Some(workspace) = state.roster.find(&agent).map(|agent| agent.workspace.clone()) {
                state
                    .files
                    .write(&workspace, &name, &content, world.clock.now_ms())
                    .ok();
            }
        }
        Deed::LoseEntry { agent } => writes::lose_entry(world, &agent),
        Deed::ChangeToken(token) => {
            {
                let mut state = world.lock();
                let mut document = state.config.document().clone();
                super::merge::lay_over(
                    &mut document,
                    &json!({ "gateway": { "auth": { "token": token } } }),
                );
                state.config.replace(document);
            }
            writes::close_shared(world, "gateway auth changed");
        }
        Deed::Approve => {
            let mut state = world.lock();
            pairing::approve_all(&mut state, world);
        }
    }
}
