//! The gateways of a world, by host, and the way to them: a pipe of the life that dials. Every call is seen; one that changes
//! something is an effect.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use quartermaster::gateway::dial::{Dial, Stream};
use quartermaster::gateway::{Address, Trouble, Trust};
use quartermaster::simulated_gateway::{Hit, Peer, Settings, SimulatedGateway, When, Witness};
use serde_json::Value;

use crate::blow::{Blow, Loss};
use crate::ledger::{Ledger, Whose};
use crate::life::Life;
use crate::sabotage::Sabotage;

/// One gateway to be.
pub(crate) struct Plan {
    /// The host in Gateways' urls.
    pub(crate) host: &'static str,
    /// Where its clients seem to come from: on a loopback it is more trusting.
    pub(crate) peer: Peer,
    pub(crate) settings: fn() -> Settings,
}

#[derive(Clone)]
pub(crate) struct Gateways(Arc<BTreeMap<&'static str, (Peer, SimulatedGateway)>>);

impl Gateways {
    pub(crate) fn start(plans: &[Plan], seed: u64, ledger: &Ledger) -> Self {
        let all = plans.iter().map(|Plan { host, peer, settings }| {
            let gateway = SimulatedGateway::new(Settings {
                seed,
                started_at_ms: crate::clock::EPOCH_MS,
                ..settings()
            });
            gateway.show(witness(host, ledger.clone()));
            (*host, (*peer, gateway))
        });
        Self(Arc::new(all.collect()))
    }

    pub(crate) fn at(&self, host: &str) -> &SimulatedGateway {
        &self.0[host].1
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &SimulatedGateway)> {
        self.0.iter().map(|(host, (_, gateway))| (*host, gateway))
    }

    /// The network of one life.
    pub(crate) fn network(&self, life: &Life, sabotage: Sabotage) -> Arc<dyn Dial> {
        Arc::new(Network {
            gateways: self.clone(),
            life: life.clone(),
            sabotage,
        })
    }
}

struct Network {
    gateways: Gateways,
    life: Life,
    sabotage: Sabotage,
}

impl Dial for Network {
    fn dial<'a>(&'a self, address: &'a Address, _: &'a Trust) -> BoxFuture<'a, Result<Stream, Trouble>> {
        async move {
            self.life.goes_on().await;
            let host = address.host().to_string();
            let (peer, gateway) = self.gateways.0.get(host.as_str()).ok_or(Trouble::HostNotFound)?;
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let serving = gateway
                .connect(theirs, *peer)
                .map_err(|_| Trouble::ConnectionRefused)?;
            tokio::spawn(serving);
            Ok(Box::new(self.life.line(self.sabotage.between(ours))) as Stream)
        }
        .boxed()
    }
}

/// What only looks. Whatever is not here changes something.
const READS: &[&str] = &[
    "agent.identity.get",
    "agent.wait",
    "agents.files.get",
    "agents.files.list",
    "agents.list",
    "chat.history",
    "config.get",
    "config.schema",
    "config.schema.lookup",
    "connect",
    "device.pair.list",
    "health",
    "models.list",
    "sessions.get",
    "sessions.list",
    "sessions.preview",
    "status",
];

fn witness(host: &'static str, ledger: Ledger) -> Witness {
    // Struck when it comes, and dealt the blow when it is answered.
    let struck: Mutex<Option<(String, Value, Blow)>> = Mutex::default();
    Witness::new(move |when, method, params| {
        if READS.contains(&method) {
            if when == When::Before {
                ledger.read();
            }
            return None;
        }
        let blow = match when {
            When::Before => ledger.effect(Whose::Gateway, effect(&ledger, host, method, params))?,
            When::After => {
                let is_it = |(its, of, _): &mut (String, Value, Blow)| its == method && of == params;
                struck.lock().unwrap().take_if(is_it)?.2
            }
        };
        let kill = || {
            if let Some(life) = ledger.life() {
                life.kill();
            }
            Some(Hit::Cut)
        };
        match (when, blow) {
            (When::Before, Blow::KilledBefore) | (When::After, Blow::KilledAfter) => kill(),
            (When::Before, blow) => {
                *struck.lock().unwrap() = Some((method.to_owned(), params.clone(), blow));
                None
            }
            (When::After, Blow::Lost(Loss::Silence)) => Some(Hit::Drop),
            (When::After, Blow::Lost(Loss::Cut)) => Some(Hit::Cut),
            (When::After, Blow::Lost(Loss::Restart)) => Some(Hit::Close {
                code: 1012,
                reason: "service restart".to_owned(),
            }),
            (When::After, Blow::KilledBefore) => None,
        }
    })
}

/// `harbour: agents.files.set mc-triage AGENTS.md`. Whose changes leave together in one `config.patch` is of chance.
fn effect(ledger: &Ledger, host: &str, method: &str, params: &Value) -> String {
    let text = |key: &str| params.get(key).and_then(Value::as_str);
    let of = ["agentId", "sessionKey", "key", "name"]
        .into_iter()
        .filter_map(text);
    let words: Vec<&str> = std::iter::once(method).chain(of).collect();
    ledger.told_by_name(&format!("{host}: {}", words.join(" ")))
}
