//! A Rust client of the OpenClaw gateway: one WebSocket connection, kept open, that tells the truth about
//! itself. It knows no Kubernetes; whoever holds a [`Session`] hands it a [`Target`] and reads a [`Link`].
//!
//! The way in: [`Address`] and [`Credentials`] say where and as whom; [`dial`] opens the stream; [`handshake`]
//! turns it into a [`Connection`] or a [`Trouble`]; [`session`] keeps one alive, backs off, and never
//! spends more refused tokens than the gateway's lock-out allows ([`guard`]).
//!
//! What is done there: [`reading`] reads the configuration once for all who ask, [`commit`] writes the changes of many agents
//! together, [`rpc`] and [`chat`] are the other calls, [`contract`] is what differs between gateways, [`news`] what they tell
//! by themselves.

pub mod address;
#[cfg(any(test, fuzzing))]
pub mod anything;
pub mod binding;
pub mod chat;
pub mod close;
pub mod commit;
pub mod configuration;
pub mod connection;
pub mod contract;
pub mod credentials;
pub mod device;
pub mod device_token;
pub mod dial;
pub mod frame;
pub mod guard;
pub mod handshake;
pub mod names;
pub mod news;
pub mod reading;
pub mod refusal;
pub mod rpc;
pub mod schema;
pub mod session;
pub mod trouble;
pub mod trust;
pub mod version;

pub use address::Address;
pub use binding::Binding;
pub use connection::Connection;
pub use contract::Contract;
pub use credentials::{Credentials, Token};
pub use device::DeviceKey;
pub use guard::Guard;
pub use news::News;
pub use session::{Facts, Link, Session, State, Target, Wanted};
pub use trouble::Trouble;
pub use trust::Trust;
pub use version::{ServerVersion, Version};
