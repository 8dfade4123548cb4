//! One process of the controller, from its start to its end. When it is killed its tasks are dropped; and because a task may
//! have begun others that drop later, everything that leads outside is severed first, in the same instant: no request of a
//! dead life is heard, no answer reaches it, and its connections end as those of a killed process do.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub(crate) struct Life(Arc<Parts>);

struct Parts {
    number: u32,
    over: CancellationToken,
    /// Its ends of all pipes to gateways.
    lines: Mutex<Vec<End>>,
}

type End = Arc<Mutex<Option<DuplexStream>>>;

impl Life {
    pub(crate) fn new(number: u32) -> Self {
        Self(Arc::new(Parts {
            number,
            over: CancellationToken::new(),
            lines: Mutex::default(),
        }))
    }

    pub(crate) fn number(&self) -> u32 {
        self.0.number
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) {
        self.0.over.cancel();
        for end in self.0.lines.lock().unwrap().drain(..) {
            end.lock().unwrap().take();
        }
    }

    pub(crate) async fn is_over(&self) {
        self.0.over.cancelled().await;
    }

    /// Goes on for ever once it is over: nobody is there who could go on.
    pub(crate) async fn goes_on(&self) {
        if self.0.over.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    /// This life's end of a pipe.
    pub(crate) fn line(&self, stream: DuplexStream) -> Line {
        let end = Arc::new(Mutex::new(Some(stream)));
        if self.0.over.is_cancelled() {
            end.lock().unwrap().take();
        }
        let mut lines = self.0.lines.lock().unwrap();
        // Those that the session has let go.
        lines.retain(|line| Arc::strong_count(line) > 1);
        lines.push(Arc::clone(&end));
        Line(end)
    }
}

/// A connection to a gateway for as long as its life lasts. Whoever holds it longer waits for ever.
pub(crate) struct Line(End);

impl Line {
    fn with<T>(&self, act: impl FnOnce(Pin<&mut DuplexStream>) -> Poll<T>) -> Poll<T> {
        match self.0.lock().unwrap().as_mut() {
            Some(stream) => act(Pin::new(stream)),
            None => Poll::Pending,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The list of lines may hold it still, and the gateway would never see that it is gone.
        self.0.lock().unwrap().take();
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(context))
    }
}
