//! The beds themselves: what the other tests lie on is real, holds, and leaves nothing behind.

use crate::bed::{KUBERNETES_VERSION, eventually, evidence, shared_cluster};

#[test]
fn the_cluster_is_the_pinned_kubernetes() {
    let cluster = real!(shared_cluster());
    let version = cluster.kubectl(&["version", "-o", "json"]);
    assert!(version.ok, "{}", version.stderr);
    if cluster.binaries().pinned {
        let said = version
            .stdout
            .matches(&format!("\"gitVersion\": \"{KUBERNETES_VERSION}\""))
            .count();
        assert_eq!(said, 2, "kubectl and the API server, both: {}", version.stdout);
    }
    evidence::record("beds", "Kubernetes says its version", 2, KUBERNETES_VERSION);
}

#[tokio::test]
async fn a_service_account_may_only_what_rbac_allows() {
    let cluster = real!(shared_cluster());
    let namespace = cluster.namespace("rbac");
    let its = cluster.service_account(namespace.name(), "reader");
    let user = format!("system:serviceaccount:{}:reader", namespace.name());
    let read = ["get", "configmaps"];
    let write = ["create", "configmap", "forbidden"];

    let before = cluster.kubectl_as(&its, &read, "");
    assert!(before.stderr.contains("forbidden"), "{before:?}");
    let allow = [
        "-n",
        namespace.name(),
        "create",
        "rolebinding",
        "r",
        "--clusterrole=view",
    ];
    let whom = format!("--serviceaccount={}:reader", namespace.name());
    assert!(cluster.kubectl(&[&allow[..], &[&whom]].concat()).ok);
    eventually("the binding is in force", 10, || {
        cluster.kubectl_as(&its, &read, "").ok.then_some(())
    });
    let refused = cluster.kubectl_as(&its, &write, "");
    assert!(refused.stderr.contains("forbidden"), "{refused:?}");

    // The API server's own record says the same, and names who asked.
    let writes = eventually("the refused write is in the audit log", 10, || {
        Some(cluster.writes_by(&user)).filter(|writes| !writes.is_empty())
    });
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert_eq!(
        (
            writes[0].verb.as_str(),
            writes[0].resource.as_str(),
            writes[0].code
        ),
        ("create", "configmaps", 403)
    );
    assert!(writes[0].user_agent.starts_with("kubectl"), "{writes:?}");

    let client = cluster.client().await;
    let version = client
        .apiserver_version()
        .await
        .expect("our own client is let in over TLS");
    assert_eq!(version.major, "1");
    evidence::record("beds", "RBAC refuses and the audit log says so", 2, "");
}

#[test]
fn a_deleted_namespace_ends_with_what_is_in_it() {
    let cluster = real!(shared_cluster());
    real!(cluster.controller_manager());
    let namespace = cluster.namespace("ending");
    let name = namespace.name().to_owned();
    assert!(
        cluster
            .kubectl(&["-n", &name, "create", "configmap", "inside"])
            .ok
    );
    drop(namespace);
    eventually("the namespace is gone", 60, || {
        cluster
            .kubectl(&["get", "namespace", &name])
            .stderr
            .contains("NotFound")
            .then_some(())
    });
}
