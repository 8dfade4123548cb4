//! bcrypt hashes of tokens, made one after another on a thread of their own: each takes a third of a second of a core, and
//! nobody waits for it.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use kube::runtime::reflector::ObjectRef;

use crate::desired::agent::AgentToken;
use crate::fact::Fact;
use crate::resource::Agent;

/// Clones are the same.
#[derive(Clone)]
pub struct Hashes {
    made: Arc<Mutex<Made>>,
    jobs: mpsc::Sender<Job>,
}

#[derive(Default)]
struct Made {
    /// By fingerprint.
    hashes: HashMap<String, String>,
    asked: HashSet<String>,
}

struct Job {
    agent: ObjectRef<Agent>,
    token: AgentToken,
}

/// What the source documents ask for.
pub const COST: u32 = 12;

/// Whatever else this process does goes first.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 19) {
        tracing::debug!(%error, "the hashes of tokens are made at usual priority");
    }
}

impl Hashes {
    /// `done` is called with each Agent whose hash was made.
    pub fn start(cost: u32, done: impl Fn(ObjectRef<Agent>) + Send + 'static) -> Self {
        let (jobs, asked) = mpsc::channel::<Job>();
        let made = Arc::<Mutex<Made>>::default();
        let kept = Arc::clone(&made);
        let work = move || {
            give_way();
            for Job { agent, token } in asked {
                let fingerprint = token.fingerprint();
                match bcrypt::hash(token.reveal(), cost) {
                    Ok(hash) => {
                        let mut made = kept.lock().unwrap_or_else(PoisonError::into_inner);
                        made.hashes.insert(fingerprint, hash);
                    }
                    Err(error) => tracing::error!(%agent, %error, "a token could not be hashed"),
                }
                done(agent);
            }
        };
        let thread = std::thread::Builder::new().name("token hashes".to_owned());
        if let Err(error) = thread.spawn(work) {
            tracing::error!(%error, "no thread for the hashes of tokens: statuses go without them");
        }
        Self { made, jobs }
    }

    pub fn of(&self, token: &AgentToken) -> Fact<String> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.hashes
            .get(&token.fingerprint())
            .map_or(Fact::Unknown, |hash| Fact::Known(hash.clone()))
    }

    /// Once for each token, however often it is asked for.
    pub(super) fn ask(&self, agent: ObjectRef<Agent>, token: AgentToken) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.asked.insert(token.fingerprint()) {
            // Without the thread there is nobody to ask.
            self.jobs.send(Job { agent, token }).ok();
        }
    }

    /// The status has it.
    pub fn forget(&self, fingerprint: &str) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.hashes.remove(fingerprint);
        made.asked.remove(fingerprint);
    }
}
