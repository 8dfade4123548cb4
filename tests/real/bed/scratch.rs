//! A folder for one bed's files, gone when the bed is dropped, and gone when the whole test program has died.
//!
//! All folders of a test program lie in one of its own. A small shell holds a pipe to us; when we end, however that
//! happens, the pipe closes and the shell removes what is left. `QUARTERMASTER_KEEP=1` leaves everything in place,
//! to look at the logs after a failure.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::evidence;

pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = program_folder().join(format!("{count:03}-{name}"));
        fs::create_dir_all(&folder).expect("a folder inside the test program's own");
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file of this folder and says where it is.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !keep() {
            // What a dying process still writes is removed with the program's folder.
            let _left_over = fs::remove_dir_all(&self.0);
        }
    }
}

fn keep() -> bool {
    std::env::var("QUARTERMASTER_KEEP").as_deref() == Ok("1")
}

/// Removing is tried for ten seconds: processes that are being killed at the same moment still write.
const SWEEPER: &str = r#"
while read -r _; do :; done
for _ in $(seq 50); do rm -rf "$1" 2>/dev/null && [ ! -e "$1" ] && exit; sleep 0.2; done
"#;

fn program_folder() -> &'static Path {
    static FOLDER: OnceLock<(PathBuf, Option<Child>)> = OnceLock::new();
    let (folder, _sweeper) = FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("quartermaster-beds-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        if keep() {
            evidence::say(&format!(
                "QUARTERMASTER_KEEP=1: files stay in {}",
                folder.display()
            ));
            return (folder, None);
        }
        let sweeper = Command::new("bash")
            .args(["-c", SWEEPER, "sweeper"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("bash, which the beds' watchdogs are written in");
        (folder, Some(sweeper))
    });
    folder
}
