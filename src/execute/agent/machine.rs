//! PURE. A plan and the answers so far give the next effects: stage after stage, all of a stage at once, and nothing of a
//! stage before all of the one before it has gone well.

use std::collections::{BTreeSet, VecDeque};

use super::{Came, Failure, Outcome, Whose};
use crate::deposits::Order;
use crate::desired::agent::{AgentToken, Heard};
use crate::gateway::names::SessionKey;
use crate::observed::agent::hash;
use crate::plan::agent::{Action, Farewell, Message, Plan, Replaced, TokenChange, Write};

/// One thing that is done to the outside. Each has a name, by which tests can stop the world before and after it.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    HoldObject,
    CreateSecret {
        secret: String,
        /// None: one that is made now.
        token: Option<AgentToken>,
        heard: Heard,
    },
    ChangeSecret {
        secret: String,
        version: String,
        change: TokenChange,
    },
    KeepReplaced(Replaced),
    Foresee(BTreeSet<String>),
    Deposit(Order),
    SetFile(Write),
    /// Where the gateway did not tell what it has stored.
    ReadBack(Write),
    ResetSession(SessionKey),
    Send(Message),
    Hash(AgentToken),
    LetGo(Farewell),
}

/// What became of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Done,
    Begun,
    /// A file was written; its hash where the gateway tells one.
    Written(Option<String>),
    /// A file was read.
    Holds(Option<String>),
    Failed(Failure),
}

/// Which effect an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(usize);

/// What came of a plan so far.
pub struct Machine {
    plan: Plan,
    /// Actions of later stages.
    to_come: VecDeque<Vec<Action>>,
    /// In order; None: its effect is under way.
    begun: Vec<(Action, Option<Came>)>,
    next: Vec<(Ticket, Effect)>,
}

impl Machine {
    pub fn new(plan: Plan) -> Self {
        let mut machine = Self {
            to_come: plan.stages.iter().cloned().collect(),
            plan,
            begun: Vec::new(),
            next: Vec::new(),
        };
        machine.advance();
        machine
    }

    /// Effects that are to be begun now.
    pub fn to_begin(&mut self) -> Vec<(Ticket, Effect)> {
        std::mem::take(&mut self.next)
    }

    pub fn hear(&mut self, ticket: Ticket, answer: Answer) {
        let Some((action, came)) = self.begun.get_mut(ticket.0) else {
            return;
        };
        let failed = |why: &str| {
            Came::Failed(Failure {
                whose: Whose::SomebodyElses,
                why: why.to_owned(),
            })
        };
        let result = match (answer, &*action) {
            (Answer::Begun, _) => Came::UnderWay,
            (Answer::Failed(failure), _) => Came::Failed(failure),
            (Answer::Written(Some(stored)), Action::Write(write)) => {
                if stored == hash(&write.content) {
                    Came::Done
                } else {
                    failed("the gateway stored something else than it was sent")
                }
            }
            (Answer::Written(None), Action::Write(write)) => {
                let write = write.clone();
                self.next.push((ticket, Effect::ReadBack(write)));
                return;
            }
            (Answer::Holds(content), Action::Write(write)) => {
                if content.as_deref() == Some(write.content.as_str()) {
                    Came::Done
                } else {
                    failed("read back, the file is not what was written")
                }
            }
            (Answer::Done | Answer::Written(_) | Answer::Holds(_), _) => Came::Done,
        };
        *came = Some(result);
        self.advance();
    }

    pub fn outcome(self) -> Outcome {
        let begun = self.begun.into_iter();
        let begun = begun.map(|(action, came)| (action, came.unwrap_or(Came::NotReached)));
        let never = self.to_come.into_iter().flatten();
        Outcome {
            plan: self.plan,
            came: begun
                .chain(never.map(|action| (action, Came::NotReached)))
                .collect(),
        }
    }

    /// Begins the next stage once all before it has gone well.
    fn advance(&mut self) {
        while self.begun.iter().all(|(_, came)| *came == Some(Came::Done)) {
            let Some(stage) = self.to_come.pop_front() else {
                return;
            };
            for action in stage {
                let ticket = Ticket(self.begun.len());
                let effect = match &action {
                    Action::Promise(_) => None,
                    Action::HoldObject => Some(Effect::HoldObject),
                    Action::MintToken { secret, heard } => Some(Effect::CreateSecret {
                        secret: secret.clone(),
                        token: None,
                        heard: heard.clone(),
                    }),
                    Action::RestoreToken { secret, token, heard } => Some(Effect::CreateSecret {
                        secret: secret.clone(),
                        token: Some(token.clone()),
                        heard: heard.clone(),
                    }),
                    Action::ChangeToken {
                        secret,
                        version,
                        change,
                    } => Some(Effect::ChangeSecret {
                        secret: secret.clone(),
                        version: version.clone(),
                        change: change.clone(),
                    }),
                    Action::KeepReplaced(replaced) => Some(Effect::KeepReplaced(replaced.clone())),
                    Action::Foresee(agents) => Some(Effect::Foresee(agents.clone())),
                    Action::Deposit(order) => Some(Effect::Deposit(order.clone())),
                    Action::Write(write) => Some(Effect::SetFile(write.clone())),
                    Action::ResetSession(session) => Some(Effect::ResetSession(session.clone())),
                    Action::Wake(message) => Some(Effect::Send(message.clone())),
                    Action::HashToken(token) => Some(Effect::Hash(token.clone())),
                    Action::LetGo(farewell) => Some(Effect::LetGo(farewell.clone())),
                };
                let came = effect.is_none().then_some(Came::Done);
                self.begun.push((action, came));
                self.next.extend(effect.map(|effect| (ticket, effect)));
            }
        }
    }
}
