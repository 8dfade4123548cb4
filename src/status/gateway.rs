//! What is told of a Gateway.

mod agents;
mod leaving;

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;

use super::condition::{Book, Finding, Truth, find, fit, whole_seconds};
use super::progress;
use super::reason::Reason;
use super::verdict::{self, Layer, Verdict};
use super::{News, story};
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
    let main_agent = agents::main_agent(gateway, desired, outcome);
    let agents = Some(agents::counted(&snapshot.agents));
    let preserved_heartbeats = agents::preserved(
        &snapshot.agents,
        &before.preserved_heartbeats,
        &observed.preserved,
    );
    if let Some(look_again) = nothing_to_tell_yet(gateway, desired, observed, state, before) {
        let status = GatewayStatus {
            last_handled_reconcile_at,
            last_handled_request,
            agents,
            preserved_heartbeats,
            ..before.clone()
        };
        return Report {
            status,
            news: Vec::new(),
            look_again,
        };
    }
    let mut findings = Findings::of(gateway, desired, state, outcome);
    if let Some(leaving) = &desired.leaving {
        findings.ready = leaving::ready(gateway, desired, leaving, observed, now);
    }
    let (conditions, look_again) = conditions(gateway, before, &findings, &main_agent, now);
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
        main_agent: agents::main_agent_name(gateway, desired, outcome),
        agents,
        device: device(desired, state, before, now),
        refused_credential: refused(desired, state, before, now),
        preserved_heartbeats,
    };
    let mut news = story::news(&before.conditions, &findings.ready);
    if main_agent.truth == Truth::False && desired.leaving.is_none() {
        news.extend(story::of_condition(
            &before.conditions,
            condition::MAIN_AGENT,
            &main_agent,
        ));
    }
    news.extend(outcome.let_go.as_ref().and_then(leaving::told));
    // No event tells that the time is over.
    let look_again = leaving::look_again(desired, &findings.ready, now).or(look_again);
    Report {
        status,
        news,
        look_again,
    }
}

/// What a trouble of the connection means to whoever needs it: its reason, and what to do.
pub fn of_trouble(gateway: &Gateway, trouble: &Trouble) -> Finding {
    verdict::of_trouble(gateway, trouble).finding
}

/// Whether only what is counted differs: that may be told a little later.
pub fn differ_only_in_counts(before: Option<&GatewayStatus>, now: &GatewayStatus) -> bool {
    before.is_some_and(|before| {
        let counted = GatewayStatus {
            agents: before.agents.clone(),
            ..now.clone()
        };
        counted == *before && now != before
    })
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
    // Who still uses it is told anew each time.
    let told = desired.leaving.is_none()
        && before.observed_generation == gateway.metadata.generation
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
        // A refusal that is known from the status alone, as after a restart of ours: what was seen on the way to it still
        // stands there, or a status would change where nothing did.
        let told = gateway.status.as_ref().map(|status| status.conditions.as_slice());
        let told = told.unwrap_or_default();
        let same = find(told, condition::READY).filter(|ready| ready.reason == finding.reason.to_string());
        let as_told = |kind: &str| {
            same.filter(|_| !reached)
                .and_then(|_| Finding::told(find(told, kind)?))
        };
        let at = |this: Layer, good: fn(&Desired) -> Finding| match this.cmp(layer) {
            std::cmp::Ordering::Equal => finding.clone(),
            std::cmp::Ordering::Less if *before == Truth::True || this == Layer::Reachable && *reached => {
                good(desired)
            }
            std::cmp::Ordering::Less => as_told(this.condition())
                .unwrap_or_else(|| Finding::new(Truth::Unknown, Reason::NotTried, unknown.as_str())),
            std::cmp::Ordering::Greater => Finding::new(Truth::Unknown, Reason::NotTried, unknown.as_str()),
        };
        Self {
            reachable: at(Layer::Reachable, |_| {
                Finding::new(Truth::True, Reason::Connected, "the gateway answers")
            }),
            authenticated: at(Layer::Authenticated, |_| token_accepted()),
            paired: at(Layer::Paired, paired),
            compatible: at(Layer::Compatible, |_| unchecked_version()),
            tls_verified: as_told(condition::TLS_VERIFIED)
                .unwrap_or_else(|| tls_verified(gateway, certificate)),
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
    main_agent: &Finding,
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
    let same_spec = before.observed_generation == gateway.metadata.generation;
    let (mut list, patience) = progress::of(&book, same_spec, ready);
    let ours = matches!(
        ready.reason,
        Reason::ReferenceUnreadable | Reason::DeviceKeyNotStored
    );
    let look_again = if ours { Some(SOON) } else { patience };
    list.extend([
        book.write(condition::REACHABLE, reachable),
        book.write(condition::AUTHENTICATED, authenticated),
        book.write(condition::PAIRED, paired),
        book.write(condition::COMPATIBLE, compatible),
        book.write(condition::TLS_VERIFIED, tls_verified),
        book.write(condition::MAIN_AGENT, main_agent),
    ]);
    (list, look_again)
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
        .and_then(|wanted| wanted.target.credentials.identity.device_id())?;
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

#[cfg(test)]
mod tests;
