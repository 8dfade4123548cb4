//! To be written.
use crate::control_plane::{Cause, Object};
#[derive(Debug)]
pub struct Schema;
impl Schema {
    pub fn default(&self, _: &mut Object) {}
    pub fn prune(&self, _: &mut Object) -> Vec<String> {
        Vec::new()
    }
    pub fn validate(&self, _: &Object, _: Option<&Object>) -> Vec<Cause> {
        Vec::new()
    }
    pub fn wrong_types(&self, _: &Object) -> Vec<String> {
        Vec::new()
    }
}
