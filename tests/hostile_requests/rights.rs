//! Who may a little and tries for more. What kube-apiserver answers to the same is in `kube_conformance/cases/access.txt`.

use quartermaster::control_plane::access::User;
use serde_json::{Value, json};

use crate::bed::{Answer, Bed, CONFIG_MAPS, JSON, JSON_PATCH, MERGE_PATCH};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

struct Robot {
    bed: Bed,
    user: User,
}

impl Robot {
    /// An account with these rules in `default`.
    async fn with(rules: Value) -> Self {
        let bed = Bed::new().await;
        bed.create(
            &format!("{RBAC}/roles"),
            &json!({"metadata": {"name": "robot"}, "rules": rules}),
        )
        .await;
        bed.create(
            &format!("{RBAC}/rolebindings"),
            &json!({
                "metadata": {"name": "robot"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "robot"},
                "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}],
            }),
        )
        .await;
        let user = User::service_account("default", "robot", "uid");
        Self { bed, user }
    }

    async fn ask(&self, method: &str, path: &str, content_type: &str, body: &Value) -> Answer {
        self.bed
            .ask_as(&self.user, method, path, content_type, body.to_string())
            .await
    }
}

/// 2.7 kB of lists multiplied to so many permissions that comparing them took 2 s and 360 MB.
#[tokio::test]
async fn a_role_that_multiplies_is_refused_before_it_is_looked_at() {
    let robot = Robot::with(json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["create"]}])).await;
    let words = |count: usize| (0..count).map(|n| format!("{n:x}")).collect::<Vec<_>>();
    let role = |lists: usize, names: usize| {
        json!({"metadata": {"name": "large"}, "rules": [{
            "apiGroups": words(lists), "resources": words(lists), "verbs": words(lists), "resourceNames": words(names),
        }]})
    };
    let path = format!("{RBAC}/roles");
    for large in [role(90, 90), role(300, 40_000)] {
        let refused = robot.ask("POST", &path, JSON, &large).await;
        refused.is_status();
        assert_eq!(refused.code, 403);
        assert!(
            refused.message().contains("more than 10000 single permissions"),
            "{}",
            refused.message()
        );
    }
    // What is told of what is compared has an end, too.
    let long = vec!["v".repeat(100_000); 10];
    let rules =
        json!([{"apiGroups": [""], "resources": long, "verbs": ["x"], "resourceNames": words(1_000)}]);
    let refused = robot
        .ask(
            "POST",
            &path,
            JSON,
            &json!({"metadata": {"name": "long"}, "rules": rules}),
        )
        .await;
    refused.is_status();
    assert_eq!(refused.code, 403);
    assert!(refused.body.len() < 256 << 10, "{} bytes", refused.body.len());
    // The administrator is not compared with anybody.
    robot.bed.create(&path, &role(20, 20)).await;
}

#[tokio::test]
async fn a_binding_to_a_role_that_is_not_there_grants_nothing_to_come() {
    let robot =
        Robot::with(json!([{"apiGroups": ["*"], "resources": ["rolebindings"], "verbs": ["create"]}])).await;
    for kind in ["Role", "ClusterRole"] {
        let binding = json!({
            "metadata": {"name": "early"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "later"},
        });
        let refused = robot
            .ask("POST", &format!("{RBAC}/rolebindings"), JSON, &binding)
            .await;
        refused.is_refusal(
            404,
            "NotFound",
            "rolebindings.rbac.authorization.k8s.io \"later\" not found",
        );
    }
}

#[tokio::test]
async fn who_may_watch_writes_nothing() {
    let robot = Robot::with(json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["watch"]}])).await;
    let secret = json!({"metadata": {"name": "s"}});
    for path in [
        "/api/v1/watch/namespaces/default/secrets",
        "/api/v1/watch/namespaces/default/secrets/s",
    ] {
        for method in ["POST", "PUT", "DELETE"] {
            assert_eq!(
                robot.ask(method, path, JSON, &secret).await.code,
                405,
                "{method} {path}"
            );
        }
    }
    assert_eq!(
        robot.bed.ask("GET", &format!("{SECRETS}/s"), JSON, "").await.code,
        404
    );
}

#[tokio::test]
async fn who_may_see_one_sees_no_other() {
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["allowed"], "verbs": ["list"]}]);
    let robot = Robot::with(rules).await;
    robot
        .bed
        .create(
            SECRETS,
            &json!({"metadata": {"name": "other"}, "stringData": {"a": "b"}}),
        )
        .await;
    let list = async |selector: &str| {
        let path = format!("{SECRETS}?fieldSelector={selector}");
        robot.ask("GET", &path, JSON, &Value::Null).await.code
    };
    assert_eq!(list("metadata.name%3Dallowed").await, 200);
    assert_eq!(list("type!%3Dx%5C,metadata.name%3Dallowed").await, 403);
    assert_eq!(list("metadata.name%3Dother").await, 403);
}

#[tokio::test]
async fn who_may_change_makes_nothing_new() {
    let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "update", "patch"]}]);
    let robot = Robot::with(rules).await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    let lease = json!({"metadata": {"name": "l"}});
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l";
    for dry in ["", "&dryRun=All"] {
        let path = format!("{CONFIG_MAPS}/c?fieldManager=me{dry}");
        let refused = robot.ask("PATCH", &path, crate::bed::APPLY, &map).await;
        refused.is_refusal(
            403,
            "Forbidden",
            "configmaps \"c\" is forbidden: User \"system:serviceaccount:default:robot\" cannot create resource \
             \"configmaps\" in API group \"\" in the namespace \"default\"",
        );
        let path = format!("{leases}?fieldManager=me{dry}");
        assert_eq!(robot.ask("PUT", &path, JSON, &lease).await.code, 403);
    }
    assert_eq!(robot.bed.ask("GET", leases, JSON, "").await.code, 404);
}

/// Of a Secret that a patch makes unreadable, nothing is shown; of others, the beginning.
#[tokio::test]
async fn a_refusal_tells_no_secret_and_has_an_end() {
    let rules = json!([{"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["patch"]}]);
    let robot = Robot::with(rules).await;
    let secret = json!({"metadata": {"name": "s"}, "data": {"password": "aHVudGVyMg==", "x": ""}});
    robot.bed.create(SECRETS, &secret).await;
    let path = format!("{SECRETS}/s");
    for patch in [
        json!([{"op": "add", "path": "/data/x", "value": {}}]),
        json!([{"op": "move", "from": "/data/password", "path": ""}]),
        json!([{"op": "copy", "from": "/data", "path": "/metadata"}]),
        json!([{"op": "copy", "from": "/data", "path": "/metadata/name"}]),
        json!([{"op": "copy", "from": "/data/password", "path": "/immutable"}]),
        json!([{"op": "copy", "from": "/data/password", "path": "/metadata/labels"}]),
        json!([{"op": "copy", "from": "/data/password", "path": "/kind"}]),
    ] {
        let refused = robot.ask("PATCH", &path, JSON_PATCH, &patch).await;
        assert!(refused.code >= 400, "{patch}");
        refused.is_status();
        assert!(
            !refused.message().contains("aHVudGVy"),
            "{patch}: {}",
            refused.message()
        );
    }
    let map = json!({"metadata": {"name": "c"}, "data": {"a": "x".repeat(1 << 20)}});
    robot.bed.create(CONFIG_MAPS, &map).await;
    let refused = robot
        .ask(
            "PATCH",
            &format!("{CONFIG_MAPS}/c"),
            MERGE_PATCH,
            &json!({"data": {"b": {}}}),
        )
        .await;
    assert!(
        refused.code >= 400 && refused.body.len() < 32 << 10,
        "{} bytes",
        refused.body.len()
    );
}
