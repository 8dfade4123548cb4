//! Random requests about a few fields of every sort: scalars, nested maps, maps and lists that belong to several, sets,
//! lists that are one thing, what no schema describes, and metadata.

use serde_json::{Map, Value, json};

use super::chance::Chance;
use super::ours::Kind;
use super::{Method, Request};

pub struct Generator<'a> {
    kind: &'a Kind,
    name: &'a str,
    namespace: &'a str,
    owners: &'a [Value],
}

const APPLIERS: &[&str] = &["alpha", "beta", "gamma", "kubectl"];
const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

impl<'a> Generator<'a> {
    pub fn new(kind: &'a Kind, name: &'a str, namespace: &'a str, owners: &'a [Value]) -> Self {
        Self {
            kind,
            name,
            namespace,
            owners,
        }
    }

    pub fn next(&mut self, chance: &mut Chance, stored: Option<&Value>) -> Request {
        let Some(stored) = stored else {
            return if chance.percent(50) {
                self.create(chance)
            } else {
                self.apply(chance, false)
            };
        };
        let status = self.kind.is_custom() && chance.percent(25);
        match chance.below(100) {
            0..45 => self.apply(chance, status),
            45..60 => self.update(chance, stored, status),
            60..78 => self.merge(chance, status),
            78..90 => self.json(chance, stored, status),
            _ if self.kind.is_custom() => self.json(chance, stored, status),
            _ => self.strategic(chance),
        }
    }

    fn request(&self, chance: &mut Chance, method: Method, status: bool, body: Value) -> Request {
        // Seldom many different ones: more than ten updaters are too many.
        let updater = match chance.below(10) {
            0..4 => "kubectl-edit".to_owned(),
            4..7 => "delta".to_owned(),
            7..9 => "kubectl-client-side-apply".to_owned(),
            _ => format!("many-{}", chance.below(14)),
        };
        Request {
            method,
            subresource: status.then_some("status"),
            field_manager: chance.percent(60).then(|| updater.clone()),
            force: None,
            user_agent: format!("{updater}/v1 (linux)"),
            body,
        }
    }

    fn create(&self, chance: &mut Chance) -> Request {
        let mut body = self.object(chance, false, 70);
        if let Some(spec) = body.get_mut("spec") {
            spec["boardRef"] = json!({"name": "board"});
        }
        self.request(chance, Method::Create, false, body)
    }

    fn apply(&self, chance: &mut Chance, status: bool) -> Request {
        let manager = *chance.one(APPLIERS);
        let mut body = self.object(chance, status, 30);
        // The first of them always owns what an object cannot be without.
        if self.kind.is_custom() && !status && (manager == "alpha" || chance.percent(20)) {
            body["spec"]["boardRef"] = json!({"name": "board"});
        }
        if self.kind.is_custom() && !status && body["spec"].is_null() {
            body["spec"] = json!({});
        }
        if chance.percent(3) {
            self.spoil(chance, &mut body);
        }
        let mut request = self.request(chance, Method::Patch(APPLY), status, body);
        request.field_manager = (!chance.percent(1)).then(|| manager.to_owned());
        request.force = chance.percent(60).then(|| chance.percent(70));
        request
    }

    /// An apply that is refused for its form.
    fn spoil(&self, chance: &mut Chance, body: &mut Value) {
        match chance.below(7) {
            0 => body["metadata"]["managedFields"] = json!([]),
            1 => body["kind"] = json!("Pod"),
            2 => body["bogus"] = json!(1),
            3 => body["metadata"]["labels"] = json!({"a": 1}),
            4 => body["metadata"]["finalizers"] = json!(["x.dev/a", "x.dev/a"]),
            5 => body["metadata"]["annotations"] = json!([1, "x"]),
            _ => body["apiVersion"] = json!("v7"),
        }
    }

    fn update(&self, chance: &mut Chance, stored: &Value, status: bool) -> Request {
        let mut body = stored.clone();
        let change = self.object(chance, status, 35);
        for part in self.parts(status) {
            for (name, value) in change[part].as_object().into_iter().flatten() {
                match chance.below(3) {
                    0 => remove(&mut body[part], name),
                    _ => body[part][name] = value.clone(),
                }
            }
        }
        for (name, value) in change["metadata"].as_object().into_iter().flatten() {
            if chance.percent(70) {
                body["metadata"][name] = value.clone();
            } else if name != "name" && name != "namespace" {
                remove(&mut body["metadata"], name);
            }
        }
        match chance.below(20) {
            0 => body["metadata"]["managedFields"] = json!([{}]),
            1 => body["metadata"]["managedFields"] = json!([]),
            2..5 => remove(&mut body["metadata"], "managedFields"),
            5 => {
                if let Some(entries) = body["metadata"]["managedFields"].as_array_mut() {
                    entries.pop();
                }
            }
            6 => {
                if let Some(entries) = body["metadata"]["managedFields"].as_array_mut() {
                    let entry = chance.below(entries.len());
                    let wrong: [(&str, Value); 4] = [
                        ("apiVersion", json!("old/v0")),
                        ("operation", json!("Guess")),
                        ("fieldsV1", json!({"f:metadata": {"f:labels": {"f:a": {}}}})),
                        ("manager", json!("renamed")),
                    ];
                    let (field, value) = chance.one(&wrong);
                    entries[entry][*field] = value.clone();
                }
            }
            _ => {}
        }
        self.request(chance, Method::Update, status, body)
    }

    fn parts(&self, status: bool) -> &'static [&'static str] {
        match (self.kind.name(), status) {
            ("Agent", true) => &["status", "spec"],
            ("Agent", false) => &["spec"],
            _ => &["data"],
        }
    }

    fn merge(&self, chance: &mut Chance, status: bool) -> Request {
        let mut body = self.object(chance, status, 30);
        for part in [self.parts(status), &["metadata"]].concat() {
            let Some(fields) = body.get_mut(part).and_then(Value::as_object_mut) else {
                continue;
            };
            for (name, value) in fields.iter_mut() {
                match (chance.below(4), value) {
                    (0, value) if !["name", "namespace"].contains(&name.as_str()) => *value = Value::Null,
                    (1, Value::Object(inner)) => {
                        for value in inner.values_mut() {
                            if chance.percent(30) {
                                *value = Value::Null;
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        if chance.percent(4) {
            let wrong = [json!([]), json!(5), Value::Null, json!("x")];
            body = chance.one(&wrong).clone();
        }
        self.request(chance, Method::Patch(MERGE), status, body)
    }

    fn strategic(&self, chance: &mut Chance) -> Request {
        let mut body = self.merge(chance, false).body;
        if !body.is_object() {
            body = json!({});
        }
        match chance.below(8) {
            0 => {
                // With a list beside it, the API server takes one of the two first, by chance.
                remove(&mut body["metadata"], "finalizers");
                body["metadata"]["$deleteFromPrimitiveList/finalizers"] = finalizers(chance);
            }
            1 => {
                body["metadata"]["$setElementOrder/finalizers"] = json!(["x.dev/c", "x.dev/b", "x.dev/a"]);
                body["metadata"]["finalizers"] = json!(["x.dev/b"]);
            }
            2 => {
                let uid = chance.one(self.owners)["uid"].clone();
                body["metadata"]["ownerReferences"] = json!([{"$patch": "delete", "uid": uid}]);
            }
            3 => {
                let mut owners = self.some_owners(chance);
                owners.push(json!({"$patch": "replace"}));
                body["metadata"]["ownerReferences"] = json!(owners);
            }
            4 => body["data"] = json!({"$patch": "replace", "z": "eg=="}),
            5 => body["data"] = json!({"$retainKeys": ["a", "b"], "a": "YQ=="}),
            6 => {
                let mut owners = self.some_owners(chance);
                for owner in &mut owners {
                    owner["controller"] = json!(false);
                }
                body["metadata"]["ownerReferences"] = json!(owners);
            }
            _ => body["metadata"]["finalizers"] = finalizers(chance),
        }
        self.request(chance, Method::Patch(STRATEGIC), false, body)
    }

    fn json(&self, chance: &mut Chance, stored: &Value, status: bool) -> Request {
        let count = 1 + chance.below(3);
        let operations: Vec<Value> = (0..count)
            .map(|_| self.operation(chance, stored, status))
            .collect();
        let mut body = json!(operations);
        if chance.percent(3) {
            let wrong = [
                json!({}),
                json!(["x"]),
                json!([{"op": 5}]),
                json!([{"op": "add", "path": 1}]),
                Value::Null,
            ];
            body = chance.one(&wrong).clone();
        }
        self.request(chance, Method::Patch(JSON), status, body)
    }

    fn operation(&self, chance: &mut Chance, stored: &Value, status: bool) -> Value {
        let mut paths = Vec::new();
        for part in [self.parts(status), &["metadata"]].concat() {
            collect(&format!("/{part}"), &stored[part], &mut paths);
        }
        let fixed = [
            "/metadata/name",
            "/metadata/uid",
            "/metadata/creation",
            "/metadata/gen",
            "/metadata/resource",
            "/metadata/managedFields",
            "/spec/boardRef",
            "/spec/role",
            "/type",
            "/metadata/ownerReferences",
        ];
        paths.retain(|path| !fixed.iter().any(|fixed| path.starts_with(fixed)));
        let change = self.object(chance, status, 40);
        let mut fresh = Vec::new();
        for part in [self.parts(status), &["metadata"]].concat() {
            collect(&format!("/{part}"), &change[part], &mut fresh);
        }
        fresh.retain(|path| !fixed.iter().any(|fixed| path.starts_with(fixed)));
        let (Some(old), Some(new)) = (pick(chance, &paths), pick(chance, &fresh)) else {
            return json!({"op": "add", "path": "/metadata/labels", "value": {"a": "1"}});
        };
        let value = change.pointer(&new).cloned().unwrap_or_default();
        match chance.below(8) {
            0..2 => json!({"op": "add", "path": new, "value": value}),
            2 => json!({"op": "replace", "path": new, "value": value}),
            3 => json!({"op": "replace", "path": old, "value": stored.pointer(&old)}),
            4..6 => json!({"op": "remove", "path": old}),
            6 if chance.percent(80) => json!({"op": "test", "path": old, "value": stored.pointer(&old)}),
            6 => json!({"op": "test", "path": old, "value": "other"}),
            _ if chance.percent(50) => json!({"op": "copy", "from": old, "path": old}),
            _ => json!({"op": "move", "from": old, "path": old}),
        }
    }

    /// Each field is there with these chances.
    fn object(&self, chance: &mut Chance, status: bool, percent: u64) -> Value {
        let mut object = json!({
            "apiVersion": self.kind.subject.api_version(),
            "kind": self.kind.subject.kind,
            "metadata": {"name": self.name, "namespace": self.namespace},
        });
        let metadata = [
            ("labels", words(chance)),
            ("annotations", words(chance)),
            ("finalizers", finalizers(chance)),
            ("ownerReferences", json!(self.some_owners(chance))),
        ];
        for (name, value) in metadata {
            if chance.percent(percent) {
                object["metadata"][name] = value;
            }
        }
        if chance.percent(4) {
            let last = json!({"apiVersion": self.kind.subject.api_version(), "kind": self.kind.subject.kind,
                "metadata": {"name": self.name, "labels": words(chance)}, "data": {"a": "YQ=="}});
            let last = if self.kind.is_custom() {
                json!({"apiVersion": last["apiVersion"], "kind": last["kind"], "metadata": last["metadata"],
                    "spec": self.agent(chance, 40)})
            } else {
                last
            };
            object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
                json!(last.to_string());
        }
        match self.kind.name() {
            "Agent" => {
                if !status || chance.percent(10) {
                    object["spec"] = self.agent(chance, percent);
                }
                if status || chance.percent(5) {
                    object["status"] = agent_status(chance, percent);
                }
            }
            "Secret" => {
                if chance.percent(80) {
                    object["data"] = encoded(chance);
                }
                if chance.percent(15) {
                    object["stringData"] = words(chance);
                }
            }
            _ => {
                if chance.percent(80) {
                    object["data"] = words(chance);
                }
                if chance.percent(15) {
                    object["binaryData"] = json!({"bin": "YQ=="});
                }
            }
        }
        object
    }

    fn some_owners(&self, chance: &mut Chance) -> Vec<Value> {
        self.owners
            .iter()
            .filter(|_| chance.percent(40))
            .cloned()
            .collect()
    }

    fn agent(&self, chance: &mut Chance, percent: u64) -> Value {
        let fields: Vec<(&str, Value)> = vec![
            ("displayName", json!(chance.one(&["One", "Two", "Three"]))),
            ("suspend", json!(chance.percent(50))),
            ("drift", json!(chance.one(&["Correct", "Report", "Ignore"]))),
            ("model", json!(chance.one(&["m1", "m2"]))),
            ("files", files(chance)),
            (
                "bindings",
                some(chance, &["telegram", "slack:*", "discord:ops", "matrix"]),
            ),
            ("config", config(chance)),
            ("identity", identity(chance)),
            ("heartbeat", heartbeat(chance)),
            ("token", json!({"rotation": chance.one(&["a", "b", "c"])})),
            ("deletionPolicy", json!(chance.one(&["Delete", "Orphan"]))),
        ];
        let mut spec = Map::new();
        for (name, value) in fields {
            if chance.percent(percent) {
                spec.insert(name.to_owned(), value);
            }
        }
        Value::Object(spec)
    }
}

fn remove(value: &mut Value, name: &str) {
    if let Some(fields) = value.as_object_mut() {
        fields.remove(name);
    }
}

fn pick(chance: &mut Chance, of: &[String]) -> Option<String> {
    (!of.is_empty()).then(|| chance.one(of).clone())
}

fn collect(path: &str, value: &Value, paths: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                collect(&path, value, paths);
                paths.push(path);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                collect(&format!("{path}/{index}"), value, paths);
                paths.push(format!("{path}/{index}"));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn some(chance: &mut Chance, of: &[&str]) -> Value {
    let mut found: Vec<&str> = of.iter().filter(|_| chance.percent(50)).copied().collect();
    if chance.percent(50) {
        found.reverse();
    }
    json!(found)
}

fn finalizers(chance: &mut Chance) -> Value {
    some(chance, &["x.dev/a", "x.dev/b", "x.dev/c"])
}

fn words(chance: &mut Chance) -> Value {
    let mut map = Map::new();
    for key in ["a", "b", "c", "d.x"] {
        if chance.percent(40) {
            map.insert(key.to_owned(), json!(chance.one(&["1", "2", "x"])));
        }
    }
    Value::Object(map)
}

fn encoded(chance: &mut Chance) -> Value {
    let mut map = Map::new();
    for key in ["a", "b", "c"] {
        if chance.percent(40) {
            map.insert(key.to_owned(), json!(chance.one(&["YQ==", "Yg==", "Yw=="])));
        }
    }
    Value::Object(map)
}

fn files(chance: &mut Chance) -> Value {
    let mut files = Vec::new();
    for name in ["A.md", "B.md", "C.md", "D.md"] {
        if chance.percent(40) {
            let mut file = json!({"name": name, "content": chance.one(&["one", "two"])});
            if chance.percent(30) {
                file["drift"] = json!(chance.one(&["Correct", "Report"]));
            }
            if chance.percent(30) {
                file["policy"] = json!("Managed");
            }
            files.push(file);
        }
    }
    if chance.percent(50) {
        files.reverse();
    }
    json!(files)
}

fn config(chance: &mut Chance) -> Value {
    let mut config = Map::new();
    for name in ["sandbox", "tools", "x<y"] {
        if chance.percent(50) {
            config.insert(name.to_owned(), anything(chance, 2));
        }
    }
    Value::Object(config)
}

/// What no schema describes may be another sort of thing each time.
fn anything(chance: &mut Chance, depth: usize) -> Value {
    match chance.below(if depth == 0 { 5 } else { 8 }) {
        0 => json!(chance.one(&["text", "a<b&c", "é"])),
        1 => json!(chance.below(3)),
        2 => json!(chance.percent(50)),
        3 => json!([]),
        4 => json!({}),
        5 => Value::Array(
            (0..chance.below(3))
                .map(|_| anything(chance, depth - 1))
                .collect(),
        ),
        _ => {
            let mut map = Map::new();
            for name in ["p", "q"] {
                if chance.percent(60) {
                    map.insert(name.to_owned(), anything(chance, depth - 1));
                }
            }
            Value::Object(map)
        }
    }
}

fn identity(chance: &mut Chance) -> Value {
    let mut identity = json!({});
    if chance.percent(50) {
        identity["expertise"] = some(chance, &["rust", "go", "sql"]);
    }
    if chance.percent(50) {
        let mut extra = words(chance);
        remove(&mut extra, "d.x");
        identity["extra"] = extra;
    }
    if chance.percent(50) {
        identity["tone"] = json!(chance.one(&["dry", "warm"]));
    }
    identity
}

fn heartbeat(chance: &mut Chance) -> Value {
    let mut heartbeat = json!({});
    if chance.percent(50) {
        heartbeat["every"] = json!(chance.one(&["10m", "1h", "30s"]));
    }
    if chance.percent(40) {
        heartbeat["activeHours"] = json!({"start": chance.one(&["08:00", "09:00"]), "end": "18:00"});
    }
    if chance.percent(40) {
        heartbeat["timeoutSeconds"] = json!(chance.one(&[10, 20]));
    }
    if chance.percent(30) {
        heartbeat["enabled"] = json!(chance.percent(50));
    }
    heartbeat
}

fn agent_status(chance: &mut Chance, percent: u64) -> Value {
    let mut conditions = Vec::new();
    for kind in ["Ready", "Stalled"] {
        if chance.percent(50) {
            conditions.push(json!({
                "type": kind, "status": chance.one(&["True", "False"]), "reason": "R", "message": "m",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }));
        }
    }
    let fields: Vec<(&str, Value)> = vec![
        ("conditions", json!(conditions)),
        ("phase", json!(chance.one(&["Ready", "Idle", "Failed"]))),
        ("observedGeneration", json!(chance.below(3))),
        ("driftedFiles", json!(chance.below(3))),
        ("heartbeat", json!({"status": chance.one(&["ok", "late"])})),
        ("files", json!([{"name": "A.md", "state": "InSync"}])),
    ];
    let mut status = Map::new();
    for (name, value) in fields {
        if chance.percent(percent) {
            status.insert(name.to_owned(), value);
        }
    }
    Value::Object(status)
}
