//! The collector by hand: what it hears of, and when it looks, is up to the test.

mod model;

use std::sync::Arc;

use futures::FutureExt;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;
use crate::control_plane::access::Tokens;
use crate::control_plane::kinds;
use crate::control_plane::store::{Change, Expected, Keep, Store};

const NEVER: &str = "11111111-1111-1111-1111-111111111111";

async fn begun(store: Store) -> ControlPlane {
    let definitions = crate::resource::definitions();
    let kinds = kinds::served(&definitions).unwrap();
    let tokens = Tokens::new(SecretString::from("admin"), [0; 32]);
    let clock = Arc::new(|| "2026-01-01T00:00:00Z".parse().unwrap());
    let control_plane = ControlPlane::new(store, kinds, tokens, clock);
    control_plane.begin(&definitions).await.unwrap();
    control_plane
}

async fn bed() -> ControlPlane {
    begun(Store::in_memory(Keep::default())).await
}

fn of(control_plane: &ControlPlane, plural: &str) -> Arc<Kind> {
    Arc::clone(control_plane.kinds().find("", "v1", plural).unwrap())
}

fn key(plural: &str, namespace: Option<&str>, name: &str) -> Key {
    Key::new(&ResourceName::new(plural).unwrap(), namespace, name).unwrap()
}

fn map(name: &str) -> Key {
    key("configmaps", Some("default"), name)
}

fn get(control_plane: &ControlPlane, key: &Key) -> Option<Object> {
    control_plane
        .store()
        .get(key)
        .map(|stored| stored.object().unwrap())
}

fn uid(control_plane: &ControlPlane, key: &Key) -> String {
    get(control_plane, key).unwrap().uid().unwrap().to_owned()
}

/// An entry of `ownerReferences`, to an object that is there.
fn owner(control_plane: &ControlPlane, key: &Key) -> Value {
    reference(key, &uid(control_plane, key))
}

fn reference(key: &Key, uid: &str) -> Value {
    let kind = match key.resource().as_str() {
        "configmaps" => "ConfigMap",
        "secrets" => "Secret",
        other => unreachable!("{other}"),
    };
    json!({ "apiVersion": "v1", "kind": kind, "name": key.name(), "uid": uid, "blockOwnerDeletion": true })
}

async fn make(control_plane: &ControlPlane, key: &Key, metadata: Value) -> Result<(), Status> {
    let mut object = Object::of(json!({ "metadata": metadata })).unwrap();
    object.metadata_mut().insert("name".to_owned(), json!(key.name()));
    let kind = of(control_plane, key.resource().as_str());
    let call = call(&kind, key.namespace(), None, Verb::Create, None);
    control_plane
        .create(&call, Body::of(object), "test")
        .await
        .map(drop)
}

async fn delete(control_plane: &ControlPlane, key: &Key, how: Option<Propagation>) -> Result<(), Status> {
    let kind = of(control_plane, key.resource().as_str());
    let call = call(&kind, key.namespace(), Some(key.name()), Verb::Delete, None);
    let options = DeleteOptions {
        propagation: how,
        ..DeleteOptions::default()
    };
    control_plane.delete(&call, &options).await.map(drop)
}

async fn put(
    control_plane: &ControlPlane,
    key: &Key,
    object: Object,
    subresource: Option<Subresource>,
) -> Result<(), Status> {
    let kind = of(control_plane, key.resource().as_str());
    let call = call(
        &kind,
        key.namespace(),
        Some(key.name()),
        Verb::Update,
        subresource,
    );
    control_plane
        .change(&call, &Sent::Whole(Body::of(object)), "test")
        .await
        .map(drop)
}

/// Until nothing is left to be done. What fails again and again is left.
async fn settle(collector: &mut Collector) {
    for _ in 0..1_000 {
        collector.catch_up().unwrap();
        if collector.due.is_empty() {
            return;
        }
        collector.look().await.unwrap();
    }
    panic!("it never ends: {:?}", collector.due);
}

async fn settled(control_plane: &ControlPlane) -> Collector {
    let mut collector = Collector::new(control_plane.clone()).unwrap();
    settle(&mut collector).await;
    collector
}

/// Hears what there is to hear of one kind, and of no other.
fn hear_of(collector: &mut Collector, plural: &str) {
    let at = collector.kinds.keys().position(|name| name == plural).unwrap();
    while let Some(Some(notice)) = collector.watches[at].next().now_or_never() {
        collector.hear(&notice);
    }
}

#[tokio::test]
async fn a_child_that_is_heard_of_before_its_owner_stays() {
    let control_plane = bed().await;
    let mut collector = settled(&control_plane).await;
    let parent = key("secrets", Some("default"), "parent");
    make(&control_plane, &parent, json!({})).await.unwrap();
    let owners = json!([owner(&control_plane, &parent)]);
    make(
        &control_plane,
        &map("child"),
        json!({ "ownerReferences": owners }),
    )
    .await
    .unwrap();
    hear_of(&mut collector, "configmaps");
    collector.look().await.unwrap();
    assert!(get(&control_plane, &map("child")).is_some());
}

#[tokio::test]
async fn an_owner_is_looked_for_where_it_may_be() {
    let control_plane = bed().await;
    let elsewhere = key("secrets", Some("kube-system"), "parent");
    let namesake = key("secrets", Some("default"), "namesake");
    for key in [&elsewhere, &namesake] {
        make(&control_plane, key, json!({})).await.unwrap();
    }
    let definition = key(
        "customresourcedefinitions.apiextensions.k8s.io",
        None,
        "agents.quartermaster.dev",
    );
    let unserved = json!({ "apiVersion": "v1", "kind": "Pod", "name": "web", "uid": NEVER });
    let defined = json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "name": definition.name(), "uid": uid(&control_plane, &definition) });
    for (name, owner, stays) in [
        ("elsewhere", owner(&control_plane, &elsewhere), false),
        ("namesake", reference(&namesake, NEVER), false),
        ("unserved", unserved, true),
        ("defined", defined, true),
    ] {
        let metadata = json!({ "ownerReferences": [owner] });
        make(&control_plane, &map(name), metadata).await.unwrap();
        settled(&control_plane).await;
        assert_eq!(get(&control_plane, &map(name)).is_some(), stays, "{name}");
    }
}

#[tokio::test]
async fn what_was_made_just_before_its_owner_was_deleted_is_orphaned() {
    let control_plane = bed().await;
    let parent = key("secrets", Some("default"), "parent");
    make(&control_plane, &parent, json!({})).await.unwrap();
    let mut collector = settled(&control_plane).await;
    let owners = json!([owner(&control_plane, &parent)]);
    make(
        &control_plane,
        &map("child"),
        json!({ "ownerReferences": owners }),
    )
    .await
    .unwrap();
    delete(&control_plane, &parent, Some(Propagation::Orphan))
        .await
        .unwrap();
    hear_of(&mut collector, "secrets");
    collector.look().await.unwrap();
    assert!(get(&control_plane, &parent).is_none());
    settle(&mut collector).await;
    let child = get(&control_plane, &map("child")).expect("it was orphaned");
    assert_eq!(child.metadata().unwrap().get("ownerReferences"), None);
}

#[tokio::test]
async fn a_foreground_deletion_leaves_what_has_another_owner() {
    let control_plane = bed().await;
    for name in ["one", "two"] {
        make(&control_plane, &map(name), json!({})).await.unwrap();
    }
    let owners = json!([
        owner(&control_plane, &map("one")),
        owner(&control_plane, &map("two"))
    ]);
    make(
        &control_plane,
        &map("child"),
        json!({ "ownerReferences": owners }),
    )
    .await
    .unwrap();
    delete(&control_plane, &map("one"), Some(Propagation::Foreground))
        .await
        .unwrap();
    settled(&control_plane).await;
    assert!(get(&control_plane, &map("one")).is_none());
    let child = get(&control_plane, &map("child")).expect("its other owner is there");
    let left = child.metadata().unwrap()["ownerReferences"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!((left, child.is_being_deleted()), (1, false));
}

#[tokio::test]
async fn nothing_is_kept_of_what_is_gone() {
    let control_plane = bed().await;
    let mut collector = settled(&control_plane).await;
    make(&control_plane, &map("parent"), json!({})).await.unwrap();
    let owners = json!([owner(&control_plane, &map("parent"))]);
    make(
        &control_plane,
        &map("child"),
        json!({ "ownerReferences": owners }),
    )
    .await
    .unwrap();
    settle(&mut collector).await;
    assert!(!collector.owners.is_of_nobody());
    delete(&control_plane, &map("parent"), None).await.unwrap();
    settle(&mut collector).await;
    assert!(get(&control_plane, &map("child")).is_none());
    assert!(collector.owners.is_of_nobody());
}

fn conditions(namespace: &Object) -> Vec<(String, String, String)> {
    let conditions = namespace.fields()["status"]["conditions"].as_array().unwrap();
    let words =
        |condition: &Value| ["type", "status", "message"].map(|field| text(condition, field).to_owned());
    conditions
        .iter()
        .map(words)
        .map(|[kind, status, message]| (kind, status, message))
        .collect()
}

#[tokio::test]
async fn a_namespace_says_what_it_waits_for_and_leaves_others_their_finalizers() {
    let control_plane = bed().await;
    let ending = key("namespaces", None, "ending");
    make(&control_plane, &ending, json!({})).await.unwrap();
    let mut namespace = get(&control_plane, &ending).unwrap();
    namespace.fields_mut().insert(
        "spec".to_owned(),
        json!({ "finalizers": ["kubernetes", "example.com/mine"] }),
    );
    put(&control_plane, &ending, namespace, Some(Subresource::Finalize))
        .await
        .unwrap();
    let held = key("configmaps", Some("ending"), "held");
    let finalizers = json!({ "finalizers": ["example.com/hold"] });
    make(&control_plane, &held, finalizers).await.unwrap();
    make(&control_plane, &key("secrets", Some("ending"), "free"), json!({}))
        .await
        .unwrap();
    delete(&control_plane, &ending, None).await.unwrap();
    let mut collector = settled(&control_plane).await;
    let namespace = get(&control_plane, &ending).unwrap();
    let line =
        |kind: &str, status: &str, message: &str| (kind.to_owned(), status.to_owned(), message.to_owned());
    assert_eq!(
        conditions(&namespace),
        [
            line(
                "NamespaceDeletionDiscoveryFailure",
                "False",
                "All resources successfully discovered"
            ),
            line(
                "NamespaceDeletionGroupVersionParsingFailure",
                "False",
                "All legacy kube types successfully parsed"
            ),
            line(
                "NamespaceDeletionContentFailure",
                "False",
                "All content successfully deleted, may be waiting on finalization"
            ),
            line(
                "NamespaceContentRemaining",
                "True",
                "Some resources are remaining: configmaps. has 1 resource instances"
            ),
            line(
                "NamespaceFinalizersRemaining",
                "True",
                "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
            ),
        ]
    );

    let mut object = get(&control_plane, &held).unwrap();
    object.metadata_mut().remove("finalizers");
    put(&control_plane, &held, object, None).await.unwrap();
    settle(&mut collector).await;
    let mut namespace = get(&control_plane, &ending).expect("somebody else's finalizer holds it");
    assert_eq!(
        namespace.fields()["spec"],
        json!({ "finalizers": ["example.com/mine"] })
    );
    assert!(
        conditions(&namespace)
            .iter()
            .all(|(_, status, _)| status == "False")
    );
    assert_eq!(namespace.fields()["status"]["phase"], "Terminating");

    namespace.fields_mut().insert("spec".to_owned(), json!({}));
    put(&control_plane, &ending, namespace, Some(Subresource::Finalize))
        .await
        .unwrap();
    assert!(get(&control_plane, &ending).is_none());
}

#[tokio::test]
async fn what_a_namespace_has_left_behind_goes_at_the_next_start() {
    let control_plane = bed().await;
    let lost = key("configmaps", Some("lost"), "left");
    let mut object = Object::of(json!({ "apiVersion": "v1", "kind": "ConfigMap" })).unwrap();
    for (field, value) in [("name", "left"), ("namespace", "lost"), ("uid", NEVER)] {
        object.metadata_mut().insert(field.to_owned(), json!(value));
    }
    let store = control_plane.store();
    store
        .write(lost.clone(), Expected::Absent, Change::Put(object))
        .await
        .unwrap();
    settled(&control_plane).await;
    assert!(get(&control_plane, &lost).is_none());
}

/// In a file a write waits for the disk: what is decided meanwhile is decided by what was.
#[tokio::test]
async fn nothing_comes_into_a_namespace_after_its_end_began() {
    let folder = std::env::temp_dir().join(format!("quartermaster-collect-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("state.redb");
    let control_plane = begun(Store::open(&file, Keep::default()).unwrap()).await;
    let mut refused = 0;
    for round in 0..20 {
        let name = format!("ending-{round}");
        let ending = key("namespaces", None, &name);
        make(&control_plane, &ending, json!({})).await.unwrap();
        let late = key("configmaps", Some(&name), "late");
        let (ended, made) = futures::join!(
            delete(&control_plane, &ending, None),
            make(&control_plane, &late, json!({}))
        );
        ended.unwrap();
        let marked = control_plane.store().get(&ending).unwrap().revision;
        match made {
            Ok(()) => assert!(control_plane.store().get(&late).unwrap().revision < marked),
            Err(status) => {
                let why = "because it is being terminated";
                assert!(status.code == 403 && status.message.ends_with(why), "{status}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    control_plane.store().close().await;
    std::fs::remove_dir_all(&folder).unwrap();
}

/// One second is as long as it waits when something is over.
#[tokio::test(start_paused = true)]
async fn it_stops_at_once_also_while_it_waits() {
    let control_plane = bed().await;
    control_plane.store().close().await;
    let stop = CancellationToken::new();
    let running = run(control_plane, stop.clone());
    tokio::pin!(running);
    assert_eq!(running.as_mut().now_or_never(), None);
    stop.cancel();
    assert_eq!(running.as_mut().now_or_never(), Some(()));
}
