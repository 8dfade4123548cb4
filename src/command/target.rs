//! Which API server a command speaks to, and in which namespace.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;

use super::data;
use crate::cluster::connect::{ConnectError, Whereabouts, connect};

/// The kubeconfig that kubectl would use; where nothing names one, that of `quartermaster up`.
#[derive(Debug, Args)]
pub(super) struct ClusterArgs {
    /// The kubeconfig file [default: KUBECONFIG, else that of `quartermaster up`, else ~/.kube/config or the cluster this runs in].
    #[arg(long, env = "QUARTERMASTER_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context within the kubeconfig [default: its current one].
    #[arg(long, env = "QUARTERMASTER_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// The namespace [default: the context's].
    #[arg(long, short, env = "QUARTERMASTER_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,
}

impl ClusterArgs {
    /// The client, and the namespace of what names none.
    pub(super) async fn connect(&self) -> anyhow::Result<(kube::Client, String)> {
        let of_up = self.of_up();
        let whereabouts = Whereabouts {
            kubeconfig: self.kubeconfig.clone().or_else(|| of_up.clone()),
            context: self.context.clone(),
        };
        let client = connect(&whereabouts)
            .await
            .map_err(|error| match (error, of_up) {
                (error @ ConnectError::NotAnswering { .. }, Some(file)) => anyhow!(
                    "{error}\nIts address is from {}, which `quartermaster up` wrote: is that running? --kubeconfig names another.",
                    file.display()
                ),
                (error, _) => error.into(),
            })?;
        let namespace = self.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        Ok((client, namespace))
    }

    /// Where nothing names another.
    fn of_up(&self) -> Option<PathBuf> {
        let named = self.kubeconfig.is_some()
            || self.context.is_some()
            || names_a_file(std::env::var_os("KUBECONFIG"))
            || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        let file = data::usual_folder().ok()?.join(data::KUBECONFIG);
        (!named && file.exists()).then_some(file)
    }
}

/// As kubectl reads it: set to nothing, it names nothing.
fn names_a_file(kubeconfig: Option<OsString>) -> bool {
    kubeconfig.is_some_and(|list| std::env::split_paths(&list).any(|file| !file.as_os_str().is_empty()))
}

/// A runtime for a command that asks and ends.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

/// `90`, `90s`, `2m`, `1h`: seconds where nothing is said.
pub(super) fn patience(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time: give seconds (90), or 90s, 2m, 1h");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let seconds = match text.strip_prefix(digits) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        Some(_) | None => return Err(wrong()),
    };
    number
        .checked_mul(seconds)
        // More than a year is more than a clock can add.
        .filter(|seconds| *seconds <= 31_536_000)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_of_nothing_names_nothing() {
        for (set, named) in [
            (None, false),
            (Some(""), false),
            (Some(":"), false),
            (Some("a"), true),
            (Some(":a"), true),
        ] {
            assert_eq!(names_a_file(set.map(OsString::from)), named, "{set:?}");
        }
    }

    #[test]
    fn times_are_given_as_people_write_them() {
        for (text, seconds) in [("90", 90), ("0", 0), ("90s", 90), ("2m", 120), ("1h", 3600)] {
            assert_eq!(patience(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "-1", "1.5", "2 m", "3d", "99999999999999999h"] {
            assert!(patience(text).is_err(), "{text}");
        }
    }
}
