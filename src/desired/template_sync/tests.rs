//! Whom a TemplateSync means, whose turn it is, and who has told the end of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::*;
use crate::resource::agent::{AgentStatus, Lifecycle, Role};
use crate::resource::reference::ObjectRef;
use crate::resource::{AgentSpec, BoardSpec, GatewaySpec, TemplateSyncSpec, TemplateSyncStatus};

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(1_800_000_000 + second).unwrap())
}

fn reference(name: &str) -> ObjectRef {
    ObjectRef { name: name.into() }
}

fn sync(name: &str, second: i64, change: impl FnOnce(&mut TemplateSyncSpec)) -> TemplateSync {
    let mut spec = TemplateSyncSpec {
        gateway_ref: reference("harbour"),
        ..TemplateSyncSpec::default()
    };
    change(&mut spec);
    let mut sync = TemplateSync::new(name, spec);
    sync.metadata.uid = Some(name.into());
    sync.metadata.creation_timestamp = Some(at(second));
    sync
}

fn agent(name: &str, role: Role, board: Option<&str>, second: i64) -> Agent {
    let mut agent = Agent::new(
        name,
        AgentSpec {
            role,
            board_ref: board.map(reference),
            ..AgentSpec::default()
        },
    );
    agent.metadata.creation_timestamp = Some(at(second));
    agent
}

fn says(mut agent: Agent, sync: &str, state: SyncState) -> Agent {
    let status = agent.status.get_or_insert_default();
    status.syncs.push(SyncStatus {
        uid: sync.into(),
        name: sync.into(),
        state,
        error: (state == SyncState::Failed).then(|| "broken".to_owned()),
        plan: (state == SyncState::Planned).then(|| "~ SOUL.md".to_owned()),
        at: None,
    });
    agent
}

fn ready(mut agent: Agent, status: &str, reason: &str) -> Agent {
    let condition = Condition {
        type_: "Ready".into(),
        status: status.into(),
        reason: reason.into(),
        message: format!("because of {reason}"),
        last_transition_time: at(0),
        observed_generation: None,
    };
    agent.status.get_or_insert_default().conditions.push(condition);
    agent
}

/// One of each kind.
fn fleet() -> Vec<Agent> {
    let mut retired = agent("retired", Role::Worker, Some("ops"), 0);
    retired.spec.lifecycle = Lifecycle::Retired;
    let mut paused = agent("paused", Role::Worker, Some("docs"), 0);
    paused.spec.lifecycle = Lifecycle::Paused;
    let mut going = agent("going", Role::Worker, Some("ops"), 0);
    going.metadata.deletion_timestamp = Some(at(1));
    vec![
        agent("docs-lead", Role::Lead, Some("docs"), 0),
        going,
        agent("main", Role::Main, None, 0),
        agent("ops-lead", Role::Lead, Some("ops"), 0),
        paused,
        retired,
        // Of the same second: who can tell.
        agent("same", Role::Worker, Some("ops"), 10),
        agent("worker", Role::Worker, Some("ops"), 0),
        agent("young", Role::Worker, Some("ops"), 11),
    ]
}

fn snapshot(sync: TemplateSync, agents: Vec<Agent>, others: Vec<TemplateSync>) -> Snapshot {
    let mut syncs: Vec<Arc<TemplateSync>> = others.into_iter().map(Arc::new).collect();
    let sync = Arc::new(sync);
    syncs.push(Arc::clone(&sync));
    Snapshot {
        gateway: Fact::Known(Arc::new(Gateway::new("harbour", GatewaySpec::default()))),
        board: None,
        agents: agents.into_iter().map(Arc::new).collect(),
        syncs,
        sync,
    }
}

fn open(snapshot: &Snapshot) -> Vec<String> {
    let open = of(snapshot).open.into_iter();
    open.map(|open| open.name).collect()
}

#[test]
fn it_means_whom_its_words_mean_and_nobody_younger() {
    let meant = |change: fn(&mut TemplateSyncSpec)| {
        let snapshot = snapshot(sync("s", 10, change), fleet(), Vec::new());
        (open(&snapshot).join(" "), of(&snapshot).younger)
    };
    let all = "docs-lead main ops-lead paused same worker";
    assert_eq!(meant(|_| {}), (all.to_owned(), 1));
    let ops = "main ops-lead same worker";
    assert_eq!(
        meant(|spec| spec.board_ref = Some(reference("ops"))),
        (ops.to_owned(), 1)
    );
    assert_eq!(
        meant(|spec| spec.lead_only = true),
        ("docs-lead main ops-lead".to_owned(), 0)
    );
    assert_eq!(
        meant(|spec| (spec.lead_only, spec.include_main) = (true, false)),
        ("docs-lead ops-lead".to_owned(), 0)
    );
    let none = meant(|spec| {
        spec.board_ref = Some(reference("nowhere"));
        spec.include_main = false;
    });
    assert_eq!(none, (String::new(), 0));
}

#[test]
fn who_has_told_the_end_is_not_waited_for_also_when_it_is_not_meant_any_more() {
    let mut gone = says(
        agent("gone", Role::Worker, Some("ops"), 0),
        "s",
        SyncState::Updated,
    );
    gone.metadata.deletion_timestamp = Some(at(20));
    let fleet = vec![
        says(
            agent("failed", Role::Worker, Some("ops"), 0),
            "s",
            SyncState::Failed,
        ),
        gone,
        says(
            agent("other", Role::Worker, Some("ops"), 0),
            "another",
            SyncState::Updated,
        ),
        says(
            agent("planned", Role::Worker, Some("ops"), 0),
            "s",
            SyncState::Planned,
        ),
        says(
            agent("running", Role::Worker, Some("ops"), 0),
            "s",
            SyncState::Running,
        ),
        says(
            agent("same", Role::Worker, Some("ops"), 0),
            "s",
            SyncState::Unchanged,
        ),
    ];
    let snapshot = snapshot(sync("s", 10, |_| {}), fleet, Vec::new());
    assert_eq!(open(&snapshot), ["other", "running"]);
    let told = of(&snapshot).told.into_iter();
    let told: Vec<_> = told.map(|told| (told.name, told.end)).collect();
    let expected = [
        ("failed", End::Failed("broken".to_owned())),
        ("gone", End::Updated),
        ("planned", End::Planned("~ SOUL.md".to_owned())),
        ("same", End::Unchanged),
    ];
    assert_eq!(told, expected.map(|(name, end)| (name.to_owned(), end)));
}

#[test]
fn eight_at_a_time_the_oldest_first() {
    let others = |second: i64| -> Vec<TemplateSync> {
        (0..8)
            .map(|number| sync(&format!("other-{number}"), second, |_| {}))
            .collect()
    };
    let turn = |others: Vec<TemplateSync>| of(&snapshot(sync("s", 10, |_| {}), Vec::new(), others)).turn;
    assert_eq!(turn(others(11)), Turn::Now);
    assert_eq!(turn(others(9)), Turn::After(8));
    let mut one_has_ended = others(9);
    one_has_ended[3].status = Some(TemplateSyncStatus {
        finished_at: Some(at(12)),
        ..TemplateSyncStatus::default()
    });
    assert_eq!(turn(one_has_ended), Turn::Now);
    let mut one_goes = others(9);
    one_goes[0].metadata.deletion_timestamp = Some(at(12));
    assert_eq!(turn(one_goes), Turn::Now);
}

#[test]
fn what_an_agent_waits_for_is_in_its_own_words_where_it_has_some() {
    let why = |agent: Agent| {
        let older = sync("older", 5, |spec| spec.lead_only = true);
        let snapshot = snapshot(sync("s", 10, |_| {}), vec![agent], vec![older]);
        of(&snapshot).open.remove(0).waits_for
    };
    let worker = || agent("worker", Role::Worker, None, 0);
    assert_eq!(why(worker()), WaitsFor::Look);
    let itself = |reason: &str| WaitsFor::Itself(format!("because of {reason}"));
    assert_eq!(
        why(ready(worker(), "False", "ConfigRejected")),
        itself("ConfigRejected")
    );
    assert_eq!(
        why(ready(worker(), "Unknown", "Provisioning")),
        itself("Provisioning")
    );
    assert_eq!(why(ready(worker(), "True", "Suspended")), itself("Suspended"));
    let good = ready(worker(), "True", "Provisioned");
    assert_eq!(why(good.clone()), WaitsFor::Pass { begun: false });
    let begun = says(good, "s", SyncState::Running);
    assert_eq!(why(begun), WaitsFor::Pass { begun: true });
    let lead = ready(agent("lead", Role::Lead, None, 0), "True", "Provisioned");
    assert_eq!(why(lead), WaitsFor::Another("older".to_owned()));
}

#[test]
fn suspended_is_the_word_that_agents_use() {
    assert_eq!(crate::status::Reason::Suspended.to_string(), SUSPENDED);
}

#[test]
fn what_it_refers_to_must_be_there_and_belong_together() {
    let mut snapshot = snapshot(
        sync("s", 10, |spec| spec.board_ref = Some(reference("ops"))),
        fleet(),
        vec![],
    );
    let board = |gateway: &str| {
        let spec = BoardSpec {
            gateway_ref: reference(gateway),
            ..BoardSpec::default()
        };
        Some(Fact::Known(Arc::new(Board::new("ops", spec))))
    };
    snapshot.board = board("harbour");
    assert_eq!(of(&snapshot).referents, Ok(()));
    snapshot.board = board("pier");
    let elsewhere = Obstacle::BoardElsewhere {
        board: "ops".to_owned(),
        gateway: "pier".to_owned(),
    };
    assert_eq!(of(&snapshot).referents, Err(elsewhere));
    snapshot.board = Some(Fact::Absent);
    let missing = Obstacle::BoardNotFound {
        board: "ops".to_owned(),
    };
    assert_eq!(of(&snapshot).referents, Err(missing));
    snapshot.board = Some(Fact::Unknown);
    assert_eq!(of(&snapshot).referents, Err(Obstacle::Unknown));
    snapshot.gateway = Fact::Absent;
    assert_eq!(of(&snapshot).referents, Err(Obstacle::GatewayNotFound));
}

#[test]
fn the_id_is_the_one_that_the_agent_is_bound_to() {
    let mut with_id = says(agent("a", Role::Worker, None, 0), "s", SyncState::Updated);
    with_id.status.get_or_insert_with(AgentStatus::default).agent_id = Some("mc-1".to_owned());
    let snapshot = snapshot(sync("s", 10, |_| {}), vec![with_id], vec![]);
    assert_eq!(of(&snapshot).told[0].agent_id.as_deref(), Some("mc-1"));
}
