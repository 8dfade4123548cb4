//! `quartermaster apply`: for who has no kubectl.

use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use tokio::time::{Instant, sleep};

use super::files::Files;
use super::refused::told;
use super::say::{complain, tell};
use super::screen::Screen;
use super::standing::{Standing, State, only_kept};
use super::target::{ClusterArgs, block_on, patience};
use crate::cluster::manifests::{Applied, Manifest, Place};
use crate::cluster::served::Served;

/// Who applies by hand.
const MANAGER: &str = "quartermaster-apply";

#[derive(Debug, Args)]
pub struct Apply {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    files: Files,
    /// Take over fields that somebody else set.
    #[arg(long)]
    force_conflicts: bool,
    /// Wait until everything of ours that was applied is Ready.
    #[arg(long)]
    wait: bool,
    /// How long to wait: 90, 90s, 2m.
    #[arg(long, default_value = "2m", value_parser = patience, value_name = "TIME")]
    timeout: Duration,
}

impl Apply {
    pub fn execute(self) -> anyhow::Result<()> {
        if self.files.is_empty() {
            super::misuse(
                "apply",
                "name what shall be applied with -f: a file, a folder, or - for standard input",
            );
        }
        block_on(self.run())
    }

    async fn run(self) -> anyhow::Result<()> {
        let manifests = self.files.read()?;
        let (client, namespace) = self.cluster.connect().await?;
        let mut served = Served::read(&client).await?;
        let mut refused = 0;
        for manifest in &manifests {
            // Its definition may have come with a manifest before it.
            if manifest.place(&served, &namespace).is_none() {
                served = Served::read(&client).await?;
            }
            if let Err(why) = self.one(manifest, &client, &served, &namespace).await {
                refused += 1;
                complain(&format!("{} ({}) {why}", manifest.shown(), manifest.origin));
            }
        }
        if refused > 0 {
            bail!("{refused} of {} not applied", manifests.len());
        }
        if self.wait {
            let places = manifests
                .iter()
                .filter_map(|manifest| Some((manifest, manifest.place(&served, &namespace)?)));
            wait_until_ready(&client, &places.collect::<Vec<_>>(), self.timeout).await?;
        }
        Ok(())
    }

    async fn one(
        &self,
        manifest: &Manifest,
        client: &kube::Client,
        served: &Served,
        namespace: &str,
    ) -> Result<(), String> {
        let Some(place) = manifest.place(served, namespace) else {
            return Err(unknown(manifest));
        };
        let applied = place
            .apply(client, &manifest.object, MANAGER, self.force_conflicts)
            .await
            .map_err(|error| told(&error))?;
        let word = match applied {
            Applied::Created => "created",
            Applied::Changed => "changed",
            Applied::Same => "as it was",
        };
        tell(&format!("{} {word}", place.shown()));
        Ok(())
    }
}

pub(super) fn unknown(manifest: &Manifest) -> String {
    let kind = manifest.gvk();
    format!(
        "is of a kind that is not served here: {} {}",
        kind.api_version(),
        kind.kind
    )
}

/// Our kinds tell whether they are Ready; of all else there is nothing to wait for.
async fn wait_until_ready(
    client: &kube::Client,
    places: &[(&Manifest, Place<'_>)],
    patience: Duration,
) -> anyhow::Result<()> {
    const LOOK_EVERY: Duration = Duration::from_millis(300);
    let until = Instant::now() + patience;
    let mut screen = Screen::of_stdout();
    loop {
        let mut standings = Vec::new();
        for (manifest, place) in places {
            let found = place.read(client).await?;
            let kind = &place.kind.resource;
            let state = State::of(found.as_ref(), &kind.kind, &kind.api_version);
            if state != State::Silent {
                standings.push(Standing {
                    kind: manifest.kind().to_owned(),
                    shown: place.shown(),
                    state,
                });
            }
        }
        let awaited = standings.iter().any(|standing| standing.state.is_awaited());
        let in_time = Instant::now() < until;
        if awaited && in_time {
            screen.show(&standings);
            sleep(LOOK_EVERY).await;
            continue;
        }
        screen.end(&standings);
        let missing = |standing: &&Standing| match standing.state {
            State::NotReady(_)
            | State::Failed(_)
            | State::OnItsWay(_)
            | State::Working(_)
            | State::Unseen
            | State::Gone => true,
            State::Ready(_) | State::OnlyKept | State::Silent => false,
        };
        let mut missing: Vec<String> = standings
            .iter()
            .filter(missing)
            .map(|standing| format!("\n  {}: {}", standing.shown, standing.state.words()))
            .collect();
        missing.extend(only_kept(&standings).map(|kept| format!("\n  {kept}")));
        if missing.is_empty() {
            tell("Everything is Ready.");
            return Ok(());
        }
        let when = if awaited {
            format!("not Ready after {} s", patience.as_secs())
        } else {
            "not Ready, and waiting is of no use".to_owned()
        };
        return Err(anyhow!("{when}:{}", missing.concat()));
    }
}
