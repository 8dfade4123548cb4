//! Everything that is durable, in memory: the present objects and the history, by resource.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::event::Event;
use super::history::{History, Keep};
use super::key::{Key, ResourceName};
use super::stored::{Contents, Revision, Stored};

pub(super) struct State {
    revision: Revision,
    resources: HashMap<ResourceName, Resource>,
    keep: Keep,
    /// History before it is forgotten: a restart is a compaction.
    began: Revision,
    /// What the history costs.
    history_bytes: usize,
    /// What the present objects have.
    present_bytes: usize,
    closed: bool,
}

pub(super) struct Resource {
    /// By path.
    pub(super) present: BTreeMap<Arc<str>, Stored>,
    pub(super) history: History,
    changed: watch::Sender<()>,
}

impl State {
    pub(super) fn new(contents: Contents, keep: Keep) -> Self {
        let Contents { revision, objects } = contents;
        let mut state = Self {
            revision,
            resources: HashMap::new(),
            keep,
            began: revision,
            history_bytes: 0,
            present_bytes: 0,
            closed: false,
        };
        for (key, stored) in objects {
            state.present_bytes += stored.bytes.len();
            let resource = state.resource_mut(key.resource());
            resource.present.insert(Arc::clone(key.path()), stored);
        }
        state
    }

    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn present_bytes(&self) -> usize {
        self.present_bytes
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Stored> {
        self.resource(key.resource())?.present.get(key.path())
    }

    /// None: nothing of it was ever asked for or written.
    pub(super) fn resource(&self, name: &ResourceName) -> Option<&Resource> {
        self.resources.get(name)
    }

    pub(super) fn complete_since(&self, name: &ResourceName) -> Revision {
        self.resource(name)
            .map_or(self.began, |resource| resource.history.complete_since())
    }

    /// Told whenever one of its objects changes.
    pub(super) fn changes_of(&mut self, name: &ResourceName) -> watch::Receiver<()> {
        self.resource_mut(name).changed.subscribe()
    }

    pub(super) fn contents(&self) -> Contents {
        let resources = self.resources.iter();
        let objects = resources.flat_map(|(name, resource)| {
            let objects = resource.present.iter();
            objects.map(|(path, stored)| (Key::of_path(name, path), stored.clone()))
        });
        Contents {
            revision: self.revision,
            objects: objects.collect(),
        }
    }

    /// Takes in what is durable: from here on everybody sees it.
    pub(super) fn publish(&mut self, events: Vec<Arc<Event>>) {
        let (before, now) = (self.revision, Instant::now());
        for event in events {
            self.revision = event.revision();
            self.history_bytes += event.cost();
            let path = event.key.path();
            let resource = self.resource_mut(event.key.resource());
            let replaced = match event.remains() {
                Some(stored) => resource.present.insert(Arc::clone(path), stored.clone()),
                None => resource.present.remove(path),
            };
            resource.history.push(Arc::clone(&event), now);
            self.present_bytes += event.remains().map_or(0, |stored| stored.bytes.len());
            self.present_bytes -= replaced.map_or(0, |stored| stored.bytes.len());
        }
        for resource in self.resources.values_mut() {
            if resource.history.newest() <= Some(before) {
                continue;
            }
            while resource.history.is_long(&self.keep, now) {
                self.history_bytes -= resource.history.forget().map_or(0, |event| event.cost());
            }
            resource.changed.send_replace(());
        }
        self.forget_what_is_too_much();
    }

    fn forget_what_is_too_much(&mut self) {
        while self.history_bytes > self.keep.bytes {
            let histories = self.resources.values_mut().map(|resource| &mut resource.history);
            let oldest = histories
                .filter_map(|history| Some((history.oldest()?, history)))
                .min_by_key(|(revision, _)| *revision);
            let Some(event) = oldest.and_then(|(_, history)| history.forget()) else {
                return;
            };
            self.history_bytes -= event.cost();
        }
    }

    /// Nothing is written any more, and watches end.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for resource in self.resources.values() {
            resource.changed.send_replace(());
        }
    }

    fn resource_mut(&mut self, name: &ResourceName) -> &mut Resource {
        let began = self.began;
        self.resources.entry(name.clone()).or_insert_with(|| Resource {
            present: BTreeMap::new(),
            history: History::since(began),
            changed: watch::Sender::new(()),
        })
    }
}
