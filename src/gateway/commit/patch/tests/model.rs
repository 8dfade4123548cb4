//! What a gateway makes of a write, in a few lines: the rules that a patch must keep to, and the document after it.

use serde_json::{Map, Value, json};

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
                json!({ "ownership": "explicit", "entries": Map::from_iter(entries) })
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
        Configuration::parse(&json!({ "hash": "h", "config": self.document, "parsed": self.document }))
            .unwrap()
    }

    /// The document after a write, or why the gateway refuses it.
    pub(super) fn write(&mut self, patch: &Patch) -> Result<(), String> {
        let raw = patch.raw.as_ref().unwrap();
        let mut lost = Vec::new();
        let mut after = self.merged(Some(&self.document), raw, "", &patch.replace_paths, &mut lost);
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
                if !is_confirmed(at) && old.iter().any(|item| count(old, item) > count(new, item)) {
                    lost.push(at.to_owned());
                }
                patch.clone()
            }
            (Some(old), patch) => {
                lists_below(old, at, lost);
                patch.clone()
            }
            (None, patch) => patch.clone(),
        }
    }
}
