//! Whose token is it? Agents prove who they are to us with the token that stands in their files; the Secrets that these are
//! kept in are the only truth. Three steps, the cheap ones first: the shape of what was presented, the index, and once for
//! each token the bcrypt hash of the Agent's status. So neither a flood of guesses nor an agent that reports every second
//! costs more than a SHA-256 each: bcrypt, a third of a second, is reached by a token that is known alone. A guess also waits
//! for a list of the Secrets ([`late`]), one for all guesses of five seconds: the index may not have heard of a token yet.

mod index;
mod kept;
mod late;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use crate::desired::agent::AgentToken;
use crate::fact::Fact;
use crate::resource::Agent;
use index::{Found, Index};
pub use kept::Which;
use late::Late;

/// Clones are the same. It follows the Secrets by what it is told of them: [`put`](Self::put), [`take`](Self::take) and
/// [`replace`](Self::replace).
#[derive(Clone, Default)]
pub struct Authenticator(Arc<Inner>);

#[derive(Default)]
struct Inner {
    index: RwLock<Index>,
    late: Late,
    /// What bcrypt said of a token, by fingerprint, and of which hash it said so.
    checked: Mutex<HashMap<String, Checked>>,
    /// One check at a time: each takes all of a core.
    one_at_a_time: tokio::sync::Mutex<()>,
}

struct Checked {
    hash: String,
    is_of_it: bool,
}

/// The Agent whose token it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Authenticated {
    pub agent: Arc<Agent>,
    pub which: Which,
}

/// Who an Agent is, as its token's Secret says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// Why nobody is let in. For the log: who asks is told no more than that it was refused; or to ask again, if it is `NotYet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("what was presented is no agent token")]
    Malformed,
    #[error("no agent has this token, or has it any longer")]
    Unknown,
    /// No refusal: an agent that is told that its token is wrong may never come back.
    #[error("whose token it is could not be found out: the API server does not answer, or was not read yet")]
    NotYet,
    #[error(
        "several agents have this token: delete all of their token Secrets but one, and new ones are made"
    )]
    Ambiguous,
    #[error("the token's Secret is there, and its Agent is not")]
    AgentGone,
    #[error("the token is not the one that the Agent's status has the bcrypt hash of")]
    WrongHash,
}

impl Authenticator {
    /// `agent`: the Agent of this namespace and name. `now`: a token that was replaced counts for a while. `secrets`: all token
    /// Secrets, as the API server has them by the time that it is asked; it is asked only where the index does not know the
    /// token. None: it did not say.
    pub async fn whose(
        &self,
        presented: &str,
        now: Timestamp,
        agent: impl FnOnce(&Owner) -> Fact<Arc<Agent>>,
        secrets: impl Future<Output = Option<Vec<Secret>>>,
    ) -> Result<Authenticated, Refused> {
        let token = parse(presented)?;
        let again = || self.find(&token, now);
        let mut found = again();
        if found == Err(Refused::Unknown) {
            let listed = |index: &Index| index.find(&token, now);
            found = self.0.late.find(secrets, again, listed).await;
        }
        let (owner, which) = found?;
        let agent = match agent(&owner) {
            Fact::Known(agent) if agent.uid().as_ref() == Some(&owner.uid) => agent,
            Fact::Known(_) | Fact::Absent => return Err(Refused::AgentGone),
            Fact::Unknown => return Err(Refused::NotYet),
        };
        if let Some(hash) = hash_of(&agent, &token) {
            self.check(token, hash).await?;
        }
        Ok(Authenticated { agent, which })
    }

    /// As far as the watch has told.
    fn find(&self, token: &AgentToken, now: Timestamp) -> Result<Found, Refused> {
        let index = self.0.index.read().unwrap_or_else(PoisonError::into_inner);
        index.find(token, now)
    }

    /// A token's Secret as it is now.
    pub fn put(&self, secret: &Secret) {
        self.change(|index| index.put(secret));
    }

    /// It is gone.
    pub fn take(&self, secret: &Secret) {
        self.change(|index| index.take(secret));
    }

    /// These are all.
    pub fn replace<'a>(&self, secrets: impl Iterator<Item = &'a Secret>) {
        self.change(|index| *index = Index::of(secrets));
    }

    /// What is remembered of tokens that are none any more goes along.
    fn change(&self, change: impl FnOnce(&mut Index)) {
        let mut index = self.0.index.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut index);
        let mut checked = self.0.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.retain(|fingerprint, _| index.knows(fingerprint));
    }

    async fn check(&self, token: AgentToken, hash: String) -> Result<(), Refused> {
        let fingerprint = token.fingerprint();
        if let Some(known) = self.known(&fingerprint, &hash) {
            return known;
        }
        let _turn = self.0.one_at_a_time.lock().await;
        // Who was before us may have presented the same.
        if let Some(known) = self.known(&fingerprint, &hash) {
            return known;
        }
        let against = hash.clone();
        let checked = tokio::task::spawn_blocking(move || bcrypt::verify(token.reveal(), &against)).await;
        // A hash that is none is nobody's.
        let is_of_it = matches!(checked, Ok(Ok(true)));
        let mut all = self.0.checked.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(fingerprint, Checked { hash, is_of_it });
        verdict(is_of_it)
    }

    fn known(&self, fingerprint: &str, hash: &str) -> Option<Result<(), Refused>> {
        let all = self.0.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(fingerprint).filter(|known| known.hash == hash)?;
        Some(verdict(known.is_of_it))
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Authenticator")
    }
}

fn verdict(is_of_it: bool) -> Result<(), Refused> {
    if is_of_it { Ok(()) } else { Err(Refused::WrongHash) }
}

/// Nothing long is hashed, and nothing that only looks like a token: `parse` forgives spaces around one.
fn parse(presented: &str) -> Result<AgentToken, Refused> {
    const LONGEST: usize = 128;
    if presented.len() > LONGEST {
        return Err(Refused::Malformed);
    }
    let token = AgentToken::parse(presented).map_err(|_| Refused::Malformed)?;
    if token.reveal() == presented {
        Ok(token)
    } else {
        Err(Refused::Malformed)
    }
}

/// The hash in the Agent's status, if it is this token's: it is made of the one in force, and some time after it.
fn hash_of(agent: &Agent, token: &AgentToken) -> Option<String> {
    let status = agent.status.as_ref()?.token.as_ref()?;
    let is_its = status.fingerprint.as_ref() == Some(&token.fingerprint());
    status.hash.clone().filter(|_| is_its)
}

#[cfg(test)]
mod tests;
