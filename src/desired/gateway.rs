//! What a Gateway asks for: one connection, or the reason why none can be tried yet.

use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::document::Document;
use super::leaving::{self, Leaving};
use super::main_agent;
use crate::fact::Fact;
use crate::gateway::address::AddressError;
use crate::gateway::credentials::{Identity, TokenError};
use crate::gateway::trust::{Bundle, BundleError};
use crate::gateway::{Address, Credentials, DeviceKey, Target, Token, Trust, Version, Wanted};
use crate::resource::reference::{CaBundleKind, CaBundleRef, SecretKeyRef};
use crate::resource::settings::DeletionPolicy;
use crate::resource::{Agent, Board, Gateway, names};

/// Everything a pass over one Gateway may know of the cluster, taken once.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub gateway: Arc<Gateway>,
    /// Unknown also where the Gateway refers to none: it is not looked at.
    pub token: Fact<Document>,
    pub ca_bundle: Fact<Document>,
    pub device: Fact<Document>,
    /// Every Agent that belongs to it, by name, its main agent among them.
    pub agents: Vec<Arc<Agent>>,
    /// Every Board that names it, by name.
    pub boards: Vec<Arc<Board>>,
    /// The Agent `<name>-main`, whoever made it.
    pub main: Fact<Arc<Agent>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    pub connection: Result<Wanted, Obstacle>,
    /// None only where `connection` says that it cannot be read.
    pub minimum_version: Option<Version>,
    /// Observe and report, write nothing.
    pub suspended: bool,
    /// Some: it is being deleted, and nothing is made for it any more.
    pub leaving: Option<Leaving>,
    /// It must not go without us from now on: something of it may come to be in the gateway.
    pub hold: bool,
    pub main: Main,
    /// Where our device key is kept, once the gateway asks for one.
    pub device_secret: String,
    /// Whether that Secret goes with the Gateway.
    pub device_secret_is_owned: bool,
    /// Which writing of the token is used.
    pub credential: String,
    /// When the gateway refused this very credential, as the status remembers it: a restart of ours must not spend
    /// another try. None once somebody asks for one.
    pub refused_at: Option<Timestamp>,
}

impl Desired {
    /// Nothing is written outside.
    pub fn holds_still(&self) -> bool {
        self.suspended || self.leaving.is_some()
    }
}

/// What is to become of the main agent's object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Main {
    /// Not looked at yet, or held still.
    Leave,
    /// As it should be.
    AsItIs,
    /// Missing, or other than it should be.
    Apply(Box<serde_json::Value>),
    /// Somebody else's object has its name.
    Taken,
}

/// Why no connection is tried. Each is mended in the cluster, and the mend is seen at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    Url(AddressError),
    /// The API server did not answer, or does not let us read.
    Unreadable(Referent),
    NotFound(Referent),
    NoSuchKey {
        referent: Referent,
        keys: Vec<String>,
    },
    Token {
        referent: Referent,
        error: TokenError,
    },
    CaBundle {
        referent: Referent,
        error: BundleError,
    },
    DeviceKey {
        referent: Referent,
    },
    MinimumVersion,
}

/// An object and key that the Gateway refers to, and by which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referent {
    pub field: &'static str,
    pub kind: &'static str,
    pub name: String,
    pub key: String,
}

/// The key of the device Secret that holds the Ed25519 key.
pub const DEVICE_KEY: &str = "ed25519";

pub fn of(snapshot: &Snapshot) -> Desired {
    let spec = &snapshot.gateway.spec;
    let minimum_version = Version::parse(&spec.minimum_version);
    let leaving = leaving::of(snapshot);
    let is_used = !snapshot.agents.is_empty() || !snapshot.boards.is_empty();
    Desired {
        connection: match minimum_version {
            Some(_) => connection(snapshot),
            None => Err(Obstacle::MinimumVersion),
        },
        minimum_version,
        suspended: spec.suspend,
        hold: leaving.is_none() && !is_held(&snapshot.gateway) && (is_used || !spec.suspend),
        main: main(snapshot),
        leaving,
        device_secret: device_secret(&snapshot.gateway),
        device_secret_is_owned: spec.deletion_policy == Some(DeletionPolicy::Delete),
        credential: credential(snapshot),
        refused_at: refused_at(snapshot),
    }
}

fn is_held(gateway: &Gateway) -> bool {
    gateway.finalizers().iter().any(|word| word == names::FINALIZER)
}

fn main(snapshot: &Snapshot) -> Main {
    let gateway = &snapshot.gateway;
    let holds_still = gateway.spec.suspend || gateway.metadata.deletion_timestamp.is_some();
    match &snapshot.main {
        Fact::Known(main) if !main_agent::is_ours(main, gateway) => Main::Taken,
        Fact::Known(main) if main_agent::is_as_wanted(main, gateway) => Main::AsItIs,
        // Being deleted by somebody: a new one is made once it is gone.
        Fact::Known(main) if main.metadata.deletion_timestamp.is_some() => Main::Leave,
        Fact::Known(_) | Fact::Absent if !holds_still => Main::Apply(Box::new(main_agent::object(gateway))),
        Fact::Known(_) | Fact::Absent | Fact::Unknown => Main::Leave,
    }
}

/// `ocgw-<name>-device`: outlives the Gateway, so that a new one of that name needs no new approval.
pub fn device_secret(gateway: &Gateway) -> String {
    format!(
        "ocgw-{}-device",
        gateway.metadata.name.as_deref().unwrap_or_default()
    )
}

/// The Secrets that this Gateway reads.
pub fn secrets(gateway: &Gateway) -> impl Iterator<Item = String> {
    let token = gateway
        .spec
        .token_secret_ref
        .as_ref()
        .map(|secret| secret.name.clone());
    let bundle = ca_bundle_in(gateway, CaBundleKind::Secret);
    [token, bundle, Some(device_secret(gateway))]
        .into_iter()
        .flatten()
}

/// The ConfigMaps that this Gateway reads.
pub fn config_maps(gateway: &Gateway) -> impl Iterator<Item = String> {
    ca_bundle_in(gateway, CaBundleKind::ConfigMap).into_iter()
}

fn ca_bundle_in(gateway: &Gateway, kind: CaBundleKind) -> Option<String> {
    gateway
        .spec
        .ca_bundle_ref
        .as_ref()
        .filter(|bundle| bundle.kind == kind)
        .map(|bundle| bundle.name.clone())
}

fn connection(snapshot: &Snapshot) -> Result<Wanted, Obstacle> {
    let Snapshot {
        gateway,
        token,
        ca_bundle,
        device,
        agents: _,
        boards: _,
        main: _,
    } = snapshot;
    let spec = &gateway.spec;
    let address = Address::parse(&spec.url).map_err(Obstacle::Url)?;
    let trust = match &spec.ca_bundle_ref {
        _ if spec.allow_insecure_tls => Trust::Anything,
        None => Trust::System,
        Some(reference) => Trust::Bundle(bundle(reference, ca_bundle)?),
    };
    let token = match &spec.token_secret_ref {
        None => None,
        Some(reference) => Some(shared_token(reference, token)?),
    };
    let identity = if spec.disable_device_pairing {
        Identity::ControlUi
    } else {
        identity(&device_secret(gateway), device)?
    };
    let credentials = Credentials { token, identity };
    Ok(Wanted {
        target: Target {
            address,
            trust,
            credentials,
        },
        ask: ask(gateway),
    })
}

fn bundle(reference: &CaBundleRef, document: &Fact<Document>) -> Result<Bundle, Obstacle> {
    let referent = Referent {
        field: "spec.caBundleRef",
        kind: match reference.kind {
            CaBundleKind::ConfigMap => "ConfigMap",
            CaBundleKind::Secret => "Secret",
        },
        name: reference.name.clone(),
        key: reference.key.clone(),
    };
    let pem = value(&referent, document)?;
    Bundle::from_pem(pem).map_err(|error| Obstacle::CaBundle { referent, error })
}

fn shared_token(reference: &SecretKeyRef, document: &Fact<Document>) -> Result<Token, Obstacle> {
    let referent = Referent {
        field: "spec.tokenSecretRef",
        kind: "Secret",
        name: reference.name.clone(),
        key: reference.key.clone(),
    };
    let bytes = value(&referent, document)?;
    Token::from_bytes(bytes).map_err(|error| Obstacle::Token { referent, error })
}

/// A device key that is there is presented; whether one is needed, the gateway says.
fn identity(secret: &str, document: &Fact<Document>) -> Result<Identity, Obstacle> {
    let referent = Referent {
        field: "the device key",
        kind: "Secret",
        name: secret.to_owned(),
        key: DEVICE_KEY.to_owned(),
    };
    match document {
        Fact::Absent => Ok(Identity::TokenOnly),
        Fact::Unknown | Fact::Known(_) => {
            let bytes = value(&referent, document)?;
            let key = DeviceKey::decode(bytes).map_err(|_| Obstacle::DeviceKey { referent })?;
            Ok(Identity::Device(Arc::new(key)))
        }
    }
}

fn value<'a>(referent: &Referent, document: &'a Fact<Document>) -> Result<&'a [u8], Obstacle> {
    match document {
        Fact::Unknown => Err(Obstacle::Unreadable(referent.clone())),
        Fact::Absent => Err(Obstacle::NotFound(referent.clone())),
        Fact::Known(document) => match document.data.get(&referent.key) {
            Some(ByteString(bytes)) => Ok(bytes),
            None => Err(Obstacle::NoSuchKey {
                referent: referent.clone(),
                keys: document.data.keys().cloned().collect(),
            }),
        },
    }
}

/// Both "look again now" annotations as one word: a new value of either is a new request.
fn ask(gateway: &Gateway) -> String {
    let ours = annotation(gateway, names::RECONCILE_AT).unwrap_or_default();
    let flux = annotation(gateway, names::FLUX_REQUESTED_AT).unwrap_or_default();
    if ours.is_empty() && flux.is_empty() {
        String::new()
    } else {
        format!("{ours}\n{flux}")
    }
}

fn annotation<'a>(gateway: &'a Gateway, name: &str) -> Option<&'a str> {
    gateway
        .metadata
        .annotations
        .as_ref()?
        .get(name)
        .map(String::as_str)
}

fn refused_at(snapshot: &Snapshot) -> Option<Timestamp> {
    let status = snapshot.gateway.status.as_ref()?;
    let refused = status.refused_credential.as_ref()?;
    let answered = |name, handled: &Option<String>| annotation(&snapshot.gateway, name) == handled.as_deref();
    let nothing_asked = answered(names::RECONCILE_AT, &status.last_handled_request)
        && answered(names::FLUX_REQUESTED_AT, &status.last_handled_reconcile_at);
    let same = nothing_asked && refused.credential == credential(snapshot);
    refused.at.as_ref().filter(|_| same).map(|at| at.0)
}

fn credential(snapshot: &Snapshot) -> String {
    let url = &snapshot.gateway.spec.url;
    match &snapshot.token {
        // The version first, and no longer than the schema allows: a url may be.
        Fact::Known(document) => format!("{} {url}", document.version).chars().take(1000).collect(),
        Fact::Absent | Fact::Unknown => format!("no token {url}").chars().take(1000).collect(),
    }
}
