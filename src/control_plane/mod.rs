//! A small Kubernetes API inside the binary: kubectl without a cluster, and a Kubernetes for tests that runs in process on
//! a paused clock. `docs/control-plane.md` is its map. It knows nothing of gateways, and what it serves it serves as
//! kube-apiserver does.

pub mod access;
mod act_as;
#[cfg(any(test, fuzzing))]
pub mod anything;
mod beginning;
pub mod call;
pub mod collect;
mod door;
pub mod event_forms;
pub mod http;
pub mod identity;
pub mod kind;
pub mod kinds;
pub mod object;
pub mod objects;
pub mod patch;
pub mod registry;
pub mod reviews;
pub mod schema;
pub mod selector;
pub mod status;
pub mod store;
mod token_request;

pub use object::Object;
pub use status::{Cause, Status};

use std::sync::Arc;

use jiff::Timestamp;
use rand::RngExt;

use access::Tokens;
use kind::Kinds;
use store::Store;

/// The whole of it. Clones are the same one.
#[derive(Clone)]
pub struct ControlPlane {
    parts: Arc<Parts>,
}

struct Parts {
    store: Store,
    kinds: Kinds,
    tokens: Tokens,
    clock: Clock,
}

/// Given, so that tests may hold it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

impl ControlPlane {
    pub fn new(store: Store, kinds: Kinds, tokens: Tokens, clock: Clock) -> Self {
        let parts = Parts {
            store,
            kinds,
            tokens,
            clock,
        };
        Self {
            parts: Arc::new(parts),
        }
    }

    pub fn store(&self) -> &Store {
        &self.parts.store
    }

    pub fn kinds(&self) -> &Kinds {
        &self.parts.kinds
    }

    pub fn tokens(&self) -> &Tokens {
        &self.parts.tokens
    }

    pub fn now(&self) -> Timestamp {
        (self.parts.clock)()
    }

    /// A uid and a name's end, for an object that is made.
    fn fresh_words(&self) -> (String, String) {
        // No vowels and no digits that look like them, as the API server's: no name becomes a word.
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut rng = rand::rng();
        let suffix = (0..5)
            .filter_map(|_| LETTERS.get(rng.random_range(0..LETTERS.len())))
            .map(|letter| char::from(*letter))
            .collect();
        (uuid(rng.random()), suffix)
    }
}

/// Version 4: random.
fn uuid(random: u128) -> String {
    let bits = random & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}
