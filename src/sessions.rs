//! The open gateway sessions, one for each Gateway object.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::OptionFuture;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::fact::Fact;
use crate::gateway::commit::Commits;
use crate::gateway::news;
use crate::gateway::reading::Readings;
use crate::gateway::session::{Online, Surroundings};
use crate::gateway::{Link, Session, State, Trouble, Wanted};
use crate::resource::Gateway;

pub struct Sessions {
    // Passes over different Gateways run at once; each holds the lock for a look-up.
    open: Arc<Mutex<HashMap<ObjectRef<Gateway>, Open>>>,
    surroundings: Surroundings,
    seeds: Seeds,
    /// Where a session says that its link has changed.
    changed: mpsc::UnboundedSender<ObjectRef<Gateway>>,
    /// Where a session says that its gateway has told of another configuration.
    told: mpsc::UnboundedSender<ObjectRef<Gateway>>,
    /// Where a session says that more, or fewer, of others' heartbeats are kept by our hand.
    kept: mpsc::UnboundedSender<ObjectRef<Gateway>>,
    /// Goodbyes under way: a gateway that is left without one keeps our place for a while.
    closing: TaskTracker,
}

struct Open {
    session: Session,
    /// Agents of others that the next write may give an empty heartbeat block: to be stored before it is made, since nobody
    /// can tell afterwards whose hand it was.
    foreseen: BTreeSet<String>,
    /// Nobody wants it any more: it closes after a while, unless somebody does again.
    abandoned: Option<AbortOnDropHandle<()>>,
}

/// A namespace that is deleted loses its Secrets first and its Gateways a moment later. What was read of a Secret is then
/// all there is to clean up with, so it is not dropped at once.
const ABANDONED_FOR: Duration = Duration::from_secs(60);

/// Where each session's tries get their spread from. Given, so that a test can play the same again.
pub type Seeds = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What sessions say by themselves.
pub struct Said {
    /// Each Gateway whose link has changed.
    pub links: mpsc::UnboundedReceiver<ObjectRef<Gateway>>,
    /// Each Gateway that has told of a change of its configuration, once for each; our own writes among them.
    pub configurations: mpsc::UnboundedReceiver<ObjectRef<Gateway>>,
    /// Each Gateway of which [`Sessions::preserved`] says something new: it is to be stored soon.
    pub preserved: mpsc::UnboundedReceiver<ObjectRef<Gateway>>,
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
    pub fn new(surroundings: Surroundings, seeds: Seeds) -> (Self, Said) {
        let (changed, links) = mpsc::unbounded_channel();
        let (told, configurations) = mpsc::unbounded_channel();
        let (kept, preserved) = mpsc::unbounded_channel();
        let said = Said {
            links,
            configurations,
            preserved,
        };
        (
            Self {
                open: Arc::default(),
                surroundings,
                seeds,
                changed,
                told,
                kept,
                closing: TaskTracker::new(),
            },
            said,
        )
    }

    /// None: no session is open.
    pub fn line(&self, gateway: &ObjectRef<Gateway>) -> Option<Line> {
        self.with(|open| {
            let Open {
                session,
                foreseen: _,
                abandoned: _,
            } = open.get(gateway)?;
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
                .map_or(Fact::Absent, |open| Fact::Known(open.session.link()))
        })
    }

    /// Agents of others that have an empty heartbeat block by our hand, or may have with the next write, as far as is known
    /// since the session began.
    pub fn preserved(&self, gateway: &Gateway) -> BTreeSet<String> {
        self.with(|open| {
            let Some(open) = open.get(&ObjectRef::from_obj(gateway)) else {
                return BTreeSet::new();
            };
            let done = open.session.commits().preserved();
            let done = done.iter().map(ToString::to_string);
            done.chain(open.foreseen.iter().cloned()).collect()
        })
    }

    /// The next write may give these an empty heartbeat block: once the Gateway's status says so it may be made.
    pub fn foresee(&self, gateway: &ObjectRef<Gateway>, agents: BTreeSet<String>) {
        let is_new = self.with(|open| {
            let Some(open) = open.get_mut(gateway) else {
                return false;
            };
            let before = open.foreseen.len();
            open.foreseen.extend(agents);
            open.foreseen.len() > before
        });
        if is_new {
            self.kept.send(gateway.clone()).ok();
        }
    }

    /// `refused_ago`: how long ago these credentials were refused to an earlier process.
    pub fn want(&self, gateway: &Gateway, wanted: Wanted, refused_ago: Option<Duration>) {
        let key = ObjectRef::from_obj(gateway);
        self.with(|open| match open.get_mut(&key) {
            Some(Open {
                session,
                foreseen: _,
                abandoned,
            }) => {
                *abandoned = None;
                session.want(wanted);
            }
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
                let (told, name) = (self.told.clone(), key.clone());
                tokio::spawn(listen(session.watch_online(), move || {
                    told.send(name.clone()).ok();
                }));
                let (kept, name, mut changes) = (self.kept.clone(), key.clone(), session.commits().changes());
                let all = Arc::downgrade(&self.open);
                tokio::spawn(async move {
                    while changes.changed().await.is_ok() {
                        // What was foreseen has come, or will not.
                        if let Some(all) = all.upgrade() {
                            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                            if let Some(open) = all.get_mut(&name) {
                                open.foreseen.clear();
                            }
                        }
                        kept.send(name.clone()).ok();
                    }
                });
                let opened = Open {
                    session,
                    foreseen: BTreeSet::new(),
                    abandoned: None,
                };
                open.insert(key, opened);
            }
        });
    }

    pub fn close(&self, gateway: &Gateway) {
        let key = ObjectRef::from_obj(gateway);
        if let Some(open) = self.with(|open| open.remove(&key)) {
            self.closing.spawn(open.session.close());
        }
    }

    /// Closes it after a while, unless it is wanted again before that.
    pub fn abandon(&self, gateway: &Gateway) {
        let key = ObjectRef::from_obj(gateway);
        let (all, closing) = (Arc::clone(&self.open), self.closing.clone());
        self.with(|open| {
            let Some(Open {
                session: _,
                foreseen: _,
                abandoned,
            }) = open.get_mut(&key)
            else {
                return;
            };
            abandoned.get_or_insert_with(|| {
                AbortOnDropHandle::new(tokio::spawn(async move {
                    tokio::time::sleep(ABANDONED_FOR).await;
                    let open = all.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                    if let Some(Open {
                        session,
                        foreseen: _,
                        abandoned,
                    }) = open
                    {
                        closing.spawn(session.close());
                        // This very task.
                        drop(abandoned);
                    }
                }))
            });
        });
    }

    /// What was abandoned is wanted again, as it is.
    pub fn keep(&self, gateway: &Gateway) {
        self.with(|open| {
            if let Some(Open {
                session: _,
                foreseen: _,
                abandoned,
            }) = open.get_mut(&ObjectRef::from_obj(gateway))
            {
                *abandoned = None;
            }
        });
    }

    /// Closes the sessions of Gateways that are gone, and names them.
    pub fn retain(&self, still_there: impl Fn(&ObjectRef<Gateway>) -> bool) -> Vec<ObjectRef<Gateway>> {
        let gone: Vec<_> = self.with(|open| open.extract_if(|key, _| !still_there(key)).collect());
        gone.into_iter()
            .map(|(key, open)| {
                self.closing.spawn(open.session.close());
                key
            })
            .collect()
    }

    /// Waits for the goodbyes that were begun before, too.
    pub async fn close_all(&self) {
        let all: Vec<_> = self.with(|open| open.drain().collect());
        for (_, open) in all {
            self.closing.spawn(open.session.close());
        }
        self.closing.close();
        self.closing.wait().await;
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<ObjectRef<Gateway>, Open>) -> T) -> T {
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
