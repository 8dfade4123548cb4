//! Which messages go to which agent: `telegram:*` in a user's words, `{agentId, match}` in a gateway's.

use std::fmt;

use serde_json::{Value, json};

use super::names::AgentId;

/// A channel, or one account of it. `telegram` and `telegram:default` are the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Binding {
    channel: String,
    /// None: the channel's default account. `*`: all of them.
    account: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no binding: a channel (a-z, 0-9, - and _), and for one account of it a colon and the account's name, or * \
     for all of them, as in telegram:*"
)]
pub struct NotABinding(String);

/// What a gateway calls the account of a binding that names none.
const DEFAULT_ACCOUNT: &str = "default";
const LONGEST: usize = 128;

impl Binding {
    pub fn parse(text: &str) -> Result<Self, NotABinding> {
        let wrong = || NotABinding(text.chars().take(LONGEST).collect());
        let (channel, account) = match text.split_once(':') {
            Some((channel, account)) => (channel, Some(account)),
            None => (text, None),
        };
        let of_channel = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        let named = !channel.is_empty() && channel.bytes().all(of_channel);
        let of_account = |c: char| !c.is_whitespace() && !c.is_control() && c != ':';
        let accounted = account.is_none_or(|account| !account.is_empty() && account.chars().all(of_account));
        if named && accounted && text.len() <= LONGEST {
            Ok(Self::of(channel, account))
        } else {
            Err(wrong())
        }
    }

    /// None for what our words cannot say: a binding of one chat, guild or role, or of another kind.
    pub fn read(item: &Value) -> Option<Self> {
        let item = item.as_object()?;
        let matched = item.get("match")?.as_object()?;
        let is_route = item.get("type").is_none_or(|kind| kind == "route");
        let text = |key: &str| matched.get(key).and_then(Value::as_str).map(str::trim);
        let is_plain = matched.keys().all(|key| key == "channel" || key == "accountId");
        (is_route && is_plain).then(|| Self::of(text("channel").unwrap_or_default(), text("accountId")))
    }

    fn of(channel: &str, account: Option<&str>) -> Self {
        let account = account.filter(|account| !account.is_empty() && *account != DEFAULT_ACCOUNT);
        Self {
            channel: channel.to_ascii_lowercase(),
            account: account.map(str::to_owned),
        }
    }

    /// As it stands in a configuration.
    pub fn to(&self, agent: &AgentId) -> Value {
        let Self { channel, account } = self;
        match account {
            Some(account) => {
                json!({ "agentId": agent.as_str(), "match": { "channel": channel, "accountId": account } })
            }
            None => json!({ "agentId": agent.as_str(), "match": { "channel": channel } }),
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel, account } = self;
        match account {
            Some(account) => write!(out, "{channel}:{account}"),
            None => out.write_str(channel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_json_are_the_same() {
        let agent = AgentId::parse("a").unwrap();
        for words in ["telegram", "telegram:*", "discord:work", "ms-teams:a.b@c"] {
            let binding = Binding::parse(words).unwrap();
            assert_eq!(binding.to_string(), words);
            assert_eq!(Binding::read(&binding.to(&agent)), Some(binding));
        }
        let default = Binding::parse("telegram:default").unwrap();
        assert_eq!(default, Binding::parse("telegram").unwrap());
        for wrong in [
            "",
            ":",
            ":a",
            "telegram:",
            "telegram:a:b",
            "Tele gram",
            "telegram:a b",
            "tele/gram",
        ] {
            assert!(Binding::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_our_words_cannot_say_is_not_read_as_less() {
        for other in [
            json!({ "agentId": "a", "match": { "channel": "telegram", "peer": { "kind": "direct", "id": "1" } } }),
            json!({ "agentId": "a", "match": { "channel": "discord", "guildId": "1", "roles": ["x"] } }),
            json!({ "agentId": "a", "type": "acp", "match": { "channel": "telegram" } }),
            json!({ "agentId": "a" }),
            json!(7),
        ] {
            assert_eq!(Binding::read(&other), None, "{other}");
        }
        let route = json!({ "agentId": "a", "type": "route", "comment": "x", "match": { "channel": "telegram", "accountId": " * " } });
        assert_eq!(Binding::read(&route).unwrap().to_string(), "telegram:*");
    }
}
