//! What kube's own client does all day, done at both: what it gets must be the same.

use std::fmt::Debug;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{
    DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy, WatchEvent, WatchParams,
};
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::reflector::{self, reflector};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use quartermaster::resource::Gateway;
use serde_json::json;

use super::ours::Embedded;
use super::side::Side;
use crate::bed::{evidence, shared_cluster};
use crate::schema;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubes_client_gets_the_same() {
    let cluster = real!(shared_cluster());
    schema::install(cluster);
    let embedded = Embedded::start().await;
    let ours = Side::of(embedded.kubeconfig()).await;
    let theirs = Side::of(&cluster.kubeconfig()).await;
    let (ours, theirs) = tokio::join!(day(ours.client()), day(theirs.client()));
    for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(ours, theirs, "step {}", number + 1);
    }
    assert_eq!(ours.len(), theirs.len());
    let count = ours.len() as u64;
    evidence::record(
        "control plane",
        "steps of kube's client as with kube-apiserver",
        count,
        "0 differences",
    );
}

/// What was seen, in words without uids and versions.
#[derive(Default)]
struct Seen(Vec<String>);

impl Seen {
    fn gateway(&mut self, what: &str, got: kube::Result<Gateway>) {
        match got {
            Ok(gateway) => {
                let mut value = serde_json::to_value(&gateway).unwrap();
                for name in [
                    "uid",
                    "resourceVersion",
                    "creationTimestamp",
                    "deletionTimestamp",
                    "managedFields",
                ] {
                    value["metadata"].as_object_mut().unwrap().remove(name);
                }
                self.0.push(format!("{what}: {value}"));
            }
            Err(error) => self.failed(what, &error),
        }
    }

    fn failed(&mut self, what: &str, error: &kube::Error) {
        let words = if let kube::Error::Api(status) = error {
            format!("{} {} {}", status.code, status.reason, status.message)
        } else {
            format!("{error:?}")
        };
        self.0.push(format!("{what}: {words}"));
    }

    fn said(&mut self, what: &str, said: &impl Debug) {
        self.0.push(format!("{what}: {said:?}"));
    }
}

async fn day(client: Client) -> Vec<String> {
    let mut seen = Seen::default();
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    let name = "kube-client";
    let namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    let gateways: Api<Gateway> = Api::namespaced(client.clone(), name);
    let gateway = |name: &str, root: &str| -> Gateway {
        let spec = json!({ "url": "wss://a.b:1", "workspaceRoot": root, "tokenSecretRef": { "name": "t" } });
        let value = json!({
            "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Gateway", "metadata": { "name": name }, "spec": spec,
        });
        serde_json::from_value(value).unwrap()
    };
    let post = PostParams::default();
    seen.gateway("create", gateways.create(&post, &gateway("a", "/w")).await);
    seen.gateway("create again", gateways.create(&post, &gateway("a", "/w")).await);
    seen.gateway("get", gateways.get("a").await);
    seen.said(
        "get what is not there",
        &gateways.get_opt("none").await.unwrap().is_none(),
    );
    let merge = Patch::Merge(json!({ "spec": { "workspaceRoot": "/v" } }));
    seen.gateway(
        "merge",
        gateways.patch("a", &PatchParams::default(), &merge).await,
    );
    let mut applied = gateway("a", "/u");
    applied.metadata.managed_fields = None;
    let apply = PatchParams::apply("me");
    seen.gateway(
        "apply",
        gateways.patch("a", &apply, &Patch::Apply(&applied)).await,
    );
    seen.gateway(
        "apply by force",
        gateways
            .patch("a", &apply.clone().force(), &Patch::Apply(&applied))
            .await,
    );
    let status = json!({ "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Gateway", "status": { "observedGeneration": 3 } });
    seen.gateway(
        "apply status",
        gateways
            .patch_status("a", &apply.clone().force(), &Patch::Apply(&status))
            .await,
    );
    seen.gateway(
        "merge status",
        gateways
            .patch_status("a", &PatchParams::default(), &Patch::Merge(&status))
            .await,
    );
    let mut found = gateways.get("a").await.unwrap();
    found.spec.workspace_root = serde_json::from_value(json!("/t")).unwrap();
    seen.gateway("replace", gateways.replace("a", &post, &found).await);
    seen.gateway("replace an old one", gateways.replace("a", &post, &found).await);
    seen.gateway(
        "metadata",
        gateways.get_metadata("a").await.map(|_| gateway("as asked", "/")),
    );

    // Everything that happened, from the first version on.
    let first = gateways
        .create(&post, &gateway("b", "/w"))
        .await
        .unwrap()
        .resource_version()
        .unwrap();
    gateways.delete("b", &DeleteParams::default()).await.unwrap();
    let events: Vec<WatchEvent<Gateway>> = gateways
        .watch(&WatchParams::default().timeout(1), &first)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    for event in events {
        let (kind, gateway) = match event {
            WatchEvent::Added(gateway) => ("added", gateway),
            WatchEvent::Modified(gateway) => ("modified", gateway),
            WatchEvent::Deleted(gateway) => ("deleted", gateway),
            WatchEvent::Bookmark(_) => continue,
            WatchEvent::Error(error) => panic!("{error:?}"),
        };
        seen.gateway(kind, Ok(gateway));
    }

    finalized(&mut seen, &gateways).await;
    reflected(&mut seen, client.clone(), name).await;

    let list = gateways.list(&ListParams::default().limit(1)).await.unwrap();
    seen.said(
        "a page",
        &(
            list.items.len(),
            list.metadata.continue_.map(|next| next.is_empty()),
        ),
    );
    let selected = gateways.list(&ListParams::default().labels("a in (")).await;
    if let Err(error) = selected {
        seen.failed("a wrong selector", &error);
    }
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    let gone = gateways
        .delete_collection(&params, &ListParams::default())
        .await
        .unwrap();
    seen.said("delete all", &gone.either(|list| list.items.len(), |_| 0));
    namespaces.delete(name, &DeleteParams::default()).await.unwrap();
    seen.0
}

/// kube's `finalizer` adds ours, waits for the deletion, and takes it away.
async fn finalized(seen: &mut Seen, gateways: &Api<Gateway>) {
    let reconcile = async |gateway: Gateway| {
        let mut what = "nothing";
        let told = finalizer(gateways, "x.io/ours", gateway.into(), |event| {
            what = match event {
                Event::Apply(_) => "applied",
                Event::Cleanup(_) => "cleaned up",
            };
            async { Ok::<_, kube::Error>(Action::await_change()) }
        });
        let told = told.await.map_err(|error| error.to_string());
        (what, told)
    };
    for _ in 0..2 {
        let gateway = gateways.get("a").await.unwrap();
        seen.said("finalizer", &reconcile(gateway).await);
        seen.gateway("with a finalizer", gateways.get("a").await);
    }
    gateways.delete("a", &DeleteParams::default()).await.unwrap();
    let gateway = gateways.get("a").await.unwrap();
    seen.said("finalizer at the end", &reconcile(gateway).await);
    seen.said("gone", &gateways.get_opt("a").await.unwrap().is_none());
}

/// A reflector holds what is there, by a list and by a streamed one.
async fn reflected(seen: &mut Seen, client: Client, namespace: &str) {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    for name in ["x", "y"] {
        let map = json!({ "metadata": { "name": name, "labels": { "mine": "yes" } }, "data": { "k": name } });
        maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap())
            .await
            .unwrap();
    }
    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let (reader, writer) = reflector::store();
        let stream = reflector(writer, watcher(maps.clone(), config.labels("mine=yes"))).applied_objects();
        let mut stream = std::pin::pin!(stream);
        let mut names = Vec::new();
        while names.len() < 2 {
            names.push(stream.next().await.unwrap().unwrap().name_any());
        }
        names.sort();
        seen.said("reflected", &names);
        let mut held: Vec<String> = reader.state().iter().map(|map| map.name_any()).collect();
        held.sort();
        seen.said("held", &held);
    }
}
