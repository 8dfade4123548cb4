//! What a client says of itself in `connect`: whether it is well formed, and in which protocol it may go on.

use serde_json::{Value, json};

use super::contract::Contract;
use super::handshake::Refused;
use super::refusal::Refusal;
use super::shape::{self, Kind, Property, Shape, may, must};

/// What a well-formed `connect` says.
pub(super) struct Asked<'a> {
    pub(super) client_id: &'a str,
    pub(super) mode: &'a str,
    pub(super) platform: &'a str,
    pub(super) family: &'a str,
    pub(super) build_id: Option<&'a str>,
    pub(super) role: &'a str,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) token: &'a str,
    pub(super) device_token: &'a str,
    pub(super) password: &'a str,
    pub(super) device: Option<&'a Value>,
}

impl<'a> Asked<'a> {
    pub(super) fn of(params: &'a Value) -> Self {
        let text = |pointer: &str| params.pointer(pointer).and_then(Value::as_str);
        let scopes = params.get("scopes").and_then(Value::as_array).map(|scopes| {
            scopes
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        });
        Self {
            client_id: text("/client/id").unwrap_or_default(),
            mode: text("/client/mode").unwrap_or_default(),
            platform: text("/client/platform").unwrap_or_default(),
            family: text("/client/deviceFamily").unwrap_or_default(),
            build_id: text("/client/buildId"),
            role: text("/role").unwrap_or("operator"),
            scopes,
            token: text("/auth/token").unwrap_or_default(),
            device_token: text("/auth/deviceToken").unwrap_or_default(),
            password: text("/auth/password").unwrap_or_default(),
            device: params.get("device"),
        }
    }

    pub(super) fn is_control_ui(&self) -> bool {
        self.client_id == "openclaw-control-ui"
    }

    pub(super) fn is(&self, id: &str, mode: &str) -> bool {
        self.client_id == id && self.mode == mode
    }

    pub(super) fn has_secret(&self) -> bool {
        [self.token, self.device_token, self.password]
            .iter()
            .any(|secret| !secret.is_empty())
    }

    /// What the device signed as its token.
    pub(super) fn signed_token(&self) -> &str {
        if self.token.is_empty() {
            self.device_token
        } else {
            self.token
        }
    }
}

pub(super) fn well_formed(params: &Value, contract: Contract) -> Result<(), Refusal> {
    let properties = match contract {
        Contract::V2026_2_9 => OLD_CONNECT,
        Contract::V2026_7_35 | Contract::V2026_9_6 => CONNECT,
    };
    let mut complaints: Vec<String> = shape::complaint(&Shape(properties), params, contract)
        .into_iter()
        .collect();
    if complaints.is_empty() {
        for (at, allowed) in [("id", CLIENT_IDS), ("mode", MODES)] {
            let given = params.pointer(&format!("/client/{at}")).and_then(Value::as_str);
            if !given.is_some_and(|given| allowed.contains(&given)) {
                complaints.push(match contract {
                    Contract::V2026_2_9 => format!(
                        "at /client/{at}: must be equal to constant; at /client/{at}: must match a schema in anyOf"
                    ),
                    Contract::V2026_7_35 | Contract::V2026_9_6 => {
                        format!("at /client/{at}: must be equal to one of the allowed values")
                    }
                });
            }
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "invalid connect params: {}",
        complaints.join("; ")
    )))
}

pub(super) fn speaks_our_protocol(params: &Value, contract: Contract) -> Result<(), Refused> {
    let number = |key: &str| params.get(key).and_then(Value::as_u64).unwrap_or_default();
    let (least, most, ours) = (number("minProtocol"), number("maxProtocol"), contract.protocol());
    if (least..=most).contains(&ours) {
        return Ok(());
    }
    let details = match contract {
        Contract::V2026_2_9 => json!({ "expectedProtocol": ours }),
        Contract::V2026_7_35 | Contract::V2026_9_6 => json!({
            "code": "PROTOCOL_MISMATCH", "clientMinProtocol": least, "clientMaxProtocol": most,
            "expectedProtocol": ours, "minimumProbeProtocol": 3,
        }),
    };
    let refusal = Refusal::invalid("protocol mismatch").details(details);
    Err(Refused {
        reason: refusal.message.clone(),
        refusal,
        code: 1002,
    })
}

const CLIENT_IDS: &[&str] = &[
    "webchat-ui",
    "openclaw-control-ui",
    "openclaw-browser-copilot",
    "openclaw-tui",
    "webchat",
    "cli",
    "gateway-client",
    "openclaw-macos",
    "openclaw-linux",
    "openclaw-ios",
    "openclaw-watchos",
    "openclaw-android",
    "node-host",
    "openclaw-worker",
    "test",
    "fingerprint",
    "openclaw-probe",
];
const MODES: &[&str] = &[
    "webchat", "cli", "ui", "backend", "node", "worker", "probe", "test",
];

const CLIENT: &[Property] = &[
    must("id", Kind::Any),
    must("version", Kind::Text(1)),
    must("platform", Kind::Text(1)),
    must("mode", Kind::Any),
    may("displayName", Kind::Text(1)),
    may("deviceFamily", Kind::Text(1)),
    may("modelIdentifier", Kind::Text(1)),
    may("timeZone", Kind::Text(1)),
    may("buildId", Kind::Text(1)),
    may("instanceId", Kind::Text(1)),
];
const AUTH: &[Property] = &[
    may("token", Kind::Text(0)),
    may("bootstrapToken", Kind::Text(0)),
    may("deviceToken", Kind::Text(0)),
    may("password", Kind::Text(0)),
    may("approvalRuntimeToken", Kind::Text(0)),
    may("agentRuntimeIdentityToken", Kind::Text(0)),
];
const OLD_AUTH: &[Property] = &[may("token", Kind::Text(0)), may("password", Kind::Text(0))];
const DEVICE: &[Property] = &[
    must("id", Kind::Text(1)),
    must("publicKey", Kind::Text(1)),
    must("signature", Kind::Text(1)),
    must("signedAt", Kind::Integer(0)),
    must("nonce", Kind::Text(1)),
];
const OLD_DEVICE: &[Property] = &[
    must("id", Kind::Text(1)),
    must("publicKey", Kind::Text(1)),
    must("signature", Kind::Text(1)),
    must("signedAt", Kind::Integer(0)),
    may("nonce", Kind::Text(1)),
];

macro_rules! connect {
    ($auth:expr, $device:expr) => {
        &[
            must("minProtocol", Kind::Integer(1)),
            must("maxProtocol", Kind::Integer(1)),
            must("client", Kind::Object(&Shape(CLIENT))),
            may("caps", Kind::Texts),
            may("commands", Kind::Texts),
            may("permissions", Kind::OpenObject),
            may("pathEnv", Kind::Text(0)),
            may("role", Kind::Text(1)),
            may("scopes", Kind::Texts),
            may("device", Kind::Object(&Shape($device))),
            may("auth", Kind::Object(&Shape($auth))),
            may("locale", Kind::Text(0)),
            may("userAgent", Kind::Text(0)),
        ]
    };
}
const CONNECT: &[Property] = connect!(AUTH, DEVICE);
const OLD_CONNECT: &[Property] = connect!(OLD_AUTH, OLD_DEVICE);
