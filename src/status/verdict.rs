//! From a trouble or an obstacle to words: which layer it belongs to, its reason, what is wrong and what to do.
//! These sentences are what users read when something is wrong; a snapshot test holds every one of them.

use super::condition::{Finding, Truth};
use super::reason::Reason;
use super::story::some;
use crate::desired::gateway::{Obstacle, Referent};
use crate::gateway::close::Cause;
use crate::gateway::guard::Hold;
use crate::gateway::trouble::{PairingRequest, TlsTrouble};
use crate::gateway::{Address, Trouble};
use crate::resource::{Gateway, condition};

/// The layers of a connection, from the outside in: what fails in one leaves the next ones unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    Reachable,
    Authenticated,
    Paired,
    Compatible,
}

impl Layer {
    pub(super) fn condition(self) -> &'static str {
        match self {
            Self::Reachable => condition::REACHABLE,
            Self::Authenticated => condition::AUTHENTICATED,
            Self::Paired => condition::PAIRED,
            Self::Compatible => condition::COMPATIBLE,
        }
    }
}

/// Where it fails, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) layer: Layer,
    pub(super) finding: Finding,
    /// Whether a gateway answered at all.
    pub(super) reached: bool,
    /// What is known of the layers before it, except that one.
    pub(super) before: Truth,
}

impl Verdict {
    /// Everything before `layer` is fine.
    fn at(layer: Layer, reason: Reason, message: String) -> Self {
        Self {
            layer,
            finding: Finding::new(Truth::False, reason, message),
            reached: layer > Layer::Reachable,
            before: Truth::True,
        }
    }

    /// Nothing was tried: of the other layers nothing is known.
    fn untried(layer: Layer, reason: Reason, message: String) -> Self {
        Self {
            reached: false,
            before: Truth::Unknown,
            ..Self::at(layer, reason, message)
        }
    }
}

/// The command that approves a pairing request, on the gateway's host.
pub(super) fn approve_command(request: &PairingRequest) -> String {
    match &request.request_id {
        // The id is the gateway's word and goes into a command that a person will paste.
        Some(id)
            if id
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)) =>
        {
            format!("openclaw devices approve {id}")
        }
        Some(_) | None => "openclaw devices list".to_owned(),
    }
}

pub(super) fn of_obstacle(gateway: &Gateway, obstacle: &Obstacle) -> Verdict {
    let namespace = gateway.metadata.namespace.as_deref().unwrap_or_default();
    let place = |referent: &Referent| {
        let Referent {
            field: _,
            kind,
            name,
            key: _,
        } = referent;
        format!("{kind} {namespace}/{name}")
    };
    // A CA bundle is needed to reach the gateway, a token or a key only to be let in.
    let layer = |referent: &Referent| match referent.field {
        "spec.caBundleRef" => Layer::Reachable,
        _ => Layer::Authenticated,
    };
    match obstacle {
        Obstacle::Url(error) => Verdict::untried(
            Layer::Reachable,
            Reason::InvalidSpec,
            format!("spec.url {error}; write one such as ws://gateway.local:18789"),
        ),
        Obstacle::MinimumVersion => Verdict::untried(
            Layer::Compatible,
            Reason::InvalidSpec,
            format!(
                "spec.minimumVersion {:?} is no version such as 2026.2.9",
                gateway.spec.minimum_version
            ),
        ),
        Obstacle::Unreadable(referent) => Verdict::untried(
            layer(referent),
            Reason::ReferenceUnreadable,
            format!(
                "cannot read {}: the API server did not answer or does not allow it; see the operator's log and RBAC",
                place(referent)
            ),
        ),
        Obstacle::NotFound(referent) => {
            let reason = match layer(referent) {
                Layer::Reachable => Reason::CaBundleNotFound,
                Layer::Authenticated | Layer::Paired | Layer::Compatible => Reason::SecretNotFound,
            };
            let Referent { field, key, .. } = referent;
            let message = format!(
                "{} does not exist: create it with key {key}, or change {field}",
                place(referent)
            );
            Verdict::untried(layer(referent), reason, message)
        }
        Obstacle::NoSuchKey { referent, keys } => {
            let reason = match layer(referent) {
                Layer::Reachable => Reason::CaBundleNotFound,
                Layer::Authenticated | Layer::Paired | Layer::Compatible => Reason::SecretKeyNotFound,
            };
            let has = if keys.is_empty() {
                "it is empty".to_owned()
            } else {
                format!("it has {}", some(keys))
            };
            let Referent { field, key, .. } = referent;
            let message = format!(
                "{} has no key {key} ({has}): add the key, or change {field}.key",
                place(referent)
            );
            Verdict::untried(layer(referent), reason, message)
        }
        Obstacle::Token { referent, error } => Verdict::untried(
            Layer::Authenticated,
            Reason::TokenInvalid,
            format!(
                "the token in {} (key {}) {error}: put the gateway's token there",
                place(referent),
                referent.key
            ),
        ),
        Obstacle::CaBundle { referent, error } => Verdict::untried(
            Layer::Reachable,
            Reason::CaBundleInvalid,
            format!(
                "the CA bundle in {} (key {}) {error}: put the certificate of the gateway's authority there, or change \
                 spec.caBundleRef",
                place(referent),
                referent.key
            ),
        ),
        Obstacle::DeviceKey { referent } => Verdict::untried(
            Layer::Authenticated,
            Reason::DeviceKeyInvalid,
            format!(
                "{} does not hold a device key under {}: delete the Secret to get a new one, which must be approved again",
                place(referent),
                referent.key
            ),
        ),
    }
}

pub(super) fn of_trouble(gateway: &Gateway, trouble: &Trouble) -> Verdict {
    use Layer::{Authenticated, Compatible, Paired, Reachable};
    let spec = &gateway.spec;
    let url = &spec.url;
    let token = match &spec.token_secret_ref {
        Some(secret) => {
            let namespace = gateway.metadata.namespace.as_deref().unwrap_or_default();
            format!(
                "the token in Secret {namespace}/{} (key {})",
                secret.name, secret.key
            )
        }
        None => "the connection without a token".to_owned(),
    };
    match trouble {
        Trouble::HostNotFound => Verdict::at(
            Reachable,
            Reason::HostNotFound,
            format!("cannot resolve {}: check the host in spec.url {url}; tried again with back-off", host_of(url)),
        ),
        Trouble::ConnectionRefused => Verdict::at(
            Reachable,
            Reason::ConnectionRefused,
            format!("{url}: connection refused; nothing listens there. Start the gateway, or check the port in spec.url"),
        ),
        Trouble::HostUnreachable { detail } => Verdict::at(
            Reachable,
            Reason::HostUnreachable,
            format!("{url} cannot be reached ({detail}): check the network between the operator and the gateway"),
        ),
        Trouble::ConnectTimedOut => Verdict::at(
            Reachable,
            Reason::ConnectTimeout,
            format!("{url} does not answer within 10 s: check spec.url, and firewalls and network policies on the way"),
        ),
        Trouble::Tls(trouble) => {
            let (reason, message) = of_tls(url, trouble);
            Verdict::at(Reachable, reason, message)
        }
        Trouble::UpgradeRefused { status: 403 } => Verdict::at(
            Reachable,
            Reason::ProxyNotTrusted,
            format!(
                "{url} answered HTTP 403: a proxy on the way adds forwarding headers that the gateway does not trust. Add \
                 the proxy to gateway.trustedProxies in the gateway's openclaw.json, or connect past it"
            ),
        ),
        Trouble::UpgradeRefused { status: status @ (502..=504) } => Verdict::at(
            Reachable,
            Reason::ProxyUnavailable,
            format!("{url} answered HTTP {status}: the proxy in front of the gateway cannot reach it"),
        ),
        Trouble::UpgradeRefused { status } => Verdict::at(
            Reachable,
            Reason::NotAGateway,
            format!("{url} answered HTTP {status} and no WebSocket: no OpenClaw gateway. Check host, port and path in spec.url"),
        ),
        Trouble::NotAGateway { saw } => Verdict::at(
            Reachable,
            Reason::NotAGateway,
            format!("{url} is no OpenClaw gateway ({saw}): check host, port and scheme in spec.url"),
        ),
        Trouble::Starting { retry_after: _ } => {
            Verdict::at(Reachable, Reason::GatewayStarting, format!("the gateway at {url} is starting"))
        }
        Trouble::Silent => Verdict::at(
            Reachable,
            Reason::NotAnswering,
            format!("{url} takes connections but does not answer: no OpenClaw gateway, or one that hangs"),
        ),
        Trouble::Lost { code, reason } => {
            let how = match (code, reason.as_str()) {
                (Some(code), reason) => match (Cause::of(*code).in_words(), reason) {
                    (Some(words), _) => words.to_owned(),
                    (None, "") => format!("close {code}"),
                    (None, reason) => format!("close {code}, {reason}"),
                },
                (None, reason) => reason.to_owned(),
            };
            Verdict::at(
                Reachable,
                Reason::ConnectionLost,
                format!("the connection to {url} was lost ({how}); connecting again"),
            )
        }
        Trouble::TokenMissing => Verdict::at(
            Authenticated,
            Reason::TokenMissing,
            "the gateway asks for a token: put it into a Secret and name that in spec.tokenSecretRef".to_owned(),
        ),
        Trouble::TokenRefused => Verdict::at(
            Authenticated,
            Reason::TokenRefused,
            format!(
                "the gateway refused {token}; next try when the Secret or url changes, on request, or in 10 minutes"
            ),
        ),
        Trouble::LockedOut { retry_after: _ } => Verdict::at(
            Authenticated,
            Reason::LockedOut,
            "the gateway has locked our address out after too many wrong tokens, from whomever; it lets even the right \
             one in only after about 5 minutes, and then we try again"
                .to_owned(),
        ),
        // Known from earlier, and not looked at now: of the gateway itself nothing is said.
        Trouble::Held(Hold::Refused) => {
            let known = if spec.token_secret_ref.is_some() { Trouble::TokenRefused } else { Trouble::TokenMissing };
            Verdict { before: Truth::Unknown, reached: false, ..of_trouble(gateway, &known) }
        }
        Trouble::Held(Hold::LockedOut) => {
            let known = Trouble::LockedOut { retry_after: std::time::Duration::ZERO };
            Verdict { before: Truth::Unknown, reached: false, ..of_trouble(gateway, &known) }
        }
        Trouble::Held(Hold::Crowded) => Verdict::untried(
            Authenticated,
            Reason::HeldBack,
            "not tried yet: other tokens were refused at this address within the last minute, and ten would lock it out \
             for 5 minutes; tried within a minute"
                .to_owned(),
        ),
        Trouble::DeviceNeeded => Verdict {
            finding: Finding::new(
                Truth::Unknown,
                Reason::PreparingDevice,
                "the gateway wants a device identity; one is being made",
            ),
            ..Verdict::at(Paired, Reason::PreparingDevice, String::new())
        },
        Trouble::PairingRequired(request) => {
            let command = approve_command(request);
            let PairingRequest { device_id, request_id: _, reason } = request;
            Verdict::at(
                Paired,
                Reason::PairingRequired,
                format!(
                    "the gateway must approve this device once ({reason}): run `{command}` on the gateway's host. Device \
                     {device_id}; goes on by itself once approved"
                ),
            )
        }
        Trouble::DeviceRefused { code } => Verdict::at(
            Paired,
            Reason::DeviceRefused,
            format!("the gateway refused our device ({code}); if it says EXPIRED, the two clocks are minutes apart"),
        ),
        Trouble::ControlUiNotAllowed => Verdict {
            before: Truth::Unknown,
            ..Verdict::at(
                Paired,
                Reason::DevicePairingNotDisabled,
                "spec.disableDevicePairing is set, but the gateway still asks for a device: set \
                 gateway.controlUi.allowInsecureAuth and dangerouslyDisableDeviceAuth in its openclaw.json and restart it, \
                 or remove spec.disableDevicePairing"
                    .to_owned(),
            )
        },
        Trouble::ControlUiRetired => Verdict {
            before: Truth::Unknown,
            ..Verdict::at(
                Paired,
                Reason::DisableDevicePairingRetired,
                "gateways from 2026.8.1 on no longer allow connections without a device: remove spec.disableDevicePairing \
                 and approve the device once"
                    .to_owned(),
            )
        },
        Trouble::ScopesMissing { granted } => {
            let granted = if granted.is_empty() { "none".to_owned() } else { some(granted) };
            Verdict::at(
                Paired,
                Reason::ScopesMissing,
                format!(
                    "the gateway lets us in but grants too little: we need operator.admin, we have {granted}. A proxy on \
                     the way that sets x-openclaw-scopes is the usual cause: take operator.admin into that header, or \
                     connect past the proxy"
                ),
            )
        }
        Trouble::ProtocolMismatch { expected } => {
            let theirs = expected.map_or_else(String::new, |expected| format!(" (it speaks {expected})"));
            Verdict {
                before: Truth::Unknown,
                ..Verdict::at(
                    Compatible,
                    Reason::ProtocolMismatch,
                    format!("the gateway speaks none of the protocols 3 and 4{theirs}: a newer Quartermaster is needed"),
                )
            }
        }
        Trouble::Refused { code, message } => Verdict::at(
            Authenticated,
            Reason::RefusedByGateway,
            format!("the gateway refused the connection: {message} ({code})"),
        ),
    }
}

fn host_of(url: &str) -> String {
    Address::parse(url).map_or_else(|_| url.to_owned(), |address| address.host().to_string())
}

fn of_tls(url: &str, trouble: &TlsTrouble) -> (Reason, String) {
    match trouble {
        TlsTrouble::UnknownAuthority => (
            Reason::TlsUnknownAuthority,
            format!(
                "the certificate of {url} is signed by an authority that is not trusted: name its CA in spec.caBundleRef"
            ),
        ),
        TlsTrouble::WrongName => (
            Reason::TlsWrongName,
            format!(
                "the certificate of {url} is for another name: use the name it is for in spec.url, or renew it"
            ),
        ),
        TlsTrouble::Expired => (
            Reason::TlsExpired,
            format!("the certificate of {url} has expired: renew it on the gateway's side"),
        ),
        TlsTrouble::NotYetValid => (
            Reason::TlsNotYetValid,
            format!("the certificate of {url} is not valid yet: check the clocks of both sides"),
        ),
        TlsTrouble::NotTls => (
            Reason::TlsNotSpoken,
            format!(
                "{url} does not speak TLS: use ws:// in spec.url, or a TLS proxy in front of the gateway"
            ),
        ),
        TlsTrouble::Other(detail) => (Reason::TlsFailed, format!("TLS with {url} failed: {detail}")),
    }
}
