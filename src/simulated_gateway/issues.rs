//! What is wrong with a configuration, in the gateway's words: first its schema, and where that has no complaint what the
//! parts say of one another.

use serde_json::{Value, json};

use super::contract::Contract;
use super::refusal::Refusal;
use super::{ids, roster, schema};

/// One complaint: where, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issue {
    place: Place,
    message: String,
    /// What would have been right, where that can be counted up.
    allowed: Vec<String>,
}

/// Where in a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Place(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// More than that are counted, not told, in the message; the details have all of them.
const TOLD: usize = 3;

/// Refuses a document in which anything is wrong.
pub(super) fn valid(document: &Value, contract: Contract) -> Result<(), Refusal> {
    let issues = issues(document, contract);
    if issues.is_empty() {
        return Ok(());
    }
    let message = match contract {
        Contract::V2026_2_9 => "invalid config".to_owned(),
        Contract::V2026_7_35 | Contract::V2026_9_6 => {
            let told: Vec<String> = issues
                .iter()
                .take(TOLD)
                .map(|issue| format!("{}: {}", issue.place.in_words(contract), issue.message))
                .collect();
            let more = match issues.len().saturating_sub(TOLD) {
                0 => String::new(),
                1 => " (+1 more issue)".to_owned(),
                several => format!(" (+{several} more issues)"),
            };
            format!("invalid config: {}{more}", told.join("; "))
        }
    };
    let shown: Vec<Value> = issues.iter().map(Issue::shown).collect();
    Err(Refusal::invalid(message).details(json!({ "issues": shown })))
}

/// Everything that is wrong with a document; what is inside comes before the unknown keys beside it.
fn issues(document: &Value, contract: Contract) -> Vec<Issue> {
    let mut check = Check {
        contract,
        found: Vec::new(),
    };
    check.value(schema::tree(contract), Some(document), &Place::default());
    if check.found.is_empty() {
        check.roster(document);
    }
    check.found
}

impl Place {
    fn key(&self, key: &str) -> Self {
        self.and(Step::Key(key.to_owned()))
    }

    fn index(&self, index: usize) -> Self {
        self.and(Step::Index(index))
    }

    fn and(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    fn dotted(&self) -> String {
        let steps: Vec<String> = self
            .0
            .iter()
            .map(|step| match step {
                Step::Key(key) => key.clone(),
                Step::Index(index) => index.to_string(),
            })
            .collect();
        steps.join(".")
    }

    /// As a message has it. Since 2026.8 places in lists, and keys that are no plain names, stand in brackets.
    fn in_words(&self, contract: Contract) -> String {
        if self.0.is_empty() {
            return "<root>".to_owned();
        }
        match contract {
            Contract::V2026_2_9 | Contract::V2026_7_35 => self.dotted(),
            Contract::V2026_9_6 => self.0.iter().fold(String::new(), |before, step| match step {
                Step::Index(index) => format!("{before}[{index}]"),
                Step::Key(key) if !is_plain(key) => format!("{before}[{}]", json!(key)),
                Step::Key(key) if before.is_empty() => key.clone(),
                Step::Key(key) => format!("{before}.{key}"),
            }),
        }
    }
}

fn is_plain(key: &str) -> bool {
    let mut letters = key.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_' || first == '$')
        && letters.all(|c| c.is_ascii_alphanumeric() || ['_', '$', ':', '-'].contains(&c))
}

impl Issue {
    fn shown(&self) -> Value {
        let Self {
            place,
            message,
            allowed,
        } = self;
        let path = place.dotted();
        if allowed.is_empty() {
            json!({ "path": path, "message": message })
        } else {
            json!({ "path": path, "message": message, "allowedValues": allowed, "allowedValuesHiddenCount": 0 })
        }
    }
}

struct Check {
    contract: Contract,
    found: Vec<Issue>,
}

impl Check {
    fn complain(&mut self, at: &Place, message: impl Into<String>) {
        self.found.push(Issue {
            place: at.clone(),
            message: message.into(),
            allowed: Vec::new(),
        });
    }

    /// A complaint that names what is allowed, once; 2026.2.9 does not know that courtesy.
    fn complain_of_choice(&mut self, at: &Place, message: &str, allowed: &[Value]) {
        if self.contract == Contract::V2026_2_9 {
            return self.complain(at, message);
        }
        let named = message.contains("expected one of");
        let hint = if named {
            String::new()
        } else {
            format!(" (allowed: {})", joined(allowed, ", "))
        };
        let word = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        self.found.push(Issue {
            place: at.clone(),
            message: format!("{message}{hint}"),
            allowed: allowed.iter().map(word).collect(),
        });
    }

    /// `value` is None where it has to be and is not.
    fn value(&mut self, node: &Value, value: Option<&Value>, at: &Place) {
        if let Some(kind) = node.as_str() {
            self.kind(kind, value, at);
        } else if let Some(items) = node.as_array() {
            let Some(values) = value.and_then(Value::as_array) else {
                return self.wrong_type("array", value, at);
            };
            let item = items.first().unwrap_or(&Value::Null);
            for (index, value) in values.iter().enumerate() {
                self.value(item, Some(value), &at.index(index));
            }
        } else if let Some(allowed) = node.get("=").and_then(Value::as_array) {
            self.choice(allowed, value, at);
        } else if let Some(alternatives) = node.get("|").and_then(Value::as_array) {
            self.alternatives(alternatives, value, at);
        } else if node.is_object() {
            self.object(node, value, at);
        }
    }

    fn kind(&mut self, kind: &str, value: Option<&Value>, at: &Place) {
        let is = |test: fn(&Value) -> bool| value.is_some_and(test);
        let fits = match kind {
            "string" => is(Value::is_string),
            "boolean" => is(Value::is_boolean),
            "number" => is(Value::is_number),
            "integer" => is(Value::is_i64) || is(Value::is_u64),
            "null" => is(Value::is_null),
            _ => true,
        };
        if !fits {
            let kind = if kind == "integer" { "number" } else { kind };
            return self.wrong_type(kind, value, at);
        }
        let every = value.and_then(Value::as_str);
        if at.dotted().ends_with("heartbeat.every") && every.and_then(schema::duration_ms).is_none() {
            self.complain(at, "invalid duration (use ms, s, m, h)");
        }
    }

    fn wrong_type(&mut self, expected: &str, value: Option<&Value>, at: &Place) {
        let is = match value {
            None => "undefined",
            Some(Value::Null) => "null",
            Some(Value::Bool(_)) => "boolean",
            Some(Value::Number(_)) => "number",
            Some(Value::String(_)) => "string",
            Some(Value::Array(_)) => "array",
            Some(Value::Object(_)) => "object",
        };
        let message = format!("Invalid input: expected {expected}, received {is}");
        if expected == "boolean" {
            self.complain_of_choice(at, &message, &[json!(true), json!(false)]);
        } else {
            self.complain(at, message);
        }
    }

    fn choice(&mut self, allowed: &[Value], value: Option<&Value>, at: &Place) {
        if value.is_some_and(|value| allowed.contains(value)) {
            return;
        }
        let message = match allowed {
            [one] => format!("Invalid input: expected {one}"),
            several => format!("Invalid option: expected one of {}", joined(several, "|")),
        };
        self.complain_of_choice(at, &message, allowed);
    }

    /// Why none of them fits is not told; what they allow is, where each is a choice.
    fn alternatives(&mut self, alternatives: &[Value], value: Option<&Value>, at: &Place) {
        let mut allowed = Some(Vec::new());
        for alternative in alternatives {
            let mut apart = Self {
                contract: self.contract,
                found: Vec::new(),
            };
            apart.value(alternative, value, at);
            if apart.found.is_empty() {
                return;
            }
            let its = match (
                alternative.get("=").and_then(Value::as_array),
                alternative.as_str(),
            ) {
                (Some(choice), _) => Some(choice.clone()),
                (None, Some("boolean")) => Some(vec![json!(true), json!(false)]),
                (None, _) => None,
            };
            allowed = allowed.zip(its).map(|(before, its)| [before, its].concat());
        }
        match allowed {
            Some(allowed) => self.complain_of_choice(at, "Invalid input", &allowed),
            None => self.complain(at, "Invalid input"),
        }
    }

    fn object(&mut self, node: &Value, value: Option<&Value>, at: &Place) {
        let Some(object) = value.and_then(Value::as_object) else {
            return self.wrong_type("object", value, at);
        };
        let are_agents = at.dotted() == "agents.entries";
        let mut unknown = Vec::new();
        for (key, value) in object {
            match schema::below(node, key) {
                Some(_) if are_agents && !ids::is_id(key) => {
                    self.complain(&at.key(key), "Invalid key in record");
                }
                Some(node) => self.value(node, Some(value), &at.key(key)),
                None => unknown.push(json!(key)),
            }
        }
        for key in schema::required(node).filter(|key| !object.contains_key(*key)) {
            if let Some(node) = schema::below(node, key) {
                self.value(node, None, &at.key(key));
            }
        }
        match unknown.as_slice() {
            [] => {}
            [one] => self.complain(at, format!("Unrecognized key: {one}")),
            many => self.complain(at, format!("Unrecognized keys: {}", joined(many, ", "))),
        }
    }

    /// Who owns the gateway, and that nobody is named who is not in the roster. 2026.2.9 does not ask.
    fn roster(&mut self, document: &Value) {
        let contract = self.contract;
        let container = match contract {
            Contract::V2026_2_9 => return,
            Contract::V2026_7_35 => "agents.list",
            Contract::V2026_9_6 => "agents.entries",
        };
        let owned = document.pointer("/agents/ownership").is_some();
        if contract.has_entries() && roster::entries(document, contract).len() > 1 && !owned {
            let at = Place::default().key("agents").key("ownership");
            self.complain(
                &at,
                "multi-agent rosters require agents.ownership=\"explicit\" or one legacy default=true marker; add \
                 agents.ownership=\"explicit\" or run openclaw doctor",
            );
        }
        let written = roster::written(document, contract);
        // Who has written no roster may name anybody.
        if written.is_empty() {
            return;
        }
        let is_known = |id: &str| {
            // 2026.9.6 always has its main agent.
            written.contains(&ids::normalise(id)) || (contract.has_entries() && id == "main")
        };
        let beating = document
            .pointer("/agents/defaults/heartbeat/agentId")
            .and_then(Value::as_str);
        if let Some(id) = beating.filter(|id| contract.has_entries() && !is_known(id)) {
            let place = Place::default().key("agents").key("defaults");
            let at = place.key("heartbeat").key("agentId");
            self.complain(&at, format!("Unknown agent id \"{id}\" (not in {container})."));
        }
        let bindings = document.get("bindings").and_then(Value::as_array);
        for (index, binding) in bindings.into_iter().flatten().enumerate() {
            let Some(id) = binding.get("agentId").and_then(Value::as_str) else {
                continue;
            };
            if !is_known(id) {
                let at = Place::default().key("bindings").index(index).key("agentId");
                self.complain(&at, format!("Unknown agent id \"{id}\" (not in {container})."));
            }
        }
    }
}

fn joined(values: &[Value], between: &str) -> String {
    let shown: Vec<String> = values.iter().map(Value::to_string).collect();
    shown.join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code, message and paths of the answer to a document.
    fn says(document: &Value, contract: Contract) -> Vec<String> {
        issues(document, contract)
            .iter()
            .map(|issue| format!("{}: {}", issue.place.in_words(contract), issue.message))
            .collect()
    }

    const NEW: Contract = Contract::V2026_9_6;
    const OLD: Contract = Contract::V2026_7_35;
    const OLDEST: Contract = Contract::V2026_2_9;

    #[test]
    fn complaints_read_as_recorded() {
        let entry = |entry: Value| json!({"agents": {"entries": {"p2": entry}}});
        assert_eq!(
            says(&entry(json!({"bogus": 1, "heartbeat": {"every": "x"}})), NEW),
            [
                "agents.entries.p2.heartbeat.every: invalid duration (use ms, s, m, h)",
                "agents.entries.p2: Unrecognized key: \"bogus\""
            ]
        );
        assert_eq!(
            says(&entry(json!({"bogus": 1, "bogus2": 2})), NEW),
            ["agents.entries.p2: Unrecognized keys: \"bogus\", \"bogus2\""]
        );
        assert_eq!(
            says(&entry(json!({"name": 5})), NEW),
            ["agents.entries.p2.name: Invalid input: expected string, received number"]
        );
        assert_eq!(
            says(&entry(json!(5)), NEW),
            ["agents.entries.p2: Invalid input: expected object, received number"]
        );
        assert_eq!(
            says(&json!({"agents": {"list": []}}), NEW),
            ["agents: Unrecognized key: \"list\""]
        );
        assert_eq!(
            says(&json!({"agents": {"entries": {}}}), OLDEST),
            ["agents: Unrecognized key: \"entries\""]
        );
        assert_eq!(
            says(&json!({"nonsense": 1}), NEW),
            ["<root>: Unrecognized key: \"nonsense\""]
        );
        assert_eq!(
            says(
                &json!({"channels": {"defaults": {"heartbeat": {"showOk": true}}}}),
                NEW
            ),
            ["channels.defaults: Unrecognized key: \"heartbeat\""]
        );
    }

    #[test]
    fn a_choice_is_named() {
        let mode = json!({"gateway": {"reload": {"mode": "x"}}});
        assert_eq!(
            says(&mode, NEW),
            ["gateway.reload.mode: Invalid input (allowed: \"off\", \"hybrid\")"]
        );
        assert_eq!(says(&mode, OLDEST), ["gateway.reload.mode: Invalid input"]);
        assert_eq!(
            says(&json!({"browser": {"snapshotDefaults": {"mode": "x"}}}), NEW),
            ["browser.snapshotDefaults.mode: Invalid input: expected \"efficient\" (allowed: \"efficient\")"]
        );
        let host = json!({"tools": {"exec": {"ask": 5}}});
        assert_eq!(
            says(&host, OLD),
            ["tools.exec.ask: Invalid option: expected one of \"off\"|\"on-miss\"|\"always\""]
        );
        assert_eq!(
            issues(&host, OLD)[0].shown()["allowedValues"],
            json!(["off", "on-miss", "always"])
        );
        assert_eq!(
            says(
                &json!({"agents": {"defaults": {"heartbeat": {"lightContext": "x"}}}}),
                NEW
            ),
            [
                "agents.defaults.heartbeat.lightContext: Invalid input: expected boolean, received string (allowed: true, false)"
            ]
        );
    }

    #[test]
    fn what_has_to_be_there_is_missed() {
        let unbound = json!({"bindings": [{"agentId": "main"}]});
        assert_eq!(says(&unbound, NEW), ["bindings[0]: Invalid input"]);
        assert_eq!(says(&unbound, OLD), ["bindings.0: Invalid input"]);
        assert_eq!(
            says(&unbound, OLDEST),
            ["bindings.0.match: Invalid input: expected object, received undefined"]
        );
        assert_eq!(
            says(&json!({"agents": {"list": [{"name": "x"}]}}), OLD),
            ["agents.list.0.id: Invalid input: expected string, received undefined"]
        );
    }

    #[test]
    fn nobody_is_bound_who_is_not_in_the_roster() {
        let to = |id: &str| json!([{"agentId": id, "match": {"channel": "telegram"}}]);
        let new = |id| json!({"agents": {"ownership": "explicit", "entries": {"a": {}}}, "bindings": to(id)});
        assert_eq!(says(&new("A"), NEW), [] as [&str; 0]);
        assert_eq!(says(&new("main"), NEW), [] as [&str; 0]);
        assert_eq!(
            says(&new("b"), NEW),
            ["bindings[0].agentId: Unknown agent id \"b\" (not in agents.entries)."]
        );
        let old = |id| json!({"agents": {"list": [{"id": "a"}]}, "bindings": to(id)});
        assert_eq!(
            says(&old("main"), OLD),
            ["bindings.0.agentId: Unknown agent id \"main\" (not in agents.list)."]
        );
        assert_eq!(says(&old("b"), OLDEST), [] as [&str; 0]);
        assert_eq!(says(&json!({"bindings": to("b")}), OLD), [] as [&str; 0]);
    }

    #[test]
    fn three_issues_are_told_and_the_others_counted() {
        let document = json!({"agents": {"entries": {"12": {"name": 5}, "a.b": {}, "x y": {}, "ok": 5}}});
        let refusal = valid(&document, NEW).unwrap_err();
        assert_eq!(
            refusal.message,
            "invalid config: agents.entries[\"12\"].name: Invalid input: expected string, received number; \
             agents.entries[\"a.b\"]: Invalid key in record; \
             agents.entries.ok: Invalid input: expected object, received number (+1 more issue)"
        );
        let details = *refusal.details.unwrap();
        assert_eq!(details["issues"][0]["path"], json!("agents.entries.12.name"));
        assert_eq!(details["issues"].as_array().unwrap().len(), 4);
        assert_eq!(valid(&document, OLDEST).unwrap_err().message, "invalid config");
    }
}
