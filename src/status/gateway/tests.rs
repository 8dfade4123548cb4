//! What is told of a Gateway, in words (snapshots) and over several passes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::ByteString;

use super::*;
use crate::desired;
use crate::desired::document::Document;
use crate::fact::Fact;
use crate::gateway::contract::V2026_9_6;
use crate::gateway::guard::Hold;
use crate::gateway::trouble::{PairingRequest, TlsTrouble};
use crate::gateway::{Link, Version};
use crate::resource::agent::{Binding, Entry, Phase};
use crate::resource::reference::{CaBundleKind, CaBundleRef, SecretKeyRef};
use crate::resource::{Agent, AgentSpec, AgentStatus, Board, BoardSpec, GatewaySpec};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn harbour() -> Gateway {
    let spec = GatewaySpec {
        url: "wss://harbour.example.com:18789".into(),
        workspace_root: "~/.openclaw".into(),
        minimum_version: "2026.2.9".into(),
        token_secret_ref: Some(SecretKeyRef {
            name: "harbour-token".into(),
            key: "token".into(),
        }),
        ..GatewaySpec::default()
    };
    let mut gateway = Gateway::new("harbour", spec);
    gateway.metadata.namespace = Some("team".into());
    gateway.metadata.generation = Some(1);
    gateway
}

fn document(pairs: &[(&str, &str)]) -> Fact<Document> {
    let data: BTreeMap<_, _> = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
        .collect();
    Fact::Known(Document {
        version: "u1/7".into(),
        data,
    })
}

fn snapshot(gateway: Gateway) -> Snapshot {
    Snapshot {
        gateway: Arc::new(gateway),
        token: document(&[("token", "right")]),
        ca_bundle: Fact::Unknown,
        device: Fact::Absent,
        agents: Vec::new(),
        boards: Vec::new(),
        main: Fact::Unknown,
    }
}

/// The report of a pass that finds the link in this state.
fn pass(snapshot: &Snapshot, state: Option<State>, second: i64) -> Report {
    let desired = desired::gateway::of(snapshot);
    let link = match (&desired.connection, state) {
        (Ok(wanted), Some(state)) => Fact::Known(Link {
            answers: wanted.clone(),
            state,
        }),
        (Ok(_) | Err(_), _) => Fact::Absent,
    };
    of(
        snapshot,
        &desired,
        &Observed {
            link,
            preserved: BTreeSet::new(),
        },
        &Outcome::default(),
        at(second),
    )
}

/// The next pass, over what the last one wrote.
fn then(snapshot: &mut Snapshot, report: &Report) {
    let mut gateway = snapshot.gateway.as_ref().clone();
    gateway.status = Some(report.status.clone());
    snapshot.gateway = Arc::new(gateway);
}

fn up(version: &str) -> State {
    State::Up(Facts {
        version: ServerVersion {
            reported: version.into(),
            known: Version::parse(version),
        },
        protocol: 4,
        contract: &V2026_9_6,
        boot_id: Some("b1".into()),
    })
}

fn status_of<'a>(report: &'a Report, kind: &str) -> Option<(&'a str, &'a str)> {
    let found = find(&report.status.conditions, kind)?;
    Some((found.status.as_str(), found.reason.as_str()))
}

/// One line a condition, as a reader of `kubectl describe` sees it.
fn story(report: &Report) -> String {
    // Of the main agent there are tests of its own.
    let conditions = report.status.conditions.iter();
    let lines = conditions
        .filter(|found| found.type_ != condition::MAIN_AGENT)
        .map(|condition| {
            let Condition {
                type_,
                status,
                reason,
                message,
                ..
            } = condition;
            format!("{type_:13} {status:7} {reason}: {message}\n")
        });
    let news = report.news.iter().map(
        |News {
             warning,
             reason,
             note: _,
         }| {
            format!(
                "Event         {} {reason}\n",
                if *warning { "Warning" } else { "Normal " }
            )
        },
    );
    lines.chain(news).collect()
}

fn every_trouble() -> Vec<Trouble> {
    let pairing = |request_id: Option<&str>| {
        Trouble::PairingRequired(PairingRequest {
            device_id: "fe812c12".into(),
            request_id: request_id.map(str::to_owned),
            reason: "not-paired".into(),
        })
    };
    let seconds = Duration::from_secs;
    vec![
        Trouble::HostNotFound,
        Trouble::ConnectionRefused,
        Trouble::HostUnreachable {
            detail: "network unreachable".into(),
        },
        Trouble::ConnectTimedOut,
        Trouble::Tls(TlsTrouble::UnknownAuthority),
        Trouble::Tls(TlsTrouble::WrongName),
        Trouble::Tls(TlsTrouble::Expired),
        Trouble::Tls(TlsTrouble::NotYetValid),
        Trouble::Tls(TlsTrouble::NotTls),
        Trouble::Tls(TlsTrouble::Other("certificate: bad encoding".into())),
        Trouble::UpgradeRefused { status: 403 },
        Trouble::UpgradeRefused { status: 503 },
        Trouble::UpgradeRefused { status: 404 },
        Trouble::NotAGateway {
            saw: "a WebSocket of another kind",
        },
        Trouble::Starting {
            retry_after: seconds(1),
        },
        Trouble::Silent,
        Trouble::Lost {
            code: Some(1012),
            reason: "service restart".into(),
        },
        Trouble::Lost {
            code: None,
            reason: "end of stream".into(),
        },
        Trouble::TokenMissing,
        Trouble::TokenRefused,
        Trouble::LockedOut {
            retry_after: seconds(299),
        },
        Trouble::Held(Hold::Refused),
        Trouble::Held(Hold::Crowded),
        Trouble::Held(Hold::LockedOut),
        Trouble::DeviceNeeded,
        pairing(Some("b07620c0-1111")),
        pairing(Some("x; rm -rf ~")),
        Trouble::DeviceRefused {
            code: "DEVICE_AUTH_SIGNATURE_EXPIRED".into(),
        },
        Trouble::ControlUiNotAllowed,
        Trouble::ControlUiRetired,
        Trouble::ScopesMissing {
            granted: vec!["operator.read".into()],
        },
        Trouble::ProtocolMismatch { expected: Some(5) },
        Trouble::Refused {
            code: "INVALID_REQUEST".into(),
            message: "something new".into(),
        },
    ]
}

#[test]
fn every_trouble_in_words() {
    let stories: Vec<_> = every_trouble()
        .into_iter()
        .map(|trouble| {
            let report = pass(&snapshot(harbour()), Some(State::Down(trouble.clone())), 0);
            format!("--- {trouble:?}\n{}", story(&report))
        })
        .collect();
    insta::assert_snapshot!(stories.join("\n"));
}

#[test]
fn every_obstacle_in_words() {
    let bundle = CaBundleRef {
        kind: CaBundleKind::ConfigMap,
        name: "ca".into(),
        key: "ca.crt".into(),
    };
    let with = |change: fn(&mut Snapshot)| {
        let mut gateway = harbour();
        gateway.spec.ca_bundle_ref = Some(bundle.clone());
        let mut snapshot = snapshot(gateway);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(vec!["ca".into()])
            .unwrap()
            .self_signed(&key)
            .unwrap()
            .pem();
        snapshot.ca_bundle = document(&[("ca.crt", &pem)]);
        change(&mut snapshot);
        story(&pass(&snapshot, None, 0))
    };
    insta::assert_snapshot!(
        [
            with(|s| s.token = Fact::Absent),
            with(|s| s.token = Fact::Unknown),
            with(|s| s.token = document(&[("password", "x"), ("user", "y")])),
            with(|s| s.token = document(&[])),
            with(|s| s.token = document(&[("token", " \n")])),
            with(|s| s.ca_bundle = Fact::Absent),
            with(|s| s.ca_bundle = document(&[("tls.crt", "x")])),
            with(|s| s.ca_bundle = document(&[("ca.crt", "no certificate")])),
            with(|s| s.device = document(&[("ed25519", "broken")])),
        ]
        .join("\n")
    );
}

#[test]
fn a_connected_gateway_is_ready_and_the_next_pass_says_the_same() {
    let mut snapshot = snapshot(harbour());
    let first = pass(&snapshot, Some(up("2026.9.6")), 0);
    insta::assert_snapshot!(story(&first));
    assert_eq!(first.status.version.as_deref(), Some("2026.9.6"));
    assert_eq!(first.status.contract.as_deref(), Some("2026.9.6"));
    assert_eq!(first.status.observed_generation, Some(1));
    then(&mut snapshot, &first);
    let second = pass(&snapshot, Some(up("2026.9.6")), 90);
    assert_eq!(
        second.status, first.status,
        "nothing changed, so nothing is to be written"
    );
    assert!(second.news.is_empty());
}

#[test]
fn what_waits_is_reconciling_and_after_five_minutes_stalled() {
    let mut snapshot = snapshot(harbour());
    let down = || Some(State::Down(Trouble::ConnectionRefused));
    let first = pass(&snapshot, down(), 0);
    assert_eq!(
        status_of(&first, "Reconciling"),
        Some(("True", "ConnectionRefused"))
    );
    assert_eq!(status_of(&first, "Stalled"), None);
    assert_eq!(first.look_again, Some(progress::PATIENCE));
    then(&mut snapshot, &first);
    let later = pass(&snapshot, down(), 299);
    assert_eq!(later.status, first.status);
    assert_eq!(later.look_again, Some(Duration::from_secs(1)));
    let stalled = pass(&snapshot, down(), 300);
    assert_eq!(status_of(&stalled, "Reconciling"), None);
    assert_eq!(
        status_of(&stalled, "Stalled"),
        Some(("True", "ConnectionRefused"))
    );
    then(&mut snapshot, &stalled);
    let after = pass(&snapshot, down(), 4000);
    assert_eq!(after.status, stalled.status, "it stays so, quietly");
    assert!(after.news.is_empty());
}

#[test]
fn another_reason_or_another_spec_starts_waiting_anew() {
    let mut snapshot = snapshot(harbour());
    let first = pass(&snapshot, Some(State::Down(Trouble::ConnectionRefused)), 0);
    then(&mut snapshot, &first);
    let stalled = pass(&snapshot, Some(State::Down(Trouble::ConnectionRefused)), 400);
    then(&mut snapshot, &stalled);
    let other = pass(&snapshot, Some(State::Down(Trouble::Silent)), 500);
    assert_eq!(status_of(&other, "Reconciling"), Some(("True", "NotAnswering")));
    assert_eq!(status_of(&other, "Stalled"), None);
    let mut edited = snapshot.gateway.as_ref().clone();
    edited.metadata.generation = Some(2);
    snapshot.gateway = Arc::new(edited);
    let waiting = pass(&snapshot, Some(State::Down(Trouble::ConnectionRefused)), 500);
    then(&mut snapshot, &waiting);
    let other = pass(&snapshot, Some(State::Down(Trouble::Silent)), 799);
    then(&mut snapshot, &other);
    let still = pass(&snapshot, Some(State::Down(Trouble::Silent)), 900);
    assert_eq!(
        status_of(&still, "Stalled"),
        None,
        "its own five minutes are not over"
    );
    let edited = pass(&snapshot, Some(State::Down(Trouble::ConnectionRefused)), 900);
    assert_eq!(
        status_of(&edited, "Reconciling"),
        Some(("True", "ConnectionRefused"))
    );
}

/// The second pass over an edited spec must not find the clock of the old one still running.
#[test]
fn an_edited_spec_is_waited_for_its_own_five_minutes() {
    let mut snapshot = snapshot(harbour());
    let down = || Some(State::Down(Trouble::ConnectionRefused));
    let first = pass(&snapshot, down(), 0);
    then(&mut snapshot, &first);
    let mut edited = snapshot.gateway.as_ref().clone();
    edited.metadata.generation = Some(2);
    snapshot.gateway = Arc::new(edited);
    let second = pass(&snapshot, down(), 290);
    then(&mut snapshot, &second);
    let third = pass(&snapshot, down(), 310);
    assert_eq!(status_of(&third, "Stalled"), None);
    assert_eq!(third.look_again, Some(Duration::from_secs(280)));
}

#[test]
fn an_event_is_told_once_and_not_for_moments_between() {
    let mut snapshot = snapshot(harbour());
    let connecting = pass(&snapshot, Some(State::Connecting), 0);
    assert!(connecting.news.is_empty());
    assert_eq!(status_of(&connecting, "Ready"), Some(("Unknown", "Connecting")));
    then(&mut snapshot, &connecting);
    let refused = pass(&snapshot, Some(State::Down(Trouble::TokenRefused)), 1);
    assert_eq!(refused.news.len(), 1);
    then(&mut snapshot, &refused);
    assert!(
        pass(&snapshot, Some(State::Down(Trouble::TokenRefused)), 2)
            .news
            .is_empty()
    );
}

/// A new process knows nothing yet, and must not call every Gateway unready while it connects.
#[test]
fn a_new_process_says_nothing_new_until_it_knows() {
    let mut snapshot = snapshot(harbour());
    let connected = pass(&snapshot, Some(up("2026.9.6")), 0);
    then(&mut snapshot, &connected);
    for not_yet in [None, Some(State::Connecting)] {
        let report = pass(&snapshot, not_yet, 100);
        assert_eq!(report.status, connected.status);
        assert!(report.news.is_empty());
    }
    let again = pass(&snapshot, Some(up("2026.9.6")), 101);
    assert!(again.news.is_empty(), "connected it was, and is");
    let mut edited = snapshot.gateway.as_ref().clone();
    edited.metadata.generation = Some(2);
    snapshot.gateway = Arc::new(edited);
    let edited = pass(&snapshot, Some(State::Connecting), 102);
    assert_eq!(
        status_of(&edited, "Ready"),
        Some(("Unknown", "Connecting")),
        "another spec is another story"
    );
}

#[test]
fn a_connection_that_stands_outlives_an_unreadable_secret_in_the_status_too() {
    let mut snapshot = snapshot(harbour());
    let connected = pass(&snapshot, Some(up("2026.9.6")), 0);
    let wanted = desired::gateway::of(&snapshot).connection.unwrap();
    then(&mut snapshot, &connected);
    snapshot.token = Fact::Unknown;
    let desired = desired::gateway::of(&snapshot);
    let observed = Observed {
        link: Fact::Known(Link {
            answers: wanted,
            state: up("2026.9.6"),
        }),
        preserved: BTreeSet::new(),
    };
    let report = of(&snapshot, &desired, &observed, &Outcome::default(), at(10));
    assert_eq!(report.status, connected.status);
    assert_eq!(
        report.look_again,
        Some(SOON),
        "nothing wakes us when it is readable again"
    );
}

#[test]
fn what_a_hostile_gateway_says_fits_the_schema() {
    let long = "x".repeat(10_000);
    let facts = Facts {
        version: ServerVersion {
            reported: long.clone(),
            known: None,
        },
        protocol: u64::MAX,
        contract: &V2026_9_6,
        boot_id: Some(long.clone()),
    };
    let mut gateway = harbour();
    gateway.metadata.annotations = Some(BTreeMap::from([(names::RECONCILE_AT.to_owned(), long.clone())]));
    gateway.spec.url = format!("ws://h/{long}");
    let snapshot = snapshot(gateway);
    for state in [
        State::Up(facts),
        State::Down(Trouble::ScopesMissing {
            granted: vec![long.clone(); 1000],
        }),
        State::Down(Trouble::Refused {
            code: long.clone(),
            message: long,
        }),
        State::Down(Trouble::TokenRefused),
    ] {
        let status = pass(&snapshot, Some(state), 0).status;
        let length = |text: Option<&String>| text.map_or(0, |text| text.chars().count());
        assert!(length(status.version.as_ref()) <= 128);
        assert!(length(status.boot_id.as_ref()) <= 128);
        assert!(length(status.last_handled_request.as_ref()) <= 1024);
        assert!(
            length(
                status
                    .refused_credential
                    .as_ref()
                    .map(|refused| &refused.credential)
            ) <= 1024
        );
        assert!(
            status
                .conditions
                .iter()
                .all(|condition| condition.message.chars().count() <= 4_000)
        );
    }
}

#[test]
fn a_request_counts_as_handled_once_it_was_tried() {
    let mut gateway = harbour();
    gateway.metadata.annotations = Some(BTreeMap::from([
        (names::RECONCILE_AT.to_owned(), "monday".to_owned()),
        (names::FLUX_REQUESTED_AT.to_owned(), "tuesday".to_owned()),
    ]));
    let snapshot = snapshot(gateway);
    let connecting = pass(&snapshot, Some(State::Connecting), 0);
    assert_eq!(connecting.status.last_handled_request, None);
    for tried in [up("2026.9.6"), State::Down(Trouble::HostNotFound)] {
        let report = pass(&snapshot, Some(tried), 0);
        assert_eq!(report.status.last_handled_request.as_deref(), Some("monday"));
        assert_eq!(
            report.status.last_handled_reconcile_at.as_deref(),
            Some("tuesday")
        );
    }
}

#[test]
fn a_refused_token_is_remembered_until_it_changes_or_somebody_asks() {
    let mut snapshot = snapshot(harbour());
    let refused = pass(&snapshot, Some(State::Down(Trouble::TokenRefused)), 5);
    then(&mut snapshot, &refused);
    assert_eq!(desired::gateway::of(&snapshot).refused_at, Some(at(5)));
    let connecting = pass(&snapshot, Some(State::Connecting), 6);
    assert_eq!(
        connecting.status.refused_credential,
        refused.status.refused_credential
    );
    let mut changed = snapshot.clone();
    changed.token = Fact::Known(Document {
        version: "u1/8".into(),
        data: BTreeMap::new(),
    });
    assert_eq!(desired::gateway::of(&changed).refused_at, None);
    let mut asked = snapshot.gateway.as_ref().clone();
    asked.metadata.annotations = Some(BTreeMap::from([(
        names::RECONCILE_AT.to_owned(),
        "now".to_owned(),
    )]));
    snapshot.gateway = Arc::new(asked);
    assert_eq!(desired::gateway::of(&snapshot).refused_at, None);
    let accepted = pass(&snapshot, Some(up("2026.9.6")), 7);
    assert_eq!(accepted.status.refused_credential, None);
}

#[test]
fn versions_below_the_minimum_are_stalled_and_unknown_ones_are_not() {
    let mut gateway = harbour();
    gateway.spec.minimum_version = "2026.12.1".into();
    let snapshot = snapshot(gateway);
    let old = pass(&snapshot, Some(up("2026.9.6")), 0);
    assert_eq!(status_of(&old, "Compatible"), Some(("False", "VersionTooOld")));
    assert_eq!(status_of(&old, "Ready"), Some(("False", "VersionTooOld")));
    assert_eq!(status_of(&old, "Stalled"), Some(("True", "VersionTooOld")));
    let unknown = pass(&snapshot, Some(up("dev")), 0);
    assert_eq!(
        status_of(&unknown, "Compatible"),
        Some(("Unknown", "VersionUnknown"))
    );
    assert_eq!(status_of(&unknown, "Ready"), Some(("True", "Connected")));
}

fn main_of(gateway: &Gateway) -> Agent {
    serde_json::from_value(desired::main_agent::object(gateway)).unwrap()
}

fn agent(name: &str, phase: Phase, is_ready: bool) -> Arc<Agent> {
    let mut agent = Agent::new(name, AgentSpec::default());
    let ready = Condition {
        type_: condition::READY.into(),
        status: if is_ready { "True" } else { "False" }.into(),
        reason: "Whatever".into(),
        message: String::new(),
        last_transition_time: Time(at(0)),
        observed_generation: None,
    };
    agent.status = Some(AgentStatus {
        phase: Some(phase),
        conditions: vec![ready],
        ..AgentStatus::default()
    });
    Arc::new(agent)
}

fn provisioned(agent: &Arc<Agent>, id: &str) -> Arc<Agent> {
    let mut agent = agent.as_ref().clone();
    let status = agent.status.get_or_insert_default();
    status.binding = Some(Binding {
        agent_id: id.into(),
        ..Binding::default()
    });
    status.entry = Some(Entry::default());
    Arc::new(agent)
}

/// The Gateway with its uid, held and being deleted.
fn deleted(change: impl FnOnce(&mut Gateway)) -> Snapshot {
    let mut gateway = harbour();
    gateway.metadata.uid = Some("u1".into());
    gateway.metadata.finalizers = Some(vec![names::FINALIZER.into()]);
    gateway.metadata.deletion_timestamp = Some(Time(at(0)));
    change(&mut gateway);
    let main = provisioned(&Arc::new(main_of(&gateway)), "mc-gateway-1");
    Snapshot {
        agents: vec![Arc::clone(&main)],
        main: Fact::Known(main),
        ..snapshot(gateway)
    }
}

/// What Ready and MainAgent say.
fn ends(report: &Report) -> String {
    let kinds = [
        condition::READY,
        condition::RECONCILING,
        condition::STALLED,
        condition::MAIN_AGENT,
    ];
    let said = kinds
        .iter()
        .filter_map(|kind| find(&report.status.conditions, kind));
    said.map(|found| {
        format!(
            "{:11} {:7} {}: {}\n",
            found.type_, found.status, found.reason, found.message
        )
    })
    .collect()
}

#[test]
fn every_way_out_in_words() {
    let mut told = Vec::new();
    let mut tell = |what: &str, snapshot: &Snapshot, state| {
        told.push(format!("-- {what}\n{}", ends(&pass(snapshot, state, 0))));
    };
    let up = || Some(up("2026.9.6"));
    let with_others = |mut snapshot: Snapshot| {
        snapshot.agents.push(agent("triage", Phase::Ready, true));
        snapshot
            .boards
            .push(Arc::new(Board::new("ops", BoardSpec::default())));
        snapshot
    };
    tell("in use", &with_others(deleted(|_| {})), up());
    tell(
        "in use, of a hundred",
        &{
            let mut snapshot = deleted(|_| {});
            snapshot
                .agents
                .extend((0..100).map(|nth| agent(&format!("agent-{nth}"), Phase::Ready, true)));
            snapshot
        },
        up(),
    );
    tell("its main agent goes", &deleted(|_| {}), up());
    tell("suspended", &deleted(|gateway| gateway.spec.suspend = true), up());
    tell(
        "forced",
        &with_others(deleted(|gateway| {
            let force = (names::FORCE_DELETE.to_owned(), "true".to_owned());
            gateway.metadata.annotations = Some([force].into());
        })),
        up(),
    );
    tell(
        "cut off",
        &Snapshot {
            token: Fact::Absent,
            ..deleted(|_| {})
        },
        None,
    );
    tell(
        "cut off, but others stay",
        &with_others(Snapshot {
            token: Fact::Absent,
            ..deleted(|_| {})
        }),
        None,
    );
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_main_agent_in_words() {
    let mut told = Vec::new();
    let mut gateway = harbour();
    gateway.metadata.uid = Some("u1".into());
    let theirs = Arc::new(Agent::new("harbour-main", AgentSpec::default()));
    let failed = |why: &str| Outcome {
        main_not_stored: Some(why.into()),
        failed: Some(crate::cluster::Error::TimedOut),
        ..Outcome::default()
    };
    let cases = [
        (
            "kept",
            Fact::Known(Arc::new(main_of(&gateway))),
            Outcome::default(),
        ),
        ("made", Fact::Absent, Outcome::default()),
        (
            "not made",
            Fact::Absent,
            failed("the API server refused: no right"),
        ),
        ("taken", Fact::Known(theirs), Outcome::default()),
    ];
    for (what, main, outcome) in cases {
        let snapshot = Snapshot {
            main,
            ..snapshot(gateway.clone())
        };
        let desired = desired::gateway::of(&snapshot);
        let link = Fact::Known(Link {
            answers: desired.connection.clone().unwrap(),
            state: up("2026.9.6"),
        });
        let observed = Observed {
            link,
            preserved: BTreeSet::new(),
        };
        let report = of(&snapshot, &desired, &observed, &outcome, at(0));
        let news: Vec<_> = report.news.iter().map(|news| news.reason.to_string()).collect();
        told.push(format!(
            "-- {what}: {:?}, events {news:?}\n{}",
            report.status.main_agent,
            ends(&report)
        ));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn agents_are_counted_by_readiness_and_by_phase() {
    let mut snapshot = snapshot(harbour());
    snapshot.agents = vec![
        agent("a", Phase::Active, true),
        agent("b", Phase::Active, true),
        agent("c", Phase::Failed, false),
        Arc::new(Agent::new("d", AgentSpec::default())),
    ];
    let first = pass(&snapshot, Some(up("2026.9.6")), 0);
    let counts = first.status.agents.clone().unwrap();
    assert_eq!(
        (counts.summary.as_str(), counts.total, counts.ready),
        ("2/4", 4, 2)
    );
    assert_eq!(
        counts.phases,
        [("Active".to_owned(), 2), ("Failed".to_owned(), 1)].into()
    );
    then(&mut snapshot, &first);
    snapshot.agents.push(agent("e", Phase::Idle, true));
    let second = pass(&snapshot, Some(up("2026.9.6")), 5);
    assert!(differ_only_in_counts(Some(&first.status), &second.status));
    // Also while a new process connects: what is counted is known without the gateway.
    let connecting = pass(&snapshot, Some(State::Connecting), 5);
    assert!(differ_only_in_counts(Some(&first.status), &connecting.status));
}

#[test]
fn heartbeats_kept_alive_are_remembered_until_our_last_agent_has_left() {
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let keeps = |agents: &[Arc<Agent>], before: &[&str], now: &[&str]| {
        agents::preserved(agents, &ids(before), &ids(now).into_iter().collect())
    };
    let ours = [provisioned(&agent("a", Phase::Ready, true), "mc-1")];
    assert_eq!(keeps(&ours, &["main"], &["ops"]), ids(&["main", "ops"]));
    // A new process has seen no commit yet.
    assert_eq!(keeps(&ours, &["main"], &[]), ids(&["main"]));
    // The first write is on its way, and its agent's status is still to come.
    assert_eq!(keeps(&[], &[], &["main"]), ids(&["main"]));
    assert_eq!(keeps(&[], &["main"], &[]), ids(&[]));
    let many: Vec<String> = (0..1500).map(|nth| format!("agent-{nth}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(keeps(&ours, &[], &many).len(), 1000);
}

#[test]
fn what_cannot_be_cleaned_up_is_given_ten_minutes() {
    let mut snapshot = Snapshot {
        token: Fact::Absent,
        ..deleted(|_| {})
    };
    let mut lets_go = |second| {
        let desired = desired::gateway::of(&snapshot);
        let observed = Observed {
            link: Fact::Absent,
            preserved: BTreeSet::new(),
        };
        let plan = crate::plan::gateway::between(&desired, &observed, at(second));
        let report = pass(&snapshot, None, second);
        then(&mut snapshot, &report);
        let goes = plan
            .actions
            .iter()
            .any(|action| matches!(action, crate::plan::gateway::Action::LetGo { .. }));
        (goes, report.look_again)
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(lets_go(100), (false, seconds(601)));
    assert_eq!(lets_go(500), (false, seconds(201)));
    assert_eq!(lets_go(699), (false, seconds(2)));
    assert!(lets_go(700).0);
    assert_eq!(
        Reason::CredentialsGone.to_string(),
        desired::leaving::CREDENTIALS_GONE
    );
}
