//! `deploy/`, asked of a real API server: it is taken as it is written, its pod may run where pods may do little, and its
//! rights are what the operator uses: all of them, and no other.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::agents::nothing_refused;
use crate::bed::{
    Cluster, Gateway, OpenClaw, Operator, eventually, evidence, free_port, operator, shared_cluster,
};
use crate::line::{condition_of, manifest};

const PATIENCE: u64 = 300;

fn in_checkout(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(path)
        .display()
        .to_string()
}

/// kubectl that must succeed, and warn of nothing.
fn must(cluster: &Cluster, arguments: &[&str], input: &str) -> String {
    let said = cluster.kubectl_with_input(arguments, input);
    assert!(
        said.ok,
        "kubectl {}: {}\n{input}",
        arguments.join(" "),
        said.stderr
    );
    assert!(
        !said.stderr.contains("Warning"),
        "kubectl {}: {}",
        arguments.join(" "),
        said.stderr
    );
    said.stdout
}

/// Objects of a kustomization, as JSON.
fn built(cluster: &Cluster, folder: &str) -> Vec<Value> {
    let yaml = must(cluster, &["kustomize", &in_checkout(folder)], "");
    let documents = yaml.split("\n---\n");
    documents
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

fn words(value: &Value) -> Vec<&str> {
    let list = value.as_array().into_iter().flatten();
    list.map(|word| word.as_str().unwrap()).collect()
}

/// `verb resource`, of every role.
fn granted(objects: &[Value]) -> BTreeSet<String> {
    let rules = objects
        .iter()
        .flat_map(|object| object["rules"].as_array())
        .flatten();
    let each = |rule: &Value| -> Vec<String> {
        let verbs = words(&rule["verbs"]);
        let of = |resource: &&str| -> Vec<String> {
            verbs.iter().map(|verb| format!("{verb} {resource}")).collect()
        };
        words(&rule["resources"]).iter().flat_map(of).collect()
    };
    rules.flat_map(each).collect()
}

/// A process with the rights of the ServiceAccount in this namespace, as its pod would be.
fn start(cluster: &Cluster, namespace: &str, more: &[&str]) -> (Operator, String) {
    let kubeconfig = cluster.service_account(namespace, "quartermaster");
    let kubeconfig = kubeconfig.display().to_string();
    let ops = format!("127.0.0.1:{}", free_port());
    let arguments = [
        "run",
        "--leader-elect",
        "--kubeconfig",
        &kubeconfig,
        "--ops-listen",
        &ops,
    ];
    let program = Operator::start(&[&arguments[..], more].concat());
    eventually("it is ready", PATIENCE, || match operator::get(&ops, "/readyz") {
        Ok((200, report)) if report.contains("[+] watch Agent") => Some(()),
        Ok(_) | Err(_) => None,
    });
    (program, ops)
}

/// What is applied is what is in `crds/` and what the documents say; every right is used in the life of a small fleet.
#[test]
fn its_rights_are_enough_for_a_fleet_and_not_one_too_many() {
    real!(shared_cluster());
    let openclaw = real!(OpenClaw::start(Gateway::version("2026.9.6")));
    let cluster = real!(Cluster::start());
    must(&cluster, &["apply", "-k", &in_checkout("deploy")], "");
    must(
        &cluster,
        &[
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "-f",
            &in_checkout("crds"),
        ],
        "",
    );
    its_pod_may_run_where_pods_may_do_little(&cluster);
    let (program, _) = start(&cluster, "quartermaster-system", &[]);

    let kubectl = |arguments: &[&str]| must(&cluster, &[&["-n", "fleet"], arguments].concat(), "");
    let apply = |yaml: &str| must(&cluster, &["-n", "fleet", "apply", "-f", "-"], yaml);
    let until = |object: &str, reason: &str| {
        let said = || -> Value { serde_json::from_str(&kubectl(&["get", object, "-o", "json"])).unwrap() };
        let mut last = None;
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually("Ready", PATIENCE, || {
                last = condition_of(&said()["status"], "Ready");
                last.as_ref()
                    .is_some_and(|(truth, why, _)| truth == reason || why == reason)
                    .then_some(())
            });
        }));
        assert!(waited.is_ok(), "{object}: Ready is {last:?}\n{}", program.log());
    };
    must(&cluster, &["create", "namespace", "fleet"], "");
    let token = openclaw.token();
    apply(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: harbour-token}}\nstringData: {{token: {token}}}\n"
    ));
    let minimal = std::fs::read_to_string(in_checkout("examples/minimal/harbour.yaml")).unwrap();
    let url = "url: ws://gateway.local:18789\n";
    assert!(minimal.contains(url));
    apply(&minimal.replace(url, &format!("url: {}\n", openclaw.url())));
    until("ocagent/triage", "True");
    until("ocgw/harbour", "True");
    until("ocboard/ops", "True");
    kubectl(&[
        "patch",
        "ocagent",
        "triage",
        "--type=merge",
        "-p",
        "{\"spec\":{\"identity\":{\"tone\":\"calm\"}}}",
    ]);
    until("ocagent/triage", "True");

    // An errand that changes tokens, and is cleared away once it is over.
    let errand = "apiVersion: quartermaster.dev/v1alpha1\nkind: TemplateSync\nmetadata: {name: all}\n\
                  spec: {gatewayRef: {name: harbour}, rotateTokens: true, ttlSecondsAfterFinished: 0}\n";
    must(&cluster, &["-n", "fleet", "create", "-f", "-"], errand);
    eventually("the errand is over and cleared away", PATIENCE, || {
        kubectl(&["get", "ocsync", "-o", "name"])
            .trim()
            .is_empty()
            .then_some(())
    });
    let notes = kubectl(&[
        "get",
        "secret",
        "ocagent-triage-token",
        "-o",
        "jsonpath={.metadata.annotations}",
    ]);
    assert!(notes.contains("quartermaster.dev/rotation-sync"), "{notes}");

    // A reason that goes and comes again: its Event is counted up.
    let away = manifest(
        "away",
        "wss://127.0.0.1:1",
        "deletionPolicy: Delete\ncaBundleRef: {kind: ConfigMap, name: authority}",
    );
    apply(&away.replace("away-token", "harbour-token"));
    until("ocgw/away", "CaBundleNotFound");
    kubectl(&[
        "patch",
        "ocgw",
        "away",
        "--type=merge",
        "-p",
        "{\"spec\":{\"caBundleRef\":null}}",
    ]);
    until("ocgw/away", "ConnectionRefused");
    let again = "{\"spec\":{\"caBundleRef\":{\"kind\":\"ConfigMap\",\"name\":\"authority\"}}}";
    kubectl(&["patch", "ocgw", "away", "--type=merge", "-p", again]);
    until("ocgw/away", "CaBundleNotFound");

    // As if it had asked for a device: the key goes with a Gateway that is to leave nothing.
    apply(
        &json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": { "key": "none" },
            "metadata": { "name": "ocgw-away-device", "labels": {
                "app.kubernetes.io/managed-by": "quartermaster", "quartermaster.dev/gateway": "away" } },
        })
        .to_string(),
    );
    kubectl(&["annotate", "ocgw", "away", "quartermaster.dev/force-delete=true"]);
    // The main agent is the Gateway's own to delete.
    kubectl(&[
        "delete",
        "--wait=false",
        "ocgw/harbour",
        "ocgw/away",
        "ocboard/ops",
        "ocagent/triage",
    ]);
    let mut left = String::new();
    let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("all of it is gone", PATIENCE, || {
            left = kubectl(&["get", "ocgw,ocboard,ocagent", "-o", "name"]);
            left.trim().is_empty().then_some(())
        });
    }));
    assert!(waited.is_ok(), "left: {left}\n{}", program.log());
    assert_eq!(program.stop_with_term().0, 0, "{}", program.log());

    let mut granted = granted(&built(&cluster, "deploy"));
    let count = granted.len();
    // Read anew only where somebody else writes between our reading and our finalizer.
    for right in ["get gateways", "get boards", "get agents"] {
        assert!(granted.remove(right), "{right}");
    }
    let user = "system:serviceaccount:quartermaster-system:quartermaster";
    let unused = || -> Vec<String> {
        let ours = cluster.audit().into_iter();
        let used: BTreeSet<String> = ours
            .filter(|event| event.user == user && event.code != 403)
            .map(|event| match (event.verb.as_str(), event.subresource.as_str()) {
                // An apply of what was not there: the API server has asked for `create` besides.
                ("patch", "") if event.code == 201 => format!("create {}", event.resource),
                (verb, "") => format!("{verb} {}", event.resource),
                (verb, sub) => format!("{verb} {}/{sub}", event.resource),
            })
            .collect();
        granted.difference(&used).cloned().collect()
    };
    let mut left = unused();
    let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("every right is used", 120, || {
            left = unused();
            left.is_empty().then_some(())
        });
    }));
    assert!(waited.is_ok(), "granted and not used: {left:?}");
    nothing_refused(&cluster.audit(), user);
    evidence::record(
        "deploy",
        "rights granted and used, none refused",
        count as u64,
        "deploy/",
    );
}

/// Its namespace enforces the restricted standard: a pod made of the template is let in, as any other is not.
fn its_pod_may_run_where_pods_may_do_little(cluster: &Cluster) {
    let objects = built(cluster, "deploy");
    let deployment = objects
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    let namespace = "quartermaster-system";
    assert_eq!(deployment["metadata"]["namespace"], namespace);
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "one", "namespace": namespace },
        "spec": deployment["spec"]["template"]["spec"],
    });
    let create = ["create", "--dry-run=server", "-f", "-"];
    must(cluster, &create, &pod.to_string());
    pod["spec"]["securityContext"]["runAsNonRoot"] = json!(false);
    let refused = cluster.kubectl_with_input(&create, &pod.to_string());
    assert!(
        !refused.ok && refused.stderr.contains("restricted"),
        "{}",
        refused.stderr
    );
}

/// Rights in one namespace are enough for that one, and are none elsewhere.
#[test]
fn for_one_namespace_no_right_reaches_beyond_it() {
    let cluster = real!(shared_cluster());
    crate::schema::install(cluster);
    let namespace = cluster.namespace("apart");
    let name = namespace.name();
    for mut object in built(cluster, "deploy/namespaced") {
        let kind = object["kind"].as_str().unwrap().to_owned();
        assert!(
            !kind.starts_with("Cluster") && kind != "Namespace",
            "{kind} is not a namespace's own"
        );
        assert_eq!(object["metadata"]["namespace"], "quartermaster", "{kind}");
        object["metadata"]["namespace"] = json!(name);
        for subject in object["subjects"].as_array_mut().into_iter().flatten() {
            assert_eq!(subject["namespace"], "quartermaster");
            subject["namespace"] = json!(name);
        }
        must(cluster, &["apply", "-f", "-"], &object.to_string());
    }
    let objects = built(cluster, "deploy/namespaced");
    assert_eq!(
        granted(&objects),
        granted(&built(cluster, "deploy")),
        "the same rights"
    );
    let deployment = objects
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    let environment = &deployment["spec"]["template"]["spec"]["containers"][0]["env"][0];
    assert_eq!(environment["name"], "QUARTERMASTER_NAMESPACE");
    assert_eq!(
        environment["valueFrom"]["fieldRef"]["fieldPath"],
        "metadata.namespace"
    );

    let (program, _) = start(cluster, name, &["--namespace", name]);
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: harbour-token}\nstringData: {token: some}\n---\n";
    let gateway = manifest("harbour", "ws://127.0.0.1:1", "");
    must(
        cluster,
        &["-n", name, "apply", "-f", "-"],
        &format!("{secret}{gateway}"),
    );
    eventually("it works", PATIENCE, || {
        let said = must(cluster, &["-n", name, "get", "ocgw", "harbour", "-o", "json"], "");
        let said: Value = serde_json::from_str(&said).unwrap();
        let ready = condition_of(&said["status"], "Ready");
        ready
            .is_some_and(|(_, reason, _)| reason == "ConnectionRefused")
            .then_some(())
    });
    let user = format!("system:serviceaccount:{name}:quartermaster");
    let may = |right: &[&str]| {
        let asked = [&["auth", "can-i", "--as", &user][..], right].concat();
        cluster.kubectl(&asked).stdout.trim() == "yes"
    };
    assert!(may(&["get", "secrets", "-n", name]));
    for right in [
        &["get", "secrets", "-n", "default"][..],
        &["list", "gateways.quartermaster.dev", "-n", "default"],
        &["get", "customresourcedefinitions.apiextensions.k8s.io"],
        &["update", "secrets", "-n", name],
        &["create", "pods", "-n", name],
    ] {
        assert!(!may(right), "{right:?}");
    }
    assert_eq!(program.stop_with_term().0, 0, "{}", program.log());
    nothing_refused(&cluster.audit(), &user);
}
