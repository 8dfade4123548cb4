//! Opens the byte stream to a gateway: a name, a TCP connection, TLS where the address asks for it. Each step
//! that fails says which it was. Given to a session as a value, so that tests hand it a pipe instead.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::BoxFuture;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Host;

use super::address::Address;
use super::trouble::{TlsTrouble, Trouble};
use super::trust::Trust;

pub trait Dial: Send + Sync + 'static {
    fn dial<'a>(&'a self, address: &'a Address, trust: &'a Trust) -> BoxFuture<'a, Result<Stream, Trouble>>;
}

pub type Stream = Box<dyn ByteStream>;

pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// The real network.
pub struct Network;

const NAME_DEADLINE: Duration = Duration::from_secs(5);
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
const TLS_DEADLINE: Duration = Duration::from_secs(10);

impl Dial for Network {
    fn dial<'a>(&'a self, address: &'a Address, trust: &'a Trust) -> BoxFuture<'a, Result<Stream, Trouble>> {
        Box::pin(async move {
            let tcp = connect(address).await?;
            if address.is_tls() {
                secure(tcp, address, trust).await
            } else {
                Ok(Box::new(tcp) as Stream)
            }
        })
    }
}

/// Tries each address that the name stands for, and reports the last failure: with several, the first is often
/// an IPv6 address that this host cannot reach at all.
async fn connect(address: &Address) -> Result<TcpStream, Trouble> {
    let mut trouble = Trouble::HostNotFound;
    for candidate in resolve(address).await? {
        match timeout(CONNECT_DEADLINE, TcpStream::connect(candidate)).await {
            Ok(Ok(stream)) => {
                // Small frames back and forth: Nagle would add 40 ms to each.
                stream.set_nodelay(true).ok();
                return Ok(stream);
            }
            Ok(Err(error)) => trouble = of_connect(&error),
            Err(_) => trouble = Trouble::ConnectTimedOut,
        }
    }
    Err(trouble)
}

async fn resolve(address: &Address) -> Result<Vec<SocketAddr>, Trouble> {
    let port = address.port();
    match address.host() {
        Host::Ipv4(ip) => Ok(vec![SocketAddr::from((*ip, port))]),
        Host::Ipv6(ip) => Ok(vec![SocketAddr::from((*ip, port))]),
        Host::Domain(name) => match timeout(NAME_DEADLINE, lookup_host((name.as_str(), port))).await {
            Ok(Ok(found)) => Ok(found.collect()),
            Ok(Err(_)) | Err(_) => Err(Trouble::HostNotFound),
        },
    }
}

fn of_connect(error: &io::Error) -> Trouble {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "io::ErrorKind is open; the rest is told as it is"
    )]
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Trouble::ConnectionRefused,
        io::ErrorKind::TimedOut => Trouble::ConnectTimedOut,
        kind => Trouble::HostUnreachable {
            detail: kind.to_string(),
        },
    }
}

async fn secure(tcp: TcpStream, address: &Address, trust: &Trust) -> Result<Stream, Trouble> {
    let other = |error: &dyn std::fmt::Display| Trouble::Tls(TlsTrouble::Other(error.to_string()));
    let config = trust.client_config().map_err(|error| other(&error))?;
    let name = match address.host() {
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|error| other(&error))?,
        Host::Ipv4(ip) => ServerName::IpAddress((*ip).into()),
        Host::Ipv6(ip) => ServerName::IpAddress((*ip).into()),
    };
    match timeout(
        TLS_DEADLINE,
        TlsConnector::from(std::sync::Arc::new(config)).connect(name, tcp),
    )
    .await
    {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(of_tls(&error)),
        Err(_) => Err(Trouble::Silent),
    }
}

fn of_tls(error: &io::Error) -> Trouble {
    use rustls::{CertificateError as Bad, Error};
    // The stream itself broke: a balancer with nobody behind it, a proxy that restarts. Nothing is said about TLS, and to
    // advise ws:// would send the token in the clear.
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return Trouble::Lost {
            code: None,
            reason: error.kind().to_string(),
        };
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "rustls' errors are open; the rest is told as it is"
    )]
    let trouble = match inner {
        // A peer that speaks plain HTTP answers with bytes that are no TLS record.
        Error::InvalidMessage(_) => TlsTrouble::NotTls,
        Error::InvalidCertificate(bad) => match bad {
            // A bad signature is that of another authority of the same name: a private one that was made anew.
            Bad::UnknownIssuer | Bad::BadSignature => TlsTrouble::UnknownAuthority,
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => TlsTrouble::WrongName,
            Bad::Expired | Bad::ExpiredContext { .. } => TlsTrouble::Expired,
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => TlsTrouble::NotYetValid,
            other => TlsTrouble::Other(format!("certificate: {other}")),
        },
        other => TlsTrouble::Other(other.to_string()),
    };
    Trouble::Tls(trouble)
}

#[cfg(test)]
mod tests {
    use rustls::{CertificateError as Bad, Error, InvalidMessage};

    use super::*;

    #[test]
    fn what_tls_says_is_told_in_our_words() {
        let told = |error| of_tls(&io::Error::new(io::ErrorKind::InvalidData, error));
        for (bad, trouble) in [
            (Bad::UnknownIssuer, TlsTrouble::UnknownAuthority),
            (Bad::BadSignature, TlsTrouble::UnknownAuthority),
            (Bad::NotValidForName, TlsTrouble::WrongName),
            (Bad::Expired, TlsTrouble::Expired),
            (Bad::NotValidYet, TlsTrouble::NotYetValid),
            (Bad::Revoked, TlsTrouble::Other("certificate: Revoked".into())),
        ] {
            assert_eq!(told(Error::InvalidCertificate(bad)), Trouble::Tls(trouble));
        }
        let http = Error::InvalidMessage(InvalidMessage::InvalidContentType);
        assert_eq!(told(http), Trouble::Tls(TlsTrouble::NotTls));
        // To say "not TLS" here would tell people to send their token in the clear.
        let broken = of_tls(&io::Error::from(io::ErrorKind::UnexpectedEof));
        assert!(matches!(broken, Trouble::Lost { .. }), "{broken:?}");
    }
}
