//! Every metric, in one place. The first three carry controller-runtime's names, so that stock dashboards work.

use std::time::Instant;

use kube::runtime::reflector::ObjectRef;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::gateway::connection::Outcome;
use crate::resource::condition;
use crate::resource::gateway::{Gateway, GatewayStatus};

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
    left_behind: IntCounterVec,
}

/// A pass without I/O takes 0.1 ms, one with a few reads some 5 ms; beyond 10 s a deadline has struck.
const PASS_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

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
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        let counter = |name, help, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let gauge = |name, help, labels: &[&str]| {
            let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let buckets = PASS_BUCKETS.to_vec();
        let pass_seconds = HistogramVec::new(
            HistogramOpts::new(
                "controller_runtime_reconcile_time_seconds",
                "How long a pass took.",
            )
            .buckets(buckets),
            &["controller"],
        )?;
        registry.register(Box::new(pass_seconds.clone()))?;
        Ok(Self {
            passes: counter(
                "controller_runtime_reconcile_total",
                "Passes by kind and result.",
                &["controller", "result"],
            )?,
            pass_errors: counter(
                "controller_runtime_reconcile_errors_total",
                "Passes whose report could not be written.",
                &["controller"],
            )?,
            pass_seconds,
            api_writes: counter(
                "quartermaster_api_writes_total",
                "Writes to the API server by kind and verb.",
                &["kind", "verb"],
            )?,
            healthy: gauge(
                "quartermaster_healthy",
                "1 while a check of /readyz is good.",
                &["check"],
            )?,
            gateway_condition: gauge(
                "quartermaster_gateway_condition",
                "1 where a condition of a Gateway is True, 0 where it is False, -1 where it is Unknown.",
                &["namespace", "gateway", "condition"],
            )?,
            gateway_calls: counter(
                "quartermaster_gateway_rpc_total",
                "Calls to gateways by method and outcome.",
                &["method", "outcome"],
            )?,
            left_behind: counter(
                "quartermaster_left_behind_total",
                "Agents that were left in a gateway because nobody could clean up, by the kind that was let go.",
                &["kind"],
            )?,
            registry,
        })
    }

    /// Prometheus' text format.
    pub fn text(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
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

    pub fn wrote(&self, kind: &str, verb: &str) {
        self.api_writes.with_label_values(&[kind, verb]).inc();
    }

    /// An object was let go, and this many agents stay in its gateway.
    pub fn left_behind(&self, kind: &str, agents: usize) {
        let agents = u64::try_from(agents).unwrap_or(u64::MAX);
        self.left_behind.with_label_values(&[kind]).inc_by(agents);
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
