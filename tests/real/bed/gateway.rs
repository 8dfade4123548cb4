//! What gateway a test asks for: version, token, place and config.

use std::path::Path;

use serde_json::{Value, json};

use super::network::Place;

/// What to start: `Gateway::version("2026.9.6").token("known").at(network.far())`
#[derive(Debug, Clone)]
pub struct Gateway {
    pub(super) version: String,
    pub(super) token: String,
    bind: Bind,
    config: Value,
    pub(super) place: Option<Place>,
    pub(super) wait: bool,
}

/// On which addresses it listens. `Lan` is 0.0.0.0 on all three versions; only a gateway at a place in a network of
/// the test's own listens there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bind {
    Loopback,
    Lan,
}

impl Gateway {
    pub fn version(version: &str) -> Self {
        let token = format!("bed-{:032x}", rand::random::<u128>());
        let (version, config) = (version.to_owned(), json!({}));
        Self {
            version,
            token,
            bind: Bind::Loopback,
            config,
            place: None,
            wait: true,
        }
    }

    /// Instead of one made for this gateway alone.
    pub fn token(mut self, token: &str) -> Self {
        token.clone_into(&mut self.token);
        self
    }

    /// Laid over the config that the bed writes, key by key.
    pub fn config(mut self, more: &Value) -> Self {
        lay_over(&mut self.config, more);
        self
    }

    /// Runs it at another place of a network, listening to all addresses there.
    pub fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self.bind = Bind::Lan;
        self
    }

    /// `start` returns at once: for tests of what happens while a gateway is not ready.
    pub fn without_waiting(mut self) -> Self {
        self.wait = false;
        self
    }

    /// What its config file says before its first start; the gateway rewrites the file as it likes.
    pub(super) fn first_config(&self, port: u16, log: &Path) -> Value {
        let bind = match self.bind {
            Bind::Loopback => "loopback",
            Bind::Lan => "lan",
        };
        let mut config = json!({
            "gateway": {
                "mode": "local", "bind": bind, "port": port,
                "auth": { "mode": "token", "token": self.token },
            },
            "update": { "checkOnStart": false },
            "plugins": { "enabled": false },
            // Else it is a file in the machine's temporary folder that all gateways of the machine share.
            "logging": { "file": log },
        });
        // 9.6 asks its maker for news of models half a minute after each start; older ones refuse the key.
        if self.version.starts_with("2026.9.") {
            lay_over(
                &mut config,
                &json!({ "models": { "catalogRefresh": { "enabled": false } } }),
            );
        }
        lay_over(&mut config, &self.config);
        config
    }
}

/// Objects are merged key by key; anything else replaces what was there.
fn lay_over(base: &mut Value, more: &Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (key, value) in more {
                lay_over(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, more) => *base = more.clone(),
    }
}
