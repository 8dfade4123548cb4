//! What `up` cannot work with: exit code 1, and a sentence that says what to do.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::desk::{Desk, normal};

#[test]
fn a_port_that_is_taken() {
    let desk = Desk::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = format!(
        "quartermaster: cannot listen on {address}; choose another address with --listen (port 0 takes a free one): "
    );
    let ended = desk.run(&["up", "--listen", &address]);
    ended.fails_with(&said);
    assert_eq!(ended.out, "");
    assert!(!desk.data().join("kubeconfig").exists(), "nothing leads to it");
}

#[test]
fn a_folder_that_another_one_uses() {
    let desk = Desk::new();
    let up = desk.up(&[]);
    let before = desk.kubeconfig();
    let ended = desk.run(&["up", "--listen", "127.0.0.1:0"]);
    assert_eq!(
        (ended.code, normal(&ended.err, &desk).as_str()),
        (
            Some(1),
            "quartermaster: another `quartermaster up` runs with what is in DESK/home/.local/share/quartermaster: use that \
             one, or name another folder with --data\n"
        )
    );
    assert_eq!(desk.kubeconfig(), before);
    assert_eq!(up.interrupt().code, Some(0));
}

#[test]
fn a_folder_that_cannot_be_one() {
    let desk = Desk::new();
    desk.write("file", "");
    desk.run(&["up", "--data", "file"])
        .fails_with(&format!("cannot make the folder {}", desk.path("file").display()));
    for (mode, said) in [
        (
            0o777,
            "everybody on this machine may write into DESK/open, and Secrets are kept there: `chmod go-w DESK/open`",
        ),
        (
            0o775,
            "its group may write into DESK/open, and Secrets are kept there: `chmod g-w DESK/open`",
        ),
    ] {
        let open = desk.path("open");
        fs::create_dir_all(&open).unwrap();
        set_mode(&open, mode);
        let ended = desk.run(&["up", "--data", "open"]);
        assert_eq!(
            (ended.code, normal(&ended.err, &desk)),
            (
                Some(1),
                format!("quartermaster: {said}, or name another folder with --data\n")
            )
        );
        assert!(
            fs::read_dir(&open).unwrap().next().is_none(),
            "nothing was put there"
        );
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Others may look into the folder; what lies there is not for them.
#[test]
fn a_folder_that_others_may_read_is_taken_and_its_files_are_not_for_them() {
    let desk = Desk::new();
    let folder = desk.path("shown");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let up = desk.up(&["--data", "shown", "--demo"]);
    up.until("ocgw/harbour is Ready");
    for name in ["kubeconfig", "identity.json", "state.redb"] {
        assert_eq!(crate::desk::mode(&folder.join(name)), 0o600, "{name}");
    }
    for name in ["demo", "demo/workspaces"] {
        assert_eq!(crate::desk::mode(&folder.join(name)), 0o700, "{name}");
    }
    assert_eq!(crate::desk::mode(&folder), 0o755, "it is the user's");
    assert_eq!(up.interrupt().code, Some(0));
}

/// As an archive or a copy leaves them. Who could read them has what stands in them, so it is said.
#[test]
fn files_that_others_may_open_are_closed_and_named() {
    let desk = Desk::new();
    assert_eq!(desk.up(&[]).interrupt().code, Some(0));
    let files = ["identity.json", "kubeconfig", "state.redb"].map(|name| desk.data().join(name));
    for file in &files {
        set_mode(file, 0o644);
    }
    let ended = desk.up(&[]).interrupt();
    let said = normal(&ended.err, &desk);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), files.len(), "{said}");
    for (file, line) in files.iter().zip(lines) {
        assert_eq!(crate::desk::mode(file), 0o600, "{}", file.display());
        let name = normal(&file.display().to_string(), &desk);
        let open = format!(
            "{name} was open to others on this machine (mode 0644). It is not any more. If they may have read it"
        );
        assert!(line.starts_with(&open), "{line}");
    }
    let ended = desk.up(&[]).interrupt();
    assert_eq!((ended.code, &*ended.err), (Some(0), ""));
}

#[test]
fn a_link_is_followed_to_what_it_leads_to() {
    let desk = Desk::new();
    desk.write("there/kube", "");
    symlink("there/kube", desk.path("kube")).unwrap();
    symlink("nowhere", desk.path("lost")).unwrap();
    assert_eq!(desk.up(&["--kubeconfig-out", "kube"]).interrupt().code, Some(0));
    assert!(desk.path("kube").is_symlink());
    let written = fs::read_to_string(desk.path("there/kube")).unwrap();
    assert!(written.contains("https://127.0.0.1:"), "{written}");
    assert_eq!(crate::desk::mode(&desk.path("there/kube")), 0o600);
    let ended = desk.run(&["up", "--listen", "127.0.0.1:0", "--kubeconfig-out", "lost"]);
    ended.fails_with("lost is a link to what is not there: remove it, or name another file");
    assert!(desk.path("lost").is_symlink());
}

#[test]
fn a_name_that_is_none() {
    let desk = Desk::new();
    let ended = desk.run(&["up", "--name", "https://pier:8471"]);
    assert_eq!(ended.code, Some(2));
    let said = "\"https://pier:8471\" is neither a host name nor an address (and has no port)";
    assert!(ended.err.contains(said), "{}", ended.err);
}

#[test]
fn no_home() {
    let desk = Desk::new();
    let mut command = desk.command(&["up"]);
    command.env_remove("HOME");
    crate::desk::Running::start(command).end().is(
        1,
        "",
        "quartermaster: neither XDG_DATA_HOME nor HOME is set: name a folder with --data\n",
    );
}

#[test]
fn a_kubeconfig_that_is_somebody_elses() {
    let desk = Desk::new();
    desk.write("kube", "apiVersion: v1\nclusters: [all of them]\n");
    desk.run(&["up", "--listen", "127.0.0.1:0", "--kubeconfig-out", "kube"])
        .fails_with("is there and was not written by quartermaster: name another file with --kubeconfig-out");
    assert!(
        fs::read_to_string(desk.path("kube"))
            .unwrap()
            .contains("all of them")
    );
}
