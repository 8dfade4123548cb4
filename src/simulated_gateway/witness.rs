//! Somebody beside a test who sees every call, and may strike it: what a [`Fault`](super::Fault) that is armed beforehand
//! cannot do, because it must know by method and number which call it waits for.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::faults::{Hit, When};

/// Told of each call twice: before it is carried out, and when it is about to be answered. What it says happens instead.
#[derive(Clone)]
pub struct Witness(Arc<Sees>);

type Sees = dyn Fn(When, &str, &Value) -> Option<Hit> + Send + Sync;

impl Witness {
    /// `sees` is given the method and its parameters. It must not call the gateway.
    pub fn new(sees: impl Fn(When, &str, &Value) -> Option<Hit> + Send + Sync + 'static) -> Self {
        Self(Arc::new(sees))
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness")
    }
}

/// One call that somebody looks at.
#[derive(Debug, Clone)]
pub(super) struct Witnessed {
    pub(super) witness: Witness,
    pub(super) method: String,
    pub(super) params: Value,
}

impl Witnessed {
    pub(super) fn ask(&self, when: When) -> Option<Hit> {
        let Self {
            witness: Witness(sees),
            method,
            params,
        } = self;
        sees(when, method, params)
    }
}
