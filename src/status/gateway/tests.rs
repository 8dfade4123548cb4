//! What is told of a Gateway, in words (snapshots) and over several passes.

use std::collections::BTreeMap;
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
use crate::resource::GatewaySpec;
use crate::resource::reference::{CaBundleKind, CaBundleRef, SecretKeyRef};

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
        &Observed { link },
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
    let lines = report.status.conditions.iter().map(|condition| {
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
    assert_eq!(first.look_again, Some(PATIENCE));
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
