//! The operator is killed, stopped, started again, started twice.

use std::collections::BTreeSet;

use super::Line;
use crate::bed::{Gateway, OpenClaw, eventually, evidence, shared_cluster};

/// Ten refused tokens lock an address out: a crash loop must not spend one at each start.
#[test]
fn a_refused_token_is_remembered_by_the_next_process() {
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version("2026.9.6")));
    let mut line = Line::start(cluster, "remember");
    line.token("harbour", "wrong");
    line.gateway("harbour", &gateway.url(), "");
    line.until("harbour", "Authenticated", "False", "TokenRefused");
    assert_eq!(line.refused_connects(), 1.0);
    line.operator.kill();
    line.start_operator_again();
    line.annotate("harbour", "example.org/wakes=a-pass");
    eventually("a pass of the new process", 20, || {
        let passes = "controller_runtime_reconcile_total{controller=\"gateway\",result=\"success\"}";
        (line.metric(passes) >= 3.0).then_some(())
    });
    line.until("harbour", "Authenticated", "False", "TokenRefused");
    assert_eq!(line.refused_connects(), 0.0, "the new process spent a try");

    line.annotate("harbour", "quartermaster.dev/reconcile-at=now");
    eventually("the request is answered", 20, || {
        (line.status("harbour")["lastHandledRequest"] == "now").then_some(())
    });
    assert_eq!(line.refused_connects(), 1.0, "on request it is tried once more");
    line.token("harbour", gateway.token());
    line.until_connected("harbour");
    evidence::record(
        "thin line",
        "tries spent on a refused token by a new process",
        0,
        "",
    );
}

#[test]
fn sigterm_ends_it_in_order_and_the_status_stays_whole() {
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version("2026.9.6")));
    let line = Line::start(cluster, "term");
    line.token("harbour", gateway.token());
    for name in ["harbour", "second", "third"] {
        line.gateway(name, &gateway.url(), "");
        line.patch(name, "{\"tokenSecretRef\":{\"name\":\"harbour-token\"}}");
        line.until_connected(name);
    }
    let before = line.status("harbour");
    let (code, took) = line.operator.stop_with_term();
    // The operator itself gives up with another code when it cannot stop in order within 5 s.
    assert_eq!(code, 0, "after {took:?}\n{}", line.operator.log());
    assert!(line.operator.log().contains("stopped"), "{}", line.operator.log());
    assert_eq!(
        line.status("harbour"),
        before,
        "nothing was written on the way out"
    );
    evidence::record(
        "thin line",
        "SIGTERM with three open gateways: exit 0",
        1,
        &format!("{} ms", took.as_millis()),
    );
}

#[test]
fn of_two_operators_one_acts_and_the_other_takes_over() {
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version("2026.9.6")));
    let line = Line::start_with(cluster, "lease", &[]);
    allow_the_lease(&line);
    // The first operator of this line runs without a lease; it makes room for two that ask for it.
    assert_eq!(line.operator.stop_with_term().0, 0);
    let elected = || {
        let mut arguments: Vec<String> = line.arguments.clone();
        let ops = format!("127.0.0.1:{}", crate::bed::free_port());
        *arguments.last_mut().unwrap() = ops;
        arguments.push("--leader-elect".to_owned());
        super::run(&arguments)
    };
    let leads = |operator: &crate::bed::Operator| operator.log().contains("watching");
    let first = elected();
    eventually("the first leads", 30, || leads(&first).then_some(()));
    let second = elected();
    line.token("harbour", gateway.token());
    line.gateway("harbour", &gateway.url(), "");
    line.until_connected("harbour");
    assert!(!leads(&second), "two lead at once");
    first.kill();
    eventually("the second takes over from a dead one", 60, || {
        leads(&second).then_some(())
    });
    let third = elected();
    assert_eq!(second.stop_with_term().0, 0);
    eventually("the third takes over from one that left in order", 60, || {
        leads(&third).then_some(())
    });
    evidence::record("thin line", "the lease changes hands", 2, "killed, stopped");
}

fn allow_the_lease(line: &Line<'_>) {
    let namespace = line.namespace.name();
    let account = format!("--serviceaccount={namespace}:quartermaster");
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/base/rbac.yaml");
    let deployed = std::fs::read_to_string(file).unwrap();
    let role = deployed
        .split("---\n")
        .find(|document| document.contains("name: quartermaster-lease") && document.contains("rules:"))
        .expect("deploy/base/rbac.yaml has the lease's Role")
        .replace(
            "namespace: quartermaster-system",
            &format!("namespace: {namespace}"),
        );
    line.apply(&role);
    line.must(&[
        "create",
        "rolebinding",
        "quartermaster-lease",
        "--role=quartermaster-lease",
        &account,
    ]);
}

/// What `deploy/base/rbac.yaml` grants is what is used, as the audit log has it: a right more is a right to misuse.
#[test]
fn every_right_that_is_granted_is_used() {
    let cluster = real!(shared_cluster());
    let line = Line::start_with(cluster, "rights", &[]);
    allow_the_lease(&line);
    assert_eq!(line.operator.stop_with_term().0, 0);
    let mut arguments = line.arguments.clone();
    arguments.push("--leader-elect".to_owned());
    let operator = super::run(&arguments);
    line.until_ready();
    line.token("harbour", "some-token");
    line.gateway(
        "harbour",
        "wss://127.0.0.1:1",
        "caBundleRef: {kind: ConfigMap, name: authority}",
    );
    line.until("harbour", "Ready", "False", "CaBundleNotFound");
    // The reason goes and comes again: an Event that repeats is patched.
    line.patch("harbour", "{\"caBundleRef\":null}");
    line.until("harbour", "Ready", "False", "ConnectionRefused");
    line.patch(
        "harbour",
        "{\"caBundleRef\":{\"kind\":\"ConfigMap\",\"name\":\"authority\"}}",
    );
    line.until("harbour", "Ready", "False", "CaBundleNotFound");
    let mut granted = granted();
    // Only a gateway across a network asks for a device: `network` shows that its key is written.
    assert!(granted.remove("create secrets"));
    assert!(granted.len() >= 10, "{granted:?}");
    let user = line.user();
    let unused = || -> Vec<String> {
        let used: BTreeSet<String> = cluster
            .audit()
            .into_iter()
            .filter(|event| event.user == user && event.code != 403)
            .map(|event| match event.subresource.as_str() {
                "" => format!("{} {}", event.verb, event.resource),
                sub => format!("{} {}/{sub}", event.verb, event.resource),
            })
            .collect();
        granted.difference(&used).cloned().collect()
    };
    // A watch is in the log when it ends: with its process, or after 60 s.
    let mut left = unused();
    let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("every right is used", 120, || {
            left = unused();
            left.is_empty().then_some(())
        });
    }));
    assert!(waited.is_ok(), "granted and not used: {left:?}");
    assert_eq!(operator.stop_with_term().0, 0);
    evidence::record(
        "thin line",
        "rights granted and used",
        granted.len() as u64,
        "deploy/base/rbac.yaml",
    );
}

/// `verb resource`, of the ClusterRole and the lease's Role.
fn granted() -> BTreeSet<String> {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/base/rbac.yaml");
    let deployed = std::fs::read_to_string(file).unwrap();
    let words = |line: &str, key: &str| -> Option<Vec<String>> {
        let list = line.trim().trim_start_matches("- ").strip_prefix(key)?;
        let list = list.trim().strip_prefix('[')?.strip_suffix(']')?;
        Some(list.split(',').map(|word| word.trim().to_owned()).collect())
    };
    let (mut resources, mut granted) = (Vec::new(), BTreeSet::new());
    for line in deployed.lines() {
        if let Some(these) = words(line, "resources:") {
            resources = these;
        }
        for verb in words(line, "verbs:").unwrap_or_default() {
            granted.extend(resources.iter().map(|resource| format!("{verb} {resource}")));
        }
    }
    granted
}
