//! A TLS front for a port of this machine, with a good certificate or with one that must be refused.
//!
//! OpenClaw gateways speak plain WebSocket; in a cluster TLS is ended in front of them. This stands for that front.
//! It forwards bytes and knows nothing of what they mean.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::authority::{Authority, Identity};

/// What is wrong with the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    None,
    WrongName,
    Expired,
    /// Signed by an authority other than the one that `authority_pem` gives.
    UnknownAuthority,
}

pub struct TlsProxy {
    port: u16,
    authority: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TlsProxy {
    /// In front of `127.0.0.1:target_port`.
    pub fn start(target_port: u16, flaw: Flaw) -> Self {
        Self::start_for(SocketAddr::from(([127, 0, 0, 1], target_port)), flaw)
    }

    pub fn start_for(target: SocketAddr, flaw: Flaw) -> Self {
        let authority = Authority::new("the authority a test trusts");
        let own_names = ["127.0.0.1", "localhost"];
        let identity = match flaw {
            Flaw::None => authority.server(&own_names, false),
            Flaw::WrongName => authority.server(&["another.example"], false),
            Flaw::Expired => authority.server(&own_names, true),
            Flaw::UnknownAuthority => Authority::new("a stranger").server(&own_names, false),
        };
        let acceptor = TlsAcceptor::from(Arc::new(server_config(&identity)));
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener
            .set_nonblocking(true)
            .expect("a socket that tokio can use");
        let port = listener.local_addr().expect("an address").port();
        let (stop, stopped) = oneshot::channel::<()>();
        // A thread of its own: it serves whatever runtime the test has, or none.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = serve(listener, acceptor, target) => {}
                    _ended = stopped => {}
                }
            });
        });
        Self {
            port,
            authority: authority.pem(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("wss://127.0.0.1:{}", self.port)
    }

    /// The authority that a client is told to trust.
    pub fn authority_pem(&self) -> &str {
        &self.authority
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, target: SocketAddr) {
    while let Ok((client, _from)) = listener.accept().await {
        let acceptor = acceptor.clone();
        // A client that refuses the certificate, or a target that is down, ends this connection only.
        tokio::spawn(async move {
            let mut client = acceptor.accept(client).await?;
            let mut server = TcpStream::connect(target).await?;
            copy_bidirectional(&mut client, &mut server).await
        });
    }
}

fn server_config(identity: &Identity) -> ServerConfig {
    let certificate =
        CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("our own certificate");
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("our own key");
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider's own versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate that fits its key")
}
