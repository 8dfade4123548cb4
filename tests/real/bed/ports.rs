//! Free ports, taken below the range from which the kernel gives ports to outgoing connections (32768 and up).
//!
//! A port from that range has two traps. Between our choice and the server's start an outgoing connection may take
//! it; and a client that keeps trying a port of that range while its server is down can be given that very port as
//! its own, and then TCP connects it to itself.

use std::net::TcpListener;

/// A port on which nothing listens now. Another program may still be faster: who starts a server tries again.
pub fn free_port() -> u16 {
    for _ in 0..1000 {
        let port = rand::random_range(20_000..32_000);
        // All addresses, since a gateway may listen on all of them.
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between 20000 and 32000 in 1000 tries; what listens there? (ss -ltn)");
}
