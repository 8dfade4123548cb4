//! One edit, and all that comes of it.

use serde_json::Value;

#[derive(Debug, Clone)]
pub struct Row {
    /// `Agent.identity.tone`
    pub field: String,
    /// `Agent`, `triage`
    pub on: (&'static str, String),
    /// Laid over the spec, as `kubectl patch --type=merge` does.
    pub edit: Value,
    pub effects: Vec<Effect>,
    /// Rows of one round do not disturb each other. A later one may build on what an earlier one has left.
    pub round: u8,
    /// What the field is for, where nothing acts on it yet.
    pub idle: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub enum Effect {
    /// A file shows words that it did not.
    Shows {
        agent: String,
        file: &'static str,
        words: String,
    },
    /// A file shows them no more.
    Lacks {
        agent: String,
        file: &'static str,
        words: String,
    },
    /// A file holds something else, by chance: a token.
    Rewritten { agent: String, file: &'static str },
    /// A setting of the entry in the gateway's configuration.
    Entry {
        agent: String,
        pointer: &'static str,
        value: Value,
    },
    /// A conversation is led to it.
    Bound { agent: String, matches: Value },
    /// A list in an object holds something.
    Holds {
        on: (&'static str, String),
        pointer: &'static str,
        value: Value,
    },
    /// From one time in an object to another, in hours.
    Spans {
        on: (&'static str, String),
        from: &'static str,
        to: &'static str,
        hours: std::ops::RangeInclusive<i64>,
    },
    Condition {
        on: (&'static str, String),
        kind: &'static str,
        status: &'static str,
        reason: &'static str,
    },
}

pub fn row(field: &str, name: &str, edit: Value) -> Row {
    Row {
        field: field.to_owned(),
        on: (kind_of(field), name.to_owned()),
        edit,
        effects: Vec::new(),
        round: 0,
        idle: None,
    }
}

/// `Agent.identity.tone` is an Agent's.
pub fn kind_of(field: &str) -> &'static str {
    match field.split('.').next() {
        Some("Gateway") => "Gateway",
        Some("Board") => "Board",
        Some("Agent") => "Agent",
        _ => panic!("{field} is no field of a kind that has effects"),
    }
}

impl Row {
    pub fn shows(self, agent: &str, file: &'static str, words: &str) -> Self {
        let (agent, words) = (agent.to_owned(), words.to_owned());
        self.with(Effect::Shows { agent, file, words })
    }

    pub fn lacks(self, agent: &str, file: &'static str, words: &str) -> Self {
        let (agent, words) = (agent.to_owned(), words.to_owned());
        self.with(Effect::Lacks { agent, file, words })
    }

    pub fn rewritten(self, agent: &str, file: &'static str) -> Self {
        let agent = agent.to_owned();
        self.with(Effect::Rewritten { agent, file })
    }

    pub fn spans(
        self,
        (kind, name): (&'static str, &str),
        from: &'static str,
        to: &'static str,
        hours: std::ops::RangeInclusive<i64>,
    ) -> Self {
        let on = (kind, name.to_owned());
        self.with(Effect::Spans { on, from, to, hours })
    }

    pub fn entry(self, agent: &str, pointer: &'static str, value: Value) -> Self {
        let agent = agent.to_owned();
        self.with(Effect::Entry {
            agent,
            pointer,
            value,
        })
    }

    pub fn bound(self, agent: &str, matches: Value) -> Self {
        let agent = agent.to_owned();
        self.with(Effect::Bound { agent, matches })
    }

    pub fn holds(self, kind: &'static str, name: &str, pointer: &'static str, value: Value) -> Self {
        let on = (kind, name.to_owned());
        self.with(Effect::Holds { on, pointer, value })
    }

    pub fn condition(
        self,
        on: (&'static str, &str),
        kind: &'static str,
        status: &'static str,
        reason: &'static str,
    ) -> Self {
        self.with(Effect::Condition {
            on: (on.0, on.1.to_owned()),
            kind,
            status,
            reason,
        })
    }

    pub fn round(mut self, round: u8) -> Self {
        self.round = round;
        self
    }

    /// Nothing acts on it yet, and nothing is written for it.
    pub fn idle(mut self, why: &'static str) -> Self {
        self.idle = Some(why);
        self
    }

    fn with(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }
}

impl Effect {
    /// The Agent whose file or entry it is in.
    pub fn agent_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Shows { agent, .. }
            | Self::Lacks { agent, .. }
            | Self::Rewritten { agent, .. }
            | Self::Entry { agent, .. }
            | Self::Bound { agent, .. } => Some(agent),
            Self::Holds { on, .. } | Self::Spans { on, .. } | Self::Condition { on, .. } => {
                (on.0 == "Agent").then_some(&mut on.1)
            }
        }
    }
}
