//! Too many refused tokens from one address shut it out for a while, right tokens included.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::contract::Contract;
use super::{LockOut, Peer};

#[derive(Debug, Default)]
pub(super) struct LockOuts(HashMap<IpAddr, Failures>);

#[derive(Debug, Default)]
struct Failures {
    at: Vec<Instant>,
    until: Option<Instant>,
}

impl LockOuts {
    /// How long this address still has to wait.
    pub(super) fn left(&mut self, peer: Peer, now: Instant) -> Option<Duration> {
        let until = self.0.get(&peer.0)?.until?;
        if until <= now {
            self.0.remove(&peer.0);
            return None;
        }
        Some(until - now)
    }

    pub(super) fn failed(&mut self, contract: Contract, rules: &LockOut, peer: Peer, now: Instant) {
        let exempt = rules.exempt_loopback && peer.is_loopback();
        if contract == Contract::V2026_2_9 || exempt {
            return;
        }
        let failures = self.0.entry(peer.0).or_default();
        failures.at.retain(|at| now.duration_since(*at) < rules.window);
        failures.at.push(now);
        if failures.at.len() >= rules.attempts {
            failures.until = Some(now + rules.lasts);
        }
    }

    pub(super) fn succeeded(&mut self, peer: Peer) {
        self.0.remove(&peer.0);
    }
}
