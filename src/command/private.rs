//! What is for its owner's eyes only: the folder where `up` keeps Secrets and its keys, and each file in it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};

use super::data::quoted;
use crate::control_plane::store::make_names_durable;

/// Files of ours are 0600 whatever the folder is; but where others may write, they may put theirs in the place of ours.
pub(super) fn check_folder(folder: &Path) -> anyhow::Result<()> {
    let about =
        fs::metadata(folder).with_context(|| format!("cannot look at the folder {}", folder.display()))?;
    match why_not(folder, &Access::of(&about)) {
        Some(why) => bail!(why),
        None => Ok(()),
    }
}

struct Access {
    mode: u32,
    owner: u32,
    me: u32,
}

impl Access {
    fn of(about: &fs::Metadata) -> Self {
        Self {
            mode: about.mode() & 0o777,
            owner: about.uid(),
            me: rustix::process::geteuid().as_raw(),
        }
    }
}

fn why_not(folder: &Path, access: &Access) -> Option<String> {
    let Access { mode, owner, me } = *access;
    let shown = folder.display();
    if owner != me {
        return Some(format!(
            "{shown} belongs to another user (number {owner}, and this is {me}), and Secrets are kept there: name a folder of \
             your own with --data"
        ));
    }
    let (who, less) = match mode & 0o022 {
        0 => return None,
        0o020 => ("its group", "g-w"),
        0o002 => ("everybody on this machine", "o-w"),
        _ => ("everybody on this machine", "go-w"),
    };
    Some(format!(
        "{who} may write into {shown}, and Secrets are kept there: `chmod {less} {}`, or name another folder with --data",
        quoted(folder)
    ))
}

/// Takes from others what a copy or an archive has given them. What they have read they know, so it is said.
pub(super) fn close(path: &Path) -> anyhow::Result<Option<String>> {
    let shown = path.display();
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot look at {shown}")),
    };
    let Access { mode, owner, me } = Access::of(&about);
    if owner != me {
        bail!(
            "{shown} belongs to another user (number {owner}, and this is {me}): make it your own, or name another folder with \
             --data"
        );
    }
    let closed = mode & 0o700;
    if closed == mode {
        return Ok(None);
    }
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(closed))
        .with_context(|| format!("others may open {shown} (mode {mode:04o}), and that cannot be changed"))?;
    Ok(Some(format!(
        "{shown} was open to others on this machine (mode {mode:04o}). It is not any more."
    )))
}

/// Whole or not at all, durable, and for its owner's eyes only. Where there is a link, what it leads to is written.
pub(super) fn write(file: &Path, text: &SecretString) -> anyhow::Result<()> {
    let file = led_to(file)?;
    let mut beside = file.clone();
    beside.as_mut_os_string().push(".new");
    let write = || {
        // Left by one that was killed: it could be open to others.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut open = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        open.write_all(text.expose_secret().as_bytes())?;
        open.sync_all()?;
        fs::rename(&beside, &file)?;
        make_names_durable(&file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// A renaming would put the file in the link's place, and leave what it led to as it was.
fn led_to(file: &Path) -> anyhow::Result<PathBuf> {
    if !file.is_symlink() {
        return Ok(file.to_owned());
    }
    file.canonicalize().with_context(|| {
        format!(
            "{} is a link to what is not there: remove it, or name another file",
            file.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_its_owners_alone_to_write_into() {
        let said = |mode, owner| {
            why_not(
                Path::new("/x y"),
                &Access {
                    mode,
                    owner,
                    me: 1000,
                },
            )
        };
        for mode in [0o700, 0o755, 0o750] {
            assert_eq!(said(mode, 1000), None, "{mode:o}");
        }
        for (mode, who, less) in [
            (0o775, "its group", "g-w"),
            (0o702, "everybody on this machine", "o-w"),
            (0o777, "everybody on this machine", "go-w"),
        ] {
            assert_eq!(
                said(mode, 1000).unwrap(),
                format!(
                    "{who} may write into /x y, and Secrets are kept there: `chmod {less} '/x y'`, or name another folder with \
                     --data"
                )
            );
        }
        assert_eq!(
            said(0o700, 0).unwrap(),
            "/x y belongs to another user (number 0, and this is 1000), and Secrets are kept there: name a folder of your own \
             with --data"
        );
    }
}
