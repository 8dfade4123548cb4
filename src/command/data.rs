//! The folder where `quartermaster up` keeps everything: what lies there, and who may read it.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::private;
use crate::control_plane::identity::Identity;

/// Every object.
pub(super) const STATE: &str = "state.redb";
/// The certificate authority, its key, and the administrator's token.
pub(super) const IDENTITY: &str = "identity.json";
pub(super) const KUBECONFIG: &str = "kubeconfig";
/// The simulated gateway's files.
pub(super) const DEMO: &str = "demo";

/// First line of a kubeconfig of ours. What has another one is somebody else's.
const OURS: &str = "# Written by `quartermaster up`, at each start.";

/// Where it is if --data does not say: what QUARTERMASTER_DATA names, else where programs keep what is a user's own.
pub(super) fn usual_folder() -> anyhow::Result<PathBuf> {
    usual(|name| std::env::var_os(name).map(PathBuf::from))
}

fn usual(set: impl Fn(&str) -> Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(folder) = set("QUARTERMASTER_DATA").filter(|folder| !folder.as_os_str().is_empty()) {
        return Ok(folder);
    }
    // XDG's own rule: what is not absolute is not looked at.
    let absolute = |name: &str| set(name).filter(|path| path.is_absolute());
    let base = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    match base {
        Some(base) => Ok(base.join("quartermaster")),
        None => bail!("neither XDG_DATA_HOME nor HOME is set: name a folder with --data"),
    }
}

/// Makes it where there is none. Absolute: what is printed must be right in another terminal, too.
pub(super) fn prepare(folder: &Path) -> anyhow::Result<PathBuf> {
    let folder = std::path::absolute(folder).context("cannot find out where --data is")?;
    let shown = folder.display();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("cannot make the folder {shown}; name another with --data"))?;
    private::check_folder(&folder)?;
    Ok(folder)
}

/// Looks after what lies there already, and says what others may have seen.
pub(super) fn close(folder: &Path) -> anyhow::Result<Vec<String>> {
    let identity = folder.join(IDENTITY);
    let keys = format!(
        " If they may have read it, stop, remove {}, and start again: then what they know is worth nothing, and all need a new \
         kubeconfig or token.",
        identity.display()
    );
    let secrets = " If they may have read it, they know the Secrets in it.";
    let mut said = Vec::new();
    for (name, what_to_do) in [
        (IDENTITY, &*keys),
        (KUBECONFIG, &*keys),
        (STATE, secrets),
        (DEMO, ""),
    ] {
        let closed = private::close(&folder.join(name))?;
        said.extend(closed.map(|closed| closed + what_to_do));
    }
    Ok(said)
}

/// The one that is kept, if there is one.
pub(super) fn identity(file: &Path) -> anyhow::Result<Option<Identity>> {
    let shown = file.display();
    match fs::read_to_string(file) {
        Ok(text) => Identity::read(&text)
            .map(Some)
            .with_context(|| format!("{shown}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {shown}")),
    }
}

pub(super) fn new_identity(file: &Path, now: Timestamp) -> anyhow::Result<Identity> {
    let identity = Identity::new(now)?;
    private::write(file, &identity.written())?;
    Ok(identity)
}

/// `may_replace`: it lies in our own folder. Elsewhere only what we have written is written over: ~/.kube/config may hold all
/// the clusters that somebody has.
pub(super) fn write_kubeconfig(
    file: &Path,
    kubeconfig: &SecretString,
    may_replace: bool,
) -> anyhow::Result<()> {
    let shown = file.display();
    let ours = match fs::read_to_string(file) {
        Ok(text) => text.starts_with(OURS) || text.is_empty(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown} (--kubeconfig-out)")),
    };
    if !ours && !may_replace {
        bail!(
            "{shown} is there and was not written by quartermaster: name another file with --kubeconfig-out"
        );
    }
    let text = format!("{OURS}\n{}", kubeconfig.expose_secret());
    private::write(file, &SecretString::from(text))
}

/// As a shell reads it back.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_where_the_user_keeps_things() {
        let with = |set: &[(&str, &str)]| {
            usual(|name| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| PathBuf::from(value))
            })
            .map(|folder| folder.display().to_string())
            .map_err(|error| error.to_string())
        };
        let home = ("HOME", "/home/ada");
        assert_eq!(with(&[home]).unwrap(), "/home/ada/.local/share/quartermaster");
        assert_eq!(
            with(&[home, ("XDG_DATA_HOME", "/data")]).unwrap(),
            "/data/quartermaster"
        );
        assert_eq!(
            with(&[home, ("XDG_DATA_HOME", "not/absolute")]).unwrap(),
            "/home/ada/.local/share/quartermaster"
        );
        assert_eq!(with(&[home, ("QUARTERMASTER_DATA", "here")]).unwrap(), "here");
        let none = "neither XDG_DATA_HOME nor HOME is set: name a folder with --data";
        assert_eq!(with(&[]).unwrap_err(), none);
        assert_eq!(with(&[("HOME", "")]).unwrap_err(), none);
    }

    #[test]
    fn a_shell_reads_back_what_is_printed() {
        assert_eq!(quoted(Path::new("/home/ada/.local/x-1")), "/home/ada/.local/x-1");
        assert_eq!(quoted(Path::new("/my data/it's")), r"'/my data/it'\''s'");
        assert_eq!(quoted(Path::new("/a$b")), "'/a$b'");
    }
}
