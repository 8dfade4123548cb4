//! `quartermaster backup`: everything that `up` keeps, as one file. Who runs holds the file's lock, so it is asked for a copy;
//! where nobody runs, the copy is made here.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use axum::body::Body;
use clap::Args;
use futures::StreamExt;
use kube::client::Body as Sent;

use super::data;
use super::target::block_on;
use crate::cluster::connect::{Whereabouts, connect};
use crate::control_plane::store::{Copy, Keep, NotOpened, Revision, Store};

#[derive(Debug, Args)]
#[command(after_help = "\
It may be run at any time: who reads and writes is not held up, and the copy is of one moment. There are Secrets in it, so
only its owner may read it.

To go back to it: stop `quartermaster up`, put the file in the place of state.redb in the data folder, start it again. Then
restart whatever else watches the API: the same resourceVersions will be given out again, for other changes.")]
pub struct Backup {
    /// The file to write. One that is there already is left alone.
    file: PathBuf,
    /// The folder in which `up` keeps everything [default: quartermaster in the XDG data folder, ~/.local/share].
    #[arg(long, env = "QUARTERMASTER_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// How to ask the one that runs [default: kubeconfig in the data folder].
    #[arg(long, env = "QUARTERMASTER_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

impl Backup {
    pub fn execute(self) -> anyhow::Result<()> {
        let revision = block_on(self.run())?;
        say(&format!(
            "{} holds everything up to resourceVersion {revision}",
            self.file.display()
        ));
        Ok(())
    }

    async fn run(&self) -> anyhow::Result<Revision> {
        let folder = match &self.data {
            Some(folder) => folder.clone(),
            None => data::usual_folder()?,
        };
        let state = folder.join(data::STATE);
        // Opening would make one.
        if !state.try_exists()? {
            bail!(
                "{} does not exist: name with --data the folder that `quartermaster up` uses",
                state.display()
            );
        }
        match Store::open(&state, Keep::default()) {
            Ok(store) => {
                let done = store.backup(&self.file);
                store.close().await;
                Ok(done?)
            }
            Err(NotOpened::InUse { .. }) => {
                let kubeconfig = self.kubeconfig.clone();
                self.ask(&kubeconfig.unwrap_or_else(|| folder.join(data::KUBECONFIG)))
                    .await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn ask(&self, kubeconfig: &Path) -> anyhow::Result<Revision> {
        let mut copy = Copy::begin(&self.file)?;
        let whereabouts = Whereabouts {
            kubeconfig: Some(kubeconfig.to_owned()),
            context: None,
        };
        let client = connect(&whereabouts).await.context(
            "the store is in use, and who uses it does not answer: wait until it has started, or name with --kubeconfig \
             where it is",
        )?;
        let request = axum::http::Request::post("/quartermaster/backup").body(Sent::empty())?;
        let response = client.send(request).await?;
        let code = response.status();
        let mut pieces = Body::new(response.into_body()).into_data_stream();
        if code != axum::http::StatusCode::OK {
            let said = pieces.next().await.transpose()?.unwrap_or_default();
            let status: serde_json::Value = serde_json::from_slice(&said).unwrap_or_default();
            let why = status.get("message").and_then(serde_json::Value::as_str);
            bail!("no backup was given: {}", why.unwrap_or(code.as_str()));
        }
        while let Some(piece) = pieces.next().await {
            copy.write(&piece.context("the backup broke off")?)?;
        }
        Ok(copy.finish()?)
    }
}

#[expect(clippy::print_stdout, reason = "what the user asked for")]
fn say(line: &str) {
    println!("{line}");
}
