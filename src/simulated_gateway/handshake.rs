//! `connect`: is it well formed, whose is it, and what may it do.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Peer;
use super::connection::Granted;
use super::contract::Contract;
use super::device::{Device, Signed};
use super::events::PAIRING;
use super::greeting::{Asked, speaks_our_protocol, well_formed};
use super::http::Head;
use super::pairing::{Asking, Issued};
use super::refusal::Refusal;
use super::world::{State, World};

/// The first frame of every connection.
pub(super) struct Challenge {
    nonce: String,
    at_ms: i64,
}

impl Challenge {
    pub(super) fn new(world: &World) -> Self {
        Self {
            nonce: world.lock().dice.uuid(),
            at_ms: world.clock.now_ms(),
        }
    }

    pub(super) fn frame(&self, contract: Contract) -> String {
        let Self { nonce, at_ms } = self;
        let payload = match contract {
            Contract::V2026_2_9 | Contract::V2026_7_35 => json!({ "nonce": nonce, "ts": at_ms }),
            Contract::V2026_9_6 => {
                json!({ "nonce": nonce, "ts": at_ms, "capabilities": ["model-catalog-snapshot"] })
            }
        };
        json!({ "type": "event", "event": "connect.challenge", "payload": payload }).to_string()
    }
}

/// How long a client may take for its `connect`; then 1000, without a word.
pub(super) fn deadline(contract: Contract) -> Duration {
    Duration::from_secs(match contract {
        Contract::V2026_2_9 => 10,
        Contract::V2026_7_35 | Contract::V2026_9_6 => 15,
    })
}

/// A connection that was let in.
#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) granted: Granted,
    pub(super) name: String,
    pub(super) mode: String,
    pub(super) role: String,
    pub(super) spender: String,
    pub(super) shared_token: bool,
    pub(super) device_id: Option<String>,
    pub(super) issued: Option<Issued>,
}

/// The answer to a `connect` that is turned away, and how the connection is closed.
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) code: u16,
    pub(super) reason: String,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let request = refusal
            .details
            .as_ref()
            .and_then(|details| details.get("requestId"));
        let modern = refusal.message.starts_with("pairing required:");
        let reason = match request.and_then(Value::as_str) {
            Some(id) if modern => format!("{} (requestId: {id})", refusal.message),
            Some(_) | None => refusal.message.clone(),
        };
        Self {
            refusal,
            code: 1008,
            reason,
        }
    }
}

pub(super) async fn admit(
    world: &World,
    head: &Head,
    peer: Peer,
    challenge: &Challenge,
    params: &Value,
) -> Result<Greeted, Refused> {
    let contract = world.contract;
    well_formed(params, contract)?;
    let asked = Asked::of(params);
    speaks_our_protocol(params, contract)?;
    if !["operator", "node", "worker"].contains(&asked.role) {
        return Err(Refusal::invalid("invalid role").into());
    }
    origin_is_ours(world, head, peer, &asked)?;
    if !asked.has_secret() && asked.device.is_none() {
        let refusal = Refusal::not_paired("device identity required");
        return Err(match contract {
            Contract::V2026_2_9 => refusal,
            Contract::V2026_7_35 | Contract::V2026_9_6 => {
                refusal.details(json!({ "code": "DEVICE_IDENTITY_REQUIRED" }))
            }
        }
        .into());
    }
    let device = match asked.device {
        None => None,
        Some(block) => Some(Device::verify(
            block,
            &Signed {
                client_id: asked.client_id,
                client_mode: asked.mode,
                role: asked.role,
                scopes: asked.scopes.as_deref().unwrap_or_default(),
                token: asked.signed_token(),
                platform: asked.platform,
                family: asked.family,
                nonce: &challenge.nonce,
                now_ms: world.clock.now_ms(),
                on_loopback: peer.is_loopback(),
            },
            contract,
        )?),
    };
    let refused = {
        let mut state = world.lock();
        match authenticate(world, &mut state, peer, &asked, device.as_ref()) {
            Ok(by) => {
                let proxied = head.speaks_for_a_proxy() && contract.clears_scopes();
                let local = peer.is_loopback() && !proxied;
                let from = Origin {
                    peer,
                    on_loopback: local,
                    is_page: head.header("origin").is_some(),
                };
                return let_in(world, &mut state, &from, &asked, device, by).map_err(Refused::from);
            }
            Err(refusal) => refusal,
        }
    };
    // A loopback is not locked out but slowed down.
    if peer.is_loopback() && contract == Contract::V2026_9_6 {
        world.pause(Duration::from_millis(250)).await;
    }
    Err(refused.into())
}

/// Browsers are let in only from a page of this gateway. A client that is no browser sends no origin.
fn origin_is_ours(world: &World, head: &Head, peer: Peer, asked: &Asked<'_>) -> Result<(), Refusal> {
    let origin = head.header("origin");
    let checked = asked.is_control_ui() || (origin.is_some() && world.contract.clears_scopes());
    if !checked {
        return Ok(());
    }
    let host_of = |origin: &str| {
        let (_, host) = origin.split_once("://")?;
        (!host.is_empty()).then(|| host.trim_end_matches('/').to_owned())
    };
    let allowed = || -> Vec<String> {
        let state = world.lock();
        let list = state
            .config
            .document()
            .pointer("/gateway/controlUi/allowedOrigins");
        let list = list.and_then(Value::as_array).cloned().unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let is_local = |host: &str| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        ["127.0.0.1", "localhost", "[::1]"].contains(&name)
    };
    let reason = match origin.and_then(host_of) {
        None => "origin missing or invalid",
        Some(host) => {
            let same = head.header("host") == Some(&host);
            let local = peer.is_loopback() && is_local(&host);
            let listed = origin.is_some_and(|origin| allowed().iter().any(|one| one == origin || one == "*"));
            if same || local || listed {
                return Ok(());
            }
            "origin not allowed"
        }
    };
    let refusal = Refusal::invalid(
        "origin not allowed (open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)",
    );
    Err(match world.contract {
        Contract::V2026_2_9 => refusal,
        Contract::V2026_7_35 | Contract::V2026_9_6 => {
            refusal.details(json!({ "code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": reason }))
        }
    })
}

/// By what a client proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    SharedToken,
    DeviceToken,
}

fn authenticate(
    world: &World,
    state: &mut State,
    peer: Peer,
    asked: &Asked<'_>,
    device: Option<&Device>,
) -> Result<By, Refusal> {
    let (contract, now) = (world.contract, Instant::now());
    let password = match contract {
        Contract::V2026_9_6 => asked.password,
        // There a password counts only where one is configured.
        Contract::V2026_7_35 | Contract::V2026_2_9 => "",
    };
    let offered = [asked.token, asked.device_token, password]
        .into_iter()
        .find(|secret| !secret.is_empty());
    let Some(offered) = offered else {
        return Err(missing_token(contract));
    };
    if let Some(left) = state.lock_outs.left(peer, now) {
        return Err(locked_out(contract, left));
    }
    let shared = state.config.shared_token();
    if [asked.token, password].contains(&shared) && !shared.is_empty() {
        state.lock_outs.succeeded(peer);
        return Ok(By::SharedToken);
    }
    let scopes = asked.scopes.as_deref().unwrap_or_default();
    if device.is_some_and(|device| state.devices.knows_token(contract, device, offered, scopes)) {
        state.lock_outs.succeeded(peer);
        return Ok(By::DeviceToken);
    }
    state
        .lock_outs
        .failed(contract, &world.settings.lock_out, peer, now);
    Err(mismatch(contract, asked, device.is_some()))
}

fn missing_token(contract: Contract) -> Refusal {
    let refusal = Refusal::invalid("unauthorized: gateway token missing (provide gateway auth token)");
    with_reason(
        contract,
        refusal,
        "AUTH_TOKEN_MISSING",
        "token_missing",
        false,
        "update_auth_configuration",
    )
}

fn mismatch(contract: Contract, asked: &Asked<'_>, has_device: bool) -> Refusal {
    let hint = match (asked.is("cli", "cli"), contract) {
        (false, _) => "provide gateway auth token",
        (true, Contract::V2026_9_6) => "use this gateway's gateway.auth.token or pair the device",
        (true, Contract::V2026_7_35 | Contract::V2026_2_9) => {
            "set gateway.remote.token to match gateway.auth.token"
        }
    };
    let refusal = Refusal::invalid(format!("unauthorized: gateway token mismatch ({hint})"));
    let next = if has_device {
        "retry_with_device_token"
    } else {
        "update_auth_credentials"
    };
    with_reason(
        contract,
        refusal,
        "AUTH_TOKEN_MISMATCH",
        "token_mismatch",
        has_device,
        next,
    )
}

fn locked_out(contract: Contract, left: Duration) -> Refusal {
    let refusal = Refusal::invalid("unauthorized: too many failed authentication attempts (retry later)");
    let refusal = with_reason(
        contract,
        refusal,
        "AUTH_RATE_LIMITED",
        "rate_limited",
        false,
        "wait_then_retry",
    );
    match contract {
        Contract::V2026_9_6 => refusal.retry(Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))),
        Contract::V2026_7_35 | Contract::V2026_2_9 => refusal,
    }
}

fn with_reason(
    contract: Contract,
    refusal: Refusal,
    code: &str,
    reason: &str,
    device_token: bool,
    next: &str,
) -> Refusal {
    match contract {
        Contract::V2026_2_9 => refusal,
        Contract::V2026_7_35 | Contract::V2026_9_6 => refusal.details(json!({
            "code": code, "authReason": reason, "canRetryWithDeviceToken": device_token,
            "recommendedNextStep": next,
        })),
    }
}

/// Where a client comes from.
struct Origin {
    peer: Peer,
    /// And no proxy between.
    on_loopback: bool,
    /// An Origin says so: a page in somebody's browser, which is nobody's own backend.
    is_page: bool,
}

fn let_in(
    world: &World,
    state: &mut State,
    from: &Origin,
    asked: &Asked<'_>,
    device: Option<Device>,
    by: By,
) -> Result<Greeted, Refusal> {
    let contract = world.contract;
    let Origin {
        peer,
        on_loopback,
        is_page,
    } = *from;
    let open_ui = asked.is_control_ui() && control_ui_needs_no_device(world, state);
    if asked.is_control_ui() && !open_ui {
        control_ui_may_enter(world, asked, device.is_some())?;
    }
    let own = on_loopback && !is_page;
    let own_backend = own && asked.is("gateway-client", "backend");
    let own_client = own_backend || (own && asked.is("cli", "cli"));
    let asked_scopes = asked.scopes.clone().unwrap_or_default();
    let granted = if contract == Contract::V2026_2_9 && asked_scopes.is_empty() {
        Granted::Everything
    } else if device.is_none() && contract.clears_scopes() && !own_client && !open_ui {
        Granted::Scopes(Vec::new())
    } else {
        Granted::Scopes(asked_scopes.clone())
    };
    // With the shared token on its own loopback a backend's device is neither checked nor remembered.
    let trusted = contract.clears_scopes() && own_backend && by == By::SharedToken;
    let issued = match &device {
        Some(device) if !trusted && !open_ui => {
            let asking = Asking {
                device: device.clone(),
                client_id: asked.client_id.to_owned(),
                client_mode: asked.mode.to_owned(),
                platform: asked.platform.to_owned(),
                role: asked.role.to_owned(),
                scopes: asked_scopes,
                remote_ip: (!on_loopback).then(|| peer.0.to_canonical().to_string()),
            };
            let before = state.devices.newest_request().map(|(id, _)| id);
            let State { devices, dice, .. } = &mut *state;
            let admitted = devices.admit(contract, &asking, on_loopback, world.clock.now_ms(), dice);
            if let Some((id, request)) = state.devices.newest_request()
                && before != Some(id)
            {
                state.tell(PAIRING, "device.pair.requested", &request);
            }
            Some(admitted?)
        }
        Some(_) | None => None,
    };
    let device_id = device.map(|device| device.id);
    // A client on a loopback without a device has a budget for each connection.
    let spender = match &device_id {
        Some(id) => id.clone(),
        None if on_loopback => format!("connection {}", state.next_client + 1),
        None => peer.0.to_string(),
    };
    Ok(Greeted {
        granted,
        name: asked.client_id.to_owned(),
        mode: asked.mode.to_owned(),
        role: asked.role.to_owned(),
        spender,
        shared_token: by == By::SharedToken,
        device_id,
        issued,
    })
}

fn control_ui_needs_no_device(world: &World, state: &State) -> bool {
    let flag = state
        .config
        .document()
        .pointer("/gateway/controlUi/dangerouslyDisableDeviceAuth");
    world.contract.honours_the_control_ui_flag() && flag == Some(&Value::Bool(true))
}

fn control_ui_may_enter(world: &World, asked: &Asked<'_>, has_device: bool) -> Result<(), Refusal> {
    if !has_device {
        return Err(match world.contract {
            Contract::V2026_2_9 => {
                Refusal::invalid("control ui requires HTTPS or localhost (secure context)")
            }
            Contract::V2026_7_35 | Contract::V2026_9_6 => Refusal::invalid(
                "control ui requires device identity (use HTTPS or localhost secure context)",
            )
            .details(json!({ "code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED" })),
        });
    }
    // Since 2026.8 the page must be of the same build as the gateway.
    let ours = super::hello::BUILD_ID;
    if world.contract == Contract::V2026_9_6 && asked.build_id != Some(ours) {
        return Err(Refusal::unavailable("protocol mismatch")
            .details(json!({ "code": "PROTOCOL_MISMATCH", "gatewayBuildId": ours })));
    }
    Ok(())
}
