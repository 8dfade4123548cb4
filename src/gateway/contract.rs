//! What a gateway can do, found by looking at it: everything that differs between gateways is decided here, as data,
//! and nobody else compares versions.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// A family of gateways that behave alike, named after the version it was measured on.
#[derive(Debug, PartialEq, Eq)]
pub struct Contract {
    pub name: &'static str,
    pub roster: Roster,
    /// The documents that `agents.files.*` accepts. All other text of an agent travels inside AGENTS.md.
    pub documents: &'static [&'static str],
    /// Keys of an entry's heartbeat block. One unknown key makes a gateway refuse the whole patch.
    pub heartbeat_keys: &'static [&'static str],
    /// How many writes of the configuration are allowed, in how long. Refused and empty ones count too.
    pub write_budget: Option<Budget>,
    /// Every write of the configuration restarts the gateway: the answer comes first, then a close 1012.
    pub restarts_on_write: bool,
    /// `config.changed` tells of every write, whoever made it.
    pub tells_of_changes: bool,
    /// A write that leaves less than half of the configuration's file is refused (from 512 bytes up), whoever makes it.
    pub watches_size: bool,
    /// chat.history holds a message also when its turn has failed.
    pub keeps_failed_turns: bool,
}

/// Where the configuration keeps the agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roster {
    /// `agents.entries.<id>`, and `agents.ownership` must say "explicit" once there are several.
    Entries,
    /// `agents.list[]`, and a patch merges its items by id.
    MergedList,
    /// `agents.list[]`, and a patch replaces the whole list: what it leaves out is gone.
    ReplacedList,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub writes: usize,
    pub within: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);

/// Protocol 3.
pub static V2026_2_9: Contract = Contract {
    name: "2026.2.9",
    roster: Roster::ReplacedList,
    documents: DOCUMENTS_OF_OLD,
    heartbeat_keys: &[
        "every",
        "activeHours",
        "model",
        "session",
        "includeReasoning",
        "target",
        "to",
        "accountId",
        "prompt",
        "ackMaxChars",
    ],
    write_budget: None,
    restarts_on_write: true,
    tells_of_changes: false,
    watches_size: false,
    keeps_failed_turns: false,
};

pub static V2026_7_35: Contract = Contract {
    name: "2026.7.35",
    roster: Roster::MergedList,
    documents: DOCUMENTS_OF_OLD,
    heartbeat_keys: &[
        "every",
        "activeHours",
        "model",
        "session",
        "includeReasoning",
        "target",
        "directPolicy",
        "to",
        "accountId",
        "prompt",
        "timeoutSeconds",
        "lightContext",
        "isolatedSession",
        "ackMaxChars",
        "suppressToolErrorWarnings",
        "skipWhenBusy",
    ],
    write_budget: Some(Budget {
        writes: 3,
        within: MINUTE,
    }),
    restarts_on_write: false,
    tells_of_changes: false,
    watches_size: true,
    keeps_failed_turns: true,
};

pub static V2026_9_6: Contract = Contract {
    name: "2026.9.6",
    roster: Roster::Entries,
    documents: &[
        "AGENTS.md",
        "SOUL.md",
        "IDENTITY.md",
        "USER.md",
        "BOOTSTRAP.md",
        "MEMORY.md",
    ],
    heartbeat_keys: &[
        "every",
        "activeHours",
        "model",
        "session",
        "target",
        "directPolicy",
        "to",
        "accountId",
        "prompt",
        "timeoutSeconds",
        "lightContext",
        "isolatedSession",
    ],
    write_budget: Some(Budget {
        writes: 30,
        within: MINUTE,
    }),
    restarts_on_write: false,
    tells_of_changes: true,
    watches_size: true,
    keeps_failed_turns: true,
};

const DOCUMENTS_OF_OLD: &[&str] = &[
    "AGENTS.md",
    "SOUL.md",
    "IDENTITY.md",
    "USER.md",
    "BOOTSTRAP.md",
    "MEMORY.md",
    "TOOLS.md",
    "HEARTBEAT.md",
];

impl Contract {
    pub const ALL: [&'static Self; 3] = [&V2026_2_9, &V2026_7_35, &V2026_9_6];

    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.into_iter().find(|contract| contract.name == name)
    }

    pub fn discover(protocol: u64, methods: &BTreeSet<String>) -> &'static Self {
        if protocol < 4 {
            &V2026_2_9
        } else if methods.contains("secrets.store.set") {
            // 2026.8.1 brought the secrets store and the new agents' configuration together.
            &V2026_9_6
        } else {
            &V2026_7_35
        }
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_is_told_by_what_it_offers() {
        let offering = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            Contract::discover(3, &offering(&["config.patch"])).name,
            "2026.2.9"
        );
        assert_eq!(
            Contract::discover(4, &offering(&["agents.workspace.list"])).name,
            "2026.7.35"
        );
        assert_eq!(
            Contract::discover(4, &offering(&["secrets.store.set"])).name,
            "2026.9.6"
        );
    }
}
