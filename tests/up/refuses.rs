//! What `up` cannot work with: exit code 1, and a sentence that says what to do.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

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
    let open = desk.path("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    desk.run(&["up", "--data", "open"])
        .fails_with("everybody on this machine may write into");
    assert!(
        fs::read_dir(&open).unwrap().next().is_none(),
        "nothing was put there"
    );
}

/// Others may look into the folder; what lies there is not for them.
#[test]
fn a_folder_that_others_may_read_is_taken_and_its_files_are_not_for_them() {
    let desk = Desk::new();
    let folder = desk.path("shown");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let up = desk.up(&["--data", "shown"]);
    for name in ["kubeconfig", "identity.json", "state.redb"] {
        assert_eq!(crate::desk::mode(&folder.join(name)), 0o600, "{name}");
    }
    assert_eq!(crate::desk::mode(&folder), 0o755, "it is the user's");
    assert_eq!(up.interrupt().code, Some(0));
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
