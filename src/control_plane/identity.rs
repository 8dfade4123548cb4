//! Who the server is, and how its user gets in: a certificate authority of its own, a certificate, the administrator's token
//! and the kubeconfig that holds them.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use rand::RngExt;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use x509_parser::pem::parse_x509_pem;

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

/// Nobody is there to renew it.
const YEARS: i64 = 10;

impl Identity {
    pub fn new(now: Timestamp) -> Result<Self, IdentityError> {
        let mut rng = rand::rng();
        let token: [u8; 32] = rng.random();
        let key = KeyPair::generate()?;
        let authority = CertifiedIssuer::self_signed(authority(now), &key)?;
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

    /// When nobody believes the authority any more.
    pub fn ends(&self) -> Result<Timestamp, IdentityError> {
        let (_, pem) = parse_x509_pem(self.authority.as_bytes()).map_err(|_| IdentityError::Unreadable)?;
        let certificate = pem.parse_x509().map_err(|_| IdentityError::Unreadable)?;
        Timestamp::from_second(certificate.validity().not_after.timestamp())
            .map_err(|_| IdentityError::Unreadable)
    }

    /// A certificate for localhost and for these, new at each start: it costs a millisecond and outlives the authority.
    pub fn tls(&self, names: &[ServerName<'_>]) -> Result<Arc<rustls::ServerConfig>, IdentityError> {
        let issuer_key = KeyPair::from_pem(self.authority_key.expose_secret())?;
        let issuer = rcgen::Issuer::from_ca_cert_pem(&self.authority, issuer_key)?;
        let key = KeyPair::generate()?;
        let names = names.iter().map(|name| name.to_str().into_owned());
        let names: BTreeSet<String> = names.chain(["localhost".to_owned()]).collect();
        let mut params = CertificateParams::new(names.into_iter().collect::<Vec<_>>())?;
        params.distinguished_name = named("quartermaster");
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

/// From the day before, as clocks differ.
fn authority(now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("quartermaster authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let today = now.to_zoned(TimeZone::UTC).date();
    let midnight = |day: Date| {
        rcgen::date_time_ymd(
            day.year().into(),
            day.month().unsigned_abs(),
            day.day().unsigned_abs(),
        )
    };
    params.not_before = midnight(today.saturating_sub(1.day()));
    params.not_after = midnight(today.saturating_add(Span::new().years(YEARS)));
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_at(now: &str) -> Identity {
        Identity::new(now.parse().unwrap()).unwrap()
    }

    #[test]
    fn what_is_kept_is_the_same_identity() {
        let made = made_at("2026-05-01T10:00:00Z");
        let read = Identity::read(made.written().expose_secret()).unwrap();
        assert_eq!(read.written().expose_secret(), made.written().expose_secret());
        assert!(matches!(Identity::read("{}"), Err(IdentityError::Unreadable)));
        read.tls(&[ServerName::try_from("127.0.0.1").unwrap()]).unwrap();
    }

    #[test]
    fn it_is_good_for_ten_years_whenever_it_is_made() {
        for (now, from, until) in [
            (
                "2026-05-01T10:00:00Z",
                "2026-04-30T00:00:00Z",
                "2036-05-01T00:00:00Z",
            ),
            (
                "2031-01-01T23:59:59Z",
                "2030-12-31T00:00:00Z",
                "2041-01-01T00:00:00Z",
            ),
            (
                "2028-02-29T00:00:00Z",
                "2028-02-28T00:00:00Z",
                "2038-02-28T00:00:00Z",
            ),
        ] {
            let made = made_at(now);
            assert_eq!(made.ends().unwrap(), until.parse().unwrap());
            let (_, pem) = parse_x509_pem(made.authority.as_bytes()).unwrap();
            let begins = pem.parse_x509().unwrap().validity().not_before.timestamp();
            let from: Timestamp = from.parse().unwrap();
            assert_eq!(begins, from.as_second());
        }
    }
}
