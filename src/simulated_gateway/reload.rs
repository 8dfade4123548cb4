//! How a running gateway takes a change of its configuration: not at all, at once, or with a restart.
//!
//! The tables are each contract's own reload rules: of those that fit a path the longest counts, and what none fits needs a
//! restart. Rules that only a channel or a plugin brings along are left out; the simulation has neither.

use super::contract::Contract;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reload {
    Nothing,
    Hot,
    Restart,
}

use Reload::{Hot, Nothing, Restart};

/// Kinds and the paths that they are for, with everything below.
type Rules = &'static [(Reload, &'static [&'static str])];

impl Reload {
    /// As `config.schema.lookup` says it.
    pub(super) fn of(path: &str, contract: Contract) -> Self {
        let fits = |prefix: &str| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        prefixes(contract)
            .filter(|(_, prefix)| fits(prefix))
            .max_by_key(|(_, prefix)| prefix.len())
            .map_or(Restart, |(kind, _)| kind)
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Nothing => "none",
            Hot => "hot",
            Restart => "restart",
        }
    }
}

/// Whether a write that changed these paths ends in a restart. 2026.9.6 says that of its shared token, and takes a new one
/// over without.
pub(super) fn restarts(changed: &[String], contract: Contract) -> bool {
    const CREDENTIALS: [&str; 2] = ["gateway.auth.token", "gateway.auth.password"];
    let needs_it = |path: &String| Reload::of(path, contract) == Restart;
    match contract {
        Contract::V2026_2_9 => true,
        Contract::V2026_7_35 => changed.iter().any(needs_it),
        Contract::V2026_9_6 => changed
            .iter()
            .any(|path| needs_it(path) && !CREDENTIALS.contains(&path.as_str())),
    }
}

/// Whether something that comes or goes as a whole is told by its parts: 2026.9.6 has a rule for one of them.
pub(super) fn is_told_by_its_parts(path: &str, contract: Contract) -> bool {
    let is_below = |prefix: &str| {
        prefix
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    match contract {
        Contract::V2026_2_9 | Contract::V2026_7_35 => false,
        Contract::V2026_9_6 => prefixes(contract).any(|(_, prefix)| is_below(prefix)),
    }
}

fn prefixes(contract: Contract) -> impl Iterator<Item = (Reload, &'static str)> {
    let rules = match contract {
        Contract::V2026_2_9 => NO_RULES,
        Contract::V2026_7_35 => RULES_7_35,
        Contract::V2026_9_6 => RULES_9_6,
    };
    rules
        .iter()
        .flat_map(|(kind, prefixes)| prefixes.iter().map(|prefix| (*kind, *prefix)))
}

/// There every write restarts.
const NO_RULES: Rules = &[];

const RULES_7_35: Rules = &[
    (
        Nothing,
        &[
            "agent",
            "agents",
            "audio",
            "bindings",
            "diagnostics.stuckSessionAbortMs",
            "diagnostics.stuckSessionWarnMs",
            "gateway.reload",
            "gateway.remote",
            "identity",
            "logging",
            "messages",
            "meta",
            "routing",
            "secrets",
            "session",
            "skills",
            "talk",
            "tools",
            "tui",
            "ui",
            "wizard",
        ],
    ),
    (
        Hot,
        &[
            "agent.heartbeat",
            "agents.defaults.heartbeat",
            "agents.defaults.model",
            "agents.defaults.models",
            "agents.list",
            "auth.cooldowns",
            "cron",
            "diagnostics.memoryPressureSnapshot",
            "gateway.channelHealthCheckMinutes",
            "gateway.channelMaxRestartsPerHour",
            "gateway.channelStaleEventThresholdMinutes",
            "hooks",
            "mcp",
            "models",
            "plugins",
        ],
    ),
    (
        Restart,
        &[
            "discovery",
            "gateway",
            "models.pricing",
            "plugins.installs",
            "plugins.load",
        ],
    ),
];

const RULES_9_6: Rules = &[
    (
        Nothing,
        &[
            "accessGroups",
            "acp.stream",
            "agent",
            "agents",
            "agents.defaults.mediaMaxMb",
            "audio",
            "bindings",
            "channels.defaults",
            "channels.modelByChannel",
            "commands",
            "diagnostics.flags",
            "gateway.reload",
            "gateway.remote",
            "identity",
            "logging",
            "messages",
            "messages.ackReactionScope",
            "messages.inbound",
            "meta",
            "routing",
            "secrets",
            "session",
            "skills",
            "surfaces",
            "talk",
            "tts",
            "tui",
            "ui",
            "wizard",
        ],
    ),
    (
        Hot,
        &[
            "acp",
            "agent.heartbeat",
            "agents.defaults",
            "agents.defaults.decisionModel",
            "agents.defaults.heartbeat",
            "agents.defaults.model",
            "agents.defaults.modelPolicy",
            "agents.defaults.models",
            "agents.defaults.sessionStore",
            "agents.defaults.workspace",
            "agents.entries",
            "agents.ownership",
            "approvals.exec",
            "approvals.plugin",
            "attachments.ttlHours",
            "auth.order",
            "auth.profiles",
            "broadcast",
            "channels",
            "cloudWorkers",
            "cloudWorkers.profiles",
            "cron",
            "desktop.host",
            "diagnostics.cacheTrace.enabled",
            "diagnostics.enabled",
            "discovery.mdns.mode",
            "gateway.allowRealIpFallback",
            "gateway.auth.allowTailscale",
            "gateway.auth.identityScopes",
            "gateway.auth.rateLimit",
            "gateway.auth.trustedProxy",
            "gateway.cliAgents",
            "gateway.controlUi.allowExternalEmbedUrls",
            "gateway.controlUi.allowedOrigins",
            "gateway.controlUi.automaticallyFetchFavicons",
            "gateway.controlUi.communityInvite",
            "gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback",
            "gateway.controlUi.embedSandbox",
            "gateway.controlUi.enabled",
            "gateway.controlUi.environment",
            "gateway.controlUi.experimental.customPlugins",
            "gateway.controlUi.github",
            "gateway.controlUi.sessionObserver",
            "gateway.http.endpoints",
            "gateway.http.securityHeaders.strictTransportSecurity",
            "gateway.nodes.allowSkills",
            "gateway.nodes.browser",
            "gateway.nodes.commands",
            "gateway.nodes.pairing",
            "gateway.nodes.pluginTools.enabled",
            "gateway.publicOrigin",
            "gateway.push.apns.relay",
            "gateway.roles",
            "gateway.terminal",
            "gateway.tools",
            "gateway.trustedProxies",
            "hooks",
            "mcp",
            "mcp.apps.sandboxOrigin",
            "memory.citations",
            "models",
            "plugins",
            "security.audit.suppressions",
            "security.installPolicy",
            "session.scope",
            "session.store",
            "skills.workshop.autonomous.mode",
            "talk.provider",
            "talk.realtime.provider",
            "telemetry.consentedAt",
            "telemetry.enabled",
            "tools",
            "transcripts",
            "update.auto.enabled",
            "update.channel",
            "update.checkOnStart",
            "worktreeAcceleration",
            "worktreeRoot",
        ],
    ),
    (
        Restart,
        &[
            "discovery",
            "gateway",
            "gateway.auth.password",
            "gateway.auth.token",
            "gateway.portals",
            "mcp.apps",
            "secrets.egressProxy",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_rule_counts_and_none_is_a_restart() {
        let new = Contract::V2026_9_6;
        assert_eq!(Reload::of("env", new), Restart);
        assert_eq!(Reload::of("gateway.port", new), Restart);
        assert_eq!(Reload::of("gateway.reload.mode", new), Nothing);
        assert_eq!(Reload::of("bindings", new), Nothing);
        assert_eq!(Reload::of("agents.entries.a", new), Hot);
        assert_eq!(Reload::of("agentsX", new), Restart);
        let old = Contract::V2026_7_35;
        assert_eq!(Reload::of("channels.defaults.heartbeat", old), Restart);
        assert_eq!(Reload::of("agents.list", old), Hot);
        assert_eq!(Reload::of("agents.list", Contract::V2026_2_9), Restart);
    }

    #[test]
    fn a_new_token_is_said_to_restart_and_does_not_on_9_6() {
        let token = ["gateway.auth.token".to_owned()];
        for (contract, does) in [
            (Contract::V2026_9_6, false),
            (Contract::V2026_7_35, true),
            (Contract::V2026_2_9, true),
        ] {
            assert_eq!(Reload::of(&token[0], contract), Restart);
            assert_eq!(restarts(&token, contract), does);
        }
    }
}
