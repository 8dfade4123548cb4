//! The thin line through every room: a Gateway applied with kubectl to a real API server, by the operator as a process
//! with its own ServiceAccount, to a real gateway and back into the status.

mod control_ui;
mod crash;
mod door;
mod network;
mod reacts;
mod readme;
mod ready;
mod runs;
mod scopes;
mod tls;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use crate::bed::{Cluster, Namespace, Operator, Spoken, eventually, free_port, operator};
use crate::schema;

/// A namespace with an operator that sees it and nothing else.
pub struct Line<'a> {
    // Dropped first: an operator outliving its namespace would complain about it.
    pub operator: Operator,
    pub namespace: Namespace<'a>,
    pub cluster: &'a Cluster,
    arguments: Vec<String>,
    ops: String,
}

impl<'a> Line<'a> {
    pub fn start(cluster: &'a Cluster, prefix: &str) -> Self {
        Self::start_with(cluster, prefix, &[])
    }

    /// `more`: further arguments of `quartermaster run`.
    pub fn start_with(cluster: &'a Cluster, prefix: &str, more: &[&str]) -> Self {
        schema::install(cluster);
        permissions(cluster);
        let namespace = cluster.namespace(prefix);
        bind(cluster, namespace.name());
        let kubeconfig = cluster.service_account(namespace.name(), "quartermaster");
        let ops = format!("127.0.0.1:{}", free_port());
        let mut arguments = vec![
            "run".to_owned(),
            "--kubeconfig".to_owned(),
            kubeconfig.display().to_string(),
            "--namespace".to_owned(),
            namespace.name().to_owned(),
            "--ops-listen".to_owned(),
            ops.clone(),
        ];
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        let operator = run(&arguments);
        let line = Self {
            operator,
            namespace,
            cluster,
            arguments,
            ops,
        };
        line.until_ready();
        line
    }

    fn until_ready(&self) {
        eventually("the operator says that it is ready", 30, || {
            matches!(operator::get(&self.ops, "/readyz"), Ok((200, _))).then_some(())
        });
    }

    /// The same operator as a new process, after the old one has ended.
    pub fn start_operator_again(&mut self) {
        self.start_operator_without_waiting();
        self.until_ready();
    }

    pub fn start_operator_without_waiting(&mut self) {
        assert!(!self.operator.process().is_alive());
        self.operator = run(&self.arguments);
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Spoken {
        self.cluster
            .kubectl(&[&["-n", self.namespace.name()], arguments].concat())
    }

    /// kubectl that must succeed.
    pub fn must(&self, arguments: &[&str]) -> String {
        let Spoken {
            ok, stdout, stderr, ..
        } = self.kubectl(arguments);
        assert!(ok, "kubectl {}: {stderr}", arguments.join(" "));
        stdout
    }

    pub fn apply(&self, yaml: &str) {
        let applied = self
            .cluster
            .kubectl_with_input(&["-n", self.namespace.name(), "apply", "-f", "-"], yaml);
        assert!(applied.ok, "{}\n{yaml}", applied.stderr);
    }

    /// Writes the Secret `<name>-token`, which `gateway` refers to.
    pub fn token(&self, name: &str, token: &str) {
        self.apply(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}-token}}\nstringData: {{token: {token}}}\n"
        ));
    }

    /// Writes a Gateway; `more` are further lines of its spec.
    pub fn gateway(&self, name: &str, url: &str, more: &str) {
        self.apply(&manifest(name, url, more));
    }

    pub fn patch(&self, name: &str, spec: &str) {
        self.must(&[
            "patch",
            "ocgw",
            name,
            "--type=merge",
            "-p",
            &format!("{{\"spec\":{spec}}}"),
        ]);
    }

    pub fn annotate(&self, name: &str, annotation: &str) {
        self.must(&["annotate", "--overwrite", "ocgw", name, annotation]);
    }

    pub fn read(&self, name: &str) -> Value {
        serde_json::from_str(&self.must(&["get", "ocgw", name, "-o", "json"])).unwrap()
    }

    pub fn status(&self, name: &str) -> Value {
        self.read(name)["status"].take()
    }

    /// A condition as (status, reason, message); None while it is absent.
    pub fn condition(&self, name: &str, kind: &str) -> Option<(String, String, String)> {
        condition_of(&self.status(name), kind)
    }

    /// Waits until a condition has this status and reason, and gives its message.
    pub fn until(&self, name: &str, kind: &str, status: &str, reason: &str) -> String {
        let mut seen = None;
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually("the condition", 90, || {
                let found = self.condition(name, kind);
                let so = found
                    .as_ref()
                    .is_some_and(|(is, why, _)| is == status && why == reason);
                seen.clone_from(&found);
                so.then(|| found.unwrap_or_default().2)
            })
        }));
        waited.unwrap_or_else(|_| {
            panic!(
                "{name}: {kind} never became {status}/{reason}; it is {seen:?}\n{}",
                self.operator.log()
            )
        })
    }

    pub fn until_connected(&self, name: &str) {
        self.until(name, "Ready", "True", "Connected");
    }

    /// The reasons of the Events about a Gateway, each once.
    pub fn events(&self, name: &str) -> Vec<String> {
        let field = format!("regarding.name={name}");
        let path = "-o=jsonpath={range .items[*]}{.reason}{\"\\n\"}{end}";
        let said = self.must(&["get", "events.events.k8s.io", "--field-selector", &field, path]);
        let mut reasons: Vec<String> = said.lines().map(str::to_owned).collect();
        reasons.sort();
        reasons.dedup();
        reasons
    }

    /// How often each reason was told of a Gateway: an Event that was repeated is one object with a series.
    pub fn told(&self, name: &str) -> BTreeMap<String, u64> {
        let field = format!("regarding.name={name}");
        let said = self.must(&[
            "get",
            "events.events.k8s.io",
            "--field-selector",
            &field,
            "-o=json",
        ]);
        let said: Value = serde_json::from_str(&said).unwrap();
        let mut told = BTreeMap::new();
        for event in said["items"].as_array().unwrap() {
            let reason = event["reason"].as_str().unwrap_or_default().to_owned();
            *told.entry(reason).or_default() += event["series"]["count"].as_u64().unwrap_or(1);
        }
        told
    }

    /// A series of `/metrics`, zero where it is absent.
    pub fn metric(&self, series: &str) -> f64 {
        self.metrics().get(series).copied().unwrap_or_default()
    }

    /// How many passes of the Gateway controller have ended well.
    pub fn passes(&self) -> f64 {
        self.metric("controller_runtime_reconcile_total{controller=\"gateway\",result=\"success\"}")
    }

    pub fn metrics(&self) -> BTreeMap<String, f64> {
        operator::metrics(&self.ops).unwrap()
    }

    pub fn ops(&self, path: &str) -> (u16, String) {
        operator::get(&self.ops, path).unwrap()
    }

    /// How often a connection was tried and not let in.
    pub fn refused_connects(&self) -> f64 {
        self.metric("quartermaster_gateway_rpc_total{method=\"connect\",outcome=\"refused\"}")
    }

    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:quartermaster", self.namespace.name())
    }
}

/// A Gateway that takes its token from the Secret `<name>-token`.
pub fn manifest(name: &str, url: &str, more: &str) -> String {
    let more: String = more.lines().map(|line| format!("  {}\n", line.trim())).collect();
    format!(
        "apiVersion: quartermaster.dev/v1alpha1\nkind: Gateway\nmetadata: {{name: {name}}}\nspec:\n  url: {url}\n  \
         workspaceRoot: ~/.openclaw\n  tokenSecretRef: {{name: {name}-token}}\n{more}"
    )
}

pub fn condition_of(status: &Value, kind: &str) -> Option<(String, String, String)> {
    let found = status["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)?;
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}

fn run(arguments: &[String]) -> Operator {
    Operator::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Exactly what `deploy/` grants, once for each cluster.
pub fn permissions(cluster: &Cluster) {
    static GRANTED: OnceLock<()> = OnceLock::new();
    GRANTED.get_or_init(|| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        let file = file.display().to_string();
        let applied = cluster.kubectl(&["apply", "--server-side", "-k", &file]);
        assert!(applied.ok, "{}", applied.stderr);
    });
}

/// The operator's ServiceAccount may in this namespace what `deploy/` allows it, and nothing elsewhere.
fn bind(cluster: &Cluster, namespace: &str) {
    let account = format!("--serviceaccount={namespace}:quartermaster");
    let bound = cluster.kubectl(&[
        "-n",
        namespace,
        "create",
        "rolebinding",
        "quartermaster",
        "--clusterrole=quartermaster",
        &account,
    ]);
    assert!(bound.ok, "{}", bound.stderr);
}
