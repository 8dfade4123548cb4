//! The thread that makes writes durable. What comes while it waits for the disk leaves together in its next transaction:
//! one fsync for many.

use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::batch::{Batch, NotWritten, Write};
use super::file::File;
use super::stored::Stored;
use super::trouble::{NotOpened, Trouble};

#[derive(Clone)]
pub(super) struct Writer {
    asked: mpsc::Sender<Asked>,
}

enum Asked {
    Write(Write, oneshot::Sender<Answer>),
    Close(oneshot::Sender<()>),
}

type Answer = Result<Stored, NotWritten>;

/// More would hold up the first of them: 1,000 objects of 4 kB take redb 50 ms.
const LARGEST: usize = 1_000;
/// A transaction is in memory until it is committed.
const LARGEST_BYTES: usize = 16 << 20;

impl Writer {
    /// Runs until every clone of the answer is dropped, or until it is closed.
    pub(super) fn start(file: File, shared: &Arc<Shared>) -> Result<Self, NotOpened> {
        let (asked, questions) = mpsc::channel(LARGEST);
        let (shared, name) = (Ending(Arc::clone(shared)), file.name());
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || run(file, &shared.0, questions))
            .map_err(|error| NotOpened::Failing {
                file: name,
                error: format!("no thread can be started: {error}"),
            })?;
        Ok(Self { asked })
    }

    pub(super) async fn write(&self, write: Write) -> Answer {
        let (answer, answered) = oneshot::channel();
        let closed = || NotWritten::Storage(Trouble::Closed);
        let asked = Asked::Write(write, answer);
        self.asked.send(asked).await.map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        // If either fails it has been closed before.
        if self.asked.send(Asked::Close(done)).await.is_ok() {
            closed.await.ok();
        }
    }
}

/// However the thread ends, a panic included: watches end with it, and nobody waits for what will not come.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.write().close();
    }
}

fn run(mut file: File, shared: &Shared, mut asked: mpsc::Receiver<Asked>) {
    let mut closing = None;
    while closing.is_none()
        && let Some(first) = asked.blocking_recv()
    {
        let mut batch = Batch::after(shared.read().revision());
        let mut answers = Vec::new();
        let mut next = Some(first);
        while let Some(question) = next.take() {
            match question {
                Asked::Write(write, answer) => {
                    let result = batch.add(write, |key| shared.read().get(key).cloned());
                    answers.push((answer, result));
                }
                Asked::Close(done) => {
                    closing = Some(done);
                    break;
                }
            }
            if answers.len() < LARGEST && batch.bytes() < LARGEST_BYTES {
                next = asked.try_recv().ok();
            }
        }
        commit(&mut file, shared, batch, answers);
        file.tidy(shared.read().present_bytes());
    }
    // Whoever waits for it may open the file.
    file.close();
    shared.write().close();
    if let Some(done) = closing {
        done.send(()).ok();
    }
}

fn commit(file: &mut File, shared: &Shared, batch: Batch, answers: Vec<(oneshot::Sender<Answer>, Answer)>) {
    let committed = file.commit(batch.events());
    if committed.is_ok() {
        shared.write().publish(batch.into_events());
    }
    for (answer, result) in answers {
        // A refusal may rest on what came before it in the batch: it holds only if that does.
        let result = committed.clone().map_err(NotWritten::Storage).and(result);
        answer.send(result).ok();
    }
}
