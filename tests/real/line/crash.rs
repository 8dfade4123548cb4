//! The operator is killed, stopped, started again, started twice.

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

pub fn allow_the_lease(line: &Line<'_>) {
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
