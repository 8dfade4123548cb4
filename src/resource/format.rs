//! The forms that a string may have, each with the sentence that a user reads when theirs has another one.
//! These are CEL rules and not `pattern`s, because a pattern's refusal shows a regular expression and no remedy;
//! each has a `maxLength`, without which the API server reckons a rule's cost from the largest possible request
//! and refuses the whole definition.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A name of a Kubernetes object.
pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 253,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",
            "message": "must be the metadata.name of an object: lower-case letters, digits, '-' and '.', \
                        such as harbour-token",
        }],
    })
}

/// A key of a Secret's or ConfigMap's data.
pub(super) fn data_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 253,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[-._a-zA-Z0-9]+$')",
            "message": "must be a key of the object's data: letters, digits, '-', '_' and '.', such as SOUL.md",
        }],
    })
}

/// A length of time of at least ten seconds: shorter ones only keep a gateway busy.
pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "maxLength": 16,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^([1-9][0-9]{1,5}s|[1-9][0-9]{0,5}[mh])$')",
            "message": "must be a whole number with a unit, s, m or h, and at least 10s: such as 90s, 10m or 720h",
        }],
    })
}

/// How often an agent wakes by itself. Zero is the gateway's own word for never.
pub(super) fn heartbeat_interval(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "maxLength": 16,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^(0|[1-9][0-9]{0,5})(s|m|h)$')",
            "message": "must be a whole number with a unit, s, m or h, such as 30s, 10m or 1h; 0m is off",
        }],
    })
}

/// `ws://` or `wss://`, a host, perhaps a port and a path, and nothing that could be a credential.
pub(super) fn gateway_url(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 2048,
        "x-kubernetes-validations": [
            {
                "rule": "!self.contains('@') && !self.contains('?') && !self.contains('#')",
                "message": "must not contain '@', '?' or '#': a URL is no place for credentials; put the token \
                            into a Secret and name it in spec.tokenSecretRef",
            },
            {
                "rule": r"self.matches('^wss?://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[1-9][0-9]{0,4})?(/[^\\s\\x00-\\x1f\\x7f]*)?$')",
                "message": "must begin with ws:// or wss:// and name a host and perhaps a port, such as \
                            ws://gateway.local:18789",
            },
        ],
    })
}

/// A gateway's version. Its makers write 2026.2.9; the documents also write 2026.02.9.
pub(super) fn gateway_version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "maxLength": 64,
        "x-kubernetes-validations": [{
            "rule": r"self.matches('^[0-9]{4}\\.[0-9]{1,2}\\.[0-9]{1,3}(-[0-9A-Za-z.-]+)?$')",
            "message": "must be a gateway's version, year.month.number, such as 2026.2.9",
        }],
    })
}

/// The folder that holds the workspaces.
pub(super) fn workspace_root(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 512,
        "x-kubernetes-validations": folder_rules(),
    })
}

/// One agent's folder. Deleting an agent deletes its workspace: a whole home folder should not be one.
pub(super) fn workspace(_: &mut SchemaGenerator) -> Schema {
    let mut rules = folder_rules();
    rules.push(json!({
        "rule": "self != '~'",
        "message": "must not be the home folder itself, which would be deleted with the agent: name a folder in it, such \
                    as ~/agents/triage",
    }));
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 512,
        "x-kubernetes-validations": rules,
    })
}

/// A folder on the gateway's host. A path below /proc wedges a gateway for ever, and `..` could lead there.
fn folder_rules() -> Vec<Value> {
    vec![
        json!({
            "rule": r"self.matches('^(~|~?(/[^/\\x00-\\x1f\\x7f]+)+)$')",
            "message": "must be a folder on the gateway's host that begins with '/' or '~/', without '//' and without a \
                        '/' at its end, such as ~/.openclaw",
        }),
        json!({
            "rule": r"!self.matches('(^|/)\\.\\.?(/|$)')",
            "message": "must not contain '.' or '..' as a part: write the folder's full path",
        }),
        json!({
            "rule": "!self.matches('^/(proc|sys|dev)(/|$)')",
            "message": "must not be in /proc, /sys or /dev: a gateway hangs for ever when it writes there; choose a \
                        folder on a disk",
        }),
    ]
}

/// An agent's id in a gateway, as the gateway itself would write it.
pub(super) fn agent_id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 64,
        "x-kubernetes-validations": [
            {
                "rule": "self.matches('^[a-z0-9][a-z0-9_-]*$')",
                "message": "must be an agent's id as the gateway lists it: lower-case letters, digits, '-' and '_', \
                            such as ops-triage",
            },
            {
                "rule": "self != 'main' && self != 'openclaw'",
                "message": "must not be main or openclaw: these are the gateway's own agents; name another one",
            },
        ],
    })
}

/// The name of a Markdown file at the top of an agent's workspace.
pub(super) fn file_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 64,
        "x-kubernetes-validations": [{
            "rule": r"self.matches('^[A-Za-z0-9][A-Za-z0-9_-]*\\.md$')",
            "message": "must be the name of a Markdown file, without a folder, such as RUNBOOK.md",
        }],
    })
}

/// The documents that have a built-in template.
pub(super) fn document_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "enum": ["AGENTS.md", "APPROVALS.md", "BOARD.md", "BOOTSTRAP.md", "HEARTBEAT.md", "IDENTITY.md", "MEMORY.md",
                 "ROLES.md", "SOUL.md", "TOOLS.md", "USER.md"],
    })
}

/// The form of a time zone's name. Whether there is such a zone, only the reader of a clock can say.
pub(super) fn time_zone(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "maxLength": 64,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$')",
            "message": "must be the name of a time zone, such as Europe/Zurich or UTC",
        }],
    })
}

/// A time of day on a 24 hour clock. 24:00 is the end of the day.
pub(super) fn time_of_day(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "maxLength": 5,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$')",
            "message": "must be a time of day, HH:MM, such as 08:30; 24:00 is the end of the day",
        }],
    })
}

/// A day, or a moment.
pub(super) fn date(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "maxLength": 40,
        "x-kubernetes-validations": [{
            "rule": r"self.matches('^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]+)?(Z|[+-][0-2][0-9]:[0-5][0-9]))?$')",
            "message": "must be a date such as 2026-12-31, or a moment such as 2026-12-31T17:00:00Z",
        }],
    })
}

/// Where an agent calls us: what its templates put before `/api/v1`.
pub(super) fn http_url(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "maxLength": 2048,
        "x-kubernetes-validations": [{
            "rule": r"self.matches('^https?://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[1-9][0-9]{0,4})?(/[^@?#\\s\\x00-\\x1f\\x7f]*)?$')",
            "message": "must begin with http:// or https:// and name a host, without '@', '?' or '#', such as \
                        http://quartermaster.local:8472",
        }],
    })
}

/// `channel` or `channel:account`, as document 002's `bind` has it.
pub(super) fn binding(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "maxLength": 192,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[a-z][a-z0-9_-]{0,62}(:([*]|[A-Za-z0-9@+._-]{1,128}))?$')",
            "message": "must be a channel, perhaps with an account: telegram, telegram:* or telegram:ops-bot",
        }],
    })
}

/// A moment in a status.
pub(super) fn moment(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}
