//! Tokens by fingerprint.

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::kept::{Kept, Which, kept};
use super::{Owner, Refused};
use crate::desired::agent::AgentToken;

#[derive(Default)]
pub(super) struct Index {
    tokens: HashMap<String, Vec<Entry>>,
    /// What each Secret has put here, by its namespace and name.
    secrets: HashMap<Key, BTreeSet<String>>,
}

type Key = (String, String);

/// Whose token it is, and which of its tokens.
pub(super) type Found = (Owner, Which);

struct Entry {
    secret: Key,
    owner: Owner,
    kept: Kept,
}

impl Index {
    pub(super) fn of<'a>(secrets: impl Iterator<Item = &'a Secret>) -> Self {
        let mut index = Self::default();
        for secret in secrets {
            index.put(secret);
        }
        index
    }

    pub(super) fn put(&mut self, secret: &Secret) {
        self.take(secret);
        let Some((owner, all)) = kept(secret) else {
            return;
        };
        let key = key(secret);
        for kept in all {
            let fingerprint = kept.token.fingerprint();
            let entry = Entry {
                secret: key.clone(),
                owner: owner.clone(),
                kept,
            };
            self.tokens.entry(fingerprint.clone()).or_default().push(entry);
            self.secrets.entry(key.clone()).or_default().insert(fingerprint);
        }
    }

    pub(super) fn take(&mut self, secret: &Secret) {
        let key = key(secret);
        for fingerprint in self.secrets.remove(&key).into_iter().flatten() {
            if let Some(entries) = self.tokens.get_mut(&fingerprint) {
                entries.retain(|entry| entry.secret != key);
                if entries.is_empty() {
                    self.tokens.remove(&fingerprint);
                }
            }
        }
    }

    pub(super) fn knows(&self, fingerprint: &str) -> bool {
        self.tokens.contains_key(fingerprint)
    }

    /// Where one stands for it in several ways, as the one that is in force.
    pub(super) fn find(&self, token: &AgentToken, now: Timestamp) -> Result<Found, Refused> {
        let entries = self.tokens.get(&token.fingerprint()).ok_or(Refused::Unknown)?;
        let good: Vec<&Entry> = entries
            .iter()
            .filter(|entry| is_same(&entry.kept.token, token) && entry.kept.counts_at(now))
            .collect();
        let best = good.iter().min_by_key(|entry| entry.kept.which);
        let best = best.ok_or(Refused::Unknown)?;
        // One of them would act in the name of the other.
        if good.iter().any(|entry| entry.owner != best.owner) {
            return Err(Refused::Ambiguous);
        }
        Ok((best.owner.clone(), best.kept.which))
    }
}

/// Takes as long wherever they differ.
fn is_same(one: &AgentToken, other: &AgentToken) -> bool {
    let (one, other) = (one.reveal().as_bytes(), other.reveal().as_bytes());
    let differences = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && std::hint::black_box(differences) == 0
}

fn key(secret: &Secret) -> Key {
    (secret.namespace().unwrap_or_default(), secret.name_any())
}
