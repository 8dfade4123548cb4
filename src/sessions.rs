//! The open gateway sessions, one for each Gateway object.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::fact::Fact;
use crate::gateway::session::Surroundings;
use crate::gateway::{Link, Session, Wanted};
use crate::resource::Gateway;

pub struct Sessions {
    // Passes over different Gateways run at once; each holds the lock for a look-up.
    open: Mutex<HashMap<ObjectRef<Gateway>, Session>>,
    surroundings: Surroundings,
    seeds: Seeds,
    /// Where a session says that its link has changed.
    changed: mpsc::UnboundedSender<ObjectRef<Gateway>>,
    /// Goodbyes under way: a gateway that is left without one keeps our place for a while.
    closing: TaskTracker,
}

/// Where each session's tries get their spread from. Given, so that a test can play the same again.
pub type Seeds = Arc<dyn Fn() -> u64 + Send + Sync>;

impl Sessions {
    /// The receiver yields each Gateway whose link has changed.
    pub fn new(
        surroundings: Surroundings,
        seeds: Seeds,
    ) -> (Self, mpsc::UnboundedReceiver<ObjectRef<Gateway>>) {
        let (changed, changes) = mpsc::unbounded_channel();
        (
            Self {
                open: Mutex::default(),
                surroundings,
                seeds,
                changed,
                closing: TaskTracker::new(),
            },
            changes,
        )
    }

    pub fn link(&self, gateway: &Gateway) -> Fact<Link> {
        self.with(|open| {
            open.get(&ObjectRef::from_obj(gateway))
                .map_or(Fact::Absent, |session| Fact::Known(session.link()))
        })
    }

    /// `refused_ago`: how long ago these credentials were refused to an earlier process.
    pub fn want(&self, gateway: &Gateway, wanted: Wanted, refused_ago: Option<Duration>) {
        let key = ObjectRef::from_obj(gateway);
        self.with(|open| match open.get(&key) {
            Some(session) => session.want(wanted),
            None => {
                if let Some(ago) = refused_ago {
                    let target = &wanted.target;
                    let fingerprint = target.credentials.fingerprint();
                    self.surroundings
                        .guard
                        .recall(&target.address, fingerprint, ago, Instant::now());
                }
                let (changed, name) = (self.changed.clone(), key.clone());
                let session = Session::start(wanted, self.surroundings.clone(), (self.seeds)(), move || {
                    // Nobody listens any more once the controllers have stopped.
                    changed.send(name.clone()).ok();
                });
                open.insert(key, session);
            }
        });
    }

    pub fn close(&self, gateway: &Gateway) {
        let key = ObjectRef::from_obj(gateway);
        if let Some(session) = self.with(|open| open.remove(&key)) {
            self.closing.spawn(session.close());
        }
    }

    /// Closes the sessions of Gateways that are gone, and names them.
    pub fn retain(&self, still_there: impl Fn(&ObjectRef<Gateway>) -> bool) -> Vec<ObjectRef<Gateway>> {
        let gone: Vec<_> = self.with(|open| open.extract_if(|key, _| !still_there(key)).collect());
        gone.into_iter()
            .map(|(key, session)| {
                self.closing.spawn(session.close());
                key
            })
            .collect()
    }

    /// Waits for the goodbyes that were begun before, too.
    pub async fn close_all(&self) {
        let all: Vec<_> = self.with(|open| open.drain().collect());
        for (_, session) in all {
            self.closing.spawn(session.close());
        }
        self.closing.close();
        self.closing.wait().await;
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<ObjectRef<Gateway>, Session>) -> T) -> T {
        act(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
