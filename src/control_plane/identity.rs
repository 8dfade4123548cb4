//! Who the server is, and how its user gets in: a certificate authority of its own, a certificate, the administrator's token
//! and the kubeconfig that holds them.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand::RngExt;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

/// Made once and kept beside the store.
pub struct Identity {
    /// The administrator's.
    pub token: SecretString,
    /// Signs ServiceAccounts' tokens.
    pub seed: [u8; 32],
    /// PEM.
    pub authority: String,
    authority_key: SecretString,
}

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot use the certificate: {0}")]
    Tls(#[from] rustls::Error),
    #[error(
        "it is not in the form that this program writes: remove it and a new one is made, with a new kubeconfig"
    )]
    Unreadable,
}

/// Ten years: nobody is there to renew it.
const DAYS: i64 = 3650;

impl Identity {
    pub fn new() -> Result<Self, IdentityError> {
        let mut rng = rand::rng();
        let token: [u8; 32] = rng.random();
        let key = KeyPair::generate()?;
        let authority = CertifiedIssuer::self_signed(authority(), &key)?;
        Ok(Self {
            token: SecretString::from(URL_SAFE_NO_PAD.encode(token)),
            seed: rng.random(),
            authority: authority.pem(),
            authority_key: SecretString::from(key.serialize_pem()),
        })
    }

    /// As it is kept. Readable by its owner only.
    pub fn written(&self) -> SecretString {
        let Self {
            token,
            seed,
            authority,
            authority_key,
        } = self;
        SecretString::from(
            json!({
                "token": token.expose_secret(),
                "seed": STANDARD.encode(seed),
                "authority": authority,
                "authorityKey": authority_key.expose_secret(),
            })
            .to_string(),
        )
    }

    pub fn read(text: &str) -> Result<Self, IdentityError> {
        let value: serde_json::Value = serde_json::from_str(text).map_err(|_| IdentityError::Unreadable)?;
        let word = |name: &str| {
            let word = value.get(name).and_then(serde_json::Value::as_str);
            word.map(str::to_owned).ok_or(IdentityError::Unreadable)
        };
        let seed = STANDARD
            .decode(word("seed")?)
            .map_err(|_| IdentityError::Unreadable)?;
        Ok(Self {
            token: SecretString::from(word("token")?),
            seed: seed.try_into().map_err(|_| IdentityError::Unreadable)?,
            authority: word("authority")?,
            authority_key: SecretString::from(word("authorityKey")?),
        })
    }

    /// A certificate for these addresses, new at each start: it costs a millisecond and never runs out.
    pub fn tls(&self, addresses: &[IpAddr]) -> Result<Arc<rustls::ServerConfig>, IdentityError> {
        let issuer_key = KeyPair::from_pem(self.authority_key.expose_secret())?;
        let issuer = rcgen::Issuer::from_ca_cert_pem(&self.authority, issuer_key)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params.distinguished_name = named("quartermaster");
        params
            .subject_alt_names
            .extend(addresses.iter().map(|address| SanType::IpAddress(*address)));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &issuer)?;
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// What KUBECONFIG shall name.
    pub fn kubeconfig(&self, url: &str, namespace: &str) -> SecretString {
        let value = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "quartermaster",
            "clusters": [{ "name": "quartermaster", "cluster": {
                "server": url, "certificate-authority-data": STANDARD.encode(&self.authority),
            } }],
            "users": [{ "name": "admin", "user": { "token": self.token.expose_secret() } }],
            "contexts": [{ "name": "quartermaster", "context": {
                "cluster": "quartermaster", "user": "admin", "namespace": namespace,
            } }],
        });
        let text = serde_saphyr::to_string(&value).unwrap_or_else(|_| value.to_string());
        SecretString::from(text)
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("quartermaster authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let (from, until) = (
        rcgen::date_time_ymd(2026, 1, 1),
        rcgen::date_time_ymd(2026 + (DAYS / 365) as i32, 1, 1),
    );
    params.not_before = from;
    params.not_after = until;
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_the_same_identity() {
        let made = Identity::new().unwrap();
        let read = Identity::read(made.written().expose_secret()).unwrap();
        assert_eq!(read.written().expose_secret(), made.written().expose_secret());
        assert!(matches!(Identity::read("{}"), Err(IdentityError::Unreadable)));
        read.tls(&["127.0.0.1".parse().unwrap()]).unwrap();
    }
}
