//! The shim: performs what the machine says, and tells it the answers.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;

use super::hashes::Hashes;
use super::machine::{Answer, Effect, Machine};
use super::{Failure, Outcome, Whose};
use crate::cluster::{self, Cluster, Held, Kept};
use crate::deposits::Deposits;
use crate::desired::agent::AgentToken;
use crate::fact::Fact;
use crate::gateway::chat::Sent;
use crate::gateway::connection::CallError;
use crate::gateway::names::SessionKey;
use crate::gateway::refusal::Meaning;
use crate::observed::agent::seen::Seen;
use crate::observed::agent::{Found, Heard, Said, hash};
use crate::plan::agent::{Message, Plan, Replaced, TokenChange, Write};
use crate::resource::{Agent, Gateway};
use crate::sessions::{Line, Sessions};
use crate::turns::Turns;

/// By which a pass acts.
#[derive(Clone, Copy)]
pub struct Hands<'a> {
    pub agent: &'a Agent,
    pub line: Option<&'a Line>,
    pub cluster: &'a Cluster,
    pub sessions: &'a Sessions,
    pub deposits: &'a Deposits,
    pub seen: &'a Seen,
    pub hashes: &'a Hashes,
    pub turns: &'a Turns,
    pub gateway: &'a ObjectRef<Gateway>,
    /// What this pass was asked with.
    pub ask: &'a str,
    pub now: Timestamp,
}

pub async fn run(plan: Plan, hands: Hands<'_>) -> Outcome {
    let mut machine = Machine::new(plan);
    let mut under_way = FuturesUnordered::new();
    loop {
        for (ticket, effect) in machine.to_begin() {
            under_way.push(async move { (ticket, hands.perform(effect).await) });
        }
        match under_way.next().await {
            Some((ticket, answer)) => machine.hear(ticket, answer),
            None => return machine.outcome(),
        }
    }
}

impl Hands<'_> {
    async fn perform(self, effect: Effect) -> Answer {
        let key = ObjectRef::from_obj(self.agent);
        match effect {
            Effect::HoldObject => match self.cluster.hold(self.agent).await {
                Ok(Held::Held) => Answer::Done,
                Ok(Held::TooLate) => Answer::Failed(Failure {
                    whose: Whose::SomebodyElses,
                    why: "it is being deleted".to_owned(),
                }),
                Err(error) => of_cluster(Err(error)),
            },
            Effect::LetGo(_) => {
                self.deposits.forget(&key);
                self.seen.forget(&key);
                of_cluster(self.cluster.let_go(self.agent).await)
            }
            Effect::CreateSecret { secret, token, heard } => {
                // One that is found again is as old as it was.
                let told = self
                    .agent
                    .status
                    .as_ref()
                    .and_then(|status| status.token.as_ref());
                let since = told
                    .filter(|_| token.is_some())
                    .and_then(|told| told.rotated_at.as_ref());
                let since = since.map_or(self.now, |since| since.0);
                let token = token.unwrap_or_else(|| AgentToken::of(&rand::random()));
                let created = self
                    .cluster
                    .create_token(self.agent, &secret, &token, &heard, since);
                of_cluster(created.await)
            }
            Effect::ChangeSecret {
                secret,
                version,
                change,
            } => {
                // What it is now is told by its watch, which wakes the Agent again.
                match self.change_token((&secret, &version), change).await {
                    Ok(()) => Answer::Begun,
                    Err(error) => of_cluster(Err(error)),
                }
            }
            Effect::KeepReplaced(replaced) => self.keep_replaced(replaced).await,
            Effect::ResetSession(session) => self.reset_session(&session).await,
            Effect::Foresee(agents) => {
                self.sessions.foresee(self.gateway, agents);
                Answer::Begun
            }
            Effect::Deposit(order) => match self.line {
                Some(line) => {
                    let (ask, work) = (self.ask.to_owned(), self.turns.work(self.gateway.clone()));
                    self.deposits.deposit(key, &line.commits, order, ask, work);
                    Answer::Begun
                }
                None => not_connected(),
            },
            Effect::SetFile(write) => self.set_file(&key, write).await,
            Effect::ReadBack(write) => self.read_back(&key, write).await,
            Effect::Send(message) => self.send(&key, message).await,
            Effect::Hash(token) => {
                self.hashes.ask(key, token);
                Answer::Begun
            }
        }
    }

    async fn change_token(self, secret: (&str, &str), change: TokenChange) -> Result<(), cluster::Error> {
        match change {
            TokenChange::Next(heard) => {
                let next = AgentToken::of(&rand::random());
                self.cluster.store_next(self.agent, secret, &next, &heard).await
            }
            TokenChange::Promote {
                next,
                previous,
                since,
                previous_until,
            } => {
                let previous = (&previous, previous_until);
                self.cluster
                    .promote_token(self.agent, secret, &next, previous, since)
                    .await
            }
            TokenChange::DropPrevious => self.cluster.drop_previous(self.agent, secret).await,
        }
    }

    async fn keep_replaced(self, replaced: Replaced) -> Answer {
        let Replaced { secret, sync, files } = replaced;
        match self
            .cluster
            .keep_replaced(self.agent, &secret, &sync, &files)
            .await
        {
            Ok(Kept::Kept) => Answer::Done,
            Ok(Kept::Occupied) => Answer::Failed(Failure {
                whose: Whose::Clusters,
                why: format!("Secret {secret} is somebody else's: rename or delete it"),
            }),
            Err(error) => of_cluster(Err(error)),
        }
    }

    async fn reset_session(self, session: &SessionKey) -> Answer {
        let Some(online) = self.line.and_then(|line| line.online.as_ref()) else {
            return not_connected();
        };
        match online.connection.session_reset(session).await {
            Ok(()) => Answer::Done,
            Err(error) => of_gateway(&error),
        }
    }

    async fn set_file(self, key: &ObjectRef<Agent>, write: Write) -> Answer {
        let Some(online) = self.line.and_then(|line| line.online.as_ref()) else {
            return not_connected();
        };
        let Write {
            agent,
            file,
            content,
            expected,
            replaces,
            corrects: _,
        } = write;
        self.seen.doubt(key, &file);
        // A gateway that takes no condition: as late as can be, somebody else's words are looked for.
        if let (None, Some(replaces)) = (&expected, &replaces) {
            match online.connection.file_get(&agent, &file).await {
                Ok(Some(found)) if hash(&found.content) == *replaces => {}
                Ok(_) => {
                    return Answer::Failed(Failure {
                        whose: Whose::SomebodyElses,
                        why: "somebody has changed it meanwhile".to_owned(),
                    });
                }
                Err(error) => return of_gateway(&error),
            }
        }
        let _work = self.turns.work(self.gateway.clone());
        let set = online
            .connection
            .file_set(&agent, &file, &content, expected.as_deref())
            .await;
        match set {
            Ok(stored) => {
                if let Some(stored) = stored.as_ref().filter(|stored| **stored == hash(&content)) {
                    self.note(key, &file, stored, true);
                }
                Answer::Written(stored)
            }
            Err(error) => of_gateway(&error),
        }
    }

    async fn read_back(self, key: &ObjectRef<Agent>, write: Write) -> Answer {
        let Some(online) = self.line.and_then(|line| line.online.as_ref()) else {
            return not_connected();
        };
        match online.connection.file_get(&write.agent, &write.file).await {
            Ok(found) => {
                let content = found.map(|found| found.content);
                if content.as_deref() == Some(write.content.as_str()) {
                    self.note(key, &write.file, &hash(&write.content), false);
                }
                Answer::Holds(content)
            }
            Err(error) => of_gateway(&error),
        }
    }

    fn note(self, key: &ObjectRef<Agent>, file: &str, stored: &str, told: bool) {
        let found = Found {
            hash: stored.to_owned(),
            told,
            content: None,
        };
        self.seen.note(key, file, Fact::Known(found));
    }

    async fn send(self, key: &ObjectRef<Agent>, message: Message) -> Answer {
        let Some(online) = self.line.and_then(|line| line.online.as_ref()) else {
            return not_connected();
        };
        let Message { session, text, id } = message;
        self.seen.attempted(key);
        let answer = match online.connection.chat_send(&session, &text, &id).await {
            Ok(Sent::Accepted) => Heard::Accepted,
            Ok(Sent::Over(why)) => Heard::Over(why),
            Err(CallError::Refused(refusal)) if !matches!(refusal.meaning(), Meaning::Busy { .. }) => {
                Heard::Refused(refusal.message.clone())
            }
            Err(error) => return of_gateway(&error),
        };
        self.seen.heard(key, Said { id, answer });
        Answer::Begun
    }
}

fn not_connected() -> Answer {
    Answer::Failed(Failure {
        whose: Whose::GatewaysSilence,
        why: "the gateway is not connected".to_owned(),
    })
}

fn of_cluster(result: Result<(), cluster::Error>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Failed(Failure {
            whose: Whose::Clusters,
            why: error.to_string(),
        }),
    }
}

fn of_gateway(error: &CallError) -> Answer {
    let whose = match error {
        CallError::Refused(refusal) if refusal.meaning() == Meaning::FileChanged => Whose::SomebodyElses,
        CallError::Refused(refusal) if matches!(refusal.meaning(), Meaning::Busy { .. }) => {
            Whose::GatewaysSilence
        }
        CallError::Refused(_) | CallError::TooLarge { .. } => Whose::GatewaysRefusal,
        CallError::Lost(_) | CallError::TimedOut | CallError::Odd { .. } => Whose::GatewaysSilence,
    };
    Answer::Failed(Failure {
        whose,
        why: error.to_string(),
    })
}
