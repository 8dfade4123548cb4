//! What is told of a Board, in words and over several passes.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::desired;
use crate::fact::Fact;
use crate::resource::agent::Role;
use crate::resource::reference::ObjectRef;
use crate::resource::{Agent, AgentSpec, Board, BoardSpec, Gateway, GatewaySpec};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn agent(name: &str, role: Role, second: i64) -> Arc<Agent> {
    let mut agent = Agent::new(
        name,
        AgentSpec {
            role,
            ..AgentSpec::default()
        },
    );
    agent.metadata.uid = Some(name.into());
    agent.metadata.creation_timestamp = Some(Time(at(second)));
    Arc::new(agent)
}

fn snapshot(team: Vec<Arc<Agent>>) -> Snapshot {
    let gateway_ref = ObjectRef {
        name: "harbour".into(),
    };
    let mut board = Board::new(
        "ops",
        BoardSpec {
            gateway_ref,
            max_agents: 1,
            ..BoardSpec::default()
        },
    );
    board.metadata.generation = Some(1);
    Snapshot {
        board: Arc::new(board),
        gateway: Fact::Known(Arc::new(Gateway::new("harbour", GatewaySpec::default()))),
        team,
    }
}

fn pass(snapshot: &Snapshot, second: i64) -> Report {
    of(snapshot, &desired::board::of(snapshot), false, at(second))
}

fn change(snapshot: &mut Snapshot, change: impl FnOnce(&mut Board)) {
    let mut board = snapshot.board.as_ref().clone();
    change(&mut board);
    snapshot.board = Arc::new(board);
}

fn story(report: &Report) -> String {
    let conditions = report.status.conditions.iter();
    let lines = conditions.map(|found| {
        format!(
            "{:11} {:7} {}: {}\n",
            found.type_, found.status, found.reason, found.message
        )
    });
    let news = report.news.iter().map(|news| {
        format!(
            "Event       {} {}\n",
            if news.warning { "Warning" } else { "Normal " },
            news.reason
        )
    });
    lines.chain(news).collect()
}

fn deleted(board: &mut Board) {
    board.metadata.deletion_timestamp = Some(Time(at(0)));
    board.metadata.finalizers = Some(vec![names::FINALIZER.into()]);
}

#[test]
fn every_state_in_words() {
    let team = || vec![agent("boss", Role::Lead, 0), agent("triage", Role::Worker, 1)];
    let mut told = Vec::new();
    let mut tell = |what: &str, make: &dyn Fn(&mut Snapshot)| {
        let mut snapshot = snapshot(team());
        make(&mut snapshot);
        told.push(format!("-- {what}\n{}", story(&pass(&snapshot, 0))));
    };
    tell("ready", &|_| {});
    tell("suspended", &|snapshot| {
        change(snapshot, |board| board.spec.suspend = true);
    });
    tell("no Gateway", &|snapshot| snapshot.gateway = Fact::Absent);
    tell("not looked", &|snapshot| snapshot.gateway = Fact::Unknown);
    tell("Gateway goes", &|snapshot| {
        let mut gateway = Gateway::new("harbour", GatewaySpec::default());
        gateway.metadata.deletion_timestamp = Some(Time(at(0)));
        snapshot.gateway = Fact::Known(Arc::new(gateway));
    });
    tell("in use", &|snapshot| change(snapshot, deleted));
    tell("goes", &|snapshot| {
        snapshot.team.clear();
        change(snapshot, deleted);
    });
    tell("goes, but suspended", &|snapshot| {
        snapshot.team.clear();
        change(snapshot, deleted);
        change(snapshot, |board| board.spec.suspend = true);
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn who_has_a_place_is_counted_and_a_second_lead_is_no_worker_that_waits() {
    let team = vec![
        agent("boss", Role::Lead, 5),
        agent("early", Role::Worker, 1),
        agent("late", Role::Worker, 3),
        agent("second", Role::Lead, 9),
    ];
    let BoardStatus {
        lead,
        workers,
        waiting,
        ready,
        capacity,
        ..
    } = pass(&snapshot(team), 0).status;
    assert_eq!(
        (lead.as_deref(), workers, waiting, ready, capacity),
        (Some("boss"), Some(1), Some(1), Some(0), Some(1))
    );
}

#[test]
fn what_was_told_is_not_told_again_and_what_lasts_is_stalled() {
    let mut snapshot = snapshot(vec![]);
    snapshot.gateway = Fact::Absent;
    let first = pass(&snapshot, 0);
    change(&mut snapshot, |board| board.status = Some(first.status.clone()));
    let second = pass(&snapshot, 60);
    assert_eq!(second.status, first.status);
    assert_eq!((first.news.len(), second.news.len()), (1, 0));
    assert_eq!(second.look_again, Some(Duration::from_secs(240)));
    let third = pass(&snapshot, 300);
    assert!(
        story(&third).contains("Stalled     True    GatewayNotFound"),
        "{}",
        story(&third)
    );
}

#[test]
fn a_request_is_answered_and_stays_answered() {
    let mut snapshot = snapshot(vec![]);
    change(&mut snapshot, |board| {
        let asked = [(names::RECONCILE_AT, "now"), (names::FLUX_REQUESTED_AT, "then")];
        let asked = asked.map(|(name, value)| (name.to_owned(), value.to_owned()));
        board.metadata.annotations = Some(asked.into());
    });
    let first = pass(&snapshot, 0).status;
    assert_eq!(first.last_handled_request.as_deref(), Some("now"));
    assert_eq!(first.last_handled_reconcile_at.as_deref(), Some("then"));
    change(&mut snapshot, |board| {
        (board.metadata.annotations, board.status) = (None, Some(first.clone()));
    });
    assert_eq!(pass(&snapshot, 9).status, first);
}

#[test]
fn only_counts_can_wait() {
    let before = pass(&snapshot(vec![agent("boss", Role::Lead, 0)]), 0).status;
    let more = pass(
        &snapshot(vec![
            agent("boss", Role::Lead, 0),
            agent("triage", Role::Worker, 0),
        ]),
        0,
    )
    .status;
    assert!(differ_only_in_counts(Some(&before), &more));
    assert!(!differ_only_in_counts(Some(&more), &more) && !differ_only_in_counts(None, &more));
    let without_lead = pass(&snapshot(vec![]), 0).status;
    assert!(!differ_only_in_counts(Some(&before), &without_lead));
}
