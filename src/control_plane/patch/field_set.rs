//! Which fields somebody owns: a tree of steps, to and from the JSON of `metadata.managedFields`.
//!
//! `{"f:spec": {"f:files": {"k:{\"name\":\"A.md\"}": {".": {}, "f:content": {}}}}}`: `.` says that the place itself
//! belongs to the set, and not only what is below it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde_json::{Map, Value, json};

use super::typed::value;

/// One step from a place in an object to one below it. The order is that of conflicts in a refusal.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A field of a map: `f:data`
    Field(String),
    /// The item of a list that has these values in its key fields, by their names: `k:{"name":"a"}`
    Key(Vec<(String, Value)>),
    /// The item of a set: `v:"a"`
    Value(Value),
    /// The item at a place: `i:0`. Nothing of ours makes one, but a client may hand one in.
    Index(i64),
}

impl Step {
    pub(super) fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    /// None: of a kind that a later version may know; it is dropped.
    fn read(text: &str) -> Result<Option<Self>, Malformed> {
        let wrong = || Malformed(text.to_owned());
        let (kind, rest) = text.split_at_checked(2).ok_or_else(wrong)?;
        Ok(match kind {
            "f:" => Some(Self::field(rest)),
            "k:" => {
                let Ok(Value::Object(fields)) = serde_json::from_str(rest) else {
                    return Err(wrong());
                };
                let mut fields: Vec<_> = fields.into_iter().collect();
                fields.sort_by(|(a, _), (b, _)| a.cmp(b));
                Some(Self::Key(fields))
            }
            "v:" => Some(Self::Value(serde_json::from_str(rest).map_err(|_| wrong())?)),
            "i:" => Some(Self::Index(rest.parse().map_err(|_| wrong())?)),
            other if other.ends_with(':') => None,
            _ => return Err(wrong()),
        })
    }

    fn written(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{}:{}", json!(name), value::json_text(value)))
                    .collect();
                format!("k:{{{}}}", fields.join(","))
            }
            Self::Value(value) => format!("v:{}", value::json_text(value)),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

/// As in a refusal: `.data`, `[name="a"]`, `[="x"]`
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{name}={}", value::in_path(value)))
                    .collect();
                write!(f, "[{}]", fields.join(","))
            }
            Self::Value(value) => write!(f, "[={}]", value::in_path(value)),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(left), Self::Field(right)) => left.cmp(right),
            (Self::Key(left), Self::Key(right)) => {
                let unequal = left
                    .iter()
                    .zip(right)
                    .map(|((a, left), (b, right))| a.cmp(b).then_with(|| value::compare(left, right)))
                    .find(|order| order.is_ne());
                unequal.unwrap_or_else(|| left.len().cmp(&right.len()))
            }
            (Self::Value(left), Self::Value(right)) => value::compare(left, right),
            (Self::Index(left), Self::Index(right)) => left.cmp(right),
            (Self::Field(_) | Self::Key(_) | Self::Value(_) | Self::Index(_), _) => {
                self.rank().cmp(&other.rank())
            }
        }
    }
}

impl PartialOrd for Step {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Step {}

/// A place in an object as this set sees it. No place without a member at or below it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct FieldSet {
    /// Whether this very place belongs to the set. Of a whole object nobody says so.
    pub(super) member: bool,
    below: BTreeMap<Step, FieldSet>,
}

/// A step that nobody can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "managed fields hold {0:?}, which is no path element: expected f:NAME, k:{{...}}, v:VALUE or i:INDEX"
)]
pub(super) struct Malformed(String);

impl FieldSet {
    /// This one place.
    pub(super) fn leaf() -> Self {
        Self::place(true)
    }

    /// One place, with nothing below it yet.
    pub(super) fn place(member: bool) -> Self {
        Self {
            member,
            below: BTreeMap::new(),
        }
    }

    /// These fields of the object's root or below: `["metadata", "name"]`
    pub(super) fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let mut place = &mut set;
            for name in *path {
                place = place.below.entry(Step::field(name)).or_default();
            }
            place.member = true;
        }
        set
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }

    pub(super) fn has_below(&self) -> bool {
        !self.below.is_empty()
    }

    pub(super) fn get(&self, step: &Step) -> Option<&Self> {
        self.below.get(step)
    }

    pub(super) fn steps(&self) -> impl Iterator<Item = (&Step, &Self)> {
        self.below.iter()
    }

    /// What is empty is not put.
    pub(super) fn put(&mut self, step: Step, set: Self) {
        if set.is_empty() {
            return;
        }
        match self.below.entry(step) {
            Entry::Vacant(place) => {
                place.insert(set);
            }
            Entry::Occupied(mut place) => place.get_mut().add(set),
        }
    }

    /// Union.
    pub(super) fn add(&mut self, other: Self) {
        self.member |= other.member;
        for (step, set) in other.below {
            self.put(step, set);
        }
    }

    /// What is in both.
    pub(super) fn common(&self, other: &Self) -> Self {
        let mut common = Self {
            member: self.member && other.member,
            below: BTreeMap::new(),
        };
        for (step, set) in &self.below {
            if let Some(other) = other.below.get(step) {
                common.put(step.clone(), set.common(other));
            }
        }
        common
    }

    /// Takes away each of the other's places, but not what lies below one of them.
    pub(super) fn remove(&mut self, other: &Self) {
        self.member &= !other.member;
        if other.below.is_empty() {
            return;
        }
        self.below.retain(|step, set| {
            if let Some(other) = other.below.get(step) {
                set.remove(other);
            }
            !set.is_empty()
        });
    }

    /// Takes away each of the other's places with all that lies below it.
    pub(super) fn remove_trees(&mut self, other: &Self) {
        self.below.retain(|step, set| match other.below.get(step) {
            Some(other) if other.member => false,
            Some(other) => {
                set.remove_trees(other);
                !set.is_empty()
            }
            None => true,
        });
    }

    pub(super) fn without(mut self, other: &Self) -> Self {
        self.remove(other);
        self
    }

    pub(super) fn with(mut self, other: Self) -> Self {
        self.add(other);
        self
    }

    /// Every place of the set as a path, a place before what lies below it but after its neighbours, as the API server
    /// lists conflicts.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect_paths(&mut String::new(), &mut found);
        found
    }

    fn collect_paths(&self, path: &mut String, found: &mut Vec<String>) {
        for (step, _) in self.below.iter().filter(|(_, set)| set.member) {
            found.push(format!("{path}{step}"));
        }
        let length = path.len();
        for (step, set) in self.below.iter().filter(|(_, set)| set.has_below()) {
            path.push_str(&step.to_string());
            set.collect_paths(path, found);
            path.truncate(length);
        }
    }

    /// From `fieldsV1`.
    pub(super) fn read(json: &Value) -> Result<Self, Malformed> {
        let mut set = Self::read_below(json)?;
        set.member = false;
        Ok(set)
    }

    fn read_below(json: &Value) -> Result<Self, Malformed> {
        let fields = match json {
            Value::Object(fields) => fields,
            Value::Null => return Ok(Self::leaf()),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(Malformed(json.to_string()));
            }
        };
        let mut set = Self::default();
        for (key, json) in fields {
            if key == "." {
                set.member = true;
            } else if let Some(step) = Step::read(key)? {
                set.put(step, Self::read_below(json)?);
            }
        }
        set.member |= set.below.is_empty();
        Ok(set)
    }

    /// To `fieldsV1`.
    pub(super) fn written(&self) -> Value {
        let mut fields = Map::new();
        for (step, set) in &self.below {
            let mut json = set.written();
            if let Value::Object(fields) = &mut json
                && set.member
                && set.has_below()
            {
                fields.insert(".".to_owned(), json!({}));
            }
            fields.insert(step.written(), json);
        }
        Value::Object(fields)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "sets are written where they are used"
    )]
    fn set(json: Value) -> FieldSet {
        FieldSet::read(&json).unwrap()
    }

    #[test]
    fn is_read_and_written() {
        let json = json!({"f:spec": {
            "f:files": {".": {}, "k:{\"name\":\"A.md\",\"port\":1}": {".": {}, "f:content": {}}},
            "f:bindings": {"v:\"telegram\"": {}, "v:5": {}},
            "f:list": {"i:0": {}},
        }});
        assert_eq!(set(json.clone()).written(), json);
        // `.` alone, null and steps of a kind that nobody knows yet.
        let odd = json!({"f:a": {".": {}}, "f:b": null, "f:c": {"z:1": {}}, "z:2": {}});
        assert_eq!(set(odd).written(), json!({"f:a": {}, "f:b": {}, "f:c": {}}));
        for wrong in [
            json!({"f": {}}),
            json!({"abc": {}}),
            json!({"f:a": 5}),
            json!({"k:5": {}}),
            json!({"é": {}}),
        ] {
            assert!(FieldSet::read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_place_is_no_tree() {
        let both = json!({"f:a": {".": {}, "f:b": {}}});
        let parent = set(json!({"f:a": {}}));
        assert_eq!(
            set(both.clone()).without(&parent).written(),
            json!({"f:a": {"f:b": {}}})
        );
        let mut whole = set(both.clone());
        whole.remove_trees(&parent);
        assert!(whole.is_empty());
        assert_eq!(set(both.clone()).common(&parent).written(), json!({"f:a": {}}));
        assert_eq!(parent.with(set(json!({"f:a": {"f:b": {}}}))).written(), both);
    }

    #[test]
    fn paths_are_in_the_order_of_a_refusal() {
        let set = set(json!({"f:b": {}, "f:a": {".": {}, "f:z": {}, "k:{\"n\":\"x\"}": {}, "v:1": {}}}));
        assert_eq!(set.paths(), [".a", ".b", ".a.z", ".a[n=\"x\"]", ".a[=1]"]);
    }

    fn any_set() -> impl Strategy<Value = FieldSet> {
        let leaf = any::<bool>().prop_map(|member| FieldSet {
            member,
            below: BTreeMap::new(),
        });
        leaf.prop_recursive(4, 24, 4, |inner| {
            (any::<bool>(), prop::collection::vec(("[a-d]", inner), 0..4)).prop_map(|(member, below)| {
                let mut set = FieldSet {
                    member,
                    below: BTreeMap::new(),
                };
                for (name, below) in below {
                    set.put(Step::field(&name), below);
                }
                set
            })
        })
        .prop_map(|set| FieldSet { member: false, ..set })
    }

    proptest! {
        #[test]
        fn algebra(a in any_set(), b in any_set()) {
            prop_assert_eq!(&FieldSet::read(&a.written()).unwrap(), &a);
            let (only_a, common) = (a.clone().without(&b), a.common(&b));
            prop_assert!(only_a.common(&b).is_empty());
            prop_assert_eq!(&only_a.with(common), &a);
            prop_assert_eq!(a.clone().with(b.clone()), b.clone().with(a.clone()));
            prop_assert_eq!(a.clone().with(b.clone()).without(&b), a.without(&b));
        }
    }
}
