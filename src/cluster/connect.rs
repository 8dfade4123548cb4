//! The client: which cluster, as whom, and with what patience.

use std::time::Duration;

use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tower::timeout::TimeoutLayer;

use super::kinds::version;
use super::watch::WATCH_SECONDS;

#[derive(Debug, Clone, Default)]
pub struct Whereabouts {
    pub kubeconfig: Option<std::path::PathBuf>,
    pub context: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot use kubeconfig {path}: {error}")]
    Kubeconfig {
        path: String,
        error: kube::config::KubeconfigError,
    },
    #[error("no cluster to talk to: {0}. Give --kubeconfig, set KUBECONFIG, or run inside a cluster")]
    Nowhere(String),
    #[error("cannot build a client: {0}")]
    Client(#[from] kube::Error),
    #[error("the API server at {url} does not answer: {error}")]
    NotAnswering { url: String, error: super::Error },
}

/// Until the head of an answer. A list of 10,000 objects begins within a second or two.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// The named kubeconfig, else KUBECONFIG and its defaults, else the cluster we run in.
pub async fn connect(whereabouts: &Whereabouts) -> Result<Client, ConnectError> {
    let mut config = config(whereabouts).await?;
    // Passes back off by themselves and say so in the status; fifteen silent tries would only delay that.
    config.default_retry = false;
    // kube waits for ever. A frozen API server takes a request for a new watch and never answers it, and we would be
    // blind without knowing: so the head of every answer has a deadline, and a body that falls silent for longer than
    // a watch lives has another.
    config.read_timeout = Some(Duration::from_secs(u64::from(WATCH_SECONDS)) + ANSWER_DEADLINE);
    config.reset_reader_on_write = true;
    let url = config.cluster_url.to_string();
    let client = ClientBuilder::try_from(config)?
        .with_layer(&TimeoutLayer::new(ANSWER_DEADLINE))
        .build();
    version(&client)
        .await
        .map_err(|error| ConnectError::NotAnswering { url, error })?;
    Ok(client)
}

/// For the lease alone: its calls end after 2 s each (see `lease`), and must not wait behind a connection that others have
/// let go silent.
pub async fn connect_for_lease(whereabouts: &Whereabouts) -> Result<Client, ConnectError> {
    let mut config = config(whereabouts).await?;
    config.default_retry = false;
    // A connection that is being made goes on when the call that asked for it has ended.
    config.connect_timeout = Some(Duration::from_secs(2));
    Ok(Client::try_from(config)?)
}

async fn config(whereabouts: &Whereabouts) -> Result<Config, ConnectError> {
    let Whereabouts { kubeconfig, context } = whereabouts;
    let options = KubeConfigOptions {
        context: context.clone(),
        ..KubeConfigOptions::default()
    };
    if let Some(path) = kubeconfig {
        let wrong = |error| ConnectError::Kubeconfig {
            path: path.display().to_string(),
            error,
        };
        let file = Kubeconfig::read_from(path).map_err(wrong)?;
        return Config::from_custom_kubeconfig(file, &options)
            .await
            .map_err(wrong);
    }
    if context.is_some() {
        return Config::from_kubeconfig(&options)
            .await
            .map_err(|error| ConnectError::Nowhere(error.to_string()));
    }
    Config::infer()
        .await
        .map_err(|error| ConnectError::Nowhere(error.to_string()))
}
