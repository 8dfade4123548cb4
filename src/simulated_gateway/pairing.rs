//! Devices that ask to be let in, those that somebody let in, and the tokens that these were given.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::clock::Dice;
use super::contract::Contract;
use super::device::Device;
use super::events::PAIRING;
use super::methods::Call;
use super::refusal::{Answer, Refusal};
use super::world::{State, World};

/// Both in the order of their arrival; lists show the newest first.
#[derive(Debug, Default)]
pub(super) struct Devices {
    pending: Vec<Pending>,
    paired: BTreeMap<String, Paired>,
    /// Devices that must come again: their connections end, but not before whoever caused it has been answered.
    sent_away: Vec<String>,
}

/// Who asks, and for what.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    pub(super) device: Device,
    pub(super) client_id: String,
    pub(super) client_mode: String,
    pub(super) platform: String,
    pub(super) role: String,
    pub(super) scopes: Vec<String>,
    pub(super) remote_ip: Option<String>,
}

#[derive(Debug, Clone)]
struct Pending {
    request_id: String,
    asking: Asking,
    is_repair: bool,
    at_ms: i64,
}

#[derive(Debug, Clone)]
struct Paired {
    asking: Asking,
    via: &'static str,
    created_at_ms: i64,
    approved_at_ms: i64,
    last_seen_at_ms: Option<i64>,
    token: Option<Token>,
}

#[derive(Debug, Clone)]
struct Token {
    text: String,
    scopes: Vec<String>,
    created_at_ms: i64,
}

/// What a paired device is given with its hello.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    pub(super) token: String,
    /// Sorted, as the token has them.
    pub(super) scopes: Vec<String>,
    pub(super) at_ms: i64,
}

/// Why a device must be approved (again).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    NotPaired,
    MetadataUpgrade,
    RoleUpgrade,
    ScopeUpgrade,
}

const PENDING_LASTS: Duration = Duration::from_secs(300);

impl Devices {
    /// Lets a device in, or says that it needs approval. A device on a loopback approves itself.
    pub(super) fn admit(
        &mut self,
        contract: Contract,
        asking: &Asking,
        on_loopback: bool,
        now_ms: i64,
        dice: &mut Dice,
    ) -> Result<Issued, Refusal> {
        match self.obstacle(contract, asking) {
            None => {}
            // Nothing but a first meeting is silent: what changed needs a person even on a loopback.
            Some(Reason::NotPaired | Reason::ScopeUpgrade) if on_loopback => {
                self.pair(contract, asking.clone(), "silent", now_ms, dice);
            }
            Some(reason) => return Err(self.ask(contract, asking, reason, now_ms, dice)),
        }
        let Some(paired) = self.paired.get_mut(&asking.device.id) else {
            return Err(Refusal::not_paired("pairing required"));
        };
        paired.last_seen_at_ms = Some(now_ms);
        if contract == Contract::V2026_2_9 {
            // It takes over what a client says of itself.
            paired.asking.client_id.clone_from(&asking.client_id);
            paired.asking.client_mode.clone_from(&asking.client_mode);
            paired.asking.platform.clone_from(&asking.platform);
        }
        let scopes = sorted(&paired.asking.scopes);
        let token = paired
            .token
            .get_or_insert_with(|| Token::new(contract, scopes, now_ms, dice));
        Ok(Issued {
            token: token.text.clone(),
            scopes: token.scopes.clone(),
            at_ms: token.created_at_ms,
        })
    }

    fn obstacle(&self, contract: Contract, asking: &Asking) -> Option<Reason> {
        let Some(paired) = self.paired.get(&asking.device.id) else {
            return Some(Reason::NotPaired);
        };
        let modern = contract != Contract::V2026_2_9;
        if modern && paired.asking.platform != asking.platform {
            Some(Reason::MetadataUpgrade)
        } else if modern && paired.token.is_none() {
            Some(Reason::RoleUpgrade)
        } else if !covers(&paired.asking.scopes, &asking.scopes) {
            Some(Reason::ScopeUpgrade)
        } else {
            None
        }
    }

    /// One request for each device; asking again for no more is the same request.
    fn ask(
        &mut self,
        contract: Contract,
        asking: &Asking,
        reason: Reason,
        now_ms: i64,
        dice: &mut Dice,
    ) -> Refusal {
        self.forget_the_old(now_ms);
        let is_repair = self.paired.contains_key(&asking.device.id);
        let known = self.pending.iter().find(|pending| {
            pending.asking.device.id == asking.device.id
                && pending.asking.platform == asking.platform
                && covers(&pending.asking.scopes, &asking.scopes)
        });
        let request_id = if let Some(known) = known {
            known.request_id.clone()
        } else {
            self.pending
                .retain(|pending| pending.asking.device.id != asking.device.id);
            let request_id = dice.uuid();
            self.pending.push(Pending {
                request_id: request_id.clone(),
                asking: asking.clone(),
                is_repair,
                at_ms: now_ms,
            });
            request_id
        };
        let approved = self.paired.get(&asking.device.id).map(|paired| &paired.asking);
        refusal(contract, asking, approved, reason, &request_id)
    }

    fn forget_the_old(&mut self, now_ms: i64) {
        let lasts = i64::try_from(PENDING_LASTS.as_millis()).unwrap_or(i64::MAX);
        self.pending.retain(|pending| now_ms - pending.at_ms < lasts);
    }

    fn pair(&mut self, contract: Contract, asking: Asking, via: &'static str, now_ms: i64, dice: &mut Dice) {
        let before = self.paired.get(&asking.device.id);
        let created_at_ms = before.map_or(now_ms, |before| before.created_at_ms);
        let token = Token::new(contract, sorted(&asking.scopes), now_ms, dice);
        let paired = Paired {
            via,
            created_at_ms,
            approved_at_ms: now_ms,
            last_seen_at_ms: None,
            token: Some(token),
            asking,
        };
        self.paired.insert(paired.asking.device.id.clone(), paired);
    }

    /// Whether `text` is the token of this device and good for these scopes.
    pub(super) fn knows_token(
        &self,
        contract: Contract,
        device: &Device,
        text: &str,
        scopes: &[String],
    ) -> bool {
        let token = self
            .paired
            .get(&device.id)
            .and_then(|paired| paired.token.as_ref());
        token.is_some_and(|token| {
            let enough = match contract {
                Contract::V2026_2_9 => scopes.iter().all(|scope| token.scopes.contains(scope)),
                Contract::V2026_7_35 | Contract::V2026_9_6 => covers(&token.scopes, scopes),
            };
            token.text == text && enough
        })
    }

    pub(super) fn take_pending(&mut self, request_id: &str) -> Option<(String, Value)> {
        let at = self
            .pending
            .iter()
            .position(|pending| pending.request_id == request_id)?;
        let pending = self.pending.remove(at);
        Some((pending.asking.device.id.clone(), pending.shown()))
    }

    fn last_asked(&self) -> Option<&Pending> {
        self.pending.last()
    }

    /// What `device.pair.requested` tells of the newest request.
    pub(super) fn newest_request(&self) -> Option<(String, Value)> {
        self.last_asked()
            .map(|pending| (pending.request_id.clone(), pending.shown()))
    }
}

/// Admin may ask for everything.
fn covers(approved: &[String], asked: &[String]) -> bool {
    let admin = approved.iter().any(|scope| scope == "operator.admin");
    asked
        .iter()
        .all(|scope| approved.contains(scope) || (admin && scope.starts_with("operator.")))
}

fn sorted(scopes: &[String]) -> Vec<String> {
    let mut scopes = scopes.to_vec();
    scopes.sort();
    scopes
}

fn refusal(
    contract: Contract,
    asking: &Asking,
    approved: Option<&Asking>,
    reason: Reason,
    request_id: &str,
) -> Refusal {
    if contract == Contract::V2026_2_9 {
        return Refusal::not_paired("pairing required").details(json!({ "requestId": request_id }));
    }
    let (word, message, hint) = match reason {
        Reason::NotPaired => (
            "not-paired",
            "device is not approved yet",
            "Approve this device from the pending pairing requests.",
        ),
        Reason::MetadataUpgrade => (
            "metadata-upgrade",
            "device identity changed and must be re-approved",
            "Review the refreshed device details, then approve the pending request.",
        ),
        Reason::RoleUpgrade => (
            "role-upgrade",
            "device is asking for a higher role than currently approved",
            "Review the requested role upgrade, then approve the pending request.",
        ),
        Reason::ScopeUpgrade => (
            "scope-upgrade",
            "device is asking for more scopes than currently approved",
            "Review the requested scopes, then approve the pending upgrade.",
        ),
    };
    let mut details = json!({
        "code": "PAIRING_REQUIRED",
        "reason": word,
        "requestId": request_id,
        "remediationHint": hint,
        "deviceId": asking.device.id,
        "requestedRole": asking.role,
        "requestedScopes": asking.scopes,
    });
    if let (Some(approved), Some(details)) = (approved, details.as_object_mut()) {
        details.insert("approvedRoles".into(), json!([approved.role]));
        details.insert("approvedScopes".into(), json!(sorted(&approved.scopes)));
    }
    Refusal::not_paired(format!("pairing required: {message}")).details(details)
}

impl Token {
    fn new(contract: Contract, scopes: Vec<String>, now_ms: i64, dice: &mut Dice) -> Self {
        let text = match contract {
            Contract::V2026_2_9 => dice.hex32(),
            Contract::V2026_7_35 | Contract::V2026_9_6 => dice.token(),
        };
        Self {
            text,
            scopes,
            created_at_ms: now_ms,
        }
    }
}

impl Asking {
    fn shown(&self) -> Map<String, Value> {
        let Self {
            device,
            client_id,
            client_mode,
            platform,
            role,
            scopes,
            remote_ip,
        } = self;
        let mut shown = Map::new();
        let mut put = |key: &str, value: Value| shown.insert(key.to_owned(), value);
        put("deviceId", json!(device.id));
        put("publicKey", json!(device.public_key));
        put("platform", json!(platform));
        put("clientId", json!(client_id));
        put("clientMode", json!(client_mode));
        put("role", json!(role));
        put("roles", json!([role]));
        put("scopes", json!(scopes));
        if let Some(ip) = remote_ip {
            put("remoteIp", json!(ip));
        }
        shown
    }
}

impl Pending {
    fn shown(&self) -> Value {
        let mut shown = self.asking.shown();
        shown.insert("requestId".into(), json!(self.request_id));
        shown.insert("silent".into(), json!(false));
        shown.insert("isRepair".into(), json!(self.is_repair));
        shown.insert("ts".into(), json!(self.at_ms));
        Value::Object(shown)
    }
}

impl Paired {
    fn shown(&self, contract: Contract, connected: bool) -> Value {
        let mut shown = self.asking.shown();
        let mut put = |key: &str, value: Value| shown.insert(key.to_owned(), value);
        put("createdAtMs", json!(self.created_at_ms));
        put("approvedAtMs", json!(self.approved_at_ms));
        if contract == Contract::V2026_9_6 {
            put("approvedVia", json!(self.via));
        }
        if let Some(seen) = self.last_seen_at_ms
            && contract != Contract::V2026_2_9
        {
            put("lastSeenAtMs", json!(seen));
            put("lastSeenReason", json!("connect"));
            if contract == Contract::V2026_9_6 {
                put("connected", json!(connected));
            }
        }
        if let Some(token) = &self.token {
            let role = &self.asking.role;
            let token = json!({ "role": role, "scopes": token.scopes, "createdAtMs": token.created_at_ms });
            put("tokens", json!([token]));
        }
        Value::Object(shown)
    }
}

pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    state.devices.forget_the_old(call.now_ms());
    let pending: Vec<Value> = state.devices.pending.iter().rev().map(Pending::shown).collect();
    let mut paired: Vec<&Paired> = state.devices.paired.values().collect();
    paired.sort_by_key(|paired| std::cmp::Reverse(paired.approved_at_ms));
    let connected = |id: &str| {
        state
            .clients
            .values()
            .any(|client| client.device_id.as_deref() == Some(id))
    };
    let paired: Vec<Value> = paired
        .into_iter()
        .map(|paired| paired.shown(call.contract(), connected(&paired.asking.device.id)))
        .collect();
    Ok(json!({ "pending": pending, "paired": paired }))
}

/// Everybody who still waits.
pub(super) fn approve_all(state: &mut State, world: &World) {
    let now_ms = world.clock.now_ms();
    state.devices.forget_the_old(now_ms);
    for pending in std::mem::take(&mut state.devices.pending) {
        let (request_id, id) = (pending.request_id, pending.asking.device.id.clone());
        state
            .devices
            .pair(world.contract, pending.asking, "owner", now_ms, &mut state.dice);
        resolved(state, &request_id, &id, "approved", now_ms);
    }
}

pub(super) fn approve(state: &mut State, call: &Call<'_>) -> Answer {
    state.devices.forget_the_old(call.now_ms());
    let request_id = call.text("requestId");
    let position = state
        .devices
        .pending
        .iter()
        .position(|pending| pending.request_id == request_id);
    let Some(at) = position else {
        return Err(Refusal::invalid("unknown requestId"));
    };
    let missing = state.devices.pending.get(at).and_then(|pending| {
        pending
            .asking
            .scopes
            .iter()
            .find(|scope| !call.client.may(scope))
            .cloned()
    });
    if let Some(scope) = missing {
        return Err(Refusal::invalid(format!("missing scope: {scope}")));
    }
    let pending = state.devices.pending.remove(at);
    let (id, now_ms) = (pending.asking.device.id.clone(), call.now_ms());
    state
        .devices
        .pair(call.contract(), pending.asking, "owner", now_ms, &mut state.dice);
    resolved(state, &request_id, &id, "approved", now_ms);
    let device = state
        .devices
        .paired
        .get(&id)
        .map(|paired| paired.shown(call.contract(), false));
    Ok(json!({ "requestId": request_id, "device": device }))
}

pub(super) fn reject(state: &mut State, call: &Call<'_>) -> Answer {
    let request_id = call.text("requestId");
    let Some((id, _)) = state.devices.take_pending(&request_id) else {
        return Err(Refusal::invalid("unknown requestId"));
    };
    resolved(state, &request_id, &id, "rejected", call.now_ms());
    Ok(json!({ "requestId": request_id, "deviceId": id }))
}

fn resolved(state: &State, request_id: &str, device_id: &str, decision: &str, now_ms: i64) {
    let payload =
        json!({ "requestId": request_id, "deviceId": device_id, "decision": decision, "ts": now_ms });
    state.tell(PAIRING, "device.pair.resolved", &payload);
}

pub(super) fn remove(state: &mut State, call: &Call<'_>) -> Answer {
    let id = call.text("deviceId");
    if state.devices.paired.remove(&id).is_none() {
        return Err(Refusal::invalid("unknown deviceId"));
    }
    state.devices.sent_away.push(id.clone());
    Ok(json!({ "deviceId": id }))
}

/// Ends the connections of devices whose token or pairing is no longer what they came with. Said in the same words
/// whether a token was rotated, revoked, or the device removed.
pub(super) fn send_away(world: &World) {
    let mut state = world.lock();
    for id in std::mem::take(&mut state.devices.sent_away) {
        for client in state.clients.values() {
            if client.device_id.as_deref() == Some(&id) {
                client.close(4001, "device removed");
            }
        }
    }
}

/// 2026.2.9 leaves open connections as they are.
fn must_come_again(state: &mut State, call: &Call<'_>, id: String) {
    match call.contract() {
        Contract::V2026_9_6 | Contract::V2026_7_35 => state.devices.sent_away.push(id),
        Contract::V2026_2_9 => {}
    }
}

fn token_of<'a>(state: &'a mut State, call: &Call<'_>, doing: &str) -> Result<&'a mut Paired, Refusal> {
    let unknown = match call.contract() {
        Contract::V2026_2_9 => "unknown deviceId/role".to_owned(),
        Contract::V2026_7_35 | Contract::V2026_9_6 => format!("device token {doing} denied"),
    };
    let (id, role) = (call.text("deviceId"), call.text("role"));
    let paired = state
        .devices
        .paired
        .get_mut(&id)
        .filter(|paired| paired.asking.role == role);
    paired.ok_or_else(|| Refusal::invalid(unknown))
}

/// The new token is given only to the device itself, or (long ago) to whoever asks.
pub(super) fn rotate(state: &mut State, call: &Call<'_>) -> Answer {
    let (contract, now_ms) = (call.contract(), call.now_ms());
    let mut dice = state.dice.fork();
    let paired = token_of(state, call, "rotation")?;
    let scopes = match call.params.get("scopes").and_then(Value::as_array) {
        Some(asked) => asked
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        None => paired.asking.scopes.clone(),
    };
    let token = Token::new(contract, sorted(&scopes), now_ms, &mut dice);
    let mut answer = json!({
        "deviceId": paired.asking.device.id,
        "role": paired.asking.role,
        "scopes": token.scopes,
        "rotatedAtMs": now_ms,
    });
    let own = call.client.device_id.as_deref() == Some(&paired.asking.device.id) && !call.client.shared_token;
    if let Some(answer) = answer.as_object_mut() {
        if own || contract == Contract::V2026_2_9 {
            answer.insert("token".into(), json!(token.text));
        }
        if contract == Contract::V2026_9_6 {
            let delivery = if own { "in-band" } else { "withheld-cross-device" };
            answer.insert("tokenDelivery".into(), json!(delivery));
        }
    }
    paired.token = Some(token);
    let id = paired.asking.device.id.clone();
    must_come_again(state, call, id);
    Ok(answer)
}

pub(super) fn revoke(state: &mut State, call: &Call<'_>) -> Answer {
    let now_ms = call.now_ms();
    let paired = token_of(state, call, "revocation")?;
    paired.token = None;
    let id = paired.asking.device.id.clone();
    let answer = json!({ "deviceId": id, "role": paired.asking.role, "revokedAtMs": now_ms });
    must_come_again(state, call, id);
    Ok(answer)
}
