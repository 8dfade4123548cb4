//! What one run stands on: a namespace with an operator as a process, and a gateway that has just started for the first time.

use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt};
use quartermaster::resource::{Agent, Board, Gateway};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::bed::{
    self, AuditEvent, Cluster, Missing, Namespace, OpenClaw, Operator, eventually, free_port, operator,
};
use crate::calls::Calls;

const VERSION: &str = "2026.9.6";

/// One cluster for all runs: a kube-apiserver that has just started has work of its own for half a minute.
pub struct Kubernetes<'a> {
    pub cluster: &'a Cluster,
    pub runtime: &'a Runtime,
    pub client: Client,
}

pub struct Stage<'a> {
    pub operator: Operator,
    pub gateway: OpenClaw,
    pub kubernetes: &'a Kubernetes<'a>,
    pub namespace: Namespace<'a>,
    ops: String,
}

/// It has work of its own after it has said hello.
const A_GATEWAYS_OWN: Duration = Duration::from_secs(3);

pub fn gateway() -> Result<OpenClaw, Missing> {
    let gateway = OpenClaw::start(bed::Gateway::version(VERSION))?;
    std::thread::sleep(A_GATEWAYS_OWN);
    Ok(gateway)
}

impl<'a> Kubernetes<'a> {
    /// With our definitions and what `deploy/` grants.
    pub fn prepare(cluster: &'a Cluster, runtime: &'a Runtime) -> Self {
        let folder = |name: &str| {
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(name)
                .display()
                .to_string()
        };
        let crds = folder("crds");
        for arguments in [
            &["apply", "--server-side", "-f", &crds][..],
            &[
                "wait",
                "--for=condition=Established",
                "--timeout=60s",
                "-f",
                &crds,
            ],
            &["apply", "--server-side", "-k", &folder("deploy")],
        ] {
            let said = cluster.kubectl(arguments);
            assert!(said.ok, "{}", said.stderr);
        }
        Self {
            cluster,
            runtime,
            client: runtime.block_on(cluster.client()),
        }
    }
}

impl<'a> Stage<'a> {
    /// `more`: further arguments of `quartermaster run`.
    pub fn set(kubernetes: &'a Kubernetes<'a>, more: &[&str]) -> Result<Self, Missing> {
        let gateway = gateway()?;
        let cluster = kubernetes.cluster;
        let namespace = cluster.namespace("fleet");
        bind(cluster, namespace.name());
        let kubeconfig = cluster.service_account(namespace.name(), "quartermaster");
        let (kubeconfig, ops) = (
            kubeconfig.display().to_string(),
            format!("127.0.0.1:{}", free_port()),
        );
        let run = [
            "run",
            "--kubeconfig",
            &kubeconfig,
            "--namespace",
            namespace.name(),
            "--ops-listen",
            &ops,
        ];
        let operator = Operator::start(&[&run[..], more].concat());
        eventually("the operator says that it is ready", 60, || {
            matches!(operator::get(&ops, "/readyz"), Ok((200, _))).then_some(())
        });
        Ok(Self {
            operator,
            gateway,
            kubernetes,
            namespace,
            ops,
        })
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.kubernetes.client.clone(), self.namespace.name())
    }

    /// How often the operator has called each method of the gateway.
    pub fn calls(&self) -> Calls {
        self.counted("quartermaster_gateway_rpc_total{method=\"")
    }

    /// How many passes each controller has made.
    pub fn passes(&self) -> Calls {
        self.counted("controller_runtime_reconcile_total{controller=\"")
    }

    /// By the value of the label that the series begin with.
    fn counted(&self, series: &str) -> Calls {
        let metrics = operator::metrics(&self.ops).unwrap();
        let mut counted = Calls::new();
        for (name, count) in &metrics {
            let rest = name.strip_prefix(series);
            if let Some((label, _)) = rest.and_then(|rest| rest.split_once('"')) {
                *counted.entry(label.to_owned()).or_default() += count;
            }
        }
        counted
    }

    /// What the operator has written, by the API server's own word. Renewals of the lease are none of it.
    pub fn api_writes(&self) -> Vec<AuditEvent> {
        let user = format!("system:serviceaccount:{}:quartermaster", self.namespace.name());
        let mut writes = self.kubernetes.cluster.writes_by(&user);
        writes.retain(|write| write.resource != "leases");
        writes
    }
}

/// The operator is ended first, and with it goes who takes off finalizers: they are taken off here, or the namespace would
/// stay for ever and be looked at for ever.
impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.operator.kill();
        let runtime = self.kubernetes.runtime;
        runtime.block_on(let_go(&self.api::<Agent>()));
        runtime.block_on(let_go(&self.api::<Board>()));
        runtime.block_on(let_go(&self.api::<Gateway>()));
    }
}

async fn let_go<K>(api: &Api<K>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let all = api.list(&ListParams::default()).await.unwrap();
    let (params, nothing) = (
        PatchParams::default(),
        Patch::Merge(json!({ "metadata": { "finalizers": null } })),
    );
    let names: Vec<String> = all.iter().map(ResourceExt::name_any).collect();
    for done in join_all(
        names
            .iter()
            .map(|name| api.patch_metadata(name, &params, &nothing)),
    )
    .await
    {
        done.unwrap();
    }
}

/// The operator's ServiceAccount may in this namespace what `deploy/` allows it, and hold the lease.
fn bind(cluster: &Cluster, namespace: &str) {
    let account = format!("--serviceaccount={namespace}:quartermaster");
    for arguments in [
        &[
            "rolebinding",
            "quartermaster",
            "--clusterrole=quartermaster",
            &account,
        ][..],
        &[
            "role",
            "lease",
            "--verb=create,get,update",
            "--resource=leases.coordination.k8s.io",
        ],
        &["rolebinding", "lease", "--role=lease", &account],
    ] {
        let said = cluster.kubectl(&[&["-n", namespace, "create"], arguments].concat());
        assert!(said.ok, "{}", said.stderr);
    }
}
