//! What is told of a TemplateSync, in words and over several passes. Its agents are played.

use std::fmt::Write;
use std::sync::Arc;

use kube::ResourceExt;
use proptest::prelude::*;

use super::*;
use crate::desired;
use crate::fact::Fact;
use crate::resource::agent::{Role, SyncState, SyncStatus};
use crate::resource::reference::ObjectRef;
use crate::resource::{Agent, AgentSpec, Gateway, GatewaySpec, TemplateSync, TemplateSyncSpec};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A TemplateSync with its agents, over several passes.
struct Play {
    sync: TemplateSync,
    agents: Vec<Agent>,
    others: Vec<TemplateSync>,
    gateway: Fact<Arc<Gateway>>,
    news: Vec<News>,
}

impl Play {
    fn new(names: &[&str]) -> Self {
        let gateway_ref = ObjectRef {
            name: "harbour".into(),
        };
        let mut sync = TemplateSync::new(
            "now",
            TemplateSyncSpec {
                gateway_ref,
                ..TemplateSyncSpec::default()
            },
        );
        sync.metadata.uid = Some("s".into());
        sync.metadata.generation = Some(1);
        sync.metadata.creation_timestamp = Some(Time(at(0)));
        Self {
            sync,
            agents: names.iter().map(|name| agent(name, 0)).collect(),
            others: Vec::new(),
            gateway: Fact::Known(Arc::new(Gateway::new("harbour", GatewaySpec::default()))),
            news: Vec::new(),
        }
    }

    fn says(&mut self, name: &str, state: SyncState, words: &str) {
        let agent = self.agents.iter_mut().find(|agent| agent.name_any() == name);
        let status = agent.unwrap().status.get_or_insert_default();
        status.agent_id = Some(format!("mc-{name}"));
        status.syncs.retain(|said| said.uid != "s");
        status.syncs.push(SyncStatus {
            uid: "s".into(),
            name: "now".into(),
            state,
            error: (state == SyncState::Failed).then(|| words.to_owned()),
            plan: (state == SyncState::Planned).then(|| words.to_owned()),
            at: None,
        });
    }

    fn ready(&mut self, name: &str, truth: &str, message: &str) {
        let agent = self.agents.iter_mut().find(|agent| agent.name_any() == name);
        agent.unwrap().status.get_or_insert_default().conditions = vec![Condition {
            type_: "Ready".into(),
            status: truth.into(),
            reason: "Because".into(),
            message: message.into(),
            last_transition_time: Time(at(0)),
            observed_generation: None,
        }];
    }

    fn goes(&mut self, name: &str) {
        self.agents.retain(|agent| agent.name_any() != name);
    }

    fn report(&self, now: Timestamp) -> Report {
        let sync = Arc::new(self.sync.clone());
        let mut syncs: Vec<_> = self.others.iter().cloned().map(Arc::new).collect();
        syncs.push(Arc::clone(&sync));
        let snapshot = Snapshot {
            sync,
            gateway: self.gateway.clone(),
            board: None,
            agents: self.agents.iter().cloned().map(Arc::new).collect(),
            syncs,
        };
        of(&snapshot, &desired::template_sync::of(&snapshot), now)
    }

    fn pass(&mut self, second: i64) -> Report {
        let report = self.report(at(second));
        self.sync.status = Some(report.status.clone());
        self.news.extend(report.news.clone());
        report
    }

    fn status(&self) -> &TemplateSyncStatus {
        self.sync.status.as_ref().unwrap()
    }

    fn message(&self) -> &str {
        &self.status().conditions[0].message
    }

    /// The conditions, the numbers, and what was news since the last time.
    fn told(&mut self) -> String {
        let status = self.sync.status.clone().unwrap();
        let mut text = String::new();
        for found in &status.conditions {
            writeln!(
                text,
                "{}={} {}: {}",
                found.type_, found.status, found.reason, found.message
            )
            .unwrap();
        }
        writeln!(
            text,
            "{:?} selected {:?} synced {:?} errors {:?}",
            status.phase.unwrap(),
            status.total_selected,
            status.total_synced,
            status.total_errors
        )
        .unwrap();
        for one in &status.synced {
            writeln!(text, "  {} {} {}", one.agent_id, one.name, one.status).unwrap();
        }
        for one in &status.errors {
            writeln!(text, "  {:?} {}: {}", one.agent_id, one.agent_name, one.error).unwrap();
        }
        for one in &status.plans {
            writeln!(text, "  {:?} {}: {}", one.agent_id, one.name, one.plan).unwrap();
        }
        for one in self.news.drain(..) {
            let how = if one.warning { "Warning" } else { "Normal" };
            writeln!(text, "{how} {}: {}", one.reason, one.note).unwrap();
        }
        text
    }
}

fn agent(name: &str, second: i64) -> Agent {
    let mut agent = Agent::new(
        name,
        AgentSpec {
            role: Role::Worker,
            ..AgentSpec::default()
        },
    );
    agent.metadata.creation_timestamp = Some(Time(at(second)));
    agent
}

fn has(status: &TemplateSyncStatus, kind: &str) -> bool {
    status
        .conditions
        .iter()
        .any(|found| found.type_ == kind && found.status == "True")
}

#[test]
fn from_its_start_to_its_end() {
    let mut play = Play::new(&["scribe", "triage"]);
    play.sync.spec.overwrite = true;
    play.sync.spec.rotate_tokens = true;
    play.agents.push(agent("young", 1));
    let mut story = String::new();
    let mut tell = |title: &str, play: &mut Play| write!(story, "# {title}\n{}\n", play.told()).unwrap();
    play.pass(1);
    tell("it begins", &mut play);
    play.says("scribe", SyncState::Running, "");
    play.says("triage", SyncState::Updated, "");
    play.pass(2);
    tell("one is done", &mut play);
    play.says("scribe", SyncState::Unchanged, "");
    play.pass(3);
    tell("all are done", &mut play);
    insta::assert_snapshot!(story);
    let status = play.status();
    assert_eq!(status.started_at, Some(Time(at(1))));
    assert_eq!(status.finished_at, Some(Time(at(3))));
}

#[test]
fn every_ending_in_words() {
    let mut story = String::new();
    let mut tell = |title: &str, mut play: Play| write!(story, "# {title}\n{}\n", play.told()).unwrap();

    let mut play = Play::new(&[]);
    play.agents.push(agent("young", 1));
    play.sync.spec.lead_only = true;
    play.sync.spec.include_main = false;
    play.sync.spec.board_ref = Some(ObjectRef { name: "ops".into() });
    play.pass(1);
    tell("nothing is selected", play);

    let mut play = Play::new(&["scribe", "triage"]);
    play.says("scribe", SyncState::Updated, "");
    play.says(
        "triage",
        SyncState::Failed,
        "unable to read AUTH_TOKEN from TOOLS.md",
    );
    play.pass(1);
    tell("one failed, and both were faster than we", play);

    let mut play = Play::new(&["asleep", "begun", "lost", "scribe", "silent"]);
    play.says("scribe", SyncState::Updated, "");
    play.ready("asleep", "False", "its gateway is away: connection refused");
    play.ready("begun", "True", "all is well");
    play.says("begun", SyncState::Running, "");
    play.ready("silent", "True", "all is well");
    play.pass(1);
    play.goes("lost");
    play.pass(600);
    play.told();
    play.pass(601);
    tell("time is over", play);

    let mut play = Play::new(&["scribe"]);
    play.gateway = Fact::Absent;
    play.pass(1);
    play.news.clear();
    tell("its Gateway is missing", play);
    let mut play = Play::new(&["scribe"]);
    play.gateway = Fact::Absent;
    play.pass(1);
    play.pass(601);
    tell("its Gateway is missing to the end", play);

    let mut play = Play::new(&["scribe", "triage"]);
    play.sync.spec.dry_run = true;
    play.says("scribe", SyncState::Planned, "~ SOUL.md (+1 -1)");
    play.says("triage", SyncState::Unchanged, "");
    play.pass(1);
    tell("a dry run", play);

    let mut play = Play::new(&["scribe"]);
    play.others = (0..8)
        .map(|number| {
            let mut other = play.sync.clone();
            other.metadata.uid = Some(format!("other-{number}"));
            other.metadata.creation_timestamp = Some(Time(at(-1)));
            other
        })
        .collect();
    play.pass(1);
    tell("others come first", play);
    insta::assert_snapshot!(story);
}

#[test]
fn its_turn_begins_its_time() {
    let mut play = Play::new(&["scribe"]);
    let mut other = play.sync.clone();
    other.metadata.creation_timestamp = Some(Time(at(-1)));
    play.others = vec![other; 8];
    for (number, other) in play.others.iter_mut().enumerate() {
        other.metadata.uid = Some(format!("other-{number}"));
    }
    assert_eq!(play.pass(1).look_again, None);
    // However long it waits for its turn.
    assert_eq!(play.pass(5_000).ended, None);
    assert_eq!(play.status().started_at, None);
    play.others.pop();
    assert_eq!(play.pass(6_000).look_again, Some(Duration::from_secs(600)));
    assert_eq!(play.status().phase, Some(SyncPhase::Running));
    // Whatever comes before it now: it has begun.
    play.others.push(play.others[0].clone());
    play.others[7].metadata.uid = Some("other-7".into());
    assert_eq!(play.pass(6_599).ended, None);
    assert_eq!(play.pass(6_600).ended, Some(Ending::DeadlineExceeded));
}

/// A status that has fractions of a second would differ from what is read back.
#[test]
fn its_time_is_over_not_before_it_is_over() {
    let mut play = Play::new(&["scribe"]);
    let half = at(1) + Duration::from_millis(500);
    let report = play.report(half);
    assert_eq!(report.status.started_at, Some(Time(at(1))));
    play.sync.status = Some(report.status);
    let late = at(600) + Duration::from_millis(999);
    assert_eq!(play.report(late).look_again, Some(Duration::from_millis(1)));
    assert_eq!(play.report(late).ended, None);
    assert_eq!(play.report(at(601)).ended, Some(Ending::DeadlineExceeded));
}

#[test]
fn who_is_deleted_is_not_waited_for_and_what_it_told_stays() {
    let mut play = Play::new(&["a", "b", "c", "d"]);
    play.pass(1);
    play.says("a", SyncState::Updated, "");
    play.says("b", SyncState::Failed, "broken");
    play.pass(2);
    for name in ["a", "b", "c"] {
        play.goes(name);
    }
    play.pass(3);
    assert!(
        play.message()
            .contains("1 agent selected at the start has since been deleted, retired or moved"),
        "{}",
        play.message()
    );
    // One of a name that has told is another, and is not part of it.
    play.agents.push(agent("a", 3));
    play.says("d", SyncState::Unchanged, "");
    let end = play.pass(4);
    assert_eq!(end.ended, Some(Ending::Failed));
    let status = play.status();
    assert_eq!(
        (status.total_selected, status.total_synced, status.total_errors),
        (Some(4), Some(2), Some(1))
    );
    let names: Vec<&str> = status.synced.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["a", "d"]);
    assert_eq!(status.errors[0].agent_name, "b");
    assert!(
        play.message()
            .contains("1 agent selected at the start has since been deleted"),
        "{}",
        play.message()
    );
}

#[test]
fn when_nothing_changed_nothing_is_told() {
    let mut play = Play::new(&["a", "b"]);
    play.says("a", SyncState::Updated, "");
    let first = play.pass(1);
    for second in 2..50 {
        let again = play.pass(second);
        assert_eq!(again.status, first.status);
        assert!(again.news.is_empty());
    }
    play.says("b", SyncState::Updated, "");
    let end = play.pass(60);
    assert_eq!(end.ended, Some(Ending::Complete));
    // What comes later changes nothing of what has ended.
    play.says("b", SyncState::Failed, "broken");
    play.agents.push(agent("late", 0));
    play.gateway = Fact::Absent;
    let after = play.pass(10_000);
    assert_eq!(
        (after.status, after.news, after.ended),
        (end.status, vec![], None)
    );
}

#[test]
fn a_request_is_answered_also_at_the_end() {
    let mut play = Play::new(&[]);
    play.pass(1);
    let finished = play.status().finished_at.clone();
    play.sync
        .annotations_mut()
        .insert(names::RECONCILE_AT.into(), "monday".into());
    play.pass(9);
    assert_eq!(play.status().last_handled_request.as_deref(), Some("monday"));
    assert_eq!(play.status().finished_at, finished);
}

#[test]
fn after_its_end_it_goes_when_it_should() {
    let mut play = Play::new(&[]);
    assert_eq!(play.pass(1).look_again, None);
    assert!(!play.pass(1_000_000).expired, "without a time it stays");

    let mut play = Play::new(&[]);
    play.sync.spec.ttl_seconds_after_finished = Some(60);
    let end = play.pass(1);
    assert_eq!(
        (end.look_again, end.expired),
        (Some(Duration::from_secs(60)), false)
    );
    let late = play.pass(60);
    assert_eq!(
        (late.look_again, late.expired),
        (Some(Duration::from_secs(1)), false)
    );
    assert!(play.pass(61).expired);
    // Somebody's finalizer keeps it: it is asked to go once.
    play.sync.metadata.deletion_timestamp = Some(Time(at(61)));
    assert!(!play.pass(62).expired);
}

#[test]
fn a_thousand_are_counted_and_five_hundred_listed() {
    let names: Vec<String> = (0..1_000).map(|number| format!("agent-{number:04}")).collect();
    let mut play = Play::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    play.pass(1);
    for name in &names[..700] {
        play.says(name, SyncState::Updated, "");
    }
    play.pass(2);
    for name in &names[700..] {
        play.says(name, SyncState::Failed, "broken");
    }
    // Of those that are listed nowhere.
    for name in &names[600..650] {
        play.goes(name);
    }
    play.pass(3);
    let status = play.status();
    assert_eq!(
        (status.total_selected, status.total_synced, status.total_errors),
        (Some(1_000), Some(700), Some(300))
    );
    assert_eq!((status.synced.len(), status.errors.len()), (500, 300));
    assert_eq!(status.synced[499].name, "agent-0499");
    assert!(
        play.message()
            .contains("; status.synced has the first 500 of 700"),
        "{}",
        play.message()
    );
    assert!(
        !play.message().contains("status.errors has"),
        "{}",
        play.message()
    );
    assert!(!play.message().contains("deleted"), "{}", play.message());
}

/// etcd takes objects of 1.5 MB.
#[test]
fn the_longest_words_of_all_can_be_stored() {
    let names: Vec<String> = (0..1_200).map(|number| format!("{number:0250}")).collect();
    let mut play = Play::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    play.sync.spec.dry_run = true;
    for (number, name) in names.iter().enumerate() {
        match number % 2 {
            0 => play.says(name, SyncState::Failed, &"\u{1F980}".repeat(2_000)),
            _ => play.says(name, SyncState::Planned, &"\u{1}".repeat(4_096)),
        }
    }
    play.pass(1);
    let status = play.status();
    let length = serde_json::to_string(status).unwrap().len();
    assert!(length < 1_300_000, "{length}");
    assert_eq!((status.total_synced, status.total_errors), (Some(600), Some(600)));
    assert!(
        play.message().contains("; status.plans has the first "),
        "{}",
        play.message()
    );
    for error in &status.errors {
        assert!(error.error.chars().count() <= 1024);
    }
}

/// kstatus reads these, and `kubectl wait` waits for one.
fn is_clean(status: &TemplateSyncStatus) {
    let flags = ["Ready", "Reconciling", "Stalled", "Complete", "Failed"].map(|kind| has(status, kind));
    let expected = match status.phase.unwrap() {
        SyncPhase::Pending | SyncPhase::Running => [false, true, false, false, false],
        SyncPhase::Complete => [true, false, false, true, false],
        SyncPhase::Failed => [false, false, true, false, true],
    };
    assert_eq!(flags, expected, "{status:#?}");
    assert_eq!(status.observed_generation, Some(1));
    let ended = matches!(status.phase.unwrap(), SyncPhase::Complete | SyncPhase::Failed);
    assert_eq!(status.finished_at.is_some(), ended);
}

#[derive(Debug, Clone)]
enum Move {
    Says(usize, SyncState),
    Goes(usize),
    Comes(usize),
    Passes(i64),
    GatewayGoes,
    GatewayComes,
}

fn any_move() -> impl Strategy<Value = Move> {
    let state = prop_oneof![
        Just(SyncState::Running),
        Just(SyncState::Updated),
        Just(SyncState::Unchanged),
        Just(SyncState::Failed),
    ];
    prop_oneof![
        6 => (0..6usize, state).prop_map(|(who, state)| Move::Says(who, state)),
        1 => (0..6usize).prop_map(Move::Goes),
        1 => (0..6usize).prop_map(Move::Comes),
        3 => (0..200i64).prop_map(Move::Passes),
        1 => Just(Move::GatewayGoes),
        2 => Just(Move::GatewayComes),
    ]
}

proptest! {
    /// Whatever its agents do: it ends in time, its conditions fit together, what was told stays told, and everybody who
    /// was selected is accounted for.
    #[test]
    fn it_ends_in_time_and_loses_nothing(moves in prop::collection::vec(any_move(), 0..40)) {
        let names: Vec<String> = (0..6).map(|number| format!("agent-{number}")).collect();
        let mut play = Play::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let (mut second, mut before) = (1, None::<TemplateSyncStatus>);
        for made in [Move::Passes(0)].into_iter().chain(moves).chain([Move::Passes(600), Move::Passes(1)]) {
            let is_there = |play: &Play, who: usize| play.agents.iter().any(|agent| agent.name_any() == names[who]);
            match made {
                Move::Says(who, state) if is_there(&play, who) => {
                    let agent = play.agents.iter().find(|agent| agent.name_any() == names[who]).unwrap();
                    let settled = agent.status.iter().flat_map(|status| &status.syncs)
                        .any(|said| desired::errand::is_settled(said.state));
                    let is_old = agent.metadata.creation_timestamp == Some(Time(at(0)));
                    if !settled && is_old {
                        play.says(&names[who], state, "broken");
                    }
                }
                Move::Says(..) => {}
                Move::Goes(who) => play.goes(&names[who]),
                Move::Comes(who) if !is_there(&play, who) => play.agents.push(agent(&names[who], 1)),
                Move::Comes(_) => {}
                Move::Passes(seconds) => second += seconds,
                Move::GatewayGoes => play.gateway = Fact::Absent,
                Move::GatewayComes => {
                    play.gateway = Fact::Known(Arc::new(Gateway::new("harbour", GatewaySpec::default())));
                }
            }
            play.pass(second);
            let status = play.status().clone();
            is_clean(&status);
            let of = |status: &TemplateSyncStatus| (status.total_synced.unwrap(), status.total_errors.unwrap());
            let (synced, errors) = of(&status);
            prop_assert_eq!(usize::try_from(synced).unwrap(), status.synced.len());
            prop_assert_eq!(usize::try_from(errors).unwrap(), status.errors.len());
            if let Some(selected) = status.total_selected {
                prop_assert!(synced + errors <= selected);
            }
            if let Some(before) = &before {
                let was = of(before);
                prop_assert!(was.0 <= synced && was.1 <= errors);
                prop_assert!(status.synced.starts_with(&before.synced));
                prop_assert!(status.errors.starts_with(&before.errors));
                if before.total_selected.is_some() {
                    prop_assert_eq!(before.total_selected, status.total_selected);
                }
                if before.finished_at.is_some() {
                    prop_assert_eq!(before, &status);
                }
            }
            before = Some(status);
        }
        prop_assert!(play.status().finished_at.is_some());
    }
}
