//! Why there is no usable connection. Each variant is one fact about the world that a person mends in one way;
//! the gateway's many error codes and texts are mapped to these in one place, [`Trouble::of_refusal`].

use std::time::Duration;

use super::close::Cause;
use super::connection::Outcome;
use super::frame::Refusal;
use super::guard::Hold;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    // Nobody there.
    HostNotFound,
    ConnectionRefused,
    HostUnreachable {
        detail: String,
    },
    ConnectTimedOut,
    Tls(TlsTrouble),

    // Somebody there, but not a gateway that talks to us.
    /// The HTTP status that answered the WebSocket upgrade.
    UpgradeRefused {
        status: u16,
    },
    NotAGateway {
        saw: &'static str,
    },

    // A gateway, but not now.
    Starting {
        retry_after: Duration,
    },
    Silent,
    Lost {
        code: Option<u16>,
        reason: String,
    },

    // A gateway that does not let us in.
    TokenMissing,
    TokenRefused,
    LockedOut {
        retry_after: Duration,
    },
    /// Not tried: the lock-out guard holds these credentials back.
    Held(Hold),
    /// The token alone has no scopes here: the gateway wants a device identity.
    DeviceNeeded,
    PairingRequired(PairingRequest),
    DeviceRefused {
        code: String,
    },
    /// Control-UI mode, and the gateway's configuration does not switch device pairing off.
    ControlUiNotAllowed,
    /// Control-UI mode, and the gateway is of 2026.8.1 or newer, where it no longer exists.
    ControlUiRetired,
    ScopesMissing {
        granted: Vec<String>,
    },
    ProtocolMismatch {
        expected: Option<u64>,
    },
    /// A refusal we have no word for: the gateway's own.
    Refused {
        code: String,
        message: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairingRequest {
    pub device_id: String,
    /// What `openclaw devices approve` takes.
    pub request_id: Option<String>,
    /// The gateway's reason: `not-paired`, `scope-upgrade`, `metadata-upgrade`, ...
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsTrouble {
    UnknownAuthority,
    WrongName,
    Expired,
    NotYetValid,
    /// The peer does not speak TLS at all.
    NotTls,
    Other(String),
}

/// Who has to do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// What lies between us and the gateway: names, routes, certificates.
    Network,
    Gateway,
    /// Whoever wrote the url and the token, or approves devices.
    Person,
    /// This client.
    Us,
}

/// When a session tries again by itself. A changed target or a request to try now always comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Soon, then less and less often.
    BackOff,
    /// After about this long, every time.
    After(Duration),
    /// When the lock-out guard allows: refused credentials cost tries.
    WhenGuardAllows,
}

/// A person has to do something first, and may have: look once a minute.
const PERSON: Duration = Duration::from_secs(60);

/// An approval is waited for with attention; asking again neither costs a try nor makes a second request.
const APPROVAL: Duration = Duration::from_secs(5);

impl Trouble {
    pub fn again(&self) -> Again {
        match self {
            Self::HostNotFound
            | Self::ConnectionRefused
            | Self::HostUnreachable { .. }
            | Self::ConnectTimedOut
            | Self::Tls(_)
            | Self::UpgradeRefused { .. }
            | Self::NotAGateway { .. }
            | Self::Silent
            | Self::Lost { code: None, .. } => Again::BackOff,
            Self::Lost { code: Some(code), .. } => Cause::of(*code).again(),
            // A start takes 2 to 39 s; the gateway asks for 0.5 s between tries.
            Self::Starting { retry_after } => Again::After((*retry_after).clamp(SOON, PERSON)),
            Self::TokenMissing | Self::TokenRefused | Self::LockedOut { .. } | Self::Held(_) => {
                Again::WhenGuardAllows
            }
            Self::PairingRequired(_) => Again::After(APPROVAL),
            Self::DeviceNeeded
            | Self::DeviceRefused { .. }
            | Self::ControlUiNotAllowed
            | Self::ControlUiRetired
            | Self::ScopesMissing { .. }
            | Self::ProtocolMismatch { .. }
            // Words that we do not know may be about credentials: not so often that it could lock us out.
            | Self::Refused { .. } => Again::After(PERSON),
        }
    }

    pub fn whose(&self) -> Whose {
        match self {
            Self::HostNotFound
            | Self::ConnectionRefused
            | Self::HostUnreachable { .. }
            | Self::ConnectTimedOut
            | Self::Lost { code: None, .. } => Whose::Network,
            Self::Tls(tls) => match tls {
                TlsTrouble::Expired | TlsTrouble::NotYetValid | TlsTrouble::Other(_) => Whose::Network,
                // The address or the authorities that were named do not fit the host.
                TlsTrouble::UnknownAuthority | TlsTrouble::WrongName | TlsTrouble::NotTls => Whose::Person,
            },
            Self::Starting { .. } | Self::Silent => Whose::Gateway,
            Self::Lost { code: Some(code), .. } => Cause::of(*code).whose(),
            Self::UpgradeRefused { .. }
            | Self::NotAGateway { .. }
            | Self::TokenMissing
            | Self::TokenRefused
            | Self::LockedOut { .. }
            | Self::Held(_)
            | Self::PairingRequired(_)
            | Self::DeviceRefused { .. }
            | Self::ControlUiNotAllowed
            | Self::ControlUiRetired
            | Self::ScopesMissing { .. }
            | Self::Refused { .. } => Whose::Person,
            Self::DeviceNeeded | Self::ProtocolMismatch { .. } => Whose::Us,
        }
    }

    /// How a try that came to this counts in metrics: refused by a gateway, or never heard by one.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::HostNotFound
            | Self::ConnectionRefused
            | Self::HostUnreachable { .. }
            | Self::Tls(_)
            | Self::UpgradeRefused { .. }
            | Self::NotAGateway { .. }
            | Self::Lost { .. } => Outcome::Lost,
            Self::ConnectTimedOut | Self::Silent => Outcome::TimedOut,
            Self::Starting { .. }
            | Self::TokenMissing
            | Self::TokenRefused
            | Self::LockedOut { .. }
            | Self::Held(_)
            | Self::DeviceNeeded
            | Self::PairingRequired(_)
            | Self::DeviceRefused { .. }
            | Self::ControlUiNotAllowed
            | Self::ControlUiRetired
            | Self::ScopesMissing { .. }
            | Self::ProtocolMismatch { .. }
            | Self::Refused { .. } => Outcome::Refused,
        }
    }

    /// The one table from the gateway's words to ours. `details.code` decides where there is one; 2026.2.9 sends
    /// none, there the text is all there is.
    pub fn of_refusal(refusal: &Refusal, device_id: Option<&str>) -> Self {
        let detail = refusal.detail_code.as_deref().unwrap_or_default();
        let message = refusal.message.as_str();
        match (refusal.code.as_str(), detail) {
            ("UNAVAILABLE", _) if message.contains("starting") => Self::Starting {
                retry_after: refusal.retry_after.unwrap_or(SOON),
            },
            (_, "AUTH_RATE_LIMITED") => Self::locked_out(refusal),
            (_, "AUTH_TOKEN_MISSING" | "AUTH_REQUIRED" | "AUTH_PASSWORD_MISSING") => Self::TokenMissing,
            (
                _,
                "AUTH_TOKEN_MISMATCH"
                | "AUTH_UNAUTHORIZED"
                | "AUTH_TOKEN_NOT_CONFIGURED"
                | "AUTH_PASSWORD_MISMATCH"
                | "AUTH_DEVICE_TOKEN_MISMATCH",
            ) => Self::TokenRefused,
            // One we do not know costs tries all the same.
            (_, code) if code.starts_with("AUTH_") => Self::TokenRefused,
            (_, "CONTROL_UI_DEVICE_IDENTITY_REQUIRED") => Self::ControlUiNotAllowed,
            (_, "DEVICE_IDENTITY_REQUIRED") => Self::DeviceNeeded,
            (_, "PROTOCOL_MISMATCH") => Self::mismatch(refusal),
            (_, code) if code.starts_with("DEVICE_AUTH_") => Self::DeviceRefused {
                code: code.to_owned(),
            },
            ("NOT_PAIRED", _) => match device_id {
                Some(device_id) => Self::PairingRequired(PairingRequest {
                    device_id: device_id.to_owned(),
                    request_id: text_of(refusal, "requestId"),
                    reason: text_of(refusal, "reason").unwrap_or_else(|| "not-paired".to_owned()),
                }),
                None => Self::DeviceNeeded,
            },
            _ if message.contains("token missing") || message.contains("password missing") => {
                Self::TokenMissing
            }
            _ if message.contains("unauthorized") || message.contains("token mismatch") => Self::TokenRefused,
            _ if message.contains("too many failed") => Self::locked_out(refusal),
            _ if message.starts_with("control ui requires") => Self::ControlUiNotAllowed,
            _ if message.contains("protocol mismatch") => Self::mismatch(refusal),
            _ => Self::Refused {
                code: refusal.code.clone(),
                message: refusal.message.clone(),
            },
        }
    }

    pub(super) fn ended() -> Self {
        Self::Lost {
            code: None,
            reason: "end of stream".to_owned(),
        }
    }

    /// A try while locked out neither counts nor prolongs it (measured on 7.35 and 9.6), so where the gateway does
    /// not say how long (7.35 never does, 9.6 not to a device), we look once a minute; a restart ends it early, too.
    fn locked_out(refusal: &Refusal) -> Self {
        Self::LockedOut {
            retry_after: refusal.retry_after.unwrap_or(PERSON).min(LOCK_OUT),
        }
    }

    fn mismatch(refusal: &Refusal) -> Self {
        Self::ProtocolMismatch {
            expected: refusal
                .details
                .get("expectedProtocol")
                .and_then(serde_json::Value::as_u64),
        }
    }
}

const SOON: Duration = Duration::from_millis(500);

/// How long ten refused tokens lock an address out by default, and so how long a gateway may put us off.
const LOCK_OUT: Duration = Duration::from_secs(300);

fn text_of(refusal: &Refusal, key: &str) -> Option<String> {
    refusal.details.get(key)?.as_str().map(super::frame::tame)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gateway::credentials::Secrets;
    use crate::gateway::frame::Incoming;

    fn refused(error: &serde_json::Value) -> Trouble {
        let frame = json!({ "type": "res", "id": "1", "ok": false, "error": error }).to_string();
        let Some(Incoming::Answer {
            result: Err(refusal), ..
        }) = Incoming::parse(&frame, &Secrets::default())
        else {
            panic!()
        };
        Trouble::of_refusal(&refusal, Some("d1"))
    }

    #[test]
    fn recorded_refusals_are_understood() {
        assert_eq!(
            refused(
                &json!({"code": "INVALID_REQUEST", "message": "unauthorized: gateway token mismatch (…)",
                "details": {"code": "AUTH_TOKEN_MISMATCH", "canRetryWithDeviceToken": false}})
            ),
            Trouble::TokenRefused
        );
        assert_eq!(
            refused(
                &json!({"code": "INVALID_REQUEST", "message": "unauthorized: gateway token mismatch (x)"})
            ),
            Trouble::TokenRefused,
            "2026.2.9 sends no details"
        );
        assert_eq!(
            refused(
                &json!({"code": "INVALID_REQUEST", "message": "unauthorized: too many failed attempts",
                "retryAfterMs": 299_995, "details": {"code": "AUTH_RATE_LIMITED"}})
            ),
            Trouble::LockedOut {
                retry_after: Duration::from_millis(299_995)
            }
        );
        assert_eq!(
            refused(
                &json!({"code": "INVALID_REQUEST", "message": "unauthorized: too many failed authentication \
                attempts (retry later)", "retryable": true, "details": {"code": "AUTH_RATE_LIMITED"}})
            ),
            Trouble::LockedOut {
                retry_after: Duration::from_secs(60)
            },
            "7.35, and 9.6 to a device, do not say how long"
        );
        assert_eq!(
            refused(
                &json!({"code": "UNAVAILABLE", "message": "gateway starting; retry shortly",
                "retryAfterMs": 500, "details": {"reason": "startup-sidecars"}})
            ),
            Trouble::Starting {
                retry_after: Duration::from_millis(500)
            }
        );
        assert_eq!(
            refused(
                &json!({"code": "NOT_PAIRED", "message": "pairing required: device is not approved yet",
                "details": {"code": "PAIRING_REQUIRED", "reason": "not-paired", "requestId": "b07620c0"}})
            ),
            Trouble::PairingRequired(PairingRequest {
                device_id: "d1".into(),
                request_id: Some("b07620c0".into()),
                reason: "not-paired".into()
            })
        );
        assert_eq!(
            refused(&json!({"code": "INVALID_REQUEST", "message": "protocol mismatch",
                "details": {"code": "PROTOCOL_MISMATCH", "expectedProtocol": 5}})),
            Trouble::ProtocolMismatch { expected: Some(5) }
        );
        assert_eq!(
            refused(
                &json!({"code": "INVALID_REQUEST", "message": "x", "details": {"code": "DEVICE_AUTH_NONCE_MISMATCH"}})
            ),
            Trouble::DeviceRefused {
                code: "DEVICE_AUTH_NONCE_MISMATCH".into()
            }
        );
    }

    #[test]
    fn nothing_that_costs_a_try_is_repeated_by_the_clock_alone() {
        for trouble in [
            Trouble::TokenMissing,
            Trouble::TokenRefused,
            Trouble::LockedOut { retry_after: SOON },
        ] {
            assert_eq!(trouble.again(), Again::WhenGuardAllows, "{trouble:?}");
        }
    }
}
