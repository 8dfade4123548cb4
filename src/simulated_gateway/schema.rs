//! What a configuration may contain. The trees in `facts/` are the key names and types of each contract's own
//! `config.schema`; channels and plugins, which bring their own, are left open.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::contract::Contract;
use super::ids;

static V2026_9_6: LazyLock<Value> = LazyLock::new(|| tree(include_str!("facts/config-2026.9.6.json")));
static V2026_7_35: LazyLock<Value> = LazyLock::new(|| tree(include_str!("facts/config-2026.7.35.json")));
static V2026_2_9: LazyLock<Value> = LazyLock::new(|| tree(include_str!("facts/config-2026.2.9.json")));

fn tree(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn of(contract: Contract) -> &'static Value {
    match contract {
        Contract::V2026_9_6 => &V2026_9_6,
        Contract::V2026_7_35 => &V2026_7_35,
        Contract::V2026_2_9 => &V2026_2_9,
    }
}

/// One complaint: where, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issue {
    pub(super) path: String,
    pub(super) message: String,
    allowed: Vec<String>,
}

impl Issue {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            allowed: Vec::new(),
        }
    }

    pub(super) fn shown(&self) -> Value {
        let Self {
            path,
            message,
            allowed,
        } = self;
        if allowed.is_empty() {
            json!({ "path": path, "message": message })
        } else {
            json!({ "path": path, "message": message, "allowedValues": allowed, "allowedValuesHiddenCount": 0 })
        }
    }
}

/// Everything that is wrong with a document; what is inside comes before the unknown keys beside it.
pub(super) fn issues(document: &Value, contract: Contract) -> Vec<Issue> {
    let mut found = Vec::new();
    check(of(contract), document, "", &mut found);
    found
}

fn check(node: &Value, value: &Value, at: &str, found: &mut Vec<Issue>) {
    if let Some(kind) = node.as_str() {
        return check_kind(kind, value, at, found);
    }
    if let Some(items) = node.as_array() {
        let Some(values) = value.as_array() else {
            return found.push(wrong_type("array", value, at));
        };
        for (index, item) in values.iter().enumerate() {
            check(
                items.first().unwrap_or(&Value::Null),
                item,
                &joined(at, &index.to_string()),
                found,
            );
        }
        return;
    }
    let Some(known) = node.as_object() else { return };
    if let Some(allowed) = allowed_values(node) {
        if !allowed.contains(&value) {
            let words: Vec<String> = allowed
                .iter()
                .filter_map(|value| value.as_str())
                .map(str::to_owned)
                .collect();
            let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            let mut issue = Issue::new(at, format!("Invalid input (allowed: {})", quoted.join(", ")));
            issue.allowed = words;
            found.push(issue);
        }
        return;
    }
    if let Some(alternatives) = known.get("|").and_then(Value::as_array) {
        let fits = alternatives.iter().any(|alternative| {
            let mut issues = Vec::new();
            check(alternative, value, at, &mut issues);
            issues.is_empty()
        });
        if !fits {
            found.push(Issue::new(at, "Invalid input"));
        }
        return;
    }
    let Some(object) = value.as_object() else {
        return found.push(wrong_type("object", value, at));
    };
    let any = known.get("*");
    let mut unknown = Vec::new();
    for (key, value) in object {
        let path = joined(at, key);
        match known.get(key).filter(|_| key != "*").or(any) {
            Some(_) if at == "agents.entries" && !ids::is_id(key) => {
                found.push(Issue::new(path, "Invalid key in record"));
            }
            Some(node) => check(node, value, &path, found),
            None => unknown.push(format!("\"{key}\"")),
        }
    }
    match unknown.as_slice() {
        [] => {}
        [one] => found.push(Issue::new(at, format!("Unrecognized key: {one}"))),
        many => found.push(Issue::new(at, format!("Unrecognized keys: {}", many.join(", ")))),
    }
}

/// The values that a node allows, where it is nothing but a choice of them.
fn allowed_values(node: &Value) -> Option<Vec<&Value>> {
    if let Some(values) = node.get("=").and_then(Value::as_array) {
        return Some(values.iter().collect());
    }
    let alternatives = node.get("|").and_then(Value::as_array)?;
    let values: Option<Vec<_>> = alternatives.iter().map(allowed_values).collect();
    values.map(|values| values.into_iter().flatten().collect())
}

fn check_kind(kind: &str, value: &Value, at: &str, found: &mut Vec<Issue>) {
    let fits = match kind {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        _ => true,
    };
    if !fits {
        let kind = if kind == "integer" { "number" } else { kind };
        return found.push(wrong_type(kind, value, at));
    }
    if at.ends_with("heartbeat.every") && !value.as_str().is_some_and(is_duration) {
        found.push(Issue::new(at, "invalid duration (use ms, s, m, h)"));
    }
}

fn wrong_type(expected: &str, value: &Value, at: &str) -> Issue {
    let is = if value.is_null() {
        "null"
    } else if value.is_boolean() {
        "boolean"
    } else if value.is_number() {
        "number"
    } else if value.is_string() {
        "string"
    } else if value.is_array() {
        "array"
    } else {
        "object"
    };
    Issue::new(at, format!("Invalid input: expected {expected}, received {is}"))
}

/// Milliseconds of `5m`, `90s`, `1h30m`; a bare number is minutes.
pub(super) fn duration_ms(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    if let Ok(minutes) = text.parse::<f64>() {
        return (minutes >= 0.0).then_some((minutes * 60_000.0) as u64);
    }
    let (mut total, mut rest) = (0.0, text.as_str());
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let factor = match unit {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    (!text.is_empty()).then_some(total as u64)
}

fn is_duration(text: &str) -> bool {
    duration_ms(text).is_some()
}

fn joined(at: &str, key: &str) -> String {
    if at.is_empty() {
        key.to_owned()
    } else {
        format!("{at}.{key}")
    }
}

/// The tree as a JSON Schema, for `config.schema`.
pub(super) fn json_schema(contract: Contract) -> Value {
    as_schema(of(contract))
}

fn as_schema(node: &Value) -> Value {
    if let Some(kind) = node.as_str() {
        return if kind == "any" {
            json!({})
        } else {
            json!({ "type": kind })
        };
    }
    if let Some(items) = node.as_array() {
        return json!({ "type": "array", "items": items.first().map(as_schema) });
    }
    if let Some(values) = allowed_values(node) {
        return json!({ "enum": values });
    }
    if let Some(alternatives) = node.get("|").and_then(Value::as_array) {
        return json!({ "anyOf": alternatives.iter().map(as_schema).collect::<Vec<_>>() });
    }
    let known = node
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != "*");
    let properties: Map<String, Value> = known.map(|(key, node)| (key.clone(), as_schema(node))).collect();
    let others = node.get("*").map_or(json!(false), as_schema);
    json!({ "type": "object", "properties": properties, "additionalProperties": others })
}

/// The node at a path of `config.schema.lookup`, where `*` stands for any key.
pub(super) fn lookup(contract: Contract, path: &str) -> Option<&'static Value> {
    let mut node = of(contract);
    for part in path.split('.') {
        node = node.as_object()?.get(part).or_else(|| node.get("*"))?;
    }
    Some(node)
}

/// How the running gateway takes a change at this path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reload {
    Nothing,
    Hot,
    Restart,
}

impl Reload {
    pub(super) fn of(path: &str, contract: Contract) -> Self {
        let (restarts, hot) = match contract {
            Contract::V2026_2_9 => return Self::Restart,
            Contract::V2026_7_35 => (RESTARTS_7_35, HOT_7_35),
            Contract::V2026_9_6 => (RESTARTS_9_6, HOT_9_6),
        };
        let below = |roots: &[&str]| {
            roots
                .iter()
                .any(|root| path == *root || path.starts_with(&format!("{root}.")))
        };
        if below(hot) {
            Self::Hot
        } else if below(restarts) {
            Self::Restart
        } else if below(SILENT) {
            Self::Nothing
        } else {
            Self::Hot
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Hot => "hot",
            Self::Restart => "restart",
        }
    }
}

const SILENT: &[&str] = &[
    "meta", "wizard", "logging", "ui", "secrets", "messages", "commands", "session", "surfaces",
];

/// As `config.schema.lookup` says, but for what was seen to be otherwise (below).
const RESTARTS_9_6: &[&str] = &[
    "env",
    "diagnostics",
    "update",
    "telemetry",
    "browser",
    "secrets.egressProxy",
    "auth",
    "nodeHost",
    "security",
    "attachments",
    "approvals",
    "discovery",
    "gateway",
    "desktop",
    "memory",
    "proxy",
];
const HOT_9_6: &[&str] = &[
    "gateway.publicOrigin",
    "gateway.cliAgents",
    "gateway.terminal",
    "gateway.roles",
    "gateway.trustedProxies",
    "gateway.allowRealIpFallback",
    "gateway.tools",
    "gateway.remote",
    "gateway.reload",
    "memory.citations",
    // Said to restart, seen to be hot.
    "gateway.auth.token",
    "gateway.controlUi.enabled",
];
const RESTARTS_7_35: &[&str] = &[
    "env",
    "diagnostics",
    "audit",
    "cli",
    "update",
    "browser",
    "marketplaces",
    "auth",
    "accessGroups",
    "acp",
    "nodeHost",
    "security",
    "broadcast",
    "media",
    "commands",
    "approvals",
    "transcripts",
    "web",
    "channels",
    "discovery",
    "gateway",
    "memory",
    "plugins.load",
    "surfaces",
    "proxy",
];
const HOT_7_35: &[&str] = &[
    "gateway.channelHealthCheckMinutes",
    "gateway.channelStaleEventThresholdMinutes",
    "gateway.channelMaxRestartsPerHour",
    "gateway.remote",
    "gateway.reload",
    "gateway.auth.token",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn says(document: &Value, contract: Contract) -> Vec<String> {
        let issues = issues(document, contract);
        issues
            .iter()
            .map(|Issue { path, message, .. }| format!("{path}: {message}"))
            .collect()
    }

    #[test]
    fn complaints_read_as_recorded() {
        let entry = |entry: Value| json!({"agents": {"entries": {"p2": entry}}});
        let new = Contract::V2026_9_6;
        assert_eq!(
            says(&entry(json!({"bogus": 1, "heartbeat": {"every": "x"}})), new),
            [
                "agents.entries.p2.heartbeat.every: invalid duration (use ms, s, m, h)",
                "agents.entries.p2: Unrecognized key: \"bogus\""
            ]
        );
        assert_eq!(
            says(&entry(json!({"bogus": 1, "bogus2": 2})), new),
            ["agents.entries.p2: Unrecognized keys: \"bogus\", \"bogus2\""]
        );
        assert_eq!(
            says(&entry(json!({"name": 5})), new),
            ["agents.entries.p2.name: Invalid input: expected string, received number"]
        );
        assert_eq!(
            says(&entry(json!(5)), new),
            ["agents.entries.p2: Invalid input: expected object, received number"]
        );
        assert_eq!(
            says(&json!({"agents": {"list": []}}), new),
            ["agents: Unrecognized key: \"list\""]
        );
        assert_eq!(
            says(&json!({"agents": {"entries": {}}}), Contract::V2026_2_9),
            ["agents: Unrecognized key: \"entries\""]
        );
        assert_eq!(
            says(&json!({"nonsense": 1}), new),
            [": Unrecognized key: \"nonsense\""]
        );
        assert_eq!(
            says(&json!({"gateway": {"reload": {"mode": "hot"}}}), new),
            ["gateway.reload.mode: Invalid input (allowed: \"off\", \"hybrid\")"]
        );
        assert_eq!(
            says(
                &json!({"channels": {"defaults": {"heartbeat": {"showOk": true}}}}),
                new
            ),
            ["channels.defaults: Unrecognized key: \"heartbeat\""]
        );
    }

    #[test]
    fn durations_are_understood() {
        assert_eq!(duration_ms("5m"), Some(300_000));
        assert_eq!(duration_ms("1h30m"), Some(5_400_000));
        assert_eq!(duration_ms("0m"), Some(0));
        assert_eq!(duration_ms("banana"), None);
    }

    #[test]
    fn what_restarts() {
        assert_eq!(Reload::of("env", Contract::V2026_9_6), Reload::Restart);
        assert_eq!(Reload::of("agents.entries.a", Contract::V2026_9_6), Reload::Hot);
        assert_eq!(
            Reload::of("channels.defaults.heartbeat", Contract::V2026_7_35),
            Reload::Restart
        );
        assert_eq!(Reload::of("agents.list", Contract::V2026_2_9), Reload::Restart);
    }
}
