//! Events that nobody has told again for an hour are dropped.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Collector, call, deletion};
use crate::control_plane::kind::Verb;
use crate::control_plane::object::Object;
use crate::control_plane::objects::read;

/// As long as the API server keeps them.
const LAST: SignedDuration = SignedDuration::from_hours(1);

impl Collector {
    pub(super) async fn drop_old_events(&self) {
        let Some(kind) = self.kinds.get("events") else {
            return;
        };
        let before = self.control_plane.now() - LAST;
        let Ok(listed) = self.control_plane.list(&call(kind, None, None, Verb::List, None)) else {
            return;
        };
        for event in listed.items.iter().filter_map(|stored| read(stored).ok()) {
            if last_told(&event).is_some_and(|at| at < before) {
                let one = call(kind, event.namespace(), event.name(), Verb::Delete, None);
                // Whoever wrote it anew meanwhile keeps it.
                let options = deletion(event.uid().unwrap_or_default(), event.resource_version(), None);
                self.control_plane.delete(&one, &options).await.ok();
            }
        }
    }
}

/// When an Event was told last.
fn last_told(event: &Object) -> Option<Timestamp> {
    let text = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    let fields = event.fields();
    let series = fields
        .get("series")
        .and_then(|series| series.get("lastObservedTime"));
    let created = event
        .metadata()
        .and_then(|metadata| metadata.get("creationTimestamp"));
    [
        series,
        fields.get("lastTimestamp"),
        fields.get("eventTime"),
        created,
    ]
    .into_iter()
    .flatten()
    .filter_map(text)
    .max()
}
