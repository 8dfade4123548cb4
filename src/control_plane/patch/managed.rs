//! To be written.
use crate::control_plane::Object;
use crate::control_plane::kind::Kind;
pub struct Manager;
pub fn track(_: &Kind, _: Option<&Object>, new: Object, _: &Manager, _: jiff::Timestamp) -> Object {
    new
}
