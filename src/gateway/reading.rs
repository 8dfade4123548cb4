//! The configuration, read once for everybody who asks at about the same time. A task owns what is known; a reading is
//! forgotten when the gateway says that the configuration has changed, when we have written it, when the connection is
//! another one, and when it is too old for a gateway that tells of nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, OptionFuture};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::configuration::Configuration;
use super::connection::CallError;
use super::contract::Contract;
use super::news::News;
use super::session::Online;

/// Held by a session; a clone for whoever asks.
#[derive(Clone)]
pub struct Readings {
    asks: mpsc::Sender<Ask>,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NotRead {
    #[error("the gateway is not connected")]
    NotConnected,
    #[error("the configuration cannot be read: {0}")]
    Failed(#[from] CallError),
}

type Reading = Result<Arc<Configuration>, NotRead>;

enum Ask {
    /// What is known, or the reading that is under way.
    Known(oneshot::Sender<Reading>),
    /// A reading that begins after this.
    New(oneshot::Sender<Reading>),
    /// It is another one by now.
    Forget,
}

/// Passes of many agents ask within moments of each other.
const ASKS: usize = 64;
/// `config.changed` is not a promise: of one agents.delete in five nothing was told.
const TOLD: Duration = Duration::from_secs(30);
/// Enough for the passes that a common cause has started.
const UNTOLD: Duration = Duration::from_secs(2);

impl Readings {
    /// Runs until every clone of the answer is dropped.
    pub(super) fn start(online: watch::Receiver<Option<Online>>) -> Self {
        let (asks, asked) = mpsc::channel(ASKS);
        let reader = Reader {
            online,
            known: None,
            under_way: None,
            next: Vec::new(),
        };
        tokio::spawn(reader.run(asked));
        Self { asks }
    }

    /// The configuration as it is, or was a moment ago where nobody has told of a change.
    pub async fn known(&self) -> Reading {
        self.ask(Ask::Known).await
    }

    /// The configuration as it is after this call has begun.
    pub async fn new_one(&self) -> Reading {
        self.ask(Ask::New).await
    }

    /// To be called after every write of ours, before anybody is told of it.
    pub(super) async fn forget(&self) {
        self.asks.send(Ask::Forget).await.ok();
    }

    async fn ask(&self, ask: impl FnOnce(oneshot::Sender<Reading>) -> Ask) -> Reading {
        let (answer, answered) = oneshot::channel();
        self.asks
            .send(ask(answer))
            .await
            .map_err(|_| NotRead::NotConnected)?;
        answered.await.unwrap_or(Err(NotRead::NotConnected))
    }
}

struct Reader {
    online: watch::Receiver<Option<Online>>,
    known: Option<Known>,
    under_way: Option<UnderWay>,
    /// Asked for a reading that begins after the one under way.
    next: Vec<oneshot::Sender<Reading>>,
}

struct Known {
    configuration: Arc<Configuration>,
    since: Instant,
    contract: &'static Contract,
}

struct UnderWay {
    reading: BoxFuture<'static, Result<Configuration, CallError>>,
    contract: &'static Contract,
    since: Instant,
    waiting: Vec<oneshot::Sender<Reading>>,
    /// The configuration has changed since it began.
    is_old: bool,
}

impl Reader {
    async fn run(mut self, mut asked: mpsc::Receiver<Ask>) {
        let mut news = self.news();
        loop {
            let reading = OptionFuture::from(
                self.under_way
                    .as_mut()
                    .map(|under_way| under_way.reading.as_mut()),
            );
            let told = OptionFuture::from(news.as_mut().map(watch::Receiver::changed));
            tokio::select! {
                // A change that was told before a question is known when it is answered.
                biased;
                changed = self.online.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    news = self.news();
                    self.forget();
                }
                Some(told) = told => match told {
                    Ok(()) => self.forget(),
                    // The connection is over; the next one has its own.
                    Err(_) => news = None,
                },
                Some(read) = reading => self.finish(read),
                ask = asked.recv() => {
                    let Some(ask) = ask else { return };
                    self.hear(ask);
                }
            }
        }
    }

    fn news(&mut self) -> Option<watch::Receiver<News>> {
        let online = self.online.borrow_and_update();
        online.as_ref().map(|online| online.connection.news())
    }

    fn hear(&mut self, ask: Ask) {
        match (ask, &mut self.under_way) {
            (Ask::Forget, _) => self.forget(),
            (Ask::Known(answer), under_way) => {
                if let Some(known) = self.known.as_ref().filter(|known| known.is_good()) {
                    answer.send(Ok(Arc::clone(&known.configuration))).ok();
                    return;
                }
                match under_way {
                    Some(under_way) if !under_way.is_old => under_way.waiting.push(answer),
                    Some(_) => self.next.push(answer),
                    None => self.begin(vec![answer]),
                }
            }
            (Ask::New(answer), Some(_)) => self.next.push(answer),
            (Ask::New(answer), None) => self.begin(vec![answer]),
        }
    }

    fn begin(&mut self, waiting: Vec<oneshot::Sender<Reading>>) {
        let Some(Online {
            connection, contract, ..
        }) = self.online.borrow().clone()
        else {
            return answer_all(waiting, &Err(NotRead::NotConnected));
        };
        self.under_way = Some(UnderWay {
            reading: async move { connection.config_get().await }.boxed(),
            contract,
            since: Instant::now(),
            waiting,
            is_old: false,
        });
    }

    fn finish(&mut self, read: Result<Configuration, CallError>) {
        let Some(UnderWay {
            reading: _,
            contract,
            since,
            waiting,
            is_old,
        }) = self.under_way.take()
        else {
            return;
        };
        let read = read.map(Arc::new).map_err(NotRead::Failed);
        if let (Ok(configuration), false) = (&read, is_old) {
            let configuration = Arc::clone(configuration);
            self.known = Some(Known {
                configuration,
                since,
                contract,
            });
        }
        answer_all(waiting, &read);
        let next = std::mem::take(&mut self.next);
        if !next.is_empty() {
            self.begin(next);
        }
    }

    fn forget(&mut self) {
        self.known = None;
        if let Some(under_way) = &mut self.under_way {
            under_way.is_old = true;
        }
    }
}

impl Known {
    fn is_good(&self) -> bool {
        let lasts = if self.contract.tells_of_changes {
            TOLD
        } else {
            UNTOLD
        };
        self.since.elapsed() < lasts
    }
}

fn answer_all(waiting: Vec<oneshot::Sender<Reading>>, reading: &Reading) {
    for answer in waiting {
        // Whoever has gone away does not need it.
        answer.send(reading.clone()).ok();
    }
}
