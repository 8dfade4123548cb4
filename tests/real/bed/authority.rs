//! Certificates for the servers of a test, from an authority of its own that nobody else trusts.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, both PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut wanted = CertificateParams::default();
        wanted.distinguished_name.push(DnType::CommonName, name);
        wanted.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        wanted.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("an EC key");
        Self(CertifiedIssuer::self_signed(wanted, key).expect("a certificate of our own making"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For a server that is called by these names and addresses.
    pub fn server(&self, names: &[&str], expired: bool) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut wanted =
            CertificateParams::new(names.clone()).expect("names that can stand in a certificate");
        wanted
            .distinguished_name
            .push(DnType::CommonName, names.first().map_or("server", String::as_str));
        if expired {
            wanted.not_before = date_time_ymd(2020, 1, 1);
            wanted.not_after = date_time_ymd(2020, 2, 1);
        }
        let key = KeyPair::generate().expect("an EC key");
        let certificate = wanted
            .signed_by(&key, &self.0)
            .expect("a certificate of our own making");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// A key pair as PEM, (private, public), for signing ServiceAccount tokens. Both are wanted: the API server finds
/// the public half in the private one's file for RSA and for the old EC form, not for the PKCS #8 written here.
pub fn signing_keys() -> (String, String) {
    let key = KeyPair::generate().expect("an EC key");
    (key.serialize_pem(), key.public_key_pem())
}
