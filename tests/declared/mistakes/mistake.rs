//! One mistake: how it comes about, what is said of it, and how it is mended.

#![expect(
    clippy::needless_pass_by_value,
    reason = "rows are read more often than they are made"
)]

use serde_json::{Value, json};

#[derive(Debug, Clone)]
pub struct Mistake {
    /// Also what its objects' names begin with.
    pub name: &'static str,
    pub steps: Vec<Step>,
    /// Whose condition tells it.
    pub on: (&'static str, String),
    pub condition: &'static str,
    /// False, or for what does not keep it from being Ready, True.
    pub status: &'static str,
    pub reason: &'static str,
    /// What is wrong, and what to do.
    pub says: Vec<&'static str>,
    pub mend: Vec<Step>,
    pub healed: Healed,
    /// The gateway's own word matters: a real one is asked, too.
    pub real: bool,
}

#[derive(Debug, Clone)]
pub enum Step {
    /// `kubectl apply`: kind, name and what is beside them.
    Apply(&'static str, String, Value),
    /// `kubectl patch --type=merge`
    Patch(&'static str, String, Value),
    Delete(&'static str, String),
    /// Waits until it is Ready.
    Ready(&'static str, String),
    /// An agent's file on the gateway's disk: which, and its text from now on.
    Spoil(String, &'static str, &'static str),
    Gone(&'static str, String),
}

#[derive(Debug, Clone)]
pub enum Healed {
    Ready,
    /// It may go at last.
    Gone,
    /// A condition of its own is True.
    Condition(&'static str),
}

impl Mistake {
    /// On the Agent of that name.
    pub fn of_agent(name: &'static str, steps: Vec<Step>, reason: &'static str) -> Self {
        Self::on(("Agent", name), name, steps, reason)
    }

    pub fn of_gateway(name: &'static str, steps: Vec<Step>, reason: &'static str) -> Self {
        Self::on(("Gateway", name), name, steps, reason)
    }

    pub fn on(on: (&'static str, &str), name: &'static str, steps: Vec<Step>, reason: &'static str) -> Self {
        Self {
            name,
            steps,
            on: (on.0, on.1.to_owned()),
            condition: "Ready",
            status: "False",
            reason,
            says: Vec::new(),
            mend: Vec::new(),
            healed: Healed::Ready,
            real: false,
        }
    }

    pub fn says(mut self, words: &[&'static str]) -> Self {
        self.says = words.to_vec();
        self
    }

    pub fn mend(mut self, steps: Vec<Step>) -> Self {
        self.mend = steps;
        self
    }

    pub fn at(mut self, condition: &'static str, status: &'static str) -> Self {
        (self.condition, self.status) = (condition, status);
        self
    }

    pub fn healed(mut self, healed: Healed) -> Self {
        self.healed = healed;
        self
    }

    pub fn real(mut self) -> Self {
        self.real = true;
        self
    }
}

/// An Agent on the board that all share.
pub fn agent(name: &str, spec: Value) -> Step {
    let mut whole = json!({ "boardRef": { "name": "common" } });
    whole
        .as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    made("Agent", name, whole)
}

pub fn made(kind: &'static str, name: &str, spec: Value) -> Step {
    Step::Apply(kind, name.to_owned(), json!({ "spec": spec }))
}

pub fn board(name: &str, gateway: &str) -> Step {
    made(
        "Board",
        name,
        json!({ "gatewayRef": { "name": gateway }, "maxAgents": 5 }),
    )
}

/// A Gateway that leads to the gateway, but for what is said here. `URL` is its address.
pub fn gateway(name: &str, spec: Value) -> Step {
    let mut whole = json!({ "url": "URL", "workspaceRoot": "~/.openclaw", "tokenSecretRef": { "name": "harbour-token" }, "resyncInterval": "1h" });
    let whole_fields = whole.as_object_mut().unwrap();
    whole_fields.extend(spec.as_object().unwrap().clone());
    // Null: without it.
    whole_fields.retain(|_, value| !value.is_null());
    made("Gateway", name, whole)
}

pub fn config_map(name: &str, data: Value) -> Step {
    Step::Apply("ConfigMap", name.to_owned(), json!({ "data": data }))
}

pub fn secret(name: &str, data: Value) -> Step {
    Step::Apply("Secret", name.to_owned(), json!({ "stringData": data }))
}

pub fn edit(kind: &'static str, name: &str, spec: Value) -> Step {
    Step::Patch(kind, name.to_owned(), json!({ "spec": spec }))
}

pub fn delete(kind: &'static str, name: &str) -> Step {
    Step::Delete(kind, name.to_owned())
}

pub fn gone(kind: &'static str, name: &str) -> Step {
    Step::Gone(kind, name.to_owned())
}

pub fn ready(kind: &'static str, name: &str) -> Step {
    Step::Ready(kind, name.to_owned())
}
