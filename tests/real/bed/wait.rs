//! Waiting for something to come true: asked again and again until a deadline, never a fixed sleep.
//!
//! The deadline is generous, because it only decides how long a *failing* test takes.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(50);

/// Asks `is_it` until it has an answer. Panics with `what` after `seconds`.
pub fn eventually<T>(what: &str, seconds: u64, mut is_it: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = is_it() {
            return answer;
        }
        assert!(
            start.elapsed() < Duration::from_secs(seconds),
            "{what}: not so after {seconds} s"
        );
        std::thread::sleep(PAUSE);
    }
}

/// The same for a question that is itself asynchronous; other tasks of the runtime go on meanwhile.
pub async fn eventually_async<T>(what: &str, seconds: u64, mut is_it: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = is_it().await {
            return answer;
        }
        assert!(
            start.elapsed() < Duration::from_secs(seconds),
            "{what}: not so after {seconds} s"
        );
        tokio::time::sleep(PAUSE).await;
    }
}
