//! A door to the far side's loopback. A gateway across the network gives its owner every scope on its own loopback
//! only; so this test program runs a second time over there and carries bytes, as a forwarder in a pod would.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use crate::bed::{Launch, Place, Process, Scratch, eventually, free_port};

const DOOR: &str = "QUARTERMASTER_TEST_DOOR";

/// From a port of the far side's address to a port of its loopback.
pub struct Door {
    pub address: String,
    _process: Process,
    _folder: Scratch,
}

impl Door {
    /// `test` is the name of the running test, which calls [`stand_there_if_asked`] first.
    pub fn open(place: &Place, test: &str, port: u16) -> Self {
        let folder = Scratch::new("door");
        let address = format!("{}:{}", place.address(), free_port());
        let itself = std::env::current_exe().expect("the test program knows where it lies");
        let process = Launch::new("a door", "nsenter")
            .args(place.enter())
            .arg(itself.display())
            .args(["--exact", test, "--nocapture"])
            .env(DOOR, format!("{address} 127.0.0.1:{port}"))
            .start(&folder.join("output.log"));
        eventually("the door is open", 30, || {
            assert!(process.is_alive(), "{}", process.last_words());
            TcpStream::connect(&address).ok()
        });
        Self {
            address,
            _process: process,
            _folder: folder,
        }
    }
}

/// In the program that is the door: never returns.
pub fn stand_there_if_asked() {
    let Ok(route) = std::env::var(DOOR) else { return };
    let (from, to) = route.split_once(' ').expect("two addresses");
    let listener = TcpListener::bind(from).expect("the door's own port");
    for stream in listener.incoming() {
        let (Ok(ours), Ok(its)) = (stream, TcpStream::connect(to)) else {
            continue;
        };
        let (Ok(ours_too), Ok(its_too)) = (ours.try_clone(), its.try_clone()) else {
            continue;
        };
        thread::spawn(move || carry(&ours, &its));
        thread::spawn(move || carry(&its_too, &ours_too));
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    let _either_has_ended = io::copy(&mut from, &mut to);
    let _already_gone = to.shutdown(Shutdown::Write);
}
