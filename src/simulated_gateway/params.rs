//! What the parameters of methods are, where there are more than one or two.

use super::contract::Contract;
use super::shape::{Kind, OTHERS, Property, may, must};

/// Where a contract takes something else than the newest does.
pub(super) fn of_contract(method: &str, contract: Contract) -> Option<&'static [Property]> {
    match (method, contract) {
        ("agents.create", Contract::V2026_7_35) => Some(CREATE_7_35),
        ("agents.create", Contract::V2026_2_9) => Some(CREATE_2_9),
        ("agents.update", Contract::V2026_7_35) => Some(UPDATE_7_35),
        ("agents.update", Contract::V2026_2_9) => Some(UPDATE_2_9),
        ("agents.files.set", Contract::V2026_7_35 | Contract::V2026_2_9) => Some(FILES_SET_OLD),
        ("config.patch" | "config.apply", Contract::V2026_2_9) => Some(APPLY_2_9),
        ("sessions.reset", Contract::V2026_2_9) => Some(KEY),
        ("sessions.delete", Contract::V2026_2_9) => Some(SESSIONS_DELETE_2_9),
        ("chat.send", Contract::V2026_2_9) => Some(CHAT_SEND_2_9),
        ("wake", Contract::V2026_2_9) => Some(WAKE_2_9),
        ("models.list", Contract::V2026_2_9) => Some(&[]),
        _ => None,
    }
}

pub(super) const AGENT: &[Property] = &[must("agentId", Kind::Text(1))];
const KEY: &[Property] = &[must("key", Kind::Text(1))];
pub(super) const REQUEST: &[Property] = &[must("requestId", Kind::Text(1))];
pub(super) const DEVICE_ROLE: &[Property] = &[must("deviceId", Kind::Text(1)), must("role", Kind::Text(1))];
pub(super) const ID: &[Property] = &[must("id", Kind::Text(1))];

pub(super) const CREATE: &[Property] = &[
    must("name", Kind::Text(1)),
    may("workspace", Kind::Text(1)),
    may("model", Kind::Text(1)),
    may("emoji", Kind::Text(0)),
    may("avatar", Kind::Text(0)),
];
const CREATE_7_35: &[Property] = &[
    must("name", Kind::Text(1)),
    must("workspace", Kind::Text(1)),
    may("model", Kind::Text(1)),
    may("emoji", Kind::Text(0)),
    may("avatar", Kind::Text(0)),
];
const CREATE_2_9: &[Property] = &[
    must("name", Kind::Text(1)),
    must("workspace", Kind::Text(1)),
    may("emoji", Kind::Text(0)),
    may("avatar", Kind::Text(0)),
];
pub(super) const UPDATE: &[Property] = &[
    must("agentId", Kind::Text(1)),
    may("name", Kind::Text(1)),
    may("workspace", Kind::Text(1)),
    may("model", Kind::TextOrNull),
    may("emoji", Kind::Text(0)),
    may("avatar", Kind::Text(0)),
    may("agentRuntime", Kind::Any),
];
const UPDATE_7_35: &[Property] = &[
    must("agentId", Kind::Text(1)),
    may("name", Kind::Text(1)),
    may("workspace", Kind::Text(1)),
    may("model", Kind::Text(1)),
    may("emoji", Kind::Text(0)),
    may("avatar", Kind::Text(0)),
];
const UPDATE_2_9: &[Property] = &[
    must("agentId", Kind::Text(1)),
    may("name", Kind::Text(1)),
    may("workspace", Kind::Text(1)),
    may("model", Kind::Text(1)),
    may("avatar", Kind::Text(0)),
];
pub(super) const FILES_SET: &[Property] = &[
    must("agentId", Kind::Text(1)),
    must("name", Kind::Text(1)),
    must("content", Kind::Text(0)),
    may("expectedHash", Kind::Hash),
];
const FILES_SET_OLD: &[Property] = &[
    must("agentId", Kind::Text(1)),
    must("name", Kind::Text(1)),
    must("content", Kind::Text(0)),
];
pub(super) const SET: &[Property] = &[must("raw", Kind::Text(1)), may("baseHash", Kind::Text(1))];
pub(super) const APPLY: &[Property] = &[
    must("raw", Kind::Text(1)),
    may("baseHash", Kind::Text(1)),
    may("sessionKey", Kind::Text(0)),
    may("deliveryContext", Kind::OpenObject),
    may("note", Kind::Text(0)),
    may("restartDelayMs", Kind::Integer(0)),
];
const APPLY_2_9: &[Property] = &[
    must("raw", Kind::Text(1)),
    may("baseHash", Kind::Text(1)),
    may("sessionKey", Kind::Text(0)),
    may("note", Kind::Text(0)),
    may("restartDelayMs", Kind::Integer(0)),
];
pub(super) const PATCH: &[Property] = &[
    must("raw", Kind::Text(1)),
    may("baseHash", Kind::Text(1)),
    may("sessionKey", Kind::Text(0)),
    may("deliveryContext", Kind::OpenObject),
    may("note", Kind::Text(0)),
    may("restartDelayMs", Kind::Integer(0)),
    may("replacePaths", Kind::Texts),
];
pub(super) const SESSIONS_LIST: &[Property] = &[
    may("limit", Kind::Integer(1)),
    may("offset", Kind::Integer(0)),
    may("activeMinutes", Kind::Integer(1)),
    may("requireLastInteraction", Kind::Flag),
    may("sortBy", Kind::Text(1)),
    may("includeGlobal", Kind::Flag),
    may("includeUnknown", Kind::Flag),
    may("configuredAgentsOnly", Kind::Flag),
    may("includeDerivedTitles", Kind::Flag),
    may("includeLastMessage", Kind::Flag),
    may("label", Kind::Text(1)),
    may("spawnedBy", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("search", Kind::Text(0)),
    may("archived", Kind::Any),
];
pub(super) const SESSIONS_RESET: &[Property] = &[
    must("key", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("reason", Kind::AnyOf(&["new", "reset"])),
];
pub(super) const SESSIONS_DELETE: &[Property] = &[
    must("key", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("deleteTranscript", Kind::Flag),
    may("expectedSessionId", Kind::Text(1)),
    may("expectedLifecycleRevision", Kind::Text(1)),
    may("expectedSessionUpdatedAt", Kind::Number),
    may("emitLifecycleHooks", Kind::Flag),
    may("archivedOnly", Kind::Flag),
];
const SESSIONS_DELETE_2_9: &[Property] = &[must("key", Kind::Text(1)), may("deleteTranscript", Kind::Flag)];
pub(super) const SESSIONS_PATCH: &[Property] = &[
    must("key", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("label", Kind::TextOrNull),
    may("model", Kind::TextOrNull),
    may("thinkingLevel", Kind::TextOrNull),
    may("verboseLevel", Kind::TextOrNull),
    may("reasoningLevel", Kind::TextOrNull),
    may("permissionMode", Kind::TextOrNull),
    may("fastMode", Kind::Any),
    may("archived", Kind::Flag),
    may("pinned", Kind::Flag),
    may("unread", Kind::Flag),
];
pub(super) const SESSIONS_CREATE: &[Property] = &[
    may("key", Kind::Text(1)),
    may("idempotencyKey", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("label", Kind::Text(1)),
    may("displayName", Kind::Text(1)),
    may("model", Kind::Text(1)),
    may("thinkingLevel", Kind::Text(1)),
    may("parentSessionKey", Kind::Text(1)),
    may("message", Kind::Text(0)),
    may("task", Kind::Text(0)),
];
pub(super) const CHAT_SEND: &[Property] = &[
    must("sessionKey", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("sessionId", Kind::Text(1)),
    must("message", Kind::Text(0)),
    may("intent", Kind::Any),
    may("thinking", Kind::Text(0)),
    may("fastMode", Kind::Any),
    may(
        "queueMode",
        Kind::OneOf(&["steer", "followup", "collect", "interrupt"]),
    ),
    may("deliver", Kind::Flag),
    may("originatingChannel", Kind::Text(0)),
    may("originatingTo", Kind::Text(0)),
    may("originatingAccountId", Kind::Text(0)),
    may("originatingThreadId", Kind::Text(0)),
    may("replyToId", Kind::Text(1)),
    may("attachments", Kind::Any),
    may("timeoutMs", Kind::Integer(0)),
    may("suppressCommandInterpretation", Kind::Flag),
    must("idempotencyKey", Kind::Text(1)),
];
const CHAT_SEND_2_9: &[Property] = &[
    must("sessionKey", Kind::Text(1)),
    must("message", Kind::Text(0)),
    may("thinking", Kind::Text(0)),
    may("deliver", Kind::Flag),
    may("attachments", Kind::Any),
    may("timeoutMs", Kind::Integer(0)),
    must("idempotencyKey", Kind::Text(1)),
];
pub(super) const CHAT_HISTORY: &[Property] = &[
    must("sessionKey", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("cursor", Kind::Text(0)),
    may("limit", Kind::Integer(1)),
    may("offset", Kind::Integer(0)),
    may("messageId", Kind::Text(1)),
    may("sessionId", Kind::Text(1)),
    may("maxChars", Kind::Integer(1)),
];
pub(super) const WAKE: &[Property] = &[
    must("mode", Kind::AnyOf(&["now", "next-heartbeat"])),
    must("text", Kind::Text(1)),
    may("sessionKey", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    OTHERS,
];
const WAKE_2_9: &[Property] = &[
    must("mode", Kind::AnyOf(&["now", "next-heartbeat"])),
    must("text", Kind::Text(1)),
];
pub(super) const CRON_LIST: &[Property] = &[
    may("includeDisabled", Kind::Flag),
    may("limit", Kind::Integer(1)),
    may("offset", Kind::Integer(0)),
    may("query", Kind::Text(0)),
    may("enabled", Kind::Text(1)),
    may("agentId", Kind::Text(1)),
    may("compact", Kind::Flag),
    may("includeDeliveryPreviews", Kind::Flag),
    may("sortBy", Kind::Text(1)),
    may("sortDir", Kind::Text(1)),
];
pub(super) const CRON_ADD: &[Property] = &[
    must("name", Kind::Text(1)),
    may("declarationKey", Kind::Text(1)),
    may("displayName", Kind::Text(1)),
    may("owner", Kind::Any),
    may("agentId", Kind::TextOrNull),
    may("sessionKey", Kind::TextOrNull),
    may("description", Kind::Text(0)),
    may("enabled", Kind::Flag),
    may("deleteAfterRun", Kind::Flag),
    must("schedule", Kind::OpenObject),
    may("pacing", Kind::Any),
    may("trigger", Kind::Any),
    must("sessionTarget", Kind::Text(1)),
    must("wakeMode", Kind::AnyOf(&["next-heartbeat", "now"])),
    must("payload", Kind::OpenObject),
    may("delivery", Kind::Any),
    may("failureAlert", Kind::Any),
];
