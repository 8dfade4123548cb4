//! Random sequences of operations, the same ones on both sides, one after the other: after each the answers must be the
//! same, and at the end what a watcher from the beginning saw.

use std::collections::BTreeMap;

use futures::{StreamExt, future};
use serde_json::{Value, json};

use super::differ::differences;
use super::normal::Normal;
use super::ours::Embedded;
use super::side::{Answer, Side};
use crate::bed::{evidence, shared_cluster};
use crate::patches::Chance;
use crate::schema;

/// Operations in one namespace: a sequence, with a seed of its own.
const OF_ONE: usize = 100;
/// Sequences that are under way at once. Each waits for its answers most of the time.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_sequences_end_alike() {
    let cluster = real!(shared_cluster());
    schema::install(cluster);
    let embedded = Embedded::start().await;
    let ours = Side::of(embedded.kubeconfig()).await;
    let theirs = Side::of(&cluster.kubeconfig()).await;
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("KUBE_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now();
        now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
    });
    let steps = number("KUBE_STEPS").unwrap_or(10_000);
    // A kind that is new is watched from the moment on at which its first reader came.
    for kind in KINDS {
        let all = kind.path.replace("/namespaces/{}", "") + "?resourceVersion=0";
        assert_eq!(
            theirs.ask("GET", &all, &[], Vec::new()).await.status,
            200,
            "{all}"
        );
    }
    let rounds = steps.div_ceil(OF_ONE as u64);
    let first: Vec<(u64, Result<usize, String>)> = futures::stream::iter(seed..seed + rounds)
        .map(async |seed| (seed, sequence(&ours, &theirs, seed, "").await))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    // As with the cases: what a busy machine told too late is told in time when it is asked alone.
    let mut told = Vec::new();
    for (seed, once) in first {
        told.push(match once {
            Ok(refused) => Ok(refused),
            Err(why) => {
                evidence::say(&format!("differed while others were asked: {why}"));
                sequence(&ours, &theirs, seed, "-alone").await
            }
        });
    }
    let wrong: Vec<&str> = told
        .iter()
        .filter_map(|told| told.as_ref().err())
        .map(String::as_str)
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {rounds} sequences differ:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    let done = rounds * OF_ONE as u64;
    let refused: usize = told.iter().flatten().sum();
    let note = format!(
        "seeds {seed} to {}; {refused} refused by both; 0 differences",
        seed + rounds - 1
    );
    evidence::say(&format!("{done} random operations, {note}"));
    evidence::record(
        "control plane",
        "random operations as kube-apiserver",
        done,
        &note,
    );
    assert!(
        refused as u64 * 2 < done,
        "most operations must do something: {note}"
    );
}

/// How many operations were refused, or where the answers first differ.
async fn sequence(ours: &Side, theirs: &Side, seed: u64, how: &str) -> Result<usize, String> {
    let mut chance = Chance::new(seed);
    let mut pair = Pair::new(ours, theirs, &format!("kr-{seed}{how}")).await;
    let mut told = Vec::new();
    let mut refused = 0;
    for number in 1..=OF_ONE {
        let operation = pair.next(&mut chance);
        told.push(operation.to_string());
        let (status, differences) = pair.ask(&operation).await;
        refused += usize::from(status >= 400);
        if !differences.is_empty() {
            return Err(format!(
                "KUBE_SEED={seed} KUBE_STEPS={OF_ONE}, operation {number}:\n{}\n\nwhat was asked of this kind:\n{}",
                differences.join("\n"),
                told.iter()
                    .filter(|told| told.contains(operation.collection()))
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join("\n")
            ));
        }
    }
    let differences = pair.watched().await;
    pair.end().await;
    if differences.is_empty() {
        return Ok(refused);
    }
    Err(format!(
        "KUBE_SEED={seed} KUBE_STEPS={OF_ONE}, what was watched:\n{}\n\nafter:\n{}",
        differences.join("\n"),
        told.join("\n")
    ))
}

struct Kind {
    path: &'static str,
    head: fn() -> Value,
    contents: fn(usize) -> Value,
    is_custom: bool,
}

const KINDS: &[Kind] = &[
    Kind {
        path: "/api/v1/namespaces/{}/configmaps",
        head: || json!({ "apiVersion": "v1", "kind": "ConfigMap" }),
        contents: |n| json!({ "data": { "k": n.to_string(), "l": "x" }, "immutable": n == 7 }),
        is_custom: false,
    },
    Kind {
        path: "/api/v1/namespaces/{}/secrets",
        head: || json!({ "apiVersion": "v1", "kind": "Secret" }),
        contents: |n| json!({ "stringData": { format!("k{}", n % 3): n.to_string() } }),
        is_custom: false,
    },
    Kind {
        path: "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
        head: || json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease" }),
        contents: |n| json!({ "spec": { "holderIdentity": n.to_string(), "leaseTransitions": n } }),
        is_custom: false,
    },
    Kind {
        path: "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
        head: || json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role" }),
        contents: |n| json!({ "rules": [{ "apiGroups": [""], "resources": ["secrets"], "verbs": [n.to_string()] }] }),
        is_custom: false,
    },
    Kind {
        path: "/apis/quartermaster.dev/v1alpha1/namespaces/{}/agents",
        head: || json!({ "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Agent" }),
        contents: |n| json!({ "spec": { "boardRef": { "name": "b" }, "identity": { "role": n.to_string() } } }),
        is_custom: true,
    },
    Kind {
        path: "/apis/quartermaster.dev/v1alpha1/namespaces/{}/boards",
        head: || json!({ "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Board" }),
        contents: |n| json!({ "spec": { "gatewayRef": { "name": "g" }, "type": "general", "maxAgents": n + 1 } }),
        is_custom: true,
    },
];

struct Operation {
    method: &'static str,
    path: String,
    media: &'static str,
    /// With `VERSION` and `UID` where a side puts in its own.
    body: Option<Value>,
    about: String,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            method,
            path,
            media,
            body,
            about: _,
        } = self;
        let body = body.as_ref().map(Value::to_string).unwrap_or_default();
        write!(f, "{method} {path} {media} {body}")
    }
}

impl Operation {
    fn collection(&self) -> &str {
        self.about.rsplit_once('/').unwrap().0
    }

    /// Declared: an apply that takes away the last label or annotation of a custom object leaves a null in etcd. Nobody
    /// sees it, but the next request writes the object again, even if it changes nothing. Ours keeps what it serves.
    fn leaves_a_null(&self, before: &Value, after: &Value) -> bool {
        let is_custom = KINDS
            .iter()
            .any(|kind| kind.is_custom && self.path.starts_with(kind.path.split("{}").next().unwrap()));
        let lost = |map: &str| before["metadata"][map].is_object() && after["metadata"][map].is_null();
        is_custom && self.media.contains("apply") && (lost("labels") || lost("annotations"))
    }

    /// Changes the object, so that the null is gone.
    fn touch(&self) -> Self {
        Self {
            method: "PATCH",
            path: self.about.clone(),
            media: "application/merge-patch+json",
            body: Some(json!({ "metadata": { "annotations": { "touched": "1" } } })),
            about: self.about.clone(),
        }
    }
}

/// One side, and what it said of each object last.
struct Half<'a> {
    side: &'a Side,
    last: BTreeMap<String, Value>,
    began: String,
    normal: Normal,
}

struct Pair<'a> {
    namespace: String,
    halves: [Half<'a>; 2],
}

impl<'a> Pair<'a> {
    async fn new(ours: &'a Side, theirs: &'a Side, namespace: &str) -> Self {
        let mut halves = Vec::new();
        for side in [ours, theirs] {
            let body = json!({ "metadata": { "name": namespace } }).to_string();
            let json = [("Content-Type".to_owned(), "application/json".to_owned())];
            let made = side
                .ask("POST", "/api/v1/namespaces", &json, body.into_bytes())
                .await;
            assert_eq!(made.status, 201, "{}", made.body);
            halves.push(Half {
                side,
                last: BTreeMap::new(),
                began: made.body["metadata"]["resourceVersion"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
                normal: Normal::default(),
            });
        }
        let Ok(halves) = halves.try_into() else {
            panic!("two halves")
        };
        Self {
            namespace: namespace.to_owned(),
            halves,
        }
    }

    fn next(&self, chance: &mut Chance) -> Operation {
        let kind = chance.one(KINDS);
        let collection = kind.path.replace("{}", &self.namespace);
        let name = format!("o{}", chance.below(3));
        let path = format!("{collection}/{name}");
        let mut object = (kind.head)();
        let contents = (kind.contents)(chance.below(9));
        for (field, value) in contents.as_object().unwrap() {
            object[field] = value.clone();
        }
        let mut metadata = json!({ "name": name });
        if chance.percent(40) {
            metadata["labels"] = json!({ "l": chance.below(3).to_string() });
        }
        if chance.percent(15) {
            metadata["finalizers"] = json!(["x.io/keep"]);
        }
        if chance.percent(15) {
            metadata["annotations"] = json!({ "a": chance.below(9).to_string() });
        }
        let dry = if chance.percent(5) { "?dryRun=All" } else { "" };
        const JSON: &str = "application/json";
        const MERGE: &str = "application/merge-patch+json";
        let (method, at, media, body) = match chance.below(100) {
            0..22 => {
                object["metadata"] = metadata;
                ("POST", format!("{collection}{dry}"), JSON, Some(object))
            }
            22..34 => {
                if kind.is_custom || chance.percent(60) {
                    metadata["resourceVersion"] = json!("VERSION");
                }
                object["metadata"] = metadata;
                ("PUT", format!("{path}{dry}"), JSON, Some(object))
            }
            34..46 => {
                let label = if chance.percent(30) {
                    Value::Null
                } else {
                    json!(chance.below(3).to_string())
                };
                let mut patch = json!({ "metadata": { "labels": { "l": label } } });
                if chance.percent(50) {
                    for (field, value) in contents.as_object().unwrap() {
                        patch[field] = value.clone();
                    }
                }
                if chance.percent(10) {
                    patch["metadata"]["resourceVersion"] = json!("VERSION");
                }
                ("PATCH", format!("{path}{dry}"), MERGE, Some(patch))
            }
            46..52 => {
                let finalizers = if chance.percent(70) {
                    Value::Null
                } else {
                    json!(["x.io/keep", "x.io/other"])
                };
                let patch = json!({ "metadata": { "finalizers": finalizers } });
                ("PATCH", path.clone(), MERGE, Some(patch))
            }
            52..62 => {
                object["metadata"] = metadata;
                object["metadata"].as_object_mut().unwrap().remove("finalizers");
                let manager = chance.below(2);
                let force = if chance.percent(50) { "&force=true" } else { "" };
                let at = format!("{path}?fieldManager=m{manager}{force}");
                ("PATCH", at, "application/apply-patch+yaml", Some(object))
            }
            62..66 => {
                let patch = json!([
                    { "op": "test", "path": "/metadata/name", "value": name },
                    { "op": "add", "path": "/metadata/annotations", "value": { "j": chance.below(4).to_string() } },
                ]);
                ("PATCH", path.clone(), "application/json-patch+json", Some(patch))
            }
            66..70 if kind.is_custom => {
                let patch =
                    json!({ "status": { "observedGeneration": chance.below(5) }, "spec": { "x": 1 } });
                ("PATCH", format!("{path}/status"), MERGE, Some(patch))
            }
            66..84 => {
                let policy = *chance.one(&[
                    "",
                    "?propagationPolicy=Background",
                    "?propagationPolicy=Foreground",
                    "?dryRun=All",
                ]);
                let body = chance
                    .percent(15)
                    .then(|| json!({ "preconditions": { "uid": "UID" } }));
                // The collector lets go what waits for nobody, when it comes to it: not at the same time on both sides.
                let policy = if policy.ends_with("Foreground") {
                    ""
                } else {
                    policy
                };
                ("DELETE", format!("{path}{policy}"), JSON, body)
            }
            84..86 => {
                let at = format!("{collection}?labelSelector=l%3D{}", chance.below(3));
                ("DELETE", at, JSON, None)
            }
            86..93 => ("GET", path.clone(), JSON, None),
            _ => {
                let selector = *chance.one(&[
                    "labelSelector=l",
                    "labelSelector=l%3D1",
                    "labelSelector=l&limit=2",
                    "fieldSelector=metadata.name%3Do1",
                ]);
                ("GET", format!("{collection}?{selector}"), JSON, None)
            }
        };
        Operation {
            method,
            path: at,
            media,
            body,
            about: path,
        }
    }

    async fn ask(&mut self, operation: &Operation) -> (u16, Vec<String>) {
        let before = self.halves[0].last.get(&operation.about).cloned();
        let (status, mut differences) = self.ask_both(operation).await;
        let after = self.halves[0].last.get(&operation.about);
        if status == 200
            && operation.leaves_a_null(&before.unwrap_or_default(), after.unwrap_or(&Value::Null))
        {
            let (_, again) = self.ask_both(&operation.touch()).await;
            differences.extend(again);
        }
        (status, differences)
    }

    async fn ask_both(&mut self, operation: &Operation) -> (u16, Vec<String>) {
        let [ours, theirs] = &mut self.halves;
        let (ours, theirs) = tokio::join!(ours.ask(operation), theirs.ask(operation));
        (
            ours["status"].as_u64().unwrap_or_default() as u16,
            differences(&ours, &theirs),
        )
    }

    /// What a watch from the beginning tells of each kind.
    async fn watched(&mut self) -> Vec<String> {
        let [ours, theirs] = &mut self.halves;
        let (ours, theirs) = tokio::join!(ours.watch(&self.namespace), theirs.watch(&self.namespace));
        KINDS
            .iter()
            .zip(ours.iter().zip(&theirs))
            .flat_map(|(kind, (ours, theirs))| {
                let lines = differences(ours, theirs);
                lines.into_iter().map(|line| format!("{} {line}", kind.path))
            })
            .collect()
    }

    async fn end(&self) {
        for half in &self.halves {
            half.side.end(&self.namespace).await;
        }
    }
}

impl Half<'_> {
    async fn ask(&mut self, operation: &Operation) -> Value {
        let known = self.last.get(&operation.about);
        let word = |name: &str| {
            let value = known.and_then(|object| object["metadata"][name].as_str());
            value.unwrap_or("11111111-1111-1111-1111-111111111111").to_owned()
        };
        let version = known.and_then(|object| object["metadata"]["resourceVersion"].as_str());
        let body = operation.body.as_ref().map(|body| {
            body.to_string()
                .replace("VERSION", version.unwrap_or("1"))
                .replace("UID", &word("uid"))
        });
        let headers = [
            ("Content-Type".to_owned(), operation.media.to_owned()),
            ("User-Agent".to_owned(), "conformance".to_owned()),
        ];
        let headers = if body.is_some() {
            &headers[..]
        } else {
            &headers[1..]
        };
        let body = body.unwrap_or_default().into_bytes();
        let answer = self
            .side
            .ask(operation.method, &operation.path, headers, body)
            .await;
        if answer.body["metadata"]["uid"].is_string() && !operation.path.contains("dryRun") {
            self.last.insert(operation.about.clone(), answer.body.clone());
        }
        self.normal.of(answer)
    }

    /// All kinds at once, as each watch takes the second that it is asked for.
    async fn watch(&mut self, namespace: &str) -> Vec<Value> {
        let (side, began) = (self.side, &self.began);
        let watches = KINDS.iter().map(async |kind| {
            let path = kind.path.replace("{}", namespace);
            let at = format!("{path}?watch=true&timeoutSeconds=1&resourceVersion={began}");
            side.ask("GET", &at, &[], Vec::new()).await
        });
        let answers: Vec<Answer> = future::join_all(watches).await;
        answers.into_iter().map(|answer| self.normal.of(answer)).collect()
    }
}
