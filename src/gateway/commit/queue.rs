//! What waits to be written, and in which order it is.

use std::collections::{BTreeSet, VecDeque};

use super::{Deposit, LARGEST, Put, TakeOut};

/// Up to [`LARGEST`] changes. What is deposited about one agent keeps its order: one change of it a commit, since the later
/// one is meant to come on top of the earlier, and none that was deposited after its removal.
pub(super) fn next_batch(waiting: &mut VecDeque<Deposit>) -> Vec<Put> {
    let mut batch: Vec<Put> = Vec::new();
    let mut rest = VecDeque::new();
    let mut leaving = BTreeSet::new();
    for deposit in waiting.drain(..) {
        match deposit {
            Deposit::Put(put) => {
                let agent = &put.change.agent;
                let taken = batch.iter().any(|other| other.change.agent == *agent);
                if batch.len() < LARGEST && !taken && !leaving.contains(agent) {
                    batch.push(put);
                } else {
                    rest.push_back(Deposit::Put(put));
                }
            }
            Deposit::TakeOut(take_out) => {
                leaving.insert(take_out.removal.agent.clone());
                rest.push_back(Deposit::TakeOut(take_out));
            }
        }
    }
    *waiting = rest;
    batch
}

/// The first removal before which no change of its agent waits.
pub(super) fn next_removal(waiting: &mut VecDeque<Deposit>) -> Option<TakeOut> {
    let mut changing = BTreeSet::new();
    let place = waiting.iter().position(|deposit| match deposit {
        Deposit::Put(put) => {
            changing.insert(put.change.agent.clone());
            false
        }
        Deposit::TakeOut(take_out) => !changing.contains(&take_out.removal.agent),
    });
    match waiting.remove(place?) {
        Some(Deposit::TakeOut(take_out)) => Some(take_out),
        Some(Deposit::Put(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::super::{EntryChange, Removal};
    use super::*;
    use crate::gateway::address::Address;
    use crate::gateway::names::AgentId;

    /// `+a` changes agent a, `-a` takes it out. What is deposited is waited for as long as the receivers live.
    fn waiting(words: &str) -> (VecDeque<Deposit>, Vec<Box<dyn std::any::Any>>) {
        let mut waited_for: Vec<Box<dyn std::any::Any>> = Vec::new();
        let deposits = words.split_whitespace().map(|word| {
            let (sign, name) = word.split_at(1);
            let agent = AgentId::parse(name).unwrap();
            let at = Address::parse("ws://gateway:18789").unwrap();
            if sign == "+" {
                let (result, answered) = oneshot::channel();
                waited_for.push(Box::new(answered));
                let change = EntryChange::new(agent, serde_json::Map::new());
                Deposit::Put(Put { at, change, result })
            } else {
                let (result, answered) = oneshot::channel();
                waited_for.push(Box::new(answered));
                let removal = Removal {
                    agent,
                    with_files: true,
                    preserved: BTreeSet::new(),
                };
                Deposit::TakeOut(TakeOut { at, removal, result })
            }
        });
        (deposits.collect(), waited_for)
    }

    /// What is done, in rounds: changes together, then at most one removal.
    fn rounds(words: &str) -> String {
        let (mut waiting, _waited_for) = waiting(words);
        let mut done = Vec::new();
        while !waiting.is_empty() {
            let batch = next_batch(&mut waiting);
            let mut round: Vec<String> = batch.iter().map(|put| format!("+{}", put.change.agent)).collect();
            round.extend(next_removal(&mut waiting).map(|take_out| format!("-{}", take_out.removal.agent)));
            assert!(!round.is_empty(), "it would go on for ever: {words}");
            done.push(round.join(" "));
        }
        done.join(", ")
    }

    #[test]
    fn what_is_deposited_about_one_agent_keeps_its_order() {
        assert_eq!(rounds("+a +b +a"), "+a +b, +a");
        assert_eq!(rounds("-a +a"), "-a, +a");
        assert_eq!(rounds("+a -a"), "+a -a");
        assert_eq!(rounds("-a +a -a"), "-a, +a -a");
        assert_eq!(rounds("-a -b +b +a +c"), "+c -a, +a -b, +b");
        assert_eq!(rounds("+a +a -a +a"), "+a, +a -a, +a");
    }

    #[test]
    fn what_nobody_waits_for_is_known() {
        let (waiting, waited_for) = waiting("+a -b");
        assert!(!waiting.iter().any(Deposit::is_abandoned));
        drop(waited_for);
        assert!(waiting.iter().all(Deposit::is_abandoned));
    }
}
