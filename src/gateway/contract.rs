//! What a gateway can do, found by looking at it: everything that differs between gateways is decided here, and
//! nobody else compares versions.

use std::collections::BTreeSet;
use std::fmt;

/// A family of gateways that behave alike, named after the version it was measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contract {
    /// Protocol 3; agents in a list that a patch replaces; the gateway restarts after every write.
    V2026_2_9,
    /// Protocol 4; agents in a list that a patch merges; TOOLS.md and HEARTBEAT.md are files.
    V2026_7_35,
    /// Agents as entries; TOOLS.md and HEARTBEAT.md refused; `config.changed` tells of every write.
    V2026_9_6,
}

impl Contract {
    pub fn discover(protocol: u64, methods: &BTreeSet<String>) -> Self {
        if protocol < 4 {
            Self::V2026_2_9
        } else if methods.contains("secrets.store.set") {
            // 2026.8.1 brought the secrets store and the new agents' configuration together.
            Self::V2026_9_6
        } else {
            Self::V2026_7_35
        }
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::V2026_2_9 => "2026.2.9",
            Self::V2026_7_35 => "2026.7.35",
            Self::V2026_9_6 => "2026.9.6",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_is_told_by_what_it_offers() {
        let offering = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            Contract::discover(3, &offering(&["config.patch"])),
            Contract::V2026_2_9
        );
        assert_eq!(
            Contract::discover(4, &offering(&["agents.workspace.list"])),
            Contract::V2026_7_35
        );
        assert_eq!(
            Contract::discover(4, &offering(&["secrets.store.set"])),
            Contract::V2026_9_6
        );
    }
}
