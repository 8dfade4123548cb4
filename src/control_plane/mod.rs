//! A small Kubernetes API inside the binary: kubectl without a cluster, and a Kubernetes for tests that runs in process on
//! a paused clock. `docs/control-plane.md` is its map. It knows nothing of gateways, and what it serves it serves as
//! kube-apiserver does.

pub mod access;
pub mod call;
pub mod http;
pub mod kind;
pub mod kinds;
pub mod object;
pub mod patch;
pub mod registry;
pub mod schema;
pub mod selector;
pub mod status;
pub mod store;

pub use object::Object;
pub use status::{Cause, Status};
