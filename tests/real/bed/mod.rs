//! The beds that real tests lie in: a cluster, gateways, a network, a proxy, the operator itself.
//!
//! Each is a value. Making it starts the real thing; dropping it ends the thing and removes its files, also when
//! the test panics. When the test program itself is killed, watchdogs do the same (see `process`).

#[macro_use]
mod missing;

mod audit;
mod authority;
mod binaries;
mod cache;
mod cluster;
pub mod evidence;
mod gateway;
mod kubeconfig;
mod kubectl;
mod network;
mod npm;
mod openclaw;
pub mod operator;
mod ports;
mod process;
mod room;
mod scratch;
mod tls;
mod wait;

pub use binaries::{Binaries, KUBERNETES_VERSION, kubernetes_binaries};
pub use cache::cached;
pub use cluster::{AuditEvent, Cluster, Namespace, Purpose, client_of, shared_cluster};
pub use gateway::Gateway;
pub use kubectl::Spoken;
pub use missing::{Missing, name_from_path};
pub use network::{Network, Place, across_network};
pub use npm::install_gateway;
pub use openclaw::{NotUp, OpenClaw, VERSIONS};
pub use operator::Operator;
pub use ports::free_port;
pub use process::{Launch, Process, runs};
pub use scratch::Scratch;
pub use tls::{Flaw, TlsProxy};
pub use wait::{eventually, eventually_async};
