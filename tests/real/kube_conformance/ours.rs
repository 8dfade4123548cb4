//! The embedded control plane as a user has it: in a file, behind HTTPS, with its collector, and not started for the first
//! time, so that what was before its start is as unknown to it as to the real one.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quartermaster::control_plane::access::Tokens;
use quartermaster::control_plane::http::listen;
use quartermaster::control_plane::identity::Identity;
use quartermaster::control_plane::store::{Keep, Store};
use quartermaster::control_plane::{ControlPlane, collect, kinds};
use quartermaster::resource;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::bed::Scratch;

pub struct Embedded {
    kubeconfig: PathBuf,
    stop: CancellationToken,
    folder: Scratch,
}

impl Embedded {
    pub async fn start() -> Self {
        let folder = Scratch::new("control-plane");
        let identity = Identity::new(jiff::Timestamp::now()).unwrap();
        let definitions = resource::definitions();
        let file = folder.join("store");
        let begun = async || {
            let control_plane = ControlPlane::new(
                Store::open(&file, Keep::default()).unwrap(),
                kinds::served(&definitions).unwrap(),
                Tokens::new(identity.token.clone(), identity.seed),
                Arc::new(jiff::Timestamp::now),
            );
            control_plane.begin(&definitions).await.unwrap();
            control_plane
        };
        begun().await.store().close().await;
        let control_plane = begun().await;
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let tls = identity.tls(&[address.into()]).unwrap();
        tokio::spawn(listen::serve(
            listener,
            tls,
            control_plane.service(),
            stop.clone(),
        ));
        tokio::spawn(collect::run(control_plane, stop.clone()));
        let kubeconfig = identity.kubeconfig(&url, "default");
        let kubeconfig = folder.file("kubeconfig", kubeconfig.expose_secret());
        Self {
            kubeconfig,
            stop,
            folder,
        }
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub fn home(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
