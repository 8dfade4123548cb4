//! What is told of a Gateway.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;

use super::News;
use super::condition::{Book, Finding, Truth, find, fit, whole_seconds};
use super::reason::{Reason, Remedy};
use super::verdict::{self, Layer, Verdict};
use crate::desired::gateway::{Desired, Obstacle, Snapshot};
use crate::execute::gateway::Outcome;
use crate::gateway::credentials::Identity;
use crate::gateway::{Facts, ServerVersion, State, Trouble, Wanted};
use crate::observed::gateway::Observed;
use crate::resource::gateway::{Device, GatewayStatus, PairingRequest, RefusedCredential};
use crate::resource::{Gateway, Time, condition, names};

/// What a pass reports, and when the next one is due if nothing happens before.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub status: GatewayStatus,
    pub news: Vec<News>,
    pub look_again: Option<Duration>,
}

/// How long something that may come by itself is waited for before a person is called.
const PATIENCE: Duration = Duration::from_secs(300);

pub fn of(
    snapshot: &Snapshot,
    desired: &Desired,
    observed: &Observed,
    outcome: &Outcome,
    now: Timestamp,
) -> Report {
    let now = whole_seconds(now);
    let gateway = snapshot.gateway.as_ref();
    let nothing = GatewayStatus::default();
    let before = gateway.status.as_ref().unwrap_or(&nothing);

    let state = match &desired.connection {
        Ok(wanted) => observed.state_of(wanted),
        Err(_) => None,
    };
    let asked = |annotation, before: &Option<String>| {
        handled(gateway, desired, observed, annotation, before.as_ref())
    };
    let last_handled_reconcile_at = asked(names::FLUX_REQUESTED_AT, &before.last_handled_reconcile_at);
    let last_handled_request = asked(names::RECONCILE_AT, &before.last_handled_request);
    if let Some(look_again) = nothing_to_tell_yet(gateway, desired, observed, state, before) {
        let status = GatewayStatus {
            last_handled_reconcile_at,
            last_handled_request,
            ..before.clone()
        };
        return Report {
            status,
            news: Vec::new(),
            look_again,
        };
    }
    let findings = Findings::of(gateway, desired, state, outcome);
    let (conditions, look_again) = conditions(gateway, before, &findings, now);
    let facts = match state {
        Some(State::Up(facts)) => Some(facts),
        Some(State::Connecting | State::Down(_)) | None => None,
    };
    let status = GatewayStatus {
        observed_generation: gateway.metadata.generation,
        conditions,
        last_handled_reconcile_at,
        last_handled_request,
        // The last that was seen: a gateway that is away has not become another one.
        version: facts
            .map(|facts| fit(&facts.version.reported, SHORT))
            .or_else(|| before.version.clone()),
        protocol: facts.map_or(before.protocol, |facts| i32::try_from(facts.protocol).ok()),
        contract: facts
            .map(|facts| facts.contract.to_string())
            .or_else(|| before.contract.clone()),
        boot_id: facts.map_or_else(
            || before.boot_id.clone(),
            |facts| Some(fit(facts.boot_id.as_ref()?, SHORT)),
        ),
        main_agent: before.main_agent.clone(),
        agents: before.agents.clone(),
        device: device(desired, state, before, now),
        refused_credential: refused(desired, state, before, now),
        preserved_heartbeats: before.preserved_heartbeats.clone(),
    };
    let news = news(&before.conditions, &findings.ready);
    Report {
        status,
        news,
        look_again,
    }
}

/// What the schema allows for a version, a boot id, a request id; and for an annotation's value.
const SHORT: usize = 128;
const LONGEST_REQUEST: usize = 1024;

/// What went wrong on our side of things is tried again soon: no event tells when it is mended.
const SOON: Duration = Duration::from_secs(15);

/// While a try is under way, what was last told of this spec stays: a new process must not call every Gateway unready
/// for the moment it takes to connect. The same while a reference cannot be read and the connection stands. Some, if so:
/// when to look again.
fn nothing_to_tell_yet(
    gateway: &Gateway,
    desired: &Desired,
    observed: &Observed,
    state: Option<&State>,
    before: &GatewayStatus,
) -> Option<Option<Duration>> {
    let told = before.observed_generation == gateway.metadata.generation
        && find(&before.conditions, condition::READY).is_some();
    let look_again = match (&desired.connection, state) {
        (Ok(_), None | Some(State::Connecting)) => None,
        (Err(Obstacle::Unreadable(_)), _) if observed.is_up() => Some(SOON),
        (Err(_), _) | (Ok(_), Some(State::Up(_) | State::Down(_))) => return None,
    };
    told.then_some(look_again)
}

/// Every aspect of a Gateway, as this pass found it.
struct Findings {
    reachable: Finding,
    authenticated: Finding,
    paired: Finding,
    compatible: Finding,
    tls_verified: Finding,
    ready: Finding,
}

impl Findings {
    fn of(gateway: &Gateway, desired: &Desired, state: Option<&State>, outcome: &Outcome) -> Self {
        match (&desired.connection, state) {
            (Err(obstacle), _) => Self::failed(gateway, desired, &verdict::of_obstacle(gateway, obstacle)),
            (Ok(_), None | Some(State::Connecting)) => Self::connecting(gateway),
            (Ok(_), Some(State::Down(trouble))) => {
                let mut verdict = verdict::of_trouble(gateway, trouble);
                if let Some(why) = &outcome.device_key_not_stored {
                    let message =
                        format!("the gateway wants a device identity, but its key cannot be stored: {why}");
                    verdict.finding = Finding::new(Truth::False, Reason::DeviceKeyNotStored, message);
                }
                if *trouble == Trouble::DeviceNeeded && desired.holds_still() {
                    "the gateway wants a device identity; none is made while suspended or being deleted"
                        .clone_into(&mut verdict.finding.message);
                }
                Self::failed(gateway, desired, &verdict)
            }
            (Ok(wanted), Some(State::Up(facts))) => Self::connected(gateway, desired, wanted, facts),
        }
    }

    fn connecting(gateway: &Gateway) -> Self {
        let unknown = || {
            Finding::new(
                Truth::Unknown,
                Reason::Connecting,
                format!("connecting to {}", gateway.spec.url),
            )
        };
        Self {
            reachable: unknown(),
            authenticated: unknown(),
            paired: unknown(),
            compatible: unknown(),
            tls_verified: tls_verified(gateway, Certificate::NotSeen),
            ready: unknown(),
        }
    }

    fn failed(gateway: &Gateway, desired: &Desired, verdict: &Verdict) -> Self {
        let Verdict {
            layer,
            finding,
            reached,
            before,
        } = verdict;
        let unknown = format!("not known while {} is not True", layer.condition());
        let certificate = match (layer, reached) {
            (Layer::Reachable, _) if finding.reason.is_about_certificates() => Certificate::Refused(finding),
            (Layer::Reachable, _) | (_, false) => Certificate::NotSeen,
            (Layer::Authenticated | Layer::Paired | Layer::Compatible, true) => Certificate::Accepted,
        };
        let at = |this: Layer, good: fn(&Desired) -> Finding| match this.cmp(layer) {
            std::cmp::Ordering::Equal => finding.clone(),
            std::cmp::Ordering::Less if *before == Truth::True || this == Layer::Reachable && *reached => {
                good(desired)
            }
            std::cmp::Ordering::Less | std::cmp::Ordering::Greater => {
                Finding::new(Truth::Unknown, Reason::NotTried, unknown.as_str())
            }
        };
        Self {
            reachable: at(Layer::Reachable, |_| {
                Finding::new(Truth::True, Reason::Connected, "the gateway answers")
            }),
            authenticated: at(Layer::Authenticated, |_| token_accepted()),
            paired: at(Layer::Paired, paired),
            compatible: at(Layer::Compatible, |_| unchecked_version()),
            tls_verified: tls_verified(gateway, certificate),
            ready: Finding {
                truth: if finding.truth == Truth::True {
                    Truth::Unknown
                } else {
                    finding.truth
                },
                ..finding.clone()
            },
        }
    }

    fn connected(gateway: &Gateway, desired: &Desired, wanted: &Wanted, facts: &Facts) -> Self {
        let compatible = compatible(gateway, desired, &facts.version);
        let version = &facts.version.reported;
        let ready = match (compatible.truth, desired.suspended) {
            (Truth::False, _) => compatible.clone(),
            (Truth::True | Truth::Unknown, true) => Finding::new(
                Truth::True,
                Reason::Suspended,
                format!("suspended: OpenClaw {version} is observed, nothing is written"),
            ),
            (Truth::True | Truth::Unknown, false) => Finding::new(
                Truth::True,
                Reason::Connected,
                format!("connected to OpenClaw {version}"),
            ),
        };
        Self {
            reachable: Finding::new(Truth::True, Reason::Connected, "the gateway answers"),
            authenticated: match wanted.target.credentials.token {
                Some(_) => token_accepted(),
                None => Finding::new(
                    Truth::True,
                    Reason::TokenAccepted,
                    "the gateway asks for no token",
                ),
            },
            paired: paired(desired),
            compatible,
            tls_verified: tls_verified(gateway, Certificate::Accepted),
            ready,
        }
    }
}

fn token_accepted() -> Finding {
    Finding::new(
        Truth::True,
        Reason::TokenAccepted,
        "the gateway accepted the token",
    )
}

fn unchecked_version() -> Finding {
    Finding::new(
        Truth::Unknown,
        Reason::NotTried,
        "the gateway's version is not known yet",
    )
}

fn paired(desired: &Desired) -> Finding {
    let identity = desired
        .connection
        .as_ref()
        .map(|wanted| &wanted.target.credentials.identity);
    let (reason, message) = match identity {
        Ok(Identity::Device(key)) => (
            Reason::DeviceAccepted,
            format!("the gateway knows our device {}", key.id()),
        ),
        Ok(Identity::ControlUi) => (
            Reason::DevicePairingDisabled,
            "the gateway allows connections without a device".to_owned(),
        ),
        Ok(Identity::TokenOnly) | Err(_) => (
            Reason::DeviceNotNeeded,
            "the gateway lets this address in by token alone".to_owned(),
        ),
    };
    Finding::new(Truth::True, reason, message)
}

fn compatible(gateway: &Gateway, desired: &Desired, version: &ServerVersion) -> Finding {
    let ServerVersion { reported, known } = version;
    let minimum = &gateway.spec.minimum_version;
    match (known, desired.minimum_version) {
        (Some(known), Some(oldest)) if *known < oldest => Finding::new(
            Truth::False,
            Reason::VersionTooOld,
            format!(
                "the gateway is OpenClaw {known}, older than spec.minimumVersion {minimum}: upgrade the gateway, or lower spec.minimumVersion"
            ),
        ),
        (Some(known), _) => Finding::new(
            Truth::True,
            Reason::VersionAccepted,
            format!("OpenClaw {known} is not older than {minimum}"),
        ),
        (None, _) => Finding::new(
            Truth::Unknown,
            Reason::VersionUnknown,
            format!(
                "the gateway calls itself {reported:?}, which cannot be compared with spec.minimumVersion {minimum}"
            ),
        ),
    }
}

/// What became of the gateway's certificate.
#[derive(Clone, Copy)]
enum Certificate<'a> {
    NotSeen,
    Accepted,
    Refused(&'a Finding),
}

fn tls_verified(gateway: &Gateway, certificate: Certificate<'_>) -> Finding {
    if !gateway.spec.url.starts_with("wss:") {
        return Finding::new(
            Truth::Unknown,
            Reason::NoTls,
            "ws:// is not encrypted: keep it to a private network",
        );
    }
    if gateway.spec.allow_insecure_tls {
        return Finding::new(
            Truth::False,
            Reason::CertificateNotVerified,
            "spec.allowInsecureTls is set: whoever sits between us and the gateway can read the token",
        );
    }
    match certificate {
        Certificate::Accepted => Finding::new(
            Truth::True,
            Reason::CertificateVerified,
            "the gateway's certificate was checked",
        ),
        Certificate::Refused(finding) => finding.clone(),
        Certificate::NotSeen => Finding::new(Truth::Unknown, Reason::NotTried, "not connected"),
    }
}

/// The list in its fixed order, and when patience ends.
fn conditions(
    gateway: &Gateway,
    before: &GatewayStatus,
    findings: &Findings,
    now: Timestamp,
) -> (Vec<Condition>, Option<Duration>) {
    let book = Book {
        before: &before.conditions,
        generation: gateway.metadata.generation,
        now,
    };
    let Findings {
        reachable,
        authenticated,
        paired,
        compatible,
        tls_verified,
        ready,
    } = findings;
    let (reconciling, stalled, patience) = progress(gateway, before, ready, now);
    let ours = matches!(
        ready.reason,
        Reason::ReferenceUnreadable | Reason::DeviceKeyNotStored
    );
    let look_again = if ours { Some(SOON) } else { patience };
    let mut list = vec![book.write(condition::READY, ready)];
    // Patience is for each reason anew, and this condition's time is what it is measured by.
    let same = find(&before.conditions, condition::RECONCILING)
        .is_some_and(|c| c.reason == ready.reason.to_string());
    let clock = if same { &before.conditions[..] } else { &[] };
    list.extend(reconciling.map(|finding| {
        Book {
            before: clock,
            ..book
        }
        .write(condition::RECONCILING, &finding)
    }));
    list.extend(stalled.map(|finding| book.write(condition::STALLED, &finding)));
    list.extend([
        book.write(condition::REACHABLE, reachable),
        book.write(condition::AUTHENTICATED, authenticated),
        book.write(condition::PAIRED, paired),
        book.write(condition::COMPATIBLE, compatible),
        book.write(condition::TLS_VERIFIED, tls_verified),
    ]);
    (list, look_again)
}

/// Reconciling while it may still come by itself, Stalled once a person must act. What waits longer than
/// [`PATIENCE`] is stalled too, and stays so until its reason or the spec changes.
fn progress(
    gateway: &Gateway,
    before: &GatewayStatus,
    ready: &Finding,
    now: Timestamp,
) -> (Option<Finding>, Option<Finding>, Option<Duration>) {
    let as_true = || Finding {
        truth: Truth::True,
        ..ready.clone()
    };
    let waiting = || {
        Finding::new(
            Truth::True,
            ready.reason,
            "waiting for it to come right; Stalled after 5 minutes",
        )
    };
    match ready.reason.remedy() {
        Remedy::None => (None, None, None),
        Remedy::Person => (None, Some(as_true()), None),
        Remedy::Wait => {
            let same_spec = before.observed_generation == gateway.metadata.generation;
            let earlier = |kind| find(&before.conditions, kind).filter(|_| same_spec);
            if earlier(condition::STALLED).is_some_and(|stalled| stalled.reason == ready.reason.to_string()) {
                return (None, Some(as_true()), None);
            }
            let same =
                earlier(condition::RECONCILING).filter(|waiting| waiting.reason == ready.reason.to_string());
            let since = same.map_or(now, |waiting| waiting.last_transition_time.0);
            let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
            match PATIENCE.checked_sub(waited).filter(|left| !left.is_zero()) {
                Some(left) => (Some(waiting()), None, Some(left)),
                None => (None, Some(as_true()), None),
            }
        }
    }
}

/// An annotation counts as handled when the session has tried, or there is nothing to try.
fn handled(
    gateway: &Gateway,
    desired: &Desired,
    observed: &Observed,
    annotation: &str,
    before: Option<&String>,
) -> Option<String> {
    let asked = gateway
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(annotation));
    match asked {
        Some(asked) if observed.answers(desired) => Some(fit(asked, LONGEST_REQUEST)),
        Some(_) | None => before.cloned(),
    }
}

fn device(
    desired: &Desired,
    state: Option<&State>,
    before: &GatewayStatus,
    now: Timestamp,
) -> Option<Device> {
    let id = desired
        .connection
        .as_ref()
        .ok()
        .and_then(|wanted| wanted.target.device_id())?;
    let pairing = match state {
        Some(State::Down(Trouble::PairingRequired(request))) => {
            let request_id = fit(request.request_id.as_deref().unwrap_or_default(), SHORT);
            let earlier = before.device.as_ref().and_then(|device| device.pairing.as_ref());
            let since = earlier
                .filter(|earlier| earlier.request_id == request_id)
                .and_then(|earlier| earlier.since.clone())
                .unwrap_or(Time(now));
            Some(PairingRequest {
                request_id,
                approve: verdict::approve_command(request),
                since: Some(since),
            })
        }
        Some(State::Connecting | State::Up(_) | State::Down(_)) | None => None,
    };
    Some(Device {
        id: id.to_owned(),
        pairing,
    })
}

fn refused(
    desired: &Desired,
    state: Option<&State>,
    before: &GatewayStatus,
    now: Timestamp,
) -> Option<RefusedCredential> {
    match state {
        Some(State::Down(Trouble::Held(_))) => before.refused_credential.clone(),
        Some(State::Down(Trouble::TokenRefused | Trouble::TokenMissing)) => {
            let earlier = before.refused_credential.as_ref();
            let at = earlier
                .filter(|earlier| earlier.credential == desired.credential)
                .and_then(|earlier| earlier.at.clone())
                .unwrap_or(Time(now));
            Some(RefusedCredential {
                credential: desired.credential.clone(),
                at: Some(at),
            })
        }
        // While nothing is known, what was refused stays refused.
        Some(State::Connecting) | None => before.refused_credential.clone(),
        Some(State::Up(_) | State::Down(_)) => None,
    }
}

/// Ready's reason is the story: told when it changes, but not the moments between two chapters.
fn news(before: &[Condition], ready: &Finding) -> Vec<News> {
    let told = find(before, condition::READY);
    let same = told.is_some_and(|told| told.reason == ready.reason.to_string());
    if same || ready.truth == Truth::Unknown {
        return Vec::new();
    }
    let warning = ready.truth == Truth::False;
    vec![News {
        warning,
        reason: ready.reason,
        note: ready.message.clone(),
    }]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use k8s_openapi::ByteString;

    use super::*;
    use crate::desired;
    use crate::desired::gateway::Document;
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
}
