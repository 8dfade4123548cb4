//! The token that a gateway gives to an approved device. With it a device is let in without the shared token, so that a
//! change of that does not end its connection.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::address::Address;
use super::credentials::Token;

/// Where device tokens are kept from one connection to the next, and, if the caller likes, from one process to the next.
/// A token that is lost costs nothing: the shared token and the device bring it again. Neither call may block.
pub trait DeviceTokens: Send + Sync + 'static {
    fn recall(&self, gateway: &Address, device_id: &str) -> Option<Token>;

    /// None: the one that was kept is good no more.
    fn keep(&self, gateway: &Address, device_id: &str, token: Option<&Token>);
}

/// For as long as the process runs.
#[derive(Default)]
pub struct InMemory(Mutex<HashMap<(String, String), Token>>);

impl DeviceTokens for InMemory {
    fn recall(&self, gateway: &Address, device_id: &str) -> Option<Token> {
        self.with(|kept| kept.get(&key(gateway, device_id)).cloned())
    }

    fn keep(&self, gateway: &Address, device_id: &str, token: Option<&Token>) {
        let key = key(gateway, device_id);
        self.with(|kept| match token {
            Some(token) => kept.insert(key, token.clone()),
            None => kept.remove(&key),
        });
    }
}

impl InMemory {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<(String, String), Token>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn key(gateway: &Address, device_id: &str) -> (String, String) {
    (gateway.authority(), device_id.to_owned())
}
