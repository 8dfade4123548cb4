//! The gateway of the model: an entry, files, the turns that were made of messages, and writes that take their time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use quartermaster::deposits::{Answer, Deposit, Order};
use quartermaster::gateway::Contract;
use quartermaster::gateway::chat::InHistory;
use quartermaster::gateway::commit::NotCommitted;
use quartermaster::gateway::configuration::Entry;
use quartermaster::gateway::refusal::Issue;
use quartermaster::observed::agent::Heard;
use serde_json::Value;

pub(crate) struct Outside {
    pub(crate) contract: &'static Contract,
    pub(crate) entry: Option<Entry>,
    pub(crate) files: BTreeMap<String, String>,
    messages: BTreeMap<String, Message>,
    orders: VecDeque<UnderWay>,
    /// Of the next orders and messages; what is not said goes well at once.
    pub(crate) orders_to_come: VecDeque<OrderEnds>,
    pub(crate) messages_to_come: VecDeque<MessageEnds>,
}

/// How a write of the configuration ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OrderEnds {
    /// After so many passes.
    Done(u8),
    /// The gateway does not take it.
    Rejected(u8),
    /// A restart, a conflict, a spent budget: nothing was written.
    Refused(u8),
    /// It was written, and nobody heard of it.
    Unheard(u8),
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MessageEnds {
    Arrives,
    /// Its turn takes so long, and the history has it afterwards.
    TakesMinutes(u8),
    /// It has arrived, and the answer is lost.
    Unheard,
    /// It never arrived, and nobody says so.
    NeverArrives,
    /// It was taken, and the gateway died: its key is used up, and there is no turn.
    LostByGateway,
    Refused,
}

struct UnderWay {
    order: Order,
    ends: OrderEnds,
    left: u8,
}

struct Message {
    shows: Option<Timestamp>,
}

/// What came of an order that was deposited last.
pub(crate) enum Told {
    Done,
    Not { why: NotCommitted, again: Duration },
}

impl OrderEnds {
    fn takes(self) -> u8 {
        match self {
            Self::Done(passes) | Self::Rejected(passes) | Self::Refused(passes) | Self::Unheard(passes) => {
                passes
            }
        }
    }
}

impl Outside {
    pub(crate) fn new(contract: &'static Contract) -> Self {
        Self {
            contract,
            entry: None,
            files: BTreeMap::new(),
            messages: BTreeMap::new(),
            orders: VecDeque::new(),
            orders_to_come: VecDeque::new(),
            messages_to_come: VecDeque::new(),
        }
    }

    /// Says whether it is answered at once.
    pub(crate) fn deposit(&mut self, order: &Order) -> Option<Told> {
        let ends = self.orders_to_come.pop_front().unwrap_or(OrderEnds::Done(0));
        self.orders.push_back(UnderWay {
            order: order.clone(),
            ends,
            left: ends.takes(),
        });
        self.advance(0)
    }

    /// An agent's orders are carried out in turn; what is told is told of the last one.
    pub(crate) fn advance(&mut self, by: u8) -> Option<Told> {
        let mut told = None;
        if let Some(first) = self.orders.front_mut() {
            first.left = first.left.saturating_sub(by);
        }
        while let Some(first) = self.orders.pop_front_if(|first| first.left == 0) {
            let end = self.end(&first);
            told = self.orders.is_empty().then_some(end);
        }
        told
    }

    fn end(&mut self, UnderWay { order, ends, left: _ }: &UnderWay) -> Told {
        let not = |why, again| Told::Not { why, again };
        match ends {
            OrderEnds::Done(_) => {
                self.carry_out(order);
                Told::Done
            }
            OrderEnds::Unheard(_) => {
                self.carry_out(order);
                let why = NotCommitted::Unfinished("no answer in time".to_owned());
                not(why, Duration::from_secs(1))
            }
            OrderEnds::Refused(_) => {
                let why = NotCommitted::Refused("restarting".to_owned());
                not(why, Duration::from_secs(40))
            }
            OrderEnds::Rejected(_) => {
                let issue = Issue {
                    path: "agents.entries.x".to_owned(),
                    message: "unknown".repeat(200),
                };
                not(NotCommitted::Rejected(vec![issue; 30]), Duration::from_secs(600))
            }
        }
    }

    fn carry_out(&mut self, order: &Order) {
        match order {
            Order::Put(change) => {
                let entry = self.entry.get_or_insert_default();
                merge(entry, &change.fields);
                if let Some(Value::Object(heartbeat)) = entry.get_mut("heartbeat") {
                    heartbeat.retain(|key, _| self.contract.heartbeat_keys.contains(&key.as_str()));
                }
            }
            Order::TakeOut(removal) => {
                self.entry = None;
                if removal.with_files {
                    self.files.clear();
                }
            }
        }
    }

    /// The process that waited for them is gone: what was on its way arrives or does not.
    pub(crate) fn is_left_alone(&mut self) {
        for UnderWay { order, ends, left: _ } in std::mem::take(&mut self.orders) {
            match ends {
                OrderEnds::Unheard(_) | OrderEnds::Done(1) => self.carry_out(&order),
                OrderEnds::Done(_) | OrderEnds::Rejected(_) | OrderEnds::Refused(_) => {}
            }
        }
    }

    pub(crate) fn is_busy(&self) -> bool {
        !self.orders.is_empty()
    }

    pub(crate) fn has_put_under_way(&self) -> bool {
        self.orders.iter().any(|it| matches!(it.order, Order::Put(_)))
    }

    /// None: no answer.
    pub(crate) fn send(&mut self, id: &str, now: Timestamp) -> Option<Heard> {
        if let Some(before) = self.messages.get(id) {
            // A gateway takes a key once.
            let is_over = before.shows.is_none_or(|shows| shows <= now);
            return Some(if is_over {
                Heard::Over("no model".to_owned())
            } else {
                Heard::Accepted
            });
        }
        let ends = self.messages_to_come.pop_front().unwrap_or(MessageEnds::Arrives);
        let (shows, heard) = match ends {
            MessageEnds::NeverArrives => return None,
            MessageEnds::Refused => return Some(Heard::Refused("agent is disabled".to_owned())),
            MessageEnds::Arrives => (Some(now), Some(Heard::Accepted)),
            MessageEnds::Unheard => (Some(now), None),
            MessageEnds::TakesMinutes(minutes) => {
                let shows = now + SignedDuration::from_mins(minutes.into());
                (Some(shows), Some(Heard::Accepted))
            }
            MessageEnds::LostByGateway => (None, Some(Heard::Accepted)),
        };
        self.messages.insert(id.to_owned(), Message { shows });
        heard
    }

    pub(crate) fn holds(&self, id: &str, now: Timestamp) -> InHistory {
        let message = self.messages.get(id);
        let is_shown = message.and_then(|it| it.shows).is_some_and(|shows| shows <= now);
        match (is_shown, self.contract.keeps_failed_turns) {
            // Every turn of the model fails.
            (_, false) => InHistory::Unknown,
            (true, true) => InHistory::Held,
            (false, true) => InHistory::NotThere,
        }
    }

    /// How many turns were made, or are being made, of messages: each is paid for.
    pub(crate) fn turns(&self) -> usize {
        self.messages
            .values()
            .filter(|message| message.shows.is_some())
            .count()
    }
}

pub(crate) fn deposit_of(order: &Order, ask: &str, answer: Answer) -> Deposit {
    Deposit {
        order: order.clone(),
        ask: ask.to_owned(),
        answer,
    }
}

fn merge(there: &mut Entry, patch: &Entry) {
    for (key, value) in patch {
        match (there.get_mut(key), value) {
            (_, Value::Null) => {
                there.remove(key);
            }
            (Some(Value::Object(inner)), Value::Object(patch)) => merge(inner, patch),
            (_, Value::Object(patch)) => {
                let mut inner = Entry::new();
                merge(&mut inner, patch);
                there.insert(key.clone(), Value::Object(inner));
            }
            (_, value) => {
                there.insert(key.clone(), value.clone());
            }
        }
    }
}
