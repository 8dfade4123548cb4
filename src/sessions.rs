//! The open gateway sessions, one for each Gateway object.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::OptionFuture;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::fact::Fact;
use crate::gateway::commit::Commits;
use crate::gateway::news;
use crate::gateway::reading::Readings;
use crate::gateway::session::{Online, Surroundings};
use crate::gateway::{Link, Session, State, Trouble, Wanted};
use crate::resource::Gateway;

pub struct Sessions {
    // Passes over different Gateways run at once; each holds the lock for a look-up.
    open: Mutex<HashMap<ObjectRef<Gateway>, Session>>,
    surroundings: Surroundings,
    /// Where a session says that its link has changed.
    changed: mpsc::UnboundedSender<ObjectRef<Gateway>>,
    /// Where a session says that its gateway has told of another configuration.
    told: mpsc::UnboundedSender<ObjectRef<Gateway>>,
    /// Goodbyes under way: a gateway that is left without one keeps our place for a while.
    closing: TaskTracker,
}

/// What sessions say by themselves.
pub struct Said {
    /// Each Gateway whose link has changed.
    pub links: mpsc::UnboundedReceiver<ObjectRef<Gateway>>,
    /// Each Gateway that has told of a change of its configuration, once for each; our own writes among them.
    pub configurations: mpsc::UnboundedReceiver<ObjectRef<Gateway>>,
}

/// A Gateway's session, for a pass over one of its agents. It outlives the session: calls then fail.
#[derive(Clone)]
pub struct Line {
    /// None while the gateway is not connected.
    pub online: Option<Online>,
    /// Why it is not, where a try has failed.
    pub trouble: Option<Trouble>,
    pub readings: Readings,
    /// Of the gateway that was wanted when this line was taken: take the line before anything is read through it.
    pub commits: Commits,
}

impl Sessions {
    pub fn new(surroundings: Surroundings) -> (Self, Said) {
        let (changed, links) = mpsc::unbounded_channel();
        let (told, configurations) = mpsc::unbounded_channel();
        let said = Said {
            links,
            configurations,
        };
        (
            Self {
                open: Mutex::default(),
                surroundings,
                changed,
                told,
                closing: TaskTracker::new(),
            },
            said,
        )
    }

    /// None: no session is open.
    pub fn line(&self, gateway: &ObjectRef<Gateway>) -> Option<Line> {
        self.with(|open| {
            let session = open.get(gateway)?;
            // First of all: what is read afterwards is read of this gateway or of a later one, and a later one takes none
            // of these deposits.
            let commits = session.commits();
            Some(Line {
                online: session.online(),
                trouble: match session.link().state {
                    State::Down(trouble) => Some(trouble),
                    State::Connecting | State::Up(_) => None,
                },
                readings: session.readings().clone(),
                commits,
            })
        })
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
                let session = Session::start(wanted, self.surroundings.clone(), rand::random(), move || {
                    // Nobody listens any more once the controllers have stopped.
                    changed.send(name.clone()).ok();
                });
                let (told, name) = (self.told.clone(), key.clone());
                tokio::spawn(listen(session.watch_online(), move || {
                    told.send(name.clone()).ok();
                }));
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

/// Until the session has ended. What changed between two connections is not told: the link's own change says to look.
async fn listen(mut online: watch::Receiver<Option<Online>>, told: impl Fn()) {
    let mut news: Option<watch::Receiver<news::News>> = None;
    let mut seen = 0;
    loop {
        let more = OptionFuture::from(news.as_mut().map(watch::Receiver::changed));
        tokio::select! {
            changed = online.changed() => {
                if changed.is_err() {
                    return;
                }
                news = online.borrow_and_update().as_ref().map(|online| online.connection.news());
                seen = news.as_mut().map_or(0, |news| news.borrow_and_update().configuration);
            }
            Some(more) = more => {
                let now = news.as_mut().filter(|_| more.is_ok()).map(|news| news.borrow_and_update().configuration);
                match now {
                    Some(now) if now != seen => {
                        seen = now;
                        told();
                    }
                    Some(_) => {}
                    // The connection is over; the next one has its own.
                    None => news = None,
                }
            }
        }
    }
}
