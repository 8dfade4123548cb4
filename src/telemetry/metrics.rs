//! Every metric, in one place. The first three carry controller-runtime's names, so that stock dashboards work.

use std::time::Instant;

use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::Store;
use prometheus::{Encoder, HistogramVec, IntCounterVec, IntGaugeVec, Registry, TextEncoder};

use super::agents::{AgentPass, Agents};
use super::registry::{Described, Making};
use crate::gateway::connection::Outcome;
use crate::resource::gateway::{Gateway, GatewayStatus};
use crate::resource::{Agent, condition};

#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    passes: IntCounterVec,
    pass_errors: IntCounterVec,
    pass_seconds: HistogramVec,
    api_writes: IntCounterVec,
    healthy: IntGaugeVec,
    gateway_condition: IntGaugeVec,
    gateway_calls: IntCounterVec,
    commit_changes: HistogramVec,
    left_behind: IntCounterVec,
    syncs: IntCounterVec,
    agents: Agents,
}

/// A pass without I/O takes 0.1 ms, one with a few reads some 5 ms; beyond 10 s a deadline has struck.
const PASS_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// At most a hundred go together.
const COMMIT_BUCKETS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// The conditions of a Gateway that are told as metrics.
const CONDITIONS: [&str; 5] = [
    condition::READY,
    condition::REACHABLE,
    condition::AUTHENTICATED,
    condition::PAIRED,
    condition::COMPATIBLE,
];

impl Metrics {
    pub fn new() -> prometheus::Result<Self> {
        let (metrics, _) = Self::described()?;
        Ok(metrics)
    }

    /// All of them, and all of them in words.
    fn described() -> prometheus::Result<(Self, Vec<Described>)> {
        let mut making = Making::new();
        #[cfg(target_os = "linux")]
        making.registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        let passes = making.counter(
            "controller_runtime_reconcile_total",
            "Passes by kind and result.",
            &["controller", "result"],
        )?;
        let pass_errors = making.counter(
            "controller_runtime_reconcile_errors_total",
            "Passes whose report could not be written.",
            &["controller"],
        )?;
        let pass_seconds = making.histogram(
            "controller_runtime_reconcile_time_seconds",
            "How long a pass took.",
            &["controller"],
            PASS_BUCKETS,
        )?;
        let api_writes = making.counter(
            "quartermaster_api_writes_total",
            "Writes to the API server by kind and verb.",
            &["kind", "verb"],
        )?;
        let healthy = making.gauge(
            "quartermaster_healthy",
            "1 while a check of /readyz is good.",
            &["check"],
        )?;
        let gateway_condition = making.gauge(
            "quartermaster_gateway_condition",
            "1 where a condition of a Gateway is True, 0 where it is False, -1 where it is Unknown.",
            &["namespace", "gateway", "condition"],
        )?;
        let gateway_calls = making.counter(
            "quartermaster_gateway_rpc_total",
            "Calls to gateways by method and outcome.",
            &["method", "outcome"],
        )?;
        let commit_changes = making.histogram(
            "quartermaster_commit_changes",
            "How many agents' entries one commit of a gateway's configuration has changed.",
            &[],
            COMMIT_BUCKETS,
        )?;
        let left_behind = making.counter(
            "quartermaster_left_behind_total",
            "Agents that were left in a gateway because nobody could clean up, by the kind that was let go.",
            &["kind"],
        )?;
        let syncs = making.counter(
            "quartermaster_template_syncs_total",
            "TemplateSyncs that have ended, by outcome (complete, failed or deadline_exceeded).",
            &["outcome"],
        )?;
        let agents = Agents::new(&mut making)?;
        let Making { registry, described } = making;
        let metrics = Self {
            registry,
            passes,
            pass_errors,
            pass_seconds,
            api_writes,
            healthy,
            gateway_condition,
            gateway_calls,
            commit_changes,
            left_behind,
            syncs,
            agents,
        };
        Ok((metrics, described))
    }

    /// Prometheus' text format.
    pub fn text(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        let families = self.agents.counted(|| self.registry.gather());
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
    }

    /// Counts and times one pass of the controller of that kind.
    pub async fn timed<T, E>(&self, kind: &str, pass: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let started = Instant::now();
        let result = pass.await;
        self.pass_seconds
            .with_label_values(&[kind])
            .observe(started.elapsed().as_secs_f64());
        let word = if result.is_ok() { "success" } else { "error" };
        self.passes.with_label_values(&[kind, word]).inc();
        if result.is_err() {
            self.pass_errors.with_label_values(&[kind]).inc();
        }
        result
    }

    /// These Agents are counted, too.
    pub fn count(&self, agents: Store<Agent>) {
        self.agents.of(agents);
    }

    pub fn agent(&self, pass: &AgentPass<'_>) {
        self.agents.pass(pass);
    }

    pub fn committed(&self, changes: usize) {
        #[expect(clippy::cast_precision_loss, reason = "at most a hundred")]
        self.commit_changes
            .with_label_values(&[] as &[&str])
            .observe(changes as f64);
    }

    pub fn left_behind(&self, kind: &str, agents: usize) {
        let agents = u64::try_from(agents).unwrap_or(u64::MAX);
        self.left_behind.with_label_values(&[kind]).inc_by(agents);
    }

    pub fn synced(&self, outcome: &str) {
        self.syncs.with_label_values(&[outcome]).inc();
    }

    pub fn wrote(&self, kind: &str, verb: &str) {
        self.api_writes.with_label_values(&[kind, verb]).inc();
    }

    /// Every check there is: one that is no longer there would otherwise stay as it was last.
    pub fn healthy(&self, checks: &[(String, bool)]) {
        self.healthy.reset();
        for (check, healthy) in checks {
            self.healthy.with_label_values(&[check]).set(i64::from(*healthy));
        }
    }

    pub fn gateway(&self, gateway: &Gateway, status: &GatewayStatus) {
        let key = ObjectRef::from_obj(gateway);
        for kind in CONDITIONS {
            let found = status.conditions.iter().find(|condition| condition.type_ == kind);
            let value = match found.map(|condition| condition.status.as_str()) {
                Some("True") => 1,
                Some("False") => 0,
                Some(_) | None => -1,
            };
            self.gateway_condition
                .with_label_values(&labels(&key, kind))
                .set(value);
        }
    }

    pub fn forget_gateway(&self, gateway: &ObjectRef<Gateway>) {
        for kind in CONDITIONS {
            // Never told of: nothing to forget.
            self.gateway_condition
                .remove_label_values(&labels(gateway, kind))
                .ok();
        }
        let namespace = gateway.namespace.as_deref().unwrap_or_default();
        self.agents.forget([namespace, &gateway.name]);
    }

    pub fn gateway_call(&self, method: &str, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Answered => "answered",
            Outcome::Refused => "refused",
            Outcome::Lost => "lost",
            Outcome::TimedOut => "timed_out",
        };
        self.gateway_calls.with_label_values(&[method, outcome]).inc();
    }
}

fn labels<'a>(gateway: &'a ObjectRef<Gateway>, condition: &'a str) -> [&'a str; 3] {
    [
        gateway.namespace.as_deref().unwrap_or_default(),
        gateway.name.as_str(),
        condition,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Prometheus would find them, were there no line about them in the documents.
    #[test]
    fn docs_metrics_md_has_every_metric_as_it_is() {
        let (_, described) = Metrics::described().unwrap();
        let mut rows: Vec<String> = described
            .into_iter()
            .map(
                |Described {
                     name,
                     kind,
                     mut labels,
                     help,
                 }| {
                    labels.sort();
                    format!("| `{name}` | {kind} | {} | {help} |", labels.join(", "))
                },
            )
            .collect();
        rows.sort();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let page = std::fs::read_to_string(path).unwrap();
        let mut told: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        told.sort_unstable();
        assert_eq!(told, rows, "docs/metrics.md should have\n{}", rows.join("\n"));
    }

    #[test]
    fn no_metric_has_a_label_without_a_bound() {
        let (_, described) = Metrics::described().unwrap();
        let bounded = [
            "namespace",
            "gateway",
            "phase",
            "condition",
            "status",
            "controller",
            "result",
            "kind",
            "verb",
            "check",
            "method",
            "outcome",
        ];
        for metric in described {
            for label in &metric.labels {
                assert!(bounded.contains(&label.as_str()), "{label} of {}", metric.name);
            }
        }
    }
}
