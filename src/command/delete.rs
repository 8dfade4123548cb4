//! `quartermaster delete`: for who has no kubectl.

use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::{ArgAction, Args};
use kube::ResourceExt;
use kube::core::DynamicObject;
use tokio::time::{Instant, sleep};

use super::apply::unknown;
use super::files::Files;
use super::get::{kinds, subjects};
use super::refused::told;
use super::say::{complain, tell};
use super::standing::State;
use super::target::{ClusterArgs, block_on, patience};
use crate::cluster::manifests::Place;
use crate::cluster::served::Served;

/// What -f names, or KIND NAME. Of files, what is not there is as it shall be; a name that is not there is a mistake.
#[derive(Debug, Args)]
pub struct Delete {
    /// A kind (ocgw, ocboard, ocagent, ocsync, secrets, ...), or KIND/NAME.
    #[arg(conflicts_with = "files")]
    kind: Option<String>,
    /// The objects.
    names: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    files: Files,
    /// Say nothing of a name that is not there.
    #[arg(long)]
    ignore_not_found: bool,
    /// Wait until everything is gone; --wait=false does not.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set, value_name = "BOOL")]
    wait: bool,
    /// How long to wait: 90, 90s, 2m.
    #[arg(long, default_value = "2m", value_parser = patience, value_name = "TIME")]
    timeout: Duration,
}

impl Delete {
    pub fn execute(self) -> anyhow::Result<()> {
        let (words, names) = match &self.kind {
            Some(kind) => subjects(kind, &self.names)?,
            None => (Vec::new(), Vec::new()),
        };
        if self.files.is_empty() && names.is_empty() {
            super::misuse(
                "delete",
                "name what shall be deleted: KIND NAME, or a file with -f",
            );
        }
        block_on(self.run(&words, &names))
    }

    async fn run(self, words: &[String], names: &[String]) -> anyhow::Result<()> {
        let manifests = if self.files.is_empty() {
            Vec::new()
        } else {
            self.files.read()?
        };
        let (client, namespace) = self.cluster.connect().await?;
        let served = Served::read(&client).await?;
        let mut failed = 0;
        let mut places = Vec::new();
        // What was applied last goes first: nothing waits for what it still needs.
        for manifest in manifests.iter().rev() {
            if let Some(place) = manifest.place(&served, &namespace) {
                places.push(place);
            } else {
                failed += 1;
                complain(&format!(
                    "{} ({}) {}",
                    manifest.shown(),
                    manifest.origin,
                    unknown(manifest)
                ));
            }
        }
        let found = kinds(&served, words)?;
        if let [_, _, ..] = found.as_slice() {
            bail!(
                "names are of one kind; {} is several",
                self.kind.unwrap_or_default()
            );
        }
        for kind in found {
            places.extend(names.iter().map(|name| Place {
                kind,
                namespace: namespace.clone(),
                name: name.clone(),
            }));
        }
        let may_lack = self.ignore_not_found || !manifests.is_empty();
        // All are told before the first is waited for: a Gateway stays until its agents are gone.
        let mut going = Vec::new();
        for place in &places {
            match place.delete(&client).await {
                Ok(Some(uid)) if self.wait => going.push((place, uid)),
                Ok(Some(_)) => tell(&format!("{} goes", place.shown())),
                Ok(None) if may_lack => tell(&format!("{} was not there", place.shown())),
                Ok(None) => {
                    failed += 1;
                    complain(&format!("{} was not there", place.shown()));
                }
                Err(error) => {
                    failed += 1;
                    complain(&format!("{} {}", place.shown(), told(&error)));
                }
            }
        }
        wait_until_gone(&client, going, self.timeout).await?;
        if failed > 0 {
            bail!("{failed} of {} not deleted", places.len().max(failed));
        }
        Ok(())
    }
}

async fn wait_until_gone(
    client: &kube::Client,
    mut going: Vec<(&Place<'_>, String)>,
    patience: Duration,
) -> anyhow::Result<()> {
    const LOOK_EVERY: Duration = Duration::from_millis(200);
    let until = Instant::now() + patience;
    loop {
        let mut staying = Vec::new();
        let mut why = Vec::new();
        for (place, uid) in going {
            match place.read(client).await? {
                Some(object) if object.uid().as_deref() == Some(&uid) => {
                    why.push(format!("\n  {}: {}", place.shown(), holds(&object, place)));
                    staying.push((place, uid));
                }
                // Another of that name has come since.
                Some(_) | None => tell(&format!("{} deleted", place.shown())),
            }
        }
        if staying.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(anyhow!(
                "still there after {} s:{}",
                patience.as_secs(),
                why.concat()
            ));
        }
        going = staying;
        sleep(LOOK_EVERY).await;
    }
}

/// What keeps it: in its own words, and who has to let go.
fn holds(object: &DynamicObject, place: &Place<'_>) -> String {
    let finalizers = object.finalizers().join(", ");
    let kind = &place.kind.resource;
    let words = match State::of(Some(object), &kind.kind, &kind.api_version) {
        State::NotReady(said) | State::Failed(said) | State::OnItsWay(said) | State::Working(said) => {
            format!("{said} ")
        }
        State::Ready(_) | State::Unseen | State::OnlyKept | State::Gone | State::Silent => String::new(),
    };
    if finalizers.is_empty() {
        return words.trim_end().to_owned();
    }
    format!("{words}(kept by finalizer {finalizers})")
}
