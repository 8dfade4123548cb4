//! Anything in any order: objects are made, owned, given away and deleted, namespaces end and come again, and the collector
//! hears of some of it, looks at something, or begins anew. Whatever it does must be right by what is stored then.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const NAMESPACES: [&str; 2] = ["a", "b"];
const HOLD: &str = "example.com/hold";
const FOREGROUND: &str = "foregroundDeletion";

struct Model {
    rng: StdRng,
    control_plane: ControlPlane,
    collector: Collector,
    /// Every object that ever was, as an owner.
    known: Vec<(Key, String)>,
    /// Of what was made last.
    last_owner: Option<Key>,
    /// Owned by one alone that was deleted so that they stay, and by whom. By uid.
    spared: BTreeMap<String, String>,
    log: Vec<String>,
}

type Objects = BTreeMap<Key, Object>;

impl Model {
    async fn new(seed: u64) -> Self {
        let control_plane = bed().await;
        let collector = settled(&control_plane).await;
        let mut model = Self {
            rng: StdRng::seed_from_u64(seed),
            control_plane,
            collector,
            known: Vec::new(),
            last_owner: None,
            spared: BTreeMap::new(),
            log: vec![format!("seed {seed}")],
        };
        for name in NAMESPACES {
            make(&model.control_plane, &namespace(name), json!({}))
                .await
                .unwrap();
        }
        model.note("begun");
        model
    }

    fn note(&mut self, what: &str) {
        self.log.push(what.to_owned());
    }

    fn any_key(&mut self) -> Key {
        let plural = ["configmaps", "secrets"][self.rng.random_range(0..2)];
        let name = ["p", "q", "r", "s"][self.rng.random_range(0..4)];
        key(plural, Some(NAMESPACES[self.rng.random_range(0..2)]), name)
    }

    fn objects(&self) -> Objects {
        let mut objects = Objects::new();
        for plural in ["configmaps", "secrets"] {
            let prefix = Prefix::all(&ResourceName::new(plural).unwrap());
            let page = self
                .control_plane
                .store()
                .list(&prefix, &Default::default())
                .unwrap();
            objects.extend(
                page.items
                    .into_iter()
                    .map(|(key, stored)| (key, stored.object().unwrap())),
            );
        }
        objects
    }

    /// Mostly of what is there and near.
    fn some_owners(&mut self, of: &Key) -> Vec<Value> {
        let there = self.objects();
        let near = self.rng.random_bool(0.9);
        let gone = self.rng.random_bool(0.1);
        let fitting: Vec<_> = self
            .known
            .iter()
            .filter(|(key, _)| key != of && (!near || key.namespace() == of.namespace()))
            .filter(|(key, uid)| gone || there.get(key).is_some_and(|object| object.uid() == Some(uid)))
            .cloned()
            .collect();
        let mut owners: Vec<Value> = Vec::new();
        for _ in 0..self.rng.random_range(0..3) {
            if fitting.is_empty() {
                break;
            }
            let (key, uid) = &fitting[self.rng.random_range(0..fitting.len())];
            let mut owner = reference(key, uid);
            owner["blockOwnerDeletion"] = json!(self.rng.random_bool(0.7));
            if !owners.iter().any(|other| other["uid"] == owner["uid"]) {
                owners.push(owner);
            }
        }
        owners
    }

    async fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..22 => self.make().await,
            22..27 => self.give_away().await,
            27..39 => self.delete().await,
            39..42 => self.let_go().await,
            42..43 => self.end_or_make_a_namespace().await,
            43 if self.rng.random_bool(0.5) => self.tear_down_a_namespace().await,
            43..74 => self.hear(),
            74..99 => self.look().await,
            _ => {
                self.note("the collector begins anew");
                self.collector = Collector::new(self.control_plane.clone()).unwrap();
                while self.collector.unread > 0 {
                    self.hear();
                }
            }
        }
    }

    async fn make(&mut self) {
        let key = self.any_key();
        let owners = self.some_owners(&key);
        let finalizers = if self.rng.random_bool(0.1) {
            json!([HOLD])
        } else {
            json!([])
        };
        self.note(&format!("make {key} of {owners:?} {finalizers}"));
        let metadata = json!({ "ownerReferences": owners, "finalizers": finalizers });
        if make(&self.control_plane, &key, metadata).await.is_ok() {
            let uid = uid(&self.control_plane, &key);
            self.known.push((key, uid));
            let first = owners.first().map(|owner| text(owner, "uid").to_owned());
            let known = self.known.iter().find(|(_, uid)| Some(uid) == first.as_ref());
            self.last_owner = known.map(|(key, _)| key.clone());
        }
    }

    async fn give_away(&mut self) {
        let key = self.any_key();
        let owners = self.some_owners(&key);
        let Some(mut object) = get(&self.control_plane, &key) else {
            return;
        };
        self.note(&format!("give away {key} to {owners:?}"));
        self.spared.remove(object.uid().unwrap());
        object
            .metadata_mut()
            .insert("ownerReferences".to_owned(), json!(owners));
        put(&self.control_plane, &key, object, None).await.unwrap();
    }

    /// Often of what has just been given something to own: nobody may have heard of that yet.
    async fn delete(&mut self) {
        let any = self.any_key();
        let key = self
            .last_owner
            .take()
            .filter(|_| self.rng.random_bool(0.7))
            .unwrap_or(any);
        let Some(object) = get(&self.control_plane, &key) else {
            return;
        };
        let how = [
            Propagation::Foreground,
            Propagation::Background,
            Propagation::Orphan,
        ];
        let how = how[self.rng.random_range(0..3)];
        self.note(&format!("delete {key} {how:?}"));
        let uid = object.uid().unwrap().to_owned();
        self.spared.retain(|child, owner| *child != uid && *owner != uid);
        delete(&self.control_plane, &key, Some(how)).await.unwrap();
        if how == Propagation::Orphan && !self.is_ending(&key) {
            for child in self.objects().values().filter(|child| !child.is_being_deleted()) {
                let owners = uids_of_owners(child);
                if owners == [uid.clone()] && child.namespace() == key.namespace() {
                    self.spared.insert(child.uid().unwrap().to_owned(), uid.clone());
                }
            }
        }
    }

    async fn let_go(&mut self) {
        let key = self.any_key();
        let Some(mut object) = get(&self.control_plane, &key) else {
            return;
        };
        self.note(&format!("let go {key}"));
        let left: Vec<&str> = object.finalizers().filter(|other| *other != HOLD).collect();
        let left = json!(left);
        object.metadata_mut().insert("finalizers".to_owned(), left);
        put(&self.control_plane, &key, object, None).await.unwrap();
    }

    async fn end_or_make_a_namespace(&mut self) {
        let name = NAMESPACES[self.rng.random_range(0..2)];
        match get(&self.control_plane, &namespace(name)) {
            Some(_) => {
                self.note(&format!("end {name}"));
                delete(&self.control_plane, &namespace(name), None).await.unwrap();
                self.spare_nobody_of(name);
            }
            None => {
                self.note(&format!("make {name}"));
                make(&self.control_plane, &namespace(name), json!({}))
                    .await
                    .unwrap();
            }
        }
    }

    /// Somebody takes the finalizer off an ending namespace by hand: it goes, whatever is in it.
    async fn tear_down_a_namespace(&mut self) {
        let name = NAMESPACES[self.rng.random_range(0..2)];
        self.note(&format!("tear down {name}"));
        delete(&self.control_plane, &namespace(name), None).await.ok();
        self.spare_nobody_of(name);
        if let Some(mut object) = get(&self.control_plane, &namespace(name)) {
            object.fields_mut().insert("spec".to_owned(), json!({}));
            put(
                &self.control_plane,
                &namespace(name),
                object,
                Some(Subresource::Finalize),
            )
            .await
            .unwrap();
        }
        assert!(get(&self.control_plane, &namespace(name)).is_none());
    }

    fn spare_nobody_of(&mut self, name: &str) {
        for (_, object) in self.objects() {
            if object.namespace() == Some(name) {
                self.spared.remove(object.uid().unwrap());
            }
        }
    }

    /// Some notices of one kind; after the beginning, of one that has any.
    fn hear(&mut self) {
        let beginning = self.collector.unread > 0;
        let plural = ["configmaps", "secrets", "namespaces"][self.rng.random_range(0..3)];
        let at = if beginning {
            self.rng.random_range(0..self.collector.watches.len())
        } else {
            self.collector
                .kinds
                .keys()
                .position(|name| name == plural)
                .unwrap()
        };
        for _ in 0..self.rng.random_range(1..4) {
            if let Some(Some(notice)) = self.collector.watches[at].next().now_or_never() {
                self.collector.hear(&notice);
            }
        }
    }

    async fn look(&mut self) {
        let count = self.collector.due.len();
        if self.collector.unread > 0 || count == 0 {
            return;
        }
        let at = self.rng.random_range(0..count);
        let due = self.collector.due.iter().nth(at).unwrap().clone();
        self.collector.due.remove(&due);
        self.look_at(due).await;
    }

    async fn look_at(&mut self, due: Due) {
        self.note(&format!("look at {due:?}"));
        let before = self.objects();
        if self.collector.look_at(&due).await.unwrap().is_err() {
            self.collector.due.insert(due);
        }
        let after = self.objects();
        for (key, object) in &before {
            let now = after.get(key).filter(|now| now.uid() == object.uid());
            if object.is_being_deleted() || now.is_some_and(|now| !now.is_being_deleted()) {
                continue;
            }
            if self.is_ending(key) {
                continue;
            }
            let log = || self.log.join("\n");
            assert!(!is_kept(key, object, &before), "{key} has an owner\n{}", log());
            let uid = object.uid().unwrap();
            assert!(!self.spared.contains_key(uid), "{key} was orphaned\n{}", log());
        }
    }

    fn is_ending(&self, key: &Key) -> bool {
        let namespace = get(&self.control_plane, &namespace(key.namespace().unwrap()));
        namespace.is_none_or(|namespace| namespace.is_being_deleted())
    }

    async fn end(mut self) {
        self.note("the end");
        for (key, mut object) in self.objects() {
            let left: Vec<&str> = object.finalizers().filter(|other| *other != HOLD).collect();
            let left = json!(left);
            object.metadata_mut().insert("finalizers".to_owned(), left);
            put(&self.control_plane, &key, object, None).await.unwrap();
        }
        for _ in 0..1_000 {
            self.collector.catch_up().unwrap();
            let Some(due) = self.collector.due.pop_first() else {
                break;
            };
            self.look_at(due).await;
        }
        let objects = self.objects();
        let log = self.log.join("\n");
        assert!(self.collector.due.is_empty(), "{:?}\n{log}", self.collector.due);
        for (key, object) in &objects {
            assert!(!self.is_ending(key), "{key} is nowhere\n{log}");
            assert!(!object.is_being_deleted(), "{key} waits for nobody\n{log}");
            let owners = uids_of_owners(object);
            assert!(
                owners.is_empty() || is_kept(key, object, &objects),
                "{key} has no owner\n{log}"
            );
        }
        let there: BTreeSet<&str> = objects.values().filter_map(Object::uid).collect();
        for spared in self.spared.keys() {
            assert!(there.contains(spared.as_str()), "{spared} was orphaned\n{log}");
        }
        for name in NAMESPACES {
            let namespace = get(&self.control_plane, &namespace(name));
            assert!(
                !namespace.is_some_and(|namespace| namespace.is_being_deleted()),
                "{name} stays\n{log}"
            );
        }
    }
}

fn namespace(name: &str) -> Key {
    key("namespaces", None, name)
}

fn uids_of_owners(object: &Object) -> Vec<String> {
    let owners = object
        .metadata()
        .and_then(|metadata| metadata.get("ownerReferences")?.as_array());
    let owners = owners.into_iter().flatten();
    owners.map(|owner| text(owner, "uid").to_owned()).collect()
}

/// Whether one of its owners is there, in its namespace, and does not wait for it to go.
fn is_kept(key: &Key, object: &Object, objects: &Objects) -> bool {
    let owners = uids_of_owners(object);
    objects.iter().any(|(other, owner)| {
        let waits = owner.is_being_deleted() && owner.finalizers().any(|finalizer| finalizer == FOREGROUND);
        other.namespace() == key.namespace() && owners.iter().any(|uid| owner.uid() == Some(uid)) && !waits
    })
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_in_whatever_order_the_right_ones_go() {
    for seed in 0..40 {
        let mut model = Model::new(seed).await;
        for _ in 0..250 {
            model.step().await;
        }
        model.end().await;
    }
}
