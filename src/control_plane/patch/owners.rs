//! Who owns which fields of an object: `metadata.managedFields`, read and written.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::field_set::FieldSet;
use super::typed::value;
use crate::control_plane::Object;

/// How a manager came to own fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

/// One entry's manager. An applier is the same one in every version of a kind; who updates is one manager a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Manager {
    pub(super) name: String,
    pub(super) operation: Operation,
    /// Empty for an applier.
    pub(super) api_version: String,
    pub(super) subresource: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Owned {
    pub(super) fields: FieldSet,
    pub(super) api_version: String,
    /// None: a manager who came to own fields without a change, by applying what was already so.
    pub(super) time: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Owners(pub BTreeMap<Manager, Owned>);

/// More managers who update than this, and the oldest become one: else a program that calls itself differently each time
/// would fill the object.
const MOST_UPDATERS: usize = 10;
const OLDEST: &str = "ancient-changes";

/// What an object says of its owners.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    Nothing,
    /// `[]` or `[{}]`: who owned what shall be forgotten.
    Forget,
    Owners(Owners),
    /// Not to be read; the words say why.
    Unreadable(String),
}

impl Manager {
    pub(super) fn new(
        name: &str,
        operation: Operation,
        api_version: &str,
        subresource: Option<&str>,
    ) -> Self {
        Self {
            name: if name.is_empty() { "unknown" } else { name }.to_owned(),
            operation,
            api_version: match operation {
                Operation::Apply => String::new(),
                Operation::Update => api_version.to_owned(),
            },
            subresource: subresource.unwrap_or_default().to_owned(),
        }
    }

    /// The order in which managers of the same second are merged and conflicts are listed.
    pub(super) fn identity(&self) -> String {
        let Self {
            name,
            operation,
            api_version,
            subresource,
        } = self;
        let mut text = format!("{{\"manager\":{},\"operation\":\"{operation:?}\"", json!(name));
        for (key, word) in [("apiVersion", api_version), ("subresource", subresource)] {
            if !word.is_empty() {
                text.push_str(&format!(",\"{key}\":{}", json!(word)));
            }
        }
        text + "}"
    }

    /// As a conflict names it: `"kubectl" with subresource "status" using v1`
    pub(super) fn named(&self) -> String {
        let Self {
            name,
            operation,
            api_version,
            subresource,
        } = self;
        let mut named = value::quoted(name);
        if !subresource.is_empty() {
            named.push_str(&format!(" with subresource {}", value::quoted(subresource)));
        }
        match operation {
            Operation::Apply => named,
            Operation::Update => format!("{named} using {api_version}"),
        }
    }
}

/// What an object's `metadata.managedFields` says.
pub(super) fn said(object: &Object) -> Said {
    let Some(entries) = object
        .metadata()
        .and_then(|metadata| metadata.get("managedFields"))
    else {
        return Said::Nothing;
    };
    let Some(entries) = entries.as_array() else {
        return Said::Nothing;
    };
    match entries.as_slice() {
        [] => return Said::Forget,
        [Value::Object(entry)] if entry.is_empty() => return Said::Forget,
        _ => {}
    }
    let mut owners = Owners::default();
    for (index, entry) in entries.iter().enumerate() {
        match read_entry(index, entry) {
            Ok((manager, owned)) => {
                owners.0.insert(manager, owned);
            }
            Err(why) => return Said::Unreadable(why),
        }
    }
    Said::Owners(owners)
}

fn read_entry(index: usize, entry: &Value) -> Result<(Manager, Owned), String> {
    let word = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let operation = match word("operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    let api_version = word("apiVersion");
    if api_version.is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match word("fieldsType") {
        "FieldsV1" => {}
        "" => return Err(format!("missing fieldsType in managed fields entry {index}")),
        other => {
            let other = value::quoted(other);
            return Err(format!(
                "invalid fieldsType {other} in managed fields entry {index}"
            ));
        }
    }
    let fields = match entry.get("fieldsV1") {
        None | Some(Value::Null) => FieldSet::default(),
        Some(json) => FieldSet::read(json).map_err(|wrong| wrong.to_string())?,
    };
    let manager = Manager {
        name: word("manager").to_owned(),
        operation,
        api_version: match operation {
            Operation::Apply => String::new(),
            Operation::Update => api_version.to_owned(),
        },
        subresource: word("subresource").to_owned(),
    };
    let owned = Owned {
        fields,
        api_version: api_version.to_owned(),
        time: word("time").parse().ok(),
    };
    Ok((manager, owned))
}

impl Owners {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts them into the object; no owner: the field is not there.
    pub(super) fn write(&self, object: &mut Object) {
        if self.is_empty() {
            remove(object);
            return;
        }
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_by_key(|(manager, owned)| {
            let Manager {
                name,
                operation,
                api_version: _,
                subresource,
            } = manager;
            (*operation, seconds(owned), name, &owned.api_version, subresource)
        });
        let entries = entries
            .into_iter()
            .map(|(manager, owned)| write_entry(manager, owned))
            .collect();
        object
            .metadata_mut()
            .insert("managedFields".to_owned(), Value::Array(entries));
    }

    /// The oldest of more than ten updaters become one.
    pub(super) fn limit(&mut self) {
        let mut updaters: Vec<Manager> = self
            .0
            .keys()
            .filter(|manager| manager.operation == Operation::Update)
            .cloned()
            .collect();
        let mut too_many = updaters.len().saturating_sub(MOST_UPDATERS);
        if too_many == 0 {
            return;
        }
        // Oldest first.
        updaters.sort_by_cached_key(|manager| (self.0.get(manager).map(seconds), manager.identity()));
        let mut first_of: BTreeMap<String, Manager> = BTreeMap::new();
        for manager in updaters {
            if too_many == 0 {
                break;
            }
            let Some(owned) = self.0.get(&manager).cloned() else {
                continue;
            };
            let version = owned.api_version.clone();
            let Some(first) = first_of.get(&version) else {
                // The oldest of its version is the one that the next are merged with; alone it keeps its name.
                first_of.insert(version, manager);
                continue;
            };
            let bucket = Manager::new(OLDEST, Operation::Update, &version, None);
            if !self.0.contains_key(&bucket)
                && let Some(first) = self.0.remove(first)
            {
                self.0.insert(bucket.clone(), first);
            }
            self.0.remove(&manager);
            if let Some(merged) = self.0.get_mut(&bucket) {
                merged.fields.add(owned.fields);
                merged.time = owned.time;
            }
            too_many -= 1;
        }
    }
}

pub(super) fn remove(object: &mut Object) {
    if let Some(metadata) = object
        .fields_mut()
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
    {
        metadata.remove("managedFields");
    }
}

fn seconds(owned: &Owned) -> i64 {
    owned.time.map_or(0, Timestamp::as_second)
}

fn write_entry(manager: &Manager, owned: &Owned) -> Value {
    let Manager {
        name,
        operation,
        api_version: _,
        subresource,
    } = manager;
    let Owned {
        fields,
        api_version,
        time,
    } = owned;
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    if !name.is_empty() {
        put("manager", json!(name));
    }
    put("operation", json!(format!("{operation:?}")));
    put("apiVersion", json!(api_version));
    if let Some(time) = time {
        put("time", json!(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()));
    }
    put("fieldsType", json!("FieldsV1"));
    put("fieldsV1", fields.written());
    if !subresource.is_empty() {
        put("subresource", json!(subresource));
    }
    Value::Object(entry)
}
