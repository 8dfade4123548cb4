//! Where a gateway listens: a `ws://` or `wss://` URL, parsed once.

use std::fmt;

use url::{Host, Url};

#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: Url,
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("is not a URL ({0})")]
    NotAUrl(String),
    #[error("begins with {0}://, but a gateway speaks ws:// or wss://")]
    Scheme(String),
    #[error("names no host")]
    NoHost,
    #[error("may not hold credentials, a query or a fragment: the token belongs in a Secret")]
    Extra,
}

impl Address {
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|error| AddressError::NotAUrl(error.to_string()))?;
        let default_port = match url.scheme() {
            "ws" => 80,
            "wss" => 443,
            other => return Err(AddressError::Scheme(other.to_owned())),
        };
        let credentials = !url.username().is_empty() || url.password().is_some();
        if credentials || url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Extra);
        }
        let host = url.host().ok_or(AddressError::NoHost)?.to_owned();
        let port = url.port().unwrap_or(default_port);
        Ok(Self { url, host, port })
    }

    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "wss"
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`, as the `Host` header, people and the lock-out guard name it.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// What a page served by this gateway would send as `Origin`: control-UI mode needs it.
    pub fn origin(&self) -> String {
        let scheme = if self.is_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_left_out_is_the_schemes() {
        assert_eq!(
            Address::parse("wss://gw.example.com/").unwrap().authority(),
            "gw.example.com:443"
        );
        assert_eq!(
            Address::parse("ws://gw.example.com").unwrap().authority(),
            "gw.example.com:80"
        );
        assert_eq!(
            Address::parse("ws://[::1]:18789").unwrap().authority(),
            "[::1]:18789"
        );
    }

    #[test]
    fn what_could_carry_a_credential_is_refused() {
        for text in [
            "ws://me:pw@host",
            "ws://me@host",
            "ws://host/?token=x",
            "ws://host/#token",
        ] {
            assert_eq!(Address::parse(text).unwrap_err(), AddressError::Extra, "{text}");
        }
    }

    #[test]
    fn only_web_sockets_are_addresses() {
        assert_eq!(
            Address::parse("http://host").unwrap_err(),
            AddressError::Scheme("http".into())
        );
        assert!(matches!(
            Address::parse("host:18789"),
            Err(AddressError::Scheme(_) | AddressError::NotAUrl(_))
        ));
        assert!(matches!(
            Address::parse("ws://"),
            Err(AddressError::NotAUrl(_) | AddressError::NoHost)
        ));
    }
}
