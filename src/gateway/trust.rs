//! Whose certificates a `wss://` connection believes.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The certificate authorities of the system.
    System,
    /// These alone: a private authority replaces the system's, so that no public one can vouch for a private host.
    Bundle(Bundle),
    /// Any certificate at all. For development.
    Anything,
}

/// One or more certificate authorities, parsed.
#[derive(Clone)]
pub struct Bundle {
    roots: Arc<RootCertStore>,
    certificates: Arc<[CertificateDer<'static>]>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error("holds no PEM certificate (-----BEGIN CERTIFICATE-----)")]
    Empty,
    #[error("is not readable as PEM")]
    NotPem,
    #[error("has a certificate that cannot be read (number {0})")]
    BadCertificate(usize),
}

impl Bundle {
    pub fn from_pem(pem: &[u8]) -> Result<Self, BundleError> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|_| BundleError::NotPem)?;
        if certificates.is_empty() {
            return Err(BundleError::Empty);
        }
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            roots
                .add(certificate.clone())
                .map_err(|_| BundleError::BadCertificate(index + 1))?;
        }
        Ok(Self {
            roots: Arc::new(roots),
            certificates: certificates.into(),
        })
    }
}

impl PartialEq for Bundle {
    fn eq(&self, other: &Self) -> bool {
        self.certificates == other.certificates
    }
}

impl Eq for Bundle {}

impl fmt::Debug for Bundle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Bundle({} certificates)", self.certificates.len())
    }
}

impl Trust {
    pub(super) fn client_config(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match self {
            Self::System => builder.with_root_certificates(system_roots()),
            Self::Bundle(bundle) => builder.with_root_certificates(Arc::clone(&bundle.roots)),
            Self::Anything => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(BelieveAnything::new(&provider))),
        };
        Ok(builder.with_no_client_auth())
    }
}

/// Read once: they are some 140 files on many systems.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    Arc::clone(ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    }))
}

/// `allowInsecureTls`: the certificate is not looked at, but the peer must still hold its key.
#[derive(Debug)]
struct BelieveAnything(WebPkiSupportedAlgorithms);

impl BelieveAnything {
    fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for BelieveAnything {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_says_what_is_wrong_with_it() {
        assert_eq!(Bundle::from_pem(b"").unwrap_err(), BundleError::Empty);
        assert_eq!(
            Bundle::from_pem(b"not a certificate").unwrap_err(),
            BundleError::Empty
        );
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(
            Bundle::from_pem(broken).unwrap_err(),
            BundleError::BadCertificate(1)
        );
    }

    #[test]
    fn a_bundle_is_its_certificates() {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(vec!["ca".into()])
            .unwrap()
            .self_signed(&key)
            .unwrap()
            .pem();
        let bundle = Bundle::from_pem(pem.as_bytes()).unwrap();
        assert_eq!(
            bundle,
            Bundle::from_pem(format!("# a comment\n{pem}").as_bytes()).unwrap()
        );
        let two = Bundle::from_pem(format!("{pem}{pem}").as_bytes()).unwrap();
        assert_ne!(bundle, two);
    }
}
