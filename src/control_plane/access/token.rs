//! Bearer tokens: one for the administrator, and signed ones for ServiceAccounts, which carry who they are and until when.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::User;

/// What tokens are checked and made with.
pub struct Tokens {
    admin: SecretString,
    key: SigningKey,
}

/// What a ServiceAccount's token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub audiences: Vec<String>,
    pub until: Timestamp,
    /// The token's own.
    pub id: String,
    /// Name and uid of the Secret with which it ends.
    pub secret: Option<(String, String)>,
}

/// What a token is worth before anybody looked whether its ServiceAccount is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bearer {
    Admin(User),
    Account(Claims),
}

/// Why a token opens nothing. What it shows is what a TokenReview says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("invalid bearer token")]
    NotOurs,
    #[error("[invalid bearer token, service account token has expired]")]
    HasRunOut,
    #[error(
        "[invalid bearer token, token audiences {} is invalid for the target audiences {}]",
        listed(made_for),
        listed(wanted)
    )]
    ForOthers {
        made_for: Vec<String>,
        wanted: Vec<String>,
    },
    #[error("[invalid bearer token, serviceaccounts {name:?} not found]")]
    NoAccount { name: String },
    #[error("[invalid bearer token, service account UID ({is}) does not match claim ({said})]")]
    AnotherAccount { is: String, said: String },
    #[error("[invalid bearer token, service account token has been invalidated]")]
    SecretIsGone,
    #[error(
        "[invalid bearer token, secret UID ({is}) does not match service account secret ref claim ({said})]"
    )]
    AnotherSecret { is: String, said: String },
}

/// `["a" "b"]`, as Go prints a list.
fn listed(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", words.join(" "))
}

/// A token names whom it was made for; this API is the only one here.
pub const AUDIENCE: &str = "https://kubernetes.default.svc";

impl Tokens {
    pub fn new(admin: SecretString, seed: [u8; 32]) -> Self {
        Self {
            admin,
            key: SigningKey::from_bytes(&seed),
        }
    }

    /// For whom it was made is for the caller to look at, as is whether they are still there.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<Bearer, Wrong> {
        // Of equal length, so that the comparison tells nothing.
        if Sha256::digest(token) == Sha256::digest(self.admin.expose_secret()) {
            return Ok(Bearer::Admin(User::admin()));
        }
        let claims = self.read(token).ok_or(Wrong::NotOurs)?;
        if claims.until <= now {
            return Err(Wrong::HasRunOut);
        }
        Ok(Bearer::Account(claims))
    }

    /// None: we did not make it.
    fn read(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        self.key
            .verifying_key()
            .verify(signed.as_bytes(), &signature)
            .ok()?;
        let (_, claims) = signed.split_once('.')?;
        let claims: Sent = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        claims.claims()
    }

    /// A JSON Web Token, as clients expect one.
    pub fn sign(&self, claims: &Claims, now: Timestamp) -> SecretString {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({ "alg": "EdDSA", "typ": "JWT" }));
        let mut bound = json!({
            "namespace": claims.namespace,
            "serviceaccount": { "name": claims.name, "uid": claims.uid },
        });
        if let (Some((name, uid)), Some(bound)) = (&claims.secret, bound.as_object_mut()) {
            bound.insert("secret".to_owned(), json!({ "name": name, "uid": uid }));
        }
        let body = part(json!({
            "iss": AUDIENCE,
            "sub": format!("system:serviceaccount:{}:{}", claims.namespace, claims.name),
            "aud": claims.audiences,
            "iat": now.as_second(),
            "nbf": now.as_second(),
            "exp": claims.until.as_second(),
            "jti": claims.id,
            "kubernetes.io": bound,
        }));
        let signed = format!("{header}.{body}");
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()).to_bytes());
        SecretString::from(format!("{signed}.{signature}"))
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Tokens")
    }
}

#[derive(Deserialize)]
struct Sent {
    aud: Vec<String>,
    exp: i64,
    #[serde(default)]
    jti: String,
    #[serde(rename = "kubernetes.io")]
    account: SentAccount,
}

#[derive(Deserialize)]
struct SentAccount {
    namespace: String,
    serviceaccount: SentName,
    #[serde(default)]
    secret: Option<SentName>,
}

#[derive(Deserialize)]
struct SentName {
    name: String,
    uid: String,
}

impl Sent {
    fn claims(self) -> Option<Claims> {
        let Self {
            aud,
            exp,
            jti,
            account:
                SentAccount {
                    namespace,
                    serviceaccount: SentName { name, uid },
                    secret,
                },
        } = self;
        Some(Claims {
            namespace,
            name,
            uid,
            audiences: aud,
            until: Timestamp::from_second(exp).ok()?,
            id: jti,
            secret: secret.map(|SentName { name, uid }| (name, uid)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(seed: u8) -> Tokens {
        Tokens::new(SecretString::from("sesame"), [seed; 32])
    }

    fn claims() -> Claims {
        Claims {
            namespace: "a".to_owned(),
            name: "sa".to_owned(),
            uid: "u".to_owned(),
            audiences: vec![AUDIENCE.to_owned()],
            until: Timestamp::from_second(2000).unwrap(),
            id: "t".to_owned(),
            secret: None,
        }
    }

    #[test]
    fn a_token_is_good_until_its_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let bound = Claims {
            secret: Some(("s".to_owned(), "v".to_owned())),
            ..claims()
        };
        for claims in [claims(), bound] {
            let token = tokens(1).sign(&claims, at(1000));
            let token = token.expose_secret();
            assert_eq!(tokens(1).check(token, at(1999)), Ok(Bearer::Account(claims)));
            assert_eq!(tokens(1).check(token, at(2000)), Err(Wrong::HasRunOut));
            assert_eq!(
                tokens(2).check(token, at(1000)),
                Err(Wrong::NotOurs),
                "of another key"
            );
            let mut forged = token.to_owned();
            forged.replace_range(40..41, if &token[40..41] == "A" { "B" } else { "A" });
            assert_eq!(tokens(1).check(&forged, at(1000)), Err(Wrong::NotOurs), "changed");
        }
    }

    #[test]
    fn the_administrators_token_is_one_word() {
        let now = Timestamp::from_second(0).unwrap();
        assert_eq!(tokens(1).check("sesame", now), Ok(Bearer::Admin(User::admin())));
        for wrong in ["", "sesam", "sesame ", "a.b.c", "..", "."] {
            assert_eq!(tokens(1).check(wrong, now), Err(Wrong::NotOurs), "{wrong:?}");
        }
    }
}
