//! The three families of gateways that are simulated. Whatever differs between them is asked of [`Contract`], so that
//! one page shows all the differences that are more than a text.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contract {
    V2026_2_9,
    V2026_7_35,
    V2026_9_6,
}

use Contract::{V2026_2_9, V2026_7_35, V2026_9_6};

impl Contract {
    pub const ALL: [Self; 3] = [V2026_9_6, V2026_7_35, V2026_2_9];

    pub fn version(self) -> &'static str {
        match self {
            V2026_2_9 => "2026.2.9",
            V2026_7_35 => "2026.7.35",
            V2026_9_6 => "2026.9.6",
        }
    }

    /// What `hello-ok` says; a 2026.2.9 from npm does not know its own version.
    pub(super) fn reported_version(self) -> &'static str {
        match self {
            V2026_2_9 => "dev",
            V2026_7_35 | V2026_9_6 => self.version(),
        }
    }

    pub(super) fn protocol(self) -> u64 {
        match self {
            V2026_2_9 => 3,
            V2026_7_35 | V2026_9_6 => 4,
        }
    }

    /// Agents are a map `agents.entries` since 2026.8.1, before that a list `agents.list` of `{id}`.
    pub(super) fn has_entries(self) -> bool {
        self == V2026_9_6
    }

    /// A token without a device keeps its scopes only on a loopback, and only for certain clients, since 2026.2.14.
    pub(super) fn clears_scopes(self) -> bool {
        self != V2026_2_9
    }

    /// `gateway.controlUi.dangerouslyDisableDeviceAuth` works up to 2026.7.
    pub(super) fn honours_the_control_ui_flag(self) -> bool {
        self != V2026_9_6
    }

    /// Hashes of files, and with them compare-and-swap, since 2026.9.
    pub(super) fn has_file_hashes(self) -> bool {
        self == V2026_9_6
    }

    /// Arrays of `{id}` merge item by item since 2026.2.26; items are lost only with `replacePaths` since 2026.4.29.
    pub(super) fn merges_arrays(self) -> bool {
        self != V2026_2_9
    }

    /// Calls of one limited method by one client in 60 s.
    pub(super) fn write_budget(self) -> Option<u32> {
        match self {
            V2026_2_9 => None,
            V2026_7_35 => Some(3),
            V2026_9_6 => Some(30),
        }
    }

    /// Each heartbeat and each skill review is a cron job; their coming and going is told by events.
    pub(super) fn has_heartbeat_jobs(self) -> bool {
        self == V2026_9_6
    }

    /// `config.changed`, `chat.metadata.changed` and their like.
    pub(super) fn tells_of_config(self) -> bool {
        self == V2026_9_6
    }

    pub(super) fn has_boot_id(self) -> bool {
        self == V2026_9_6
    }

    /// The whole gateway restarts after every write of its configuration.
    pub(super) fn restarts_on_every_write(self) -> bool {
        self == V2026_2_9
    }

    /// Up to 2026.7 the socket closes before a write that restarts the gateway, or changes its token, is answered.
    pub(super) fn closes_before_answering(self) -> bool {
        self == V2026_7_35
    }

    /// Between `agents.create` and the moment its agent is found: 231 ms at the median, 782 ms at most.
    pub(super) fn visibility_delay(self) -> Duration {
        match self {
            V2026_2_9 | V2026_7_35 => Duration::ZERO,
            V2026_9_6 => Duration::from_millis(231),
        }
    }

    pub(super) fn max_payload(self) -> usize {
        match self {
            V2026_2_9 => 524_288,
            V2026_7_35 | V2026_9_6 => 26_214_400,
        }
    }

    pub(super) fn max_buffered(self) -> usize {
        match self {
            V2026_2_9 => 1_572_864,
            V2026_7_35 | V2026_9_6 => 52_428_800,
        }
    }

    /// The names that `agents.files.*` takes, in the order of its list. All of them exist on disk as they are named.
    pub(super) fn file_names(self) -> &'static [&'static str] {
        match self {
            V2026_2_9 => &[
                "AGENTS.md",
                "SOUL.md",
                "TOOLS.md",
                "IDENTITY.md",
                "USER.md",
                "HEARTBEAT.md",
                "BOOTSTRAP.md",
                "MEMORY.md",
                "memory.md",
            ],
            V2026_7_35 => &[
                "AGENTS.md",
                "SOUL.md",
                "TOOLS.md",
                "IDENTITY.md",
                "USER.md",
                "HEARTBEAT.md",
                "BOOTSTRAP.md",
                "MEMORY.md",
            ],
            // IDENTITY.md is taken but not listed.
            V2026_9_6 => &[
                "AGENTS.md",
                "SOUL.md",
                "USER.md",
                "BOOTSTRAP.md",
                "MEMORY.md",
                "IDENTITY.md",
            ],
        }
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.version())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such contract; there are 2026.9.6, 2026.7.35 and 2026.2.9")]
pub struct UnknownContract;

impl FromStr for Contract {
    type Err = UnknownContract;

    fn from_str(text: &str) -> Result<Self, UnknownContract> {
        Self::ALL
            .into_iter()
            .find(|contract| contract.version() == text)
            .ok_or(UnknownContract)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_is_named_by_its_version() {
        for contract in Contract::ALL {
            assert_eq!(contract.to_string().parse(), Ok(contract));
        }
        assert_eq!("2026.8.1".parse::<Contract>(), Err(UnknownContract));
    }
}
