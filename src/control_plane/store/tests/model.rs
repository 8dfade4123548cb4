//! The store against the simplest thing that could be one: a list of all revisions.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::{
    Beginning, Change, EventKind, Expected, Keep, Key, NotWritten, Notice, OutOfReach, Page, Paging, Prefix,
    Revision, Store, Stored, Watch,
};
use super::{agents, key, object, secrets, told};

const KEEP: Keep = Keep {
    events: 6,
    age: Duration::from_secs(4),
    bytes: usize::MAX,
};

#[derive(Debug, Clone)]
enum Step {
    Write {
        key: Index,
        delete: bool,
        stale: bool,
    },
    Pass {
        seconds: u64,
    },
    List {
        prefix: Index,
        after: Option<Index>,
        limit: Option<usize>,
        at: Option<Index>,
    },
    Watch {
        prefix: Index,
        from: Option<Index>,
    },
    Hear {
        watch: Index,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let some = || prop::option::of(any::<Index>());
    prop_oneof![
        12 => (index(), prop::bool::weighted(0.3), prop::bool::weighted(0.1))
            .prop_map(|(key, delete, stale)| Step::Write { key, delete, stale }),
        3 => (0..4u64).prop_map(|seconds| Step::Pass { seconds }),
        4 => (index(), some(), prop::option::of(1..4usize), some())
            .prop_map(|(prefix, after, limit, at)| Step::List { prefix, after, limit, at }),
        2 => (index(), some()).prop_map(|(prefix, from)| Step::Watch { prefix, from }),
        3 => index().prop_map(|watch| Step::Hear { watch }),
    ]
}

fn keys() -> Vec<Key> {
    let places = ["a", "a-b", "b"]
        .into_iter()
        .flat_map(|namespace| ["x", "y"].map(|name| (namespace, name)));
    let keys = places.flat_map(|(namespace, name)| [agents(), secrets()].map(|of| key(&of, namespace, name)));
    keys.chain([Key::new(&secrets(), None, "a").unwrap()]).collect()
}

fn prefixes() -> Vec<Prefix> {
    let (a, s) = (agents(), secrets());
    vec![
        Prefix::all(&a),
        Prefix::all(&s),
        Prefix::namespace(&a, "a"),
        Prefix::namespace(&s, "a-b"),
    ]
}

/// What happened to one key, and when.
struct Happened {
    key: Key,
    at: u64,
    kind: EventKind,
    shown: Stored,
}

#[derive(Default)]
struct Model {
    /// The first is revision 2.
    revisions: Vec<Happened>,
    seconds: u64,
    /// By resource, where history was forgotten.
    complete_since: BTreeMap<String, Revision>,
    watches: Vec<Heard>,
}

/// A watch and what it has to tell.
struct Heard {
    watch: Watch,
    prefix: Prefix,
    /// Told up to here.
    revision: Revision,
    /// It tells what was there first.
    initial: bool,
}

/// A kind and an object; None ends the initial ones.
type Told = Option<(EventKind, Key, Stored)>;

impl Model {
    fn revision(&self) -> Revision {
        Revision(self.revisions.len() as u64 + 1)
    }

    fn at(&self, revision: Revision) -> BTreeMap<Key, Stored> {
        let mut present = BTreeMap::new();
        for happened in self
            .revisions
            .iter()
            .filter(|happened| happened.shown.revision <= revision)
        {
            match happened.kind {
                EventKind::Added | EventKind::Modified => {
                    present.insert(happened.key.clone(), happened.shown.clone())
                }
                EventKind::Deleted => present.remove(&happened.key),
            };
        }
        present
    }

    fn complete_since(&self, prefix: &Prefix) -> Revision {
        let found = self.complete_since.get(prefix.resource().as_str());
        found.copied().unwrap_or(Revision::FIRST)
    }

    fn happened(&mut self, key: &Key, kind: EventKind, shown: Stored) {
        let at = self.seconds;
        self.revisions.push(Happened {
            key: key.clone(),
            at,
            kind,
            shown,
        });
        let resource = key.resource();
        let of_it: Vec<_> = self
            .revisions
            .iter()
            .filter(|happened| happened.key.resource() == resource)
            .collect();
        let many = of_it.len().saturating_sub(KEEP.events);
        let mut old = of_it[..many]
            .iter()
            .filter(|happened| at - happened.at > KEEP.age.as_secs());
        if let Some(newest_forgotten) = old.next_back() {
            self.complete_since
                .insert(resource.to_string(), newest_forgotten.shown.revision);
        }
    }

    fn page(&self, prefix: &Prefix, paging: &Paging) -> Result<Page, OutOfReach> {
        let (current, complete_since) = (self.revision(), self.complete_since(prefix));
        let asked = paging.at.unwrap_or(current);
        if asked > current {
            return Err(OutOfReach::Ahead { asked, current });
        }
        if asked < complete_since {
            return Err(OutOfReach::Expired {
                asked,
                complete_since,
            });
        }
        let mut items: Vec<_> = self
            .at(asked)
            .into_iter()
            .filter(|(key, _)| is_in(prefix, key))
            .collect();
        items.retain(|(key, _)| paging.after.as_ref().is_none_or(|after| key > after));
        let shown = items
            .len()
            .min(paging.limit.map_or(usize::MAX, NonZeroUsize::get));
        let remaining = items.len() - shown;
        items.truncate(shown);
        Ok(Page {
            items,
            revision: asked,
            remaining,
        })
    }

    /// What it tells now, and whether it is over.
    fn notices(&self, heard: &Heard) -> (Vec<Told>, bool) {
        if heard.revision < self.complete_since(&heard.prefix) {
            return (Vec::new(), true);
        }
        let mut notices = Vec::new();
        if heard.initial {
            let present = self
                .at(heard.revision)
                .into_iter()
                .filter(|(key, _)| is_in(&heard.prefix, key));
            notices.extend(present.map(|(key, stored)| Some((EventKind::Added, key, stored))));
            notices.push(None);
        }
        let after = self
            .revisions
            .iter()
            .filter(|happened| happened.shown.revision > heard.revision);
        let after = after.filter(|happened| is_in(&heard.prefix, &happened.key));
        notices.extend(
            after.map(|happened| Some((happened.kind, happened.key.clone(), happened.shown.clone()))),
        );
        (notices, false)
    }
}

fn is_in(prefix: &Prefix, key: &Key) -> bool {
    key.resource() == prefix.resource() && prefix.holds(key.path())
}

async fn run(steps: Vec<Step>) {
    let (store, mut model) = (Store::in_memory(KEEP), Model::default());
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Write { key, delete, stale } => {
                write(&store, &mut model, key.get(&keys()), delete, stale, number).await;
            }
            Step::Pass { seconds } => {
                tokio::time::advance(Duration::from_secs(seconds)).await;
                model.seconds += seconds;
            }
            Step::List {
                prefix,
                after,
                limit,
                at,
            } => {
                let prefix = prefix.get(&prefixes()).clone();
                let of_it: Vec<Key> = keys()
                    .into_iter()
                    .filter(|key| key.resource() == prefix.resource())
                    .collect();
                let paging = Paging {
                    after: after.map(|after| after.get(&of_it).clone()),
                    limit: limit.and_then(NonZeroUsize::new),
                    at: at.map(|at| any_revision(&model, at)),
                };
                assert_eq!(
                    store.list(&prefix, &paging),
                    model.page(&prefix, &paging),
                    "{prefix:?} {paging:?}"
                );
            }
            Step::Watch { prefix, from } => {
                let prefix = prefix.get(&prefixes()).clone();
                let from = from.map(|from| any_revision(&model, from));
                let begun = store.watch(&prefix, from.map_or(Beginning::WithPresent, Beginning::After));
                let revision = from.unwrap_or(model.revision());
                let complete_since = model.complete_since(&prefix);
                if revision < complete_since {
                    let expired = OutOfReach::Expired {
                        asked: revision,
                        complete_since,
                    };
                    assert_eq!(begun.err(), Some(expired));
                } else {
                    let watch = begun.unwrap();
                    model.watches.push(Heard {
                        watch,
                        prefix,
                        revision,
                        initial: from.is_none(),
                    });
                }
            }
            Step::Hear { watch } if !model.watches.is_empty() => {
                let heard = model.watches.swap_remove(watch.index(model.watches.len()));
                hear(&mut model, heard);
            }
            Step::Hear { watch: _ } => {}
        }
        assert_eq!(store.revision(), model.revision());
    }
    while let Some(heard) = model.watches.pop() {
        if hear(&mut model, heard) {
            model.watches.pop();
        }
    }
}

async fn write(store: &Store, model: &mut Model, key: &Key, delete: bool, stale: bool, number: usize) {
    let present = model.at(model.revision()).remove(key);
    let believed = if stale { None } else { present.clone() };
    let change = match &believed {
        Some(stored) if delete => Change::Delete(stored.object().unwrap()),
        Some(_) | None => Change::Put(object(key, &number.to_string())),
    };
    let kind = match (&change, &present) {
        (Change::Delete(_), _) => EventKind::Deleted,
        (Change::Put(_), Some(_)) => EventKind::Modified,
        (Change::Put(_), None) => EventKind::Added,
    };
    let written = store
        .write(key.clone(), Expected::of(believed.as_ref()), change)
        .await;
    if believed == present {
        let written = written.unwrap();
        assert_eq!(written.revision, Revision(model.revision().0 + 1));
        model.happened(key, kind, written);
    } else {
        assert_eq!(written, Err(NotWritten::Changed { present }));
    }
    assert_eq!(store.get(key), model.at(model.revision()).remove(key));
}

/// Any that there was, and the next.
fn any_revision(model: &Model, index: Index) -> Revision {
    Revision(index.index(model.revisions.len() + 2) as u64 + 1)
}

/// Whether it goes on.
fn hear(model: &mut Model, mut heard: Heard) -> bool {
    let (notices, over) = told(&mut heard.watch);
    let notices: Vec<_> = notices
        .into_iter()
        .map(|notice| match notice {
            Notice::Event(event) => Some((event.kind, event.key.clone(), event.stored.clone())),
            Notice::InitialEventsEnd(revision) => {
                assert_eq!(revision, heard.revision);
                None
            }
        })
        .collect();
    assert_eq!((notices, over), model.notices(&heard));
    if !over {
        heard.revision = heard.revision.max(model.revision());
        heard.initial = false;
        assert_eq!(heard.watch.bookmark(), Some(heard.revision));
        model.watches.push(heard);
    }
    !over
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_as_a_list_of_all_revisions_would(steps in prop::collection::vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(steps));
    }
}
