//! The lock-out guard. A gateway locks an address out for five minutes after ten refused tokens in one minute,
//! the right token included. So refused credentials are tried at most three times a minute per host and port,
//! over all sessions of this process; the same ones again only on request or after ten minutes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::address::Address;
use super::credentials::Fingerprint;

/// Shared by every [`Session`](super::Session) of the process.
#[derive(Clone, Default)]
pub struct Guard(Arc<Shared>);

#[derive(Default)]
struct Shared {
    records: Mutex<HashMap<String, Record>>,
    /// Told whenever a try is over.
    over: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    Go,
    /// Tries are under way that may all be refused: how they end decides.
    Wait,
    NotBefore(Instant, Hold),
}

/// One try that is under way. Dropped when its outcome is known to the guard.
pub struct Turn {
    guard: Guard,
    address: Address,
}

/// Why a try has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// These credentials were refused.
    Refused,
    /// Other credentials were refused so often that these wait for the minute to pass.
    Crowded,
    LockedOut,
}

/// What one host and port has refused.
#[derive(Default)]
struct Record {
    trying: usize,
    recent: VecDeque<Instant>,
    refused: HashMap<Fingerprint, Instant>,
    locked_until: Option<Instant>,
}

const REFUSALS_A_MINUTE: usize = 3;
const MINUTE: Duration = Duration::from_secs(60);

/// The mend may be on the gateway's side, where we see nothing: so look now and then.
const SAME_AGAIN: Duration = Duration::from_secs(600);

/// Credentials remembered per address; rotating through more than these is not a person mending a token.
const REMEMBERED: usize = 64;

impl Guard {
    /// May these credentials be tried at this address now? `asked`: a person wants it, so that the ten minutes
    /// for known refusals do not count; the three a minute and a lock-out still do.
    pub fn leave(&self, address: &Address, credentials: Fingerprint, asked: bool, now: Instant) -> Leave {
        self.with(address, |record| record.leave(credentials, asked, now))
    }

    /// Waits for a turn to try these credentials, or says when to come again. Sessions that start together would
    /// otherwise spend a try each before the first of them is refused.
    pub async fn turn(
        &self,
        address: &Address,
        credentials: Fingerprint,
        asked: bool,
    ) -> Result<Turn, (Instant, Hold)> {
        loop {
            let over = self.0.over.notified();
            let leave = self.with(address, |record| {
                let leave = record.leave(credentials, asked, Instant::now());
                record.trying += usize::from(leave == Leave::Go);
                leave
            });
            match leave {
                Leave::Go => {
                    return Ok(Turn {
                        guard: self.clone(),
                        address: address.clone(),
                    });
                }
                Leave::Wait => over.await,
                Leave::NotBefore(until, hold) => return Err((until, hold)),
            }
        }
    }

    /// Takes over what an earlier process learned: these credentials were refused this long ago.
    pub fn recall(&self, address: &Address, credentials: Fingerprint, ago: Duration, now: Instant) {
        // A clock that cannot go back that far says that it is long past.
        let Some(at) = now.checked_sub(ago) else { return };
        self.with(address, |record| {
            record.refused.entry(credentials).or_insert(at);
        });
    }

    pub fn refused(&self, address: &Address, credentials: Fingerprint, now: Instant) {
        self.with(address, |record| record.refuse(credentials, now));
    }

    pub fn locked_out(&self, address: &Address, until: Instant) {
        self.with(address, |record| record.locked_until = Some(until));
    }

    pub fn accepted(&self, address: &Address, credentials: Fingerprint) {
        self.with(address, |record| {
            record.locked_until = None;
            record.refused.remove(&credentials);
        });
    }

    fn with<T>(&self, address: &Address, act: impl FnOnce(&mut Record) -> T) -> T {
        // A panic elsewhere cannot leave a record half-changed, so a poisoned lock is still good.
        let mut records = self.0.records.lock().unwrap_or_else(PoisonError::into_inner);
        act(records.entry(address.authority()).or_default())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard.with(&self.address, |record| {
            record.trying = record.trying.saturating_sub(1);
        });
        self.guard.0.over.notify_waiters();
    }
}

impl Record {
    fn leave(&mut self, credentials: Fingerprint, asked: bool, now: Instant) -> Leave {
        while self.recent.front().is_some_and(|at| *at + MINUTE <= now) {
            self.recent.pop_front();
        }
        let full = self.recent.len() >= REFUSALS_A_MINUTE;
        let known = self.refused.get(&credentials).filter(|_| !asked);
        let holds = [
            (self.locked_until, Hold::LockedOut),
            (known.map(|at| *at + SAME_AGAIN), Hold::Refused),
            (
                self.recent.front().filter(|_| full).map(|at| *at + MINUTE),
                Hold::Crowded,
            ),
        ];
        let longest = holds
            .into_iter()
            .filter_map(|(until, hold)| Some((until?, hold)))
            .max_by_key(|(until, _)| *until);
        match longest {
            Some((until, hold)) if until > now => Leave::NotBefore(until, hold),
            Some(_) | None if self.recent.len() + self.trying >= REFUSALS_A_MINUTE => Leave::Wait,
            Some(_) | None => Leave::Go,
        }
    }

    fn refuse(&mut self, credentials: Fingerprint, now: Instant) {
        self.recent.push_back(now);
        self.refused.retain(|_, at| *at + SAME_AGAIN > now);
        if self.refused.len() < REMEMBERED || self.refused.contains_key(&credentials) {
            self.refused.insert(credentials, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gateway::credentials::{Credentials, Identity, Token};

    fn gateway() -> Address {
        Address::parse("ws://gw:18789").unwrap()
    }

    fn token(text: &str) -> Fingerprint {
        Credentials {
            token: Token::from_bytes(text.as_bytes()).ok(),
            identity: Identity::TokenOnly,
        }
        .fingerprint()
    }

    #[test]
    fn the_same_refused_token_waits_ten_minutes_unless_asked() {
        let (guard, start) = (Guard::default(), Instant::now());
        assert_eq!(guard.leave(&gateway(), token("wrong"), false, start), Leave::Go);
        guard.refused(&gateway(), token("wrong"), start);
        let later = start + Duration::from_secs(1);
        assert_eq!(
            guard.leave(&gateway(), token("wrong"), false, later),
            Leave::NotBefore(start + SAME_AGAIN, Hold::Refused)
        );
        assert_eq!(guard.leave(&gateway(), token("wrong"), true, later), Leave::Go);
        assert_eq!(guard.leave(&gateway(), token("mended"), false, later), Leave::Go);
        assert_eq!(
            guard.leave(&gateway(), token("wrong"), false, start + SAME_AGAIN),
            Leave::Go
        );
    }

    #[test]
    fn three_refusals_a_minute_are_all_an_address_gets_from_anybody() {
        let (guard, start) = (Guard::default(), Instant::now());
        for (second, text) in ["a", "b", "c"].into_iter().enumerate() {
            let at = start + Duration::from_secs(second as u64);
            assert_eq!(guard.leave(&gateway(), token(text), true, at), Leave::Go);
            guard.refused(&gateway(), token(text), at);
        }
        let later = start + Duration::from_secs(3);
        assert_eq!(
            guard.leave(&gateway(), token("d"), true, later),
            Leave::NotBefore(start + MINUTE, Hold::Crowded)
        );
        let elsewhere = Address::parse("ws://other:18789").unwrap();
        assert_eq!(guard.leave(&elsewhere, token("d"), false, later), Leave::Go);
        assert_eq!(
            guard.leave(&gateway(), token("d"), false, start + MINUTE),
            Leave::Go
        );
    }

    proptest! {
        /// Whoever tries what and when, wrong all of it: of no minute more than three tries, and of none that nobody asked
        /// for two of one token within ten minutes.
        #[test]
        fn the_rule_holds_for_any_order_of_tries(
            wishes in prop::collection::vec((0..90u64, 0..5usize, any::<bool>(), any::<bool>()), 1..200)
        ) {
            let (guard, mut now) = (Guard::default(), Instant::now());
            let names = ["a", "b", "c", "d", "e"].map(token);
            let mut tried: Vec<(Instant, usize, bool)> = Vec::new();
            for (pause, name, asked, path) in wishes {
                now += Duration::from_secs(pause);
                // One host and port, whatever the path.
                let url = if path { "ws://gw:18789/behind/a/proxy" } else { "ws://gw:18789" };
                let address = Address::parse(url).unwrap();
                if guard.leave(&address, names[name], asked, now) == Leave::Go {
                    guard.refused(&address, names[name], now);
                    tried.push((now, name, asked));
                }
            }
            for (at, name, asked) in &tried {
                let minute = tried.iter().filter(|(other, ..)| (*at..*at + MINUTE).contains(other));
                prop_assert!(minute.count() <= REFUSALS_A_MINUTE);
                let before = tried.iter().rev().find(|(other, same, _)| same == name && other < at);
                let too_soon = before.is_some_and(|(before, ..)| *before + SAME_AGAIN > *at);
                prop_assert!(*asked || !too_soon);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tries_that_start_together_are_three_at_most() {
        let guard = Guard::default();
        let mut turns = Vec::new();
        for text in ["a", "b", "c"] {
            turns.push(guard.turn(&gateway(), token(text), false).await.ok());
        }
        let address = gateway();
        let mut fourth = std::pin::pin!(guard.turn(&address, token("d"), true));
        assert!(
            futures::poll!(fourth.as_mut()).is_pending(),
            "three are under way"
        );
        guard.refused(&gateway(), token("a"), Instant::now());
        turns.remove(0);
        assert!(
            futures::poll!(fourth.as_mut()).is_pending(),
            "one was refused and two more may be"
        );
        guard.accepted(&gateway(), token("b"));
        turns.remove(0);
        assert!(
            fourth.await.is_ok(),
            "one was refused, and with this one two are under way"
        );
    }

    #[test]
    fn a_lock_out_is_waited_for_even_when_asked() {
        let (guard, start) = (Guard::default(), Instant::now());
        let until = start + Duration::from_secs(300);
        guard.locked_out(&gateway(), until);
        assert_eq!(
            guard.leave(&gateway(), token("right"), true, start),
            Leave::NotBefore(until, Hold::LockedOut)
        );
        assert_eq!(guard.leave(&gateway(), token("right"), false, until), Leave::Go);
    }
}
