//! What metrics tell of agents: how many there are and how they are, and what is done for them. By gateway, never by name:
//! a fleet of ten thousand is a few dozen series.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::jiff::{Timestamp, Unit};
use kube::ResourceExt;
use kube::runtime::reflector::Store;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::registry::Making;
use crate::resource::agent::{AgentStatus, FileState, Phase};
use crate::resource::{Agent, condition};

#[derive(Clone)]
pub(super) struct Agents {
    phases: IntGaugeVec,
    conditions: IntGaugeVec,
    oldest_token: IntGaugeVec,
    written: IntCounterVec,
    drifted: IntCounterVec,
    plan_actions: HistogramVec,
    ready_seconds: HistogramVec,
    /// All that there are: they are counted when somebody asks, so that no count can go astray.
    stores: Arc<Mutex<Vec<Store<Agent>>>>,
    awaited: Arc<Mutex<Awaited>>,
}

/// What a pass over an Agent came to.
pub struct AgentPass<'a> {
    /// As it was before.
    pub agent: &'a Agent,
    /// What it became.
    pub status: &'a AgentStatus,
    /// How many actions were planned.
    pub planned: usize,
    /// Files that were written and read back.
    pub written: usize,
    /// Those of them that somebody else had changed.
    pub corrected: usize,
    pub now: Timestamp,
}

const PHASES: [Phase; 9] = [
    Phase::Provisioning,
    Phase::Ready,
    Phase::Active,
    Phase::Idle,
    Phase::Offline,
    Phase::Paused,
    Phase::Retired,
    Phase::Deleting,
    Phase::Failed,
];

/// Most plans are empty; the first one of an agent has some twelve actions.
const PLAN_BUCKETS: &[f64] = &[0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0];

/// One agent takes 1 to 2 s on a 2026.9.6, a hundred 10 to 20 s; what must be waited for takes minutes.
const READY_BUCKETS: &[f64] = &[
    0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0,
];

impl Agents {
    pub(super) fn new(making: &mut Making) -> prometheus::Result<Self> {
        let place = ["namespace", "gateway"];
        Ok(Self {
            phases: making.gauge(
                "quartermaster_agents",
                "Agents by phase.",
                &["namespace", "gateway", "phase"],
            )?,
            conditions: making.gauge(
                "quartermaster_agent_conditions",
                "Agents that have a condition with this status (True, False or Unknown).",
                &["namespace", "gateway", "condition", "status"],
            )?,
            oldest_token: making.gauge(
                "quartermaster_agent_oldest_token_timestamp_seconds",
                "When the oldest agent token came into force, in seconds since 1970.",
                &place,
            )?,
            written: making.counter(
                "quartermaster_files_written_total",
                "Files of agents that were written and read back.",
                &place,
            )?,
            drifted: making.counter(
                "quartermaster_files_drifted_total",
                "Files of agents that somebody else was found to have changed, put right or not.",
                &place,
            )?,
            plan_actions: making.histogram(
                "quartermaster_plan_actions",
                "How many actions a pass over an Agent has planned.",
                &[],
                PLAN_BUCKETS,
            )?,
            ready_seconds: making.histogram(
                "quartermaster_agent_ready_seconds",
                "From an Agent's creation, or from when a change of its spec was seen, until it was Ready. Not counted where \
                 the operator was started in between.",
                &place,
                READY_BUCKETS,
            )?,
            stores: Arc::default(),
            awaited: Arc::default(),
        })
    }

    pub(super) fn of(&self, store: Store<Agent>) {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.push(store);
    }

    pub(super) fn pass(&self, pass: &AgentPass<'_>) {
        let AgentPass {
            agent,
            status,
            planned,
            written,
            corrected,
            now,
        } = pass;
        let namespace = agent.namespace().unwrap_or_default();
        let place = [namespace.as_str(), status.gateway.as_deref().unwrap_or_default()];
        #[expect(
            clippy::cast_precision_loss,
            reason = "a plan of 2^52 actions will not fit into memory"
        )]
        self.plan_actions
            .with_label_values(&[] as &[&str])
            .observe(*planned as f64);
        let drifted = corrected + newly_drifted(agent.status.as_ref(), status);
        for (counter, count) in [(&self.written, *written), (&self.drifted, drifted)] {
            if count > 0 {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                counter.with_label_values(&place).inc_by(count);
            }
        }
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seconds) = awaited.pass(agent, status, *now) {
            self.ready_seconds.with_label_values(&place).observe(seconds);
        }
    }

    /// The Gateway is gone: what happened in it is nobody's any more.
    pub(super) fn forget(&self, place: [&str; 2]) {
        // An error means that there was none.
        self.written.remove_label_values(&place).ok();
        self.drifted.remove_label_values(&place).ok();
        self.ready_seconds.remove_label_values(&place).ok();
    }

    /// Whoever is counted stays so until the answer is written: `answer` is called meanwhile.
    pub(super) fn counted<T>(&self, answer: impl FnOnce() -> T) -> T {
        // Of two that ask at once one would find the counts half made.
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<Arc<Agent>> = stores.iter().flat_map(Store::state).collect();
        if !stores.is_empty() {
            let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
            awaited.keep(&all);
        }
        self.phases.reset();
        self.conditions.reset();
        self.oldest_token.reset();
        for ((namespace, gateway), count) in census(&all) {
            for (phase, agents) in count.phases {
                let labels = [namespace.as_str(), gateway.as_str(), word(phase)];
                self.phases.with_label_values(&labels).set(agents);
            }
            if let Some(since) = count.oldest_token {
                let labels = [namespace.as_str(), gateway.as_str()];
                self.oldest_token
                    .with_label_values(&labels)
                    .set(since.as_second());
            }
            for ((condition, status), agents) in count.conditions {
                let labels = [namespace.as_str(), gateway.as_str(), condition, status];
                self.conditions.with_label_values(&labels).set(agents);
            }
        }
        answer()
    }
}

/// Of one gateway. What nobody is has a zero, so that an alert on it finds something to compare.
struct Count {
    phases: BTreeMap<Phase, i64>,
    conditions: BTreeMap<(&'static str, &'static str), i64>,
    oldest_token: Option<Timestamp>,
}

/// By namespace and gateway; those that lead to no gateway yet are counted under none.
fn census(agents: &[Arc<Agent>]) -> BTreeMap<(String, String), Count> {
    let mut places: BTreeMap<(String, String), Count> = BTreeMap::new();
    for agent in agents {
        let status = agent.status.as_ref();
        let gateway = status.and_then(|status| status.gateway.clone());
        let place = (agent.namespace().unwrap_or_default(), gateway.unwrap_or_default());
        let count = places.entry(place).or_insert_with(Count::nobody);
        let phase = status.and_then(|status| status.phase);
        *count
            .phases
            .entry(phase.unwrap_or(Phase::Provisioning))
            .or_default() += 1;
        let token = status.and_then(|status| status.token.as_ref());
        let since = token
            .and_then(|token| token.rotated_at.as_ref())
            .map(|since| since.0);
        count.oldest_token = count.oldest_token.into_iter().chain(since).min();
        for condition in status.iter().flat_map(|status| &status.conditions) {
            let known = count
                .conditions
                .iter_mut()
                .find(|((kind, truth), _)| *kind == condition.type_ && *truth == condition.status);
            if let Some((_, agents)) = known {
                *agents += 1;
            }
        }
    }
    places
}

impl Count {
    fn nobody() -> Self {
        let kinds = [
            condition::READY,
            condition::RECONCILING,
            condition::STALLED,
            condition::PROVISIONED,
            condition::FILES_IN_SYNC,
            condition::TOKEN_CURRENT,
            condition::WOKEN,
            condition::CHECKED_IN,
        ];
        let with_each_truth = |kind| ["True", "False", "Unknown"].map(|truth| ((kind, truth), 0));
        Self {
            phases: PHASES.into_iter().map(|phase| (phase, 0)).collect(),
            conditions: kinds.into_iter().flat_map(with_each_truth).collect(),
            oldest_token: None,
        }
    }
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Provisioning => "Provisioning",
        Phase::Ready => "Ready",
        Phase::Active => "Active",
        Phase::Idle => "Idle",
        Phase::Offline => "Offline",
        Phase::Paused => "Paused",
        Phase::Retired => "Retired",
        Phase::Deleting => "Deleting",
        Phase::Failed => "Failed",
    }
}

/// Files that were found to differ, and are left so.
fn newly_drifted(before: Option<&AgentStatus>, now: &AgentStatus) -> usize {
    let drifted = |status: &AgentStatus| -> BTreeSet<String> {
        let files = status
            .files
            .iter()
            .filter(|file| file.state == FileState::Drifted);
        files.map(|file| file.name.clone()).collect()
    };
    let before = before.map(drifted).unwrap_or_default();
    drifted(now).difference(&before).count()
}

/// Since when agents are waited for to be Ready, by uid.
#[derive(Default)]
struct Awaited(HashMap<String, Since>);

struct Since {
    generation: Option<i64>,
    began: Timestamp,
}

impl Awaited {
    /// How long it took, where it is Ready now and was waited for.
    fn pass(&mut self, agent: &Agent, status: &AgentStatus, now: Timestamp) -> Option<f64> {
        let uid = agent.uid()?;
        let generation = agent.metadata.generation;
        let before = agent.status.as_ref();
        let is_new = before.and_then(|before| before.observed_generation) != generation;
        let is_known = self
            .0
            .get(&uid)
            .is_some_and(|since| since.generation == generation);
        if is_new && !is_known {
            let created = agent.metadata.creation_timestamp.as_ref().map(|time| time.0);
            let began = match before {
                None => created.unwrap_or(now),
                Some(_) => now,
            };
            self.0.insert(uid.clone(), Since { generation, began });
        }
        let is_ready = status
            .conditions
            .iter()
            .any(|it| it.type_ == condition::READY && it.status == "True");
        if !is_ready || status.observed_generation != generation {
            return None;
        }
        let since = self.0.remove(&uid)?;
        let seconds = (now - since.began).total(Unit::Second).unwrap_or_default();
        Some(seconds.max(0.0))
    }

    /// Whoever is gone is not waited for any more.
    fn keep(&mut self, agents: &[Arc<Agent>]) {
        let there: HashSet<String> = agents.iter().filter_map(|agent| agent.uid()).collect();
        self.0.retain(|uid, _| there.contains(uid));
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use kube::runtime::reflector::store;
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    #[expect(clippy::needless_pass_by_value, reason = "written down where it is called")]
    fn agent(name: &str, generation: i64, status: Option<serde_json::Value>) -> Agent {
        let mut agent: Agent = serde_json::from_value(json!({
            "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Agent",
            "metadata": { "name": name, "namespace": "fleet", "uid": name, "generation": generation },
            "spec": { "boardRef": { "name": "ops" } },
            "status": status,
        }))
        .unwrap();
        agent.metadata.creation_timestamp = Some(Time(at(0)));
        agent
    }

    fn status(generation: i64, ready: &str) -> serde_json::Value {
        json!({
            "observedGeneration": generation, "gateway": "harbour",
            "phase": if ready == "True" { "Ready" } else { "Provisioning" },
            "conditions": [{ "type": "Ready", "status": ready, "reason": "Some", "message": "",
                "lastTransitionTime": "2026-11-21T00:00:00Z" }],
        })
    }

    fn read(status: serde_json::Value) -> AgentStatus {
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn agents_are_counted_where_they_are_and_as_they_are() {
        let mut making = Making::new();
        let agents = Agents::new(&mut making).unwrap();
        let (store, mut writer) = store();
        for (name, status) in [
            ("one", Some(status(1, "True"))),
            ("two", Some(status(1, "True"))),
            ("three", Some(status(1, "False"))),
            ("four", None),
        ] {
            writer.apply_watcher_event(&Event::Apply(agent(name, 1, status)));
        }
        agents.of(store);
        let value = |gauge: &IntGaugeVec, labels: &[&str]| gauge.with_label_values(labels).get();
        let phase = |gateway, phase| value(&agents.phases, &["fleet", gateway, phase]);
        let ready = |truth| value(&agents.conditions, &["fleet", "harbour", "Ready", truth]);
        agents.counted(|| {
            assert_eq!(
                (phase("harbour", "Ready"), phase("harbour", "Provisioning")),
                (2, 1)
            );
            assert_eq!(phase("", "Provisioning"), 1, "one that leads to no gateway yet");
            assert_eq!((ready("True"), ready("False"), ready("Unknown")), (2, 1, 0));
        });
        writer.apply_watcher_event(&Event::Delete(agent("one", 1, None)));
        agents.counted(|| assert_eq!((phase("harbour", "Ready"), ready("True")), (1, 1)));
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&making.registry.gather())
            .unwrap();
        for name in ["one", "two", "three", "four"] {
            assert!(!text.contains(&format!("\"{name}\"")), "{name} is in\n{text}");
        }
    }

    #[test]
    fn what_is_found_changed_is_counted_once_and_what_is_put_right_too() {
        let agents = Agents::new(&mut Making::new()).unwrap();
        let with = |state: &str| {
            let mut status = status(1, "True");
            status["files"] =
                json!([{ "name": "SOUL.md", "state": state }, { "name": "USER.md", "state": "Seeded" }]);
            status
        };
        let steps = [
            ("InSync", "Drifted", 0, 1),
            ("Drifted", "Drifted", 0, 1),
            ("Drifted", "InSync", 1, 2),
            ("InSync", "Drifted", 0, 3),
        ];
        for (before, after, corrected, counted) in steps {
            agents.pass(&AgentPass {
                agent: &agent("one", 1, Some(with(before))),
                status: &read(with(after)),
                planned: 1,
                written: corrected,
                corrected,
                now: at(1),
            });
            let place = ["fleet", "harbour"];
            assert_eq!(
                agents.drifted.with_label_values(&place).get(),
                counted,
                "{before} {after}"
            );
        }
        assert_eq!(agents.written.with_label_values(&["fleet", "harbour"]).get(), 1);
        assert_eq!(
            agents
                .plan_actions
                .with_label_values(&[] as &[&str])
                .get_sample_count(),
            4
        );
    }

    #[test]
    fn from_creation_to_ready_and_from_a_change_to_ready() {
        let mut awaited = Awaited::default();
        let first = agent("one", 1, None);
        assert_eq!(awaited.pass(&first, &read(status(1, "False")), at(2)), None);
        let going = agent("one", 1, Some(status(1, "False")));
        assert_eq!(awaited.pass(&going, &read(status(1, "True")), at(7)), Some(7.0));
        let ready = agent("one", 1, Some(status(1, "True")));
        assert_eq!(awaited.pass(&ready, &read(status(1, "True")), at(9)), None);
        // An outage is no change.
        assert_eq!(awaited.pass(&ready, &read(status(1, "False")), at(10)), None);
        assert_eq!(awaited.pass(&going, &read(status(1, "True")), at(20)), None);
        // A change that is done within one pass, and one that takes a while.
        let changed = agent("one", 2, Some(status(1, "True")));
        assert_eq!(
            awaited.pass(&changed, &read(status(2, "True")), at(30)),
            Some(0.0)
        );
        let changed = agent("one", 3, Some(status(2, "True")));
        assert_eq!(awaited.pass(&changed, &read(status(3, "False")), at(40)), None);
        let again = agent("one", 4, Some(status(3, "False")));
        assert_eq!(awaited.pass(&again, &read(status(4, "False")), at(45)), None);
        let going = agent("one", 4, Some(status(4, "False")));
        assert_eq!(awaited.pass(&going, &read(status(4, "True")), at(50)), Some(5.0));
        assert!(awaited.0.is_empty());
    }

    #[test]
    fn who_is_gone_is_not_waited_for() {
        let mut awaited = Awaited::default();
        for name in ["one", "two"] {
            awaited.pass(&agent(name, 1, None), &read(status(1, "False")), at(2));
        }
        awaited.keep(&[Arc::new(agent("two", 1, None))]);
        assert_eq!(awaited.0.keys().collect::<Vec<_>>(), ["two"]);
    }
}
