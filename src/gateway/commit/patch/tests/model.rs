//! What a gateway makes of a write, in a few lines: the rules that a patch must keep to, and the document after it.

use serde_json::{Map, Value, json};

use super::super::super::write::count;
use super::*;

pub(super) struct Gateway {
    pub(super) contract: &'static Contract,
    pub(super) document: Value,
}

impl Gateway {
    pub(super) fn new(contract: &'static Contract, agents: &[(&str, Value)]) -> Self {
        let agents = match contract.roster {
            Roster::Entries => {
                let entries = agents.iter().map(|(id, entry)| ((*id).to_owned(), entry.clone()));
                let mut document = json!({ "ownership": "explicit", "entries": Map::from_iter(entries) });
                if let (Some((first, _)), true) = (agents.first(), agents.len() > 1) {
                    document["defaults"] = json!({ "heartbeat": { "agentId": first } });
                }
                document
            }
            Roster::MergedList | Roster::ReplacedList => {
                let of = |(id, entry): &(&str, Value)| {
                    let mut item = Map::from_iter([("id".to_owned(), json!(id))]);
                    item.extend(entry.as_object().unwrap().clone());
                    Value::Object(item)
                };
                json!({ "list": agents.iter().map(of).collect::<Vec<_>>() })
            }
        };
        Self {
            contract,
            document: json!({ "agents": agents, "gateway": { "port": 18789 } }),
        }
    }

    pub(super) fn read(&self) -> Configuration {
        let config = used(&self.document);
        Configuration::parse(&json!({ "hash": "h", "config": config, "parsed": self.document })).unwrap()
    }

    /// Who has a heartbeat: whoever has a block, and while nobody has one, whom the gateway has chosen.
    pub(super) fn beating(&self) -> BTreeSet<AgentId> {
        let with_block = self.ids(|entry| entry["heartbeat"].is_object());
        if with_block.is_empty() {
            self.chosen()
        } else {
            with_block
        }
    }

    /// As the three versions choose, in their own words.
    pub(super) fn chosen(&self) -> BTreeSet<AgentId> {
        let agents = &self.document["agents"];
        let default = &agents["defaults"]["heartbeat"];
        let all = self.ids(|_| true);
        let named = |at: &Value| at.as_str().map(|id| BTreeSet::from([AgentId::normalised(id)]));
        let main = BTreeSet::from([id("main")]);
        let of_list = || {
            let list = agents["list"].as_array();
            let marked = list.and_then(|list| list.iter().find(|item| item["default"] == true));
            let first = marked.or(list.and_then(|list| list.first()));
            first.and_then(|item| named(&item["id"])).unwrap_or(main.clone())
        };
        if all.is_empty() {
            return main;
        }
        if self.contract == &V2026_9_6 {
            named(&default["agentId"])
                .or_else(|| default.is_object().then(|| all.clone()))
                .or_else(|| named(&agents["defaults"]["systemAgent"]["agentId"]))
                .unwrap_or_else(|| if all.len() == 1 { all } else { BTreeSet::new() })
        } else if self.contract == &V2026_7_35 && default.is_object() {
            all
        } else {
            of_list()
        }
    }

    fn ids(&self, which: impl Fn(&Value) -> bool) -> BTreeSet<AgentId> {
        let agents = &self.document["agents"];
        let entries = agents["entries"].as_object().into_iter().flatten();
        let entries = entries.map(|(id, entry)| (id.as_str(), entry));
        let list = agents["list"].as_array().into_iter().flatten();
        let all = entries.chain(list.map(|item| (item["id"].as_str().unwrap(), item)));
        all.filter(|(_, entry)| which(entry))
            .map(|(id, _)| AgentId::normalised(id))
            .collect()
    }

    /// The document after a write, or why the gateway refuses it.
    pub(super) fn write(&mut self, patch: &Patch) -> Result<(), String> {
        let raw = patch.raw.as_ref().unwrap();
        self.pin_the_default();
        let mut lost = Vec::new();
        // A 2026.2.9 merges into what it uses, and so writes down the values of all variables that it is not sent.
        let base = match self.contract.roster {
            Roster::ReplacedList => used(&self.document),
            Roster::Entries | Roster::MergedList => self.document.clone(),
        };
        let mut after = self.merged(Some(&base), raw, "", &patch.replace_paths, &mut lost);
        if let Some(path) = lost.first() {
            return Err(format!(
                "would remove entries from {path}, confirmed: {:?}",
                patch.replace_paths
            ));
        }
        if patch.replace_paths.len() > 256 || (!patch.replace_paths.is_empty() && self.contract == &V2026_2_9)
        {
            return Err("replacePaths".to_owned());
        }
        std::mem::swap(&mut self.document, &mut after);
        self.check_size(&after)?;
        let unknown = |item: &Value| {
            !self
                .read()
                .entries
                .contains_key(&AgentId::parse(&holder_of(item)).unwrap())
        };
        match self.read().bindings.iter().find(|item| unknown(item)) {
            Some(item) => Err(format!("unknown agent: {item}")),
            None => Ok(()),
        }
    }

    /// As 2026.9.6 does when a second agent comes: it puts down who had the heartbeat all along.
    fn pin_the_default(&mut self) {
        let entries = self.read().entries;
        let agents = &mut self.document["agents"];
        let is_pinned = !agents["defaults"]["heartbeat"]["agentId"].is_null();
        if self.contract.roster == Roster::Entries && !is_pinned && entries.len() <= 1 {
            let alone = entries.keys().next().map_or("main", AgentId::as_str);
            agents["defaults"]["heartbeat"]["agentId"] = json!(alone);
            if entries.is_empty() {
                agents["entries"]["main"] = json!({});
            }
        }
    }

    pub(super) fn delete(&mut self, agent: &str) -> Result<(), String> {
        let before = self.document.clone();
        let agents = &mut self.document["agents"];
        if let Some(list) = agents["list"].as_array_mut() {
            list.retain(|item| item["id"] != agent);
        } else if let Some(entries) = agents["entries"].as_object_mut() {
            entries.remove(agent);
        }
        if let Some(bindings) = self.document.get_mut("bindings").and_then(Value::as_array_mut) {
            bindings.retain(|item| item["agentId"] != agent);
        }
        self.check_size(&before)
    }

    fn check_size(&self, before: &Value) -> Result<(), String> {
        let of = |document: &Value| serde_json::to_string_pretty(document).unwrap().len() + 1;
        let (was, is) = (of(before), of(&self.document));
        if self.contract.watches_size && was >= 512 && is < was / 2 {
            return Err(format!("size-drop:{was}->{is}"));
        }
        Ok(())
    }

    fn merged(
        &self,
        base: Option<&Value>,
        patch: &Value,
        at: &str,
        replaced: &[String],
        lost: &mut Vec<String>,
    ) -> Value {
        let is_confirmed = |at: &str| self.contract == &V2026_2_9 || replaced.iter().any(|path| path == at);
        let lists_below = |value: &Value, at: &str, lost: &mut Vec<String>| {
            let mut rest = vec![(value.clone(), at.to_owned())];
            while let Some((value, at)) = rest.pop() {
                match value {
                    Value::Array(_) if !is_confirmed(&at) => lost.push(at),
                    Value::Object(fields) => {
                        rest.extend(
                            fields
                                .into_iter()
                                .map(|(key, value)| (value, format!("{at}.{key}"))),
                        );
                    }
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
                }
            }
        };
        match (base, patch) {
            (base, Value::Object(_)) => {
                let mut fields = base.and_then(Value::as_object).cloned().unwrap_or_default();
                for (key, patch) in patch.as_object().unwrap() {
                    let below = if at.is_empty() {
                        key.clone()
                    } else {
                        format!("{at}.{key}")
                    };
                    let old = fields.remove(key);
                    if patch.is_null() {
                        lists_below(&old.unwrap_or_default(), &below, lost);
                    } else {
                        let new = self.merged(old.as_ref(), patch, &below, replaced, lost);
                        fields.insert(key.clone(), new);
                    }
                }
                Value::Object(fields)
            }
            (Some(Value::Array(old)), Value::Array(new))
                if self.contract == &V2026_7_35 && at == "agents.list" =>
            {
                let mut list = old.clone();
                for item in new {
                    match list.iter().position(|other| other["id"] == item["id"]) {
                        Some(index) => {
                            list[index] =
                                self.merged(Some(&old[index]), item, &format!("{at}[]"), replaced, lost);
                        }
                        None => list.push(self.merged(None, item, &format!("{at}[]"), replaced, lost)),
                    }
                }
                Value::Array(list)
            }
            (Some(Value::Array(old)), Value::Array(new)) => {
                // Sent the value of a variable, all but 2026.2.9 find its name again.
                let named = |item: &Value| {
                    let same = old
                        .iter()
                        .find(|old| used(old) == *item && self.contract != &V2026_2_9);
                    same.unwrap_or(item).clone()
                };
                let new: Vec<Value> = new.iter().map(named).collect();
                if !is_confirmed(at) && old.iter().any(|item| count(old, item) > count(&new, item)) {
                    lost.push(at.to_owned());
                }
                Value::Array(new)
            }
            (Some(old), patch) => {
                lists_below(old, at, lost);
                patch.clone()
            }
            (None, patch) => patch.clone(),
        }
    }
}

/// With the value of every variable in its place.
fn used(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("${").and_then(|text| text.strip_suffix('}')) {
            Some(name) => json!(format!("value of {name}")),
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(used).collect(),
        Value::Object(fields) => {
            let each = fields.iter().map(|(key, field)| (key.clone(), used(field)));
            Value::Object(each.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
