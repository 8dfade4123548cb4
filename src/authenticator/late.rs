//! What the watch has not told yet. A token is stored before it is written to an agent's file, but who follows the Secrets
//! from another process, after its start, or while its watch is down, may meet it before it hears of it. So nobody is refused
//! as unknown by the index alone: the Secrets are listed once more, and what that list says counts for this one question.
//!
//! It never goes into the index. A list and a watch have no common order, and what one of them says last would stay.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::Refused;
use super::index::{Found, Index};

/// The last list that somebody asked for.
#[derive(Default)]
pub(super) struct Late(Mutex<Option<Listing>>);

struct Listing {
    began: Instant,
    came: Came,
}

enum Came {
    /// Who asked for it is gone.
    BrokenOff,
    Failed,
    Listed(Index),
}

/// Between the beginnings of two lists. Ten thousand Secrets are ten megabytes, and anybody can guess tokens.
const PAUSE: Duration = Duration::from_secs(5);

impl Late {
    /// One list for all who asked before it began, and `find` in it. Who has to wait for the next one tries `again` first.
    pub(super) async fn find(
        &self,
        secrets: impl Future<Output = Option<Vec<Secret>>>,
        again: impl FnOnce() -> Result<Found, Refused>,
        find: impl FnOnce(&Index) -> Result<Found, Refused>,
    ) -> Result<Found, Refused> {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some(Listing { began, came }) = &*last {
            match came {
                Came::Listed(index) if *began >= asked => return find(index),
                Came::Failed if *began >= asked => return Err(Refused::NotYet),
                Came::Listed(_) | Came::Failed | Came::BrokenOff => {}
            }
            sleep((*began + PAUSE).saturating_duration_since(Instant::now())).await;
            let found = again();
            if found != Err(Refused::Unknown) {
                return found;
            }
        }
        // Said before, or whoever hangs up would ask for lists without a pause.
        let listing = last.insert(Listing {
            began: Instant::now(),
            came: Came::BrokenOff,
        });
        let Some(secrets) = secrets.await else {
            listing.came = Came::Failed;
            return Err(Refused::NotYet);
        };
        let index = Index::of(secrets.iter());
        let found = find(&index);
        listing.came = Came::Listed(index);
        found
    }
}
