//! Making metrics: each is registered, and described as docs/metrics.md has it.

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

pub(super) struct Making {
    pub(super) registry: Registry,
    pub(super) described: Vec<Described>,
}

/// A metric in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) name: String,
    /// counter, gauge or histogram
    pub(super) kind: &'static str,
    pub(super) labels: Vec<String>,
    pub(super) help: String,
}

impl Making {
    pub(super) fn new() -> Self {
        Self {
            registry: Registry::new(),
            described: Vec::new(),
        }
    }

    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.keep("counter", IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntGaugeVec> {
        self.keep("gauge", IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> prometheus::Result<HistogramVec> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.keep("histogram", HistogramVec::new(options, labels)?)
    }

    fn keep<M: Collector + Clone + 'static>(
        &mut self,
        kind: &'static str,
        metric: M,
    ) -> prometheus::Result<M> {
        self.registry.register(Box::new(metric.clone()))?;
        self.described
            .extend(metric.desc().into_iter().map(|desc| Described {
                name: desc.fq_name.clone(),
                kind,
                labels: desc.variable_labels.clone(),
                help: desc.help.clone(),
            }));
        Ok(metric)
    }
}
