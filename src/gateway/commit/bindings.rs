//! PURE. The list of bindings as it shall be: ours as wanted, everybody else's as they are and in their order.

use std::collections::BTreeSet;

use serde_json::Value;

use super::EntryChange;
use crate::gateway::binding::Binding;
use crate::gateway::names::AgentId;

/// A binding that another agent has. It is not taken away from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub agent: AgentId,
    pub binding: Binding,
    /// The other agent's id, as it stands in the configuration.
    pub held_by: String,
}

pub(super) struct Bound {
    /// The whole list; None where nothing changes.
    pub(super) list: Option<Vec<Value>>,
    pub(super) conflicts: Vec<Conflict>,
}

/// `repeated` is how each of them is sent again where it stays.
pub(super) fn bound(now: &[Value], repeated: &[Value], changes: &[EntryChange]) -> Bound {
    let wanted: Vec<(&AgentId, &BTreeSet<Binding>)> = changes
        .iter()
        .filter_map(|change| Some((&change.agent, change.bindings.as_ref()?)))
        .collect();
    let mut kept: Vec<(String, Option<Binding>)> = Vec::new();
    let mut list = Vec::new();
    for (item, repeated) in now.iter().zip(repeated) {
        let holder = holder_of(item);
        let binding = Binding::read(item);
        let ours = wanted.iter().find(|(agent, _)| agent.as_str() == holder);
        if let (Some((_, wanted)), Some(binding)) = (ours, &binding) {
            // The first of two is the one that a gateway heeds.
            let is_second = kept.iter().any(|(_, first)| first.as_ref() == Some(binding));
            if is_second || !wanted.contains(binding) {
                continue;
            }
        }
        kept.push((holder, binding));
        list.push(repeated.clone());
    }
    let mut conflicts = Vec::new();
    for (agent, wanted) in wanted {
        for binding in wanted {
            let held = kept.iter().find(|(_, other)| other.as_ref() == Some(binding));
            match held.map(|(holder, _)| holder) {
                Some(holder) if holder == agent.as_str() => {}
                Some(holder) => conflicts.push(Conflict {
                    agent: agent.clone(),
                    binding: binding.clone(),
                    held_by: holder.clone(),
                }),
                None => {
                    kept.push((agent.to_string(), Some(binding.clone())));
                    list.push(binding.to(agent));
                }
            }
        }
    }
    Bound {
        list: (list != repeated).then_some(list),
        conflicts,
    }
}

/// As the gateway would normalise it.
pub(super) fn holder_of(item: &Value) -> String {
    let id = item.get("agentId").and_then(Value::as_str).unwrap_or_default();
    AgentId::normalised(id).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn change(agent: &str, bindings: Option<&[&str]>) -> EntryChange {
        let parsed = |words: &[&str]| words.iter().map(|text| Binding::parse(text).unwrap()).collect();
        EntryChange {
            bindings: bindings.map(parsed),
            ..EntryChange::new(AgentId::parse(agent).unwrap(), serde_json::Map::new())
        }
    }

    fn item(agent: &str, words: &str) -> Value {
        Binding::parse(words).unwrap().to(&AgentId::parse(agent).unwrap())
    }

    fn bound_of(now: &[Value], changes: &[EntryChange]) -> Bound {
        bound(now, now, changes)
    }

    #[test]
    fn what_stays_is_sent_as_it_is_written() {
        let now = [item("a", "telegram"), item("other", "slack")];
        let written = [
            item("a", "telegram"),
            json!({ "agentId": "${WHO}", "match": { "channel": "${WHERE}" } }),
        ];
        let Bound { list, .. } = bound(&now, &written, &[change("a", Some(&["discord"]))]);
        assert_eq!(list.unwrap(), [written[1].clone(), item("a", "discord")]);
        assert!(
            bound(&now, &written, &[change("a", Some(&["telegram"]))])
                .list
                .is_none()
        );
    }

    #[test]
    fn what_another_has_is_told_and_the_rest_is_bound() {
        let now = [item("other", "telegram:*"), item("mine", "discord")];
        let Bound { list, conflicts } = bound_of(&now, &[change("mine", Some(&["telegram:*", "slack"]))]);
        assert_eq!(
            list.unwrap(),
            [item("other", "telegram:*"), item("mine", "slack")]
        );
        let [
            Conflict {
                agent,
                binding,
                held_by,
            },
        ] = conflicts.as_slice()
        else {
            panic!("{conflicts:?}")
        };
        assert_eq!(
            (agent.as_str(), binding.to_string().as_str(), held_by.as_str()),
            ("mine", "telegram:*", "other")
        );
    }

    #[test]
    fn what_one_gives_up_another_may_take_in_the_same_write() {
        let now = [item("a", "telegram")];
        let Bound { list, conflicts } =
            bound_of(&now, &[change("b", Some(&["telegram"])), change("a", Some(&[]))]);
        assert_eq!(list.unwrap(), [item("b", "telegram")]);
        assert_eq!(conflicts, []);
    }

    #[test]
    fn a_change_without_bindings_leaves_them_alone() {
        assert!(
            bound_of(&[item("a", "telegram")], &[change("a", None)])
                .list
                .is_none()
        );
        let by_hand = json!({ "agentId": "a", "match": { "channel": "telegram", "peer": { "kind": "group", "id": "7" } } });
        assert!(
            bound_of(&[by_hand], &[change("a", Some(&[]))]).list.is_none(),
            "no word of ours"
        );
    }

    proptest! {
        #[test]
        fn others_keep_theirs_in_order_ours_are_as_wanted_and_twice_is_once(
            now in proptest::collection::vec(("a|b|x|y", "[cd](:[12*])?"), 0..8),
            a in proptest::option::of(proptest::collection::btree_set("[cd](:[12*])?", 0..4)),
            b in proptest::option::of(proptest::collection::btree_set("[cd](:[12*])?", 0..4)),
        ) {
            let now: Vec<Value> = now.iter().map(|(agent, words)| item(agent, words)).collect();
            let words = |set: &BTreeSet<String>| set.iter().map(|text| Binding::parse(text).unwrap()).collect();
            let of = |agent: &str, bindings: &Option<BTreeSet<String>>| EntryChange {
                bindings: bindings.as_ref().map(words),
                ..change(agent, None)
            };
            let changes = [of("a", &a), of("b", &b)];
            let Bound { list, conflicts } = bound_of(&now, &changes);
            let after = list.unwrap_or_else(|| now.clone());
            let of_others = |list: &[Value]| -> Vec<Value> {
                list.iter().filter(|item| !["a", "b"].contains(&holder_of(item).as_str())).cloned().collect()
            };
            prop_assert_eq!(of_others(&after), of_others(&now));
            for EntryChange { agent, bindings, .. } in &changes {
                let Some(wanted) = bindings else { continue };
                let mut held: Vec<Binding> = after.iter().filter(|item| holder_of(item) == agent.as_str())
                    .filter_map(Binding::read).collect();
                held.sort();
                let lost = |binding: &Binding| conflicts.iter().any(|c| c.agent == *agent && c.binding == *binding);
                let expected: Vec<Binding> = wanted.iter().filter(|binding| !lost(binding)).cloned().collect();
                prop_assert_eq!(held, expected);
            }
            let again = bound_of(&after, &changes);
            prop_assert!(again.list.is_none());
            prop_assert_eq!(again.conflicts, conflicts);
        }
    }
}
