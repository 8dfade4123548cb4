//! The catalogue of reasons. They are public API: programs compare them, so one is added but never changed.
//! `docs/reasons.md` explains each to people; a test holds the two together.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    // Good.
    Connected,
    TokenAccepted,
    DeviceAccepted,
    DeviceNotNeeded,
    DevicePairingDisabled,
    VersionAccepted,
    CertificateVerified,
    NoTls,
    Suspended,

    // Not known, or not yet.
    Connecting,
    NotTried,
    VersionUnknown,
    PreparingDevice,

    // What the Gateway refers to.
    InvalidSpec,
    ReferenceUnreadable,
    SecretNotFound,
    SecretKeyNotFound,
    TokenInvalid,
    CaBundleNotFound,
    CaBundleInvalid,
    DeviceKeyInvalid,

    // The way there.
    HostNotFound,
    ConnectionRefused,
    HostUnreachable,
    ConnectTimeout,
    TlsUnknownAuthority,
    TlsWrongName,
    TlsExpired,
    TlsNotYetValid,
    TlsNotSpoken,
    TlsFailed,
    CertificateNotVerified,
    ProxyNotTrusted,
    ProxyUnavailable,
    NotAGateway,
    GatewayStarting,
    NotAnswering,
    ConnectionLost,

    // At the door.
    TokenMissing,
    TokenRefused,
    LockedOut,
    HeldBack,
    PairingRequired,
    DeviceRefused,
    DeviceKeyNotStored,
    DevicePairingNotDisabled,
    DisableDevicePairingRetired,
    ScopesMissing,
    RefusedByGateway,

    // Inside.
    ProtocolMismatch,
    VersionTooOld,

    // What a Board refers to.
    GatewayFound,
    GatewayNotFound,
    GatewayTerminating,

    // On the way out.
    InUse,
    Deleting,
    CredentialsGone,
    ForceDeleted,
    LeftBehind,

    // The Agent that a Gateway keeps.
    MainAgentKept,
    MainNameTaken,
    MainAgentNotStored,

    // Agents.
    Provisioned,
    Paused,
    Retired,
    EntryInPlace,
    InSync,
    TokenInFile,
    TokenRotating,
    WakeSent,
    WakeDue,
    WakeUnknown,
    Reported,
    NeverReported,
    Drifted,
    DriftCorrected,
    Contested,
    Provisioning,
    GatewayNotReady,
    FilesUnreadable,
    FilesNotWritten,
    EntryNotWritten,
    ClusterNotWritten,
    BoardNotFound,
    ConfigMapNotFound,
    ConfigMapKeyNotFound,
    BoardTerminating,
    LeadConflict,
    CapacityExceeded,
    AgentIdTaken,
    WorkspaceTaken,
    SoulNotFound,
    MoveNotSupported,
    GatewayReplaced,
    TextInvalid,
    TemplateError,
    FileTooLarge,
    UnsupportedFile,
    SecretConflict,
    ConfigRejected,
    TokenLost,
    WakeRefused,

    // TemplateSyncs.
    WaitingForTurn,
    Syncing,
    Synced,
    NothingSelected,
    AgentsFailed,
    DeadlineExceeded,
}

/// Who can mend it, and so whether it counts as stalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing to mend.
    None,
    /// It ends by itself, and when is known: Reconciling until then, however long that is.
    Itself,
    /// It may come by itself: waited for, and Stalled only after a while.
    Wait,
    /// A person must act: Stalled at once.
    Person,
}

impl Reason {
    pub const ALL: &[Self] = &[
        Self::Connected,
        Self::TokenAccepted,
        Self::DeviceAccepted,
        Self::DeviceNotNeeded,
        Self::DevicePairingDisabled,
        Self::VersionAccepted,
        Self::CertificateVerified,
        Self::NoTls,
        Self::Suspended,
        Self::Connecting,
        Self::NotTried,
        Self::VersionUnknown,
        Self::PreparingDevice,
        Self::InvalidSpec,
        Self::ReferenceUnreadable,
        Self::SecretNotFound,
        Self::SecretKeyNotFound,
        Self::TokenInvalid,
        Self::CaBundleNotFound,
        Self::CaBundleInvalid,
        Self::DeviceKeyInvalid,
        Self::HostNotFound,
        Self::ConnectionRefused,
        Self::HostUnreachable,
        Self::ConnectTimeout,
        Self::TlsUnknownAuthority,
        Self::TlsWrongName,
        Self::TlsExpired,
        Self::TlsNotYetValid,
        Self::TlsNotSpoken,
        Self::TlsFailed,
        Self::CertificateNotVerified,
        Self::ProxyNotTrusted,
        Self::ProxyUnavailable,
        Self::NotAGateway,
        Self::GatewayStarting,
        Self::NotAnswering,
        Self::ConnectionLost,
        Self::TokenMissing,
        Self::TokenRefused,
        Self::LockedOut,
        Self::HeldBack,
        Self::PairingRequired,
        Self::DeviceRefused,
        Self::DeviceKeyNotStored,
        Self::DevicePairingNotDisabled,
        Self::DisableDevicePairingRetired,
        Self::ScopesMissing,
        Self::RefusedByGateway,
        Self::ProtocolMismatch,
        Self::VersionTooOld,
        Self::GatewayFound,
        Self::GatewayNotFound,
        Self::GatewayTerminating,
        Self::InUse,
        Self::Deleting,
        Self::CredentialsGone,
        Self::ForceDeleted,
        Self::LeftBehind,
        Self::MainAgentKept,
        Self::MainNameTaken,
        Self::MainAgentNotStored,
        Self::Provisioned,
        Self::Paused,
        Self::Retired,
        Self::EntryInPlace,
        Self::InSync,
        Self::TokenInFile,
        Self::TokenRotating,
        Self::WakeSent,
        Self::WakeDue,
        Self::WakeUnknown,
        Self::Reported,
        Self::NeverReported,
        Self::Drifted,
        Self::DriftCorrected,
        Self::Contested,
        Self::Provisioning,
        Self::GatewayNotReady,
        Self::FilesUnreadable,
        Self::FilesNotWritten,
        Self::EntryNotWritten,
        Self::ClusterNotWritten,
        Self::BoardNotFound,
        Self::ConfigMapNotFound,
        Self::ConfigMapKeyNotFound,
        Self::BoardTerminating,
        Self::LeadConflict,
        Self::CapacityExceeded,
        Self::AgentIdTaken,
        Self::WorkspaceTaken,
        Self::SoulNotFound,
        Self::MoveNotSupported,
        Self::GatewayReplaced,
        Self::TextInvalid,
        Self::TemplateError,
        Self::FileTooLarge,
        Self::UnsupportedFile,
        Self::SecretConflict,
        Self::ConfigRejected,
        Self::TokenLost,
        Self::WakeRefused,
        Self::WaitingForTurn,
        Self::Syncing,
        Self::Synced,
        Self::NothingSelected,
        Self::AgentsFailed,
        Self::DeadlineExceeded,
    ];

    /// Whether it says that the gateway's certificate was looked at and not believed.
    pub fn is_about_certificates(self) -> bool {
        [
            Self::TlsUnknownAuthority,
            Self::TlsWrongName,
            Self::TlsExpired,
            Self::TlsNotYetValid,
            Self::TlsNotSpoken,
            Self::TlsFailed,
        ]
        .contains(&self)
    }

    pub fn remedy(self) -> Remedy {
        match self {
            Self::Connected
            | Self::TokenAccepted
            | Self::DeviceAccepted
            | Self::DeviceNotNeeded
            | Self::DevicePairingDisabled
            | Self::VersionAccepted
            | Self::VersionUnknown
            | Self::CertificateVerified
            | Self::CertificateNotVerified
            | Self::NoTls
            // Never what keeps a Gateway from being Ready: something before it does.
            | Self::NotTried
            | Self::Suspended
            | Self::Provisioned
            | Self::Paused
            | Self::Retired
            | Self::EntryInPlace
            | Self::InSync
            | Self::TokenInFile
            | Self::TokenRotating
            | Self::WakeSent
            | Self::WakeDue
            | Self::WakeUnknown
            | Self::Reported
            | Self::NeverReported
            | Self::Drifted
            | Self::DriftCorrected
            | Self::Synced
            | Self::NothingSelected => Remedy::None,
            // Of the main agent: the Gateway is as Ready without it.
            Self::GatewayFound
            | Self::MainAgentKept
            | Self::MainNameTaken
            | Self::MainAgentNotStored
            // Told as Events.
            | Self::ForceDeleted
            | Self::LeftBehind => Remedy::None,
            Self::CredentialsGone | Self::WaitingForTurn | Self::Syncing => Remedy::Itself,
            Self::GatewayNotFound | Self::GatewayTerminating | Self::InUse | Self::Deleting => Remedy::Wait,
            Self::Connecting
            | Self::PreparingDevice
            | Self::ReferenceUnreadable
            | Self::SecretNotFound
            | Self::SecretKeyNotFound
            | Self::CaBundleNotFound
            | Self::HostNotFound
            | Self::ConnectionRefused
            | Self::HostUnreachable
            | Self::ConnectTimeout
            | Self::ProxyUnavailable
            | Self::NotAGateway
            | Self::GatewayStarting
            | Self::NotAnswering
            | Self::ConnectionLost
            | Self::LockedOut
            | Self::HeldBack
            // An approval is given while one waits for it; Flux would give up on Stalled before anybody could.
            | Self::PairingRequired
            | Self::DeviceKeyNotStored
            | Self::RefusedByGateway
            | Self::Contested
            | Self::Provisioning
            | Self::GatewayNotReady
            | Self::FilesUnreadable
            | Self::FilesNotWritten
            | Self::EntryNotWritten
            | Self::ClusterNotWritten
            | Self::BoardNotFound
            | Self::ConfigMapNotFound
            | Self::ConfigMapKeyNotFound
            | Self::BoardTerminating
            | Self::LeadConflict
            | Self::CapacityExceeded
            | Self::AgentIdTaken
            | Self::WorkspaceTaken
            | Self::SoulNotFound => Remedy::Wait,
            Self::InvalidSpec
            | Self::TokenInvalid
            | Self::CaBundleInvalid
            | Self::DeviceKeyInvalid
            | Self::TlsUnknownAuthority
            | Self::TlsWrongName
            | Self::TlsExpired
            | Self::TlsNotYetValid
            | Self::TlsNotSpoken
            | Self::TlsFailed
            | Self::ProxyNotTrusted
            | Self::TokenMissing
            | Self::TokenRefused
            | Self::DeviceRefused
            | Self::DevicePairingNotDisabled
            | Self::DisableDevicePairingRetired
            | Self::ScopesMissing
            | Self::ProtocolMismatch
            | Self::VersionTooOld
            | Self::MoveNotSupported
            | Self::GatewayReplaced
            | Self::TextInvalid
            | Self::TemplateError
            | Self::FileTooLarge
            | Self::UnsupportedFile
            | Self::SecretConflict
            | Self::ConfigRejected
            | Self::TokenLost
            | Self::WakeRefused
            | Self::AgentsFailed
            | Self::DeadlineExceeded => Remedy::Person,
        }
    }
}

/// The variant's own name: what stands in a condition.
impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_explained_in_the_docs_and_nothing_else_is() {
        // The table's columns: reason, condition, Stalled, and what it means.
        let explained: Vec<(&str, &str)> = include_str!("../../docs/reasons.md")
            .lines()
            .filter_map(|line| {
                let (name, cells) = line.strip_prefix("| `")?.split_once("` | ")?;
                Some((name, cells.split(" | ").nth(1)?))
            })
            .collect();
        for reason in Reason::ALL {
            let stalled = match reason.remedy() {
                Remedy::None | Remedy::Itself => "no",
                Remedy::Wait => "after 5 min",
                Remedy::Person => "at once",
            };
            let name = reason.to_string();
            assert!(
                explained.contains(&(name.as_str(), stalled)),
                "docs/reasons.md does not explain {reason}, or says otherwise than Stalled {stalled:?}"
            );
        }
        assert_eq!(
            explained.len(),
            Reason::ALL.len(),
            "docs/reasons.md explains what is no reason, or one twice"
        );
    }
}
