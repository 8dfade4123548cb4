//! How objects are doing, in their own words: what `up` and `apply --wait` show while a fleet comes up.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::Value;

use super::operator::ACTED_ON;
use crate::resource::names;
use crate::status::reason::Reason;

/// The reasons of what is not Ready yet and goes its usual way.
const ON_ITS_WAY: &[Reason] = &[Reason::Provisioning, Reason::WaitingForTurn, Reason::Syncing];

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// `Gateway`
    pub(super) kind: String,
    /// `ocgw/harbour`
    pub(super) shown: String,
    pub(super) state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// And what it says of that.
    Ready(String),
    /// Its reason and its message.
    NotReady(String),
    /// Its reason and its message; it has ended, and nothing changes any more.
    Failed(String),
    /// Not Ready, and the way there is the usual one: nothing is wrong.
    OnItsWay(String),
    /// Somebody works at it and has nothing to tell yet.
    Working(String),
    /// What it says is of an earlier writing of it, or it says nothing yet.
    Unseen,
    /// This version keeps it and does nothing about it.
    OnlyKept,
    Gone,
    /// Its kind never says whether it is Ready.
    Silent,
}

impl State {
    /// None: there is no such object.
    pub(super) fn of(object: Option<&DynamicObject>, kind: &str, api_version: &str) -> Self {
        if !api_version.starts_with(&format!("{}/", names::GROUP)) {
            return Self::Silent;
        }
        let Some(object) = object else {
            return Self::Gone;
        };
        let status = object.data.get("status");
        let seen = status.and_then(|status| status.get("observedGeneration")?.as_i64());
        let conditions = status.and_then(|status| status.get("conditions")?.as_array());
        let ready = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition.get("type").and_then(Value::as_str) == Some("Ready"));
        let Some(ready) = ready.filter(|_| seen == object.metadata.generation) else {
            // A controller of another version may look at it all the same: then it has said something.
            return if ACTED_ON.contains(&kind) || seen.is_some() {
                Self::Unseen
            } else {
                Self::OnlyKept
            };
        };
        if is_asked_for_a_look(object, status) {
            return Self::Unseen;
        }
        let has_failed = kind == "TemplateSync"
            && status.and_then(|status| status.get("phase")?.as_str()) == Some("Failed");
        let word = |name: &str| ready.get(name).and_then(Value::as_str).unwrap_or_default();
        match word("status") {
            "True" => Self::Ready(word("message").to_owned()),
            "False" if has_failed => Self::Failed(format!("{}: {}", word("reason"), word("message"))),
            "False"
                if ON_ITS_WAY
                    .iter()
                    .any(|reason| word("reason") == reason.to_string()) =>
            {
                Self::OnItsWay(word("message").to_owned())
            }
            "False" => Self::NotReady(format!("{}: {}", word("reason"), word("message"))),
            _ => Self::Working(format!("{}: {}", word("reason"), word("message"))),
        }
    }

    /// Whether waiting may still change something.
    pub(super) fn is_awaited(&self) -> bool {
        match self {
            Self::NotReady(_) | Self::OnItsWay(_) | Self::Working(_) | Self::Unseen => true,
            Self::Ready(_) | Self::Failed(_) | Self::OnlyKept | Self::Gone | Self::Silent => false,
        }
    }

    pub(super) fn words(&self) -> String {
        match self {
            Self::Ready(said)
            | Self::NotReady(said)
            | Self::Failed(said)
            | Self::OnItsWay(said)
            | Self::Working(said) => said.clone(),
            Self::Unseen => "nobody has looked at it yet".to_owned(),
            Self::OnlyKept => "it is kept, and this version does not act on its kind yet".to_owned(),
            Self::Gone => "it is gone".to_owned(),
            Self::Silent => String::new(),
        }
    }
}

/// And has not had it yet: what it says is from before.
fn is_asked_for_a_look(object: &DynamicObject, status: Option<&Value>) -> bool {
    // A longer one is answered cut.
    const WHOLE: usize = 64;
    let asked = object.annotations().get(names::RECONCILE_AT);
    let handled = status.and_then(|status| status.get("lastHandledRequest")?.as_str());
    asked.is_some_and(|asked| asked.len() <= WHOLE && Some(asked.as_str()) != handled)
}

impl Standing {
    pub(super) fn of(object: &DynamicObject, kind: &str, short: &str) -> Self {
        let api_version = object
            .types
            .as_ref()
            .map_or_else(our_version, |types| types.api_version.clone());
        Self {
            kind: kind.to_owned(),
            shown: format!("{short}/{}", object.name_any()),
            state: State::of(Some(object), kind, &api_version),
        }
    }

    /// `True`, `False` or what is not known: the column.
    pub(super) fn ready(&self) -> &'static str {
        match self.state {
            State::Ready(_) => "True",
            State::NotReady(_) | State::Failed(_) | State::OnItsWay(_) | State::Gone => "False",
            State::Working(_) | State::Unseen => "Unknown",
            State::OnlyKept | State::Silent => "-",
        }
    }
}

/// Items of a list do not say what they are.
fn our_version() -> String {
    format!("{}/{}", names::GROUP, names::VERSION)
}

/// `1 Gateway, 2 Boards`
pub(super) fn counted<'a>(standings: impl IntoIterator<Item = &'a Standing>) -> String {
    let mut kinds: BTreeMap<usize, (&str, usize)> = BTreeMap::new();
    let order = ["Gateway", "Board", "Agent", "TemplateSync"];
    for standing in standings {
        let place = order.iter().position(|kind| *kind == standing.kind);
        let entry = kinds
            .entry(place.unwrap_or(order.len()))
            .or_insert((&standing.kind, 0));
        entry.1 += 1;
    }
    let words: Vec<String> = kinds
        .values()
        .map(|(kind, count)| match count {
            1 => format!("1 {kind}"),
            count => format!("{count} {kind}s"),
        })
        .collect();
    words.join(", ")
}

/// What is kept and not acted on, in a sentence. None: there is no such thing.
pub(super) fn only_kept(standings: &[Standing]) -> Option<String> {
    let kept: Vec<&Standing> = standings
        .iter()
        .filter(|standing| standing.state == State::OnlyKept)
        .collect();
    (!kept.is_empty()).then(|| {
        format!(
            "Kept, and not acted on by this version yet: {}.",
            counted(kept.iter().copied())
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn gateway(generation: i64, status: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Gateway",
            "metadata": { "name": "harbour", "generation": generation }, "status": status,
        }))
        .unwrap()
    }

    fn state(object: &DynamicObject) -> State {
        Standing::of(object, "Gateway", "ocgw").state
    }

    fn says(status: &str) -> Value {
        json!({ "observedGeneration": 2, "conditions": [
            { "type": "Reachable", "status": "True", "reason": "Connected", "message": "x" },
            { "type": "Ready", "status": status, "reason": "Because", "message": "so" },
        ] })
    }

    #[test]
    fn an_object_says_itself_how_it_is() {
        assert_eq!(state(&gateway(2, &says("True"))), State::Ready("so".to_owned()));
        assert_eq!(
            state(&gateway(2, &says("False"))),
            State::NotReady("Because: so".to_owned())
        );
        assert_eq!(
            state(&gateway(2, &says("Unknown"))),
            State::Working("Because: so".to_owned())
        );
        let mut coming = says("False");
        coming["conditions"][1]["reason"] = json!("Provisioning");
        let coming = Standing::of(&gateway(2, &coming), "Gateway", "ocgw");
        assert_eq!(coming.state, State::OnItsWay("so".to_owned()));
        assert!(coming.state.is_awaited());
        assert_eq!(coming.ready(), "False");
    }

    #[test]
    fn what_was_said_of_an_earlier_writing_counts_for_nothing() {
        assert_eq!(state(&gateway(3, &says("True"))), State::Unseen);
        assert_eq!(state(&gateway(1, &json!({}))), State::Unseen);
    }

    #[test]
    fn what_was_said_before_a_look_was_asked_for_counts_for_nothing() {
        let mut asked = gateway(2, &says("True"));
        asked
            .annotations_mut()
            .insert(names::RECONCILE_AT.to_owned(), "monday".to_owned());
        assert_eq!(state(&asked), State::Unseen);
        for (handled, expected) in [
            ("sunday", State::Unseen),
            ("monday", State::Ready("so".to_owned())),
        ] {
            asked.data["status"]["lastHandledRequest"] = json!(handled);
            assert_eq!(state(&asked), expected);
        }
    }

    #[test]
    fn what_nobody_acts_on_is_never_called_ready_nor_awaited() {
        let mut agent = gateway(1, &json!({}));
        agent.types = Some(kube::core::TypeMeta {
            api_version: "quartermaster.dev/v1alpha1".to_owned(),
            kind: "Nobodys".to_owned(),
        });
        let standing = Standing::of(&agent, "Nobodys", "nobodys");
        assert_eq!(standing.state, State::OnlyKept);
        assert_eq!(standing.ready(), "-");
        assert!(!standing.state.is_awaited());
        // Another version's controller has looked at it.
        let mut agent = gateway(2, &says("True"));
        assert_eq!(
            Standing::of(&agent, "Nobodys", "x").state,
            State::Ready("so".to_owned())
        );
        agent.metadata.generation = Some(3);
        assert_eq!(Standing::of(&agent, "Nobodys", "x").state, State::Unseen);
    }

    /// An errand has an end, and a failed one is not waited for.
    #[test]
    fn a_template_sync_that_failed_stays_so() {
        let sync = |phase: &str, reason: &str| {
            let mut status = says("False");
            status["phase"] = json!(phase);
            status["conditions"][1]["reason"] = json!(reason);
            Standing::of(&gateway(2, &status), "TemplateSync", "ocsync").state
        };
        let failed = sync("Failed", "AgentsFailed");
        assert_eq!(failed, State::Failed("AgentsFailed: so".to_owned()));
        assert!(!failed.is_awaited());
        for (phase, reason) in [("Pending", "WaitingForTurn"), ("Running", "Syncing")] {
            let state = sync(phase, reason);
            assert_eq!(state, State::OnItsWay("so".to_owned()));
            assert!(state.is_awaited());
        }
    }

    #[test]
    fn kinds_are_counted_in_words() {
        let standing = |kind: &str, state: State| Standing {
            kind: kind.to_owned(),
            shown: String::new(),
            state,
        };
        let all = [
            standing("Agent", State::OnlyKept),
            standing("Gateway", State::Unseen),
            standing("Agent", State::OnlyKept),
            standing("Board", State::OnlyKept),
        ];
        assert_eq!(counted(&all), "1 Gateway, 1 Board, 2 Agents");
        let sentence = "Kept, and not acted on by this version yet: 1 Board, 2 Agents.";
        assert_eq!(only_kept(&all).as_deref(), Some(sentence));
        assert_eq!(only_kept(&all[1..2]), None);
    }
}
