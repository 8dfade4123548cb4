//! `quartermaster get`: for who has no kubectl.

use anyhow::bail;
use clap::{Args, ValueEnum};
use futures::TryStreamExt;
use kube::core::WatchEvent;
use serde_json::{Map, Value, json};

use super::say::{complain, show};
use super::table::Layout;
use super::target::{ClusterArgs, block_on};
use crate::cluster;
use crate::cluster::manifests::{self, Table, Wanted};
use crate::cluster::served::{Served, ServedKind};

#[derive(Debug, Args)]
pub struct Get {
    /// A kind (ocgw, ocboard, ocagent, ocsync, secrets, ...), several with commas between, openclaw for all of ours, or
    /// KIND/NAME.
    kind: String,
    /// The objects [default: all].
    names: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// All namespaces.
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// Only what has these labels.
    #[arg(long = "selector", short = 'l', value_name = "SELECTOR")]
    labels: Option<String>,
    /// How it is printed. Of Secrets, json and yaml show the keys and not the values.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
    /// Go on, and print what changes.
    #[arg(long, short)]
    watch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Wide,
    Name,
    Json,
    Yaml,
}

impl Get {
    pub fn execute(self) -> anyhow::Result<()> {
        block_on(self.run())
    }

    async fn run(self) -> anyhow::Result<()> {
        let (words, names) = subjects(&self.kind, &self.names)?;
        let (client, namespace) = self.cluster.connect().await?;
        let served = Served::read(&client).await?;
        let kinds = kinds(&served, &words)?;
        if !names.is_empty() && kinds.len() > 1 {
            bail!("names are of one kind; {} is several", self.kind);
        }
        if !names.is_empty() && self.all_namespaces {
            bail!("a name is looked for in one namespace: leave out --all-namespaces, or the name");
        }
        if self.watch {
            let [kind] = kinds.as_slice() else {
                bail!("--watch looks at one kind; {} is several", self.kind);
            };
            return self.watch(&client, kind, &names, &namespace).await;
        }
        let names = if names.is_empty() {
            vec![None]
        } else {
            names.into_iter().map(Some).collect()
        };
        let mut missing = None;
        let mut shown = Shown::new(self.output, kinds.len() > 1);
        for kind in &kinds {
            for name in &names {
                let wanted = self.wanted(&namespace, name.clone());
                match shown.add(&client, kind, &wanted).await {
                    Ok(()) => {}
                    Err(error) if error.code() == Some(404) && name.is_some() => missing = Some(error),
                    Err(error) => return Err(error.into()),
                }
            }
            shown.end_of_kind(kind, self.all_namespaces)?;
        }
        if shown.end(names.as_slice() == [None])? == 0 && missing.is_none() {
            match (kinds.iter().any(|kind| kind.namespaced), self.all_namespaces) {
                (true, false) => complain(&format!("Nothing found in namespace {namespace}.")),
                (true, true) | (false, _) => complain("Nothing found."),
            }
        }
        missing.map_or(Ok(()), |error| Err(error.into()))
    }

    fn wanted(&self, namespace: &str, name: Option<String>) -> Wanted {
        Wanted {
            namespace: (!self.all_namespaces).then(|| namespace.to_owned()),
            name,
            labels: self.labels.clone(),
        }
    }

    async fn watch(
        &self,
        client: &kube::Client,
        kind: &ServedKind,
        names: &[String],
        namespace: &str,
    ) -> anyhow::Result<()> {
        if matches!(self.output, Output::Json | Output::Yaml) {
            bail!("--watch prints tables or names: leave out -o, or give -o wide or -o name");
        }
        let name = match names {
            [] => None,
            [name] => Some(name.clone()),
            _ => bail!("--watch looks at one object or at all"),
        };
        let wanted = self.wanted(namespace, name);
        let mut layout = layout(self.output, kind, self.all_namespaces, false);
        'anew: loop {
            let table = manifests::table(client, kind, &wanted).await?;
            if let Some(text) = self.printed(&mut layout, kind, &table, true) {
                show(&text)?;
            }
            let mut at = version(&table);
            loop {
                let events = manifests::changes(client, kind, &wanted, &at).await?;
                futures::pin_mut!(events);
                while let Some(event) = events.try_next().await? {
                    let table = match event {
                        WatchEvent::Added(table)
                        | WatchEvent::Modified(table)
                        | WatchEvent::Deleted(table) => table,
                        WatchEvent::Bookmark(_) => continue,
                        // What was is forgotten.
                        WatchEvent::Error(status) if status.code == 410 => continue 'anew,
                        WatchEvent::Error(status) => return Err(cluster::Error::Refused(status).into()),
                    };
                    at = version(&table);
                    if let Some(text) = self.printed(&mut layout, kind, &table, false) {
                        show(&text)?;
                    }
                }
            }
        }
    }

    fn printed(&self, layout: &mut Layout, kind: &ServedKind, table: &Table, first: bool) -> Option<String> {
        match self.output {
            Output::Name => names_of(kind, table),
            Output::Table | Output::Wide | Output::Json | Output::Yaml if first => layout.table(table),
            Output::Table | Output::Wide | Output::Json | Output::Yaml => Some(layout.rows(table)),
        }
    }
}

/// `ocgw harbour`, `ocgw/harbour`, `ocgw,ocagent`.
pub(super) fn subjects(kind: &str, names: &[String]) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let mut names = names.to_vec();
    let Some((kind, name)) = kind.split_once('/') else {
        let kinds = kind.split(',').filter(|word| !word.is_empty());
        return Ok((kinds.map(str::to_owned).collect(), names));
    };
    if let Some(other) = names.iter().find(|name| name.contains('/')) {
        bail!("{other}: give one kind with its names: KIND NAME NAME");
    }
    names.insert(0, name.to_owned());
    Ok((vec![kind.to_owned()], names))
}

pub(super) fn kinds<'a>(served: &'a Served, words: &[String]) -> anyhow::Result<Vec<&'a ServedKind>> {
    let mut kinds = Vec::new();
    for word in words {
        let found = served.called(word);
        if found.is_empty() {
            bail!(
                "no kind is called {word} here; ours are ocgw, ocboard, ocagent and ocsync, together openclaw"
            );
        }
        kinds.extend(found);
    }
    Ok(kinds)
}

/// What is printed when all of a kind is there, or all of everything.
struct Shown {
    output: Output,
    several: bool,
    tables: Vec<Table>,
    objects: Vec<Value>,
    count: usize,
}

impl Shown {
    fn new(output: Output, several: bool) -> Self {
        Self {
            output,
            several,
            tables: Vec::new(),
            objects: Vec::new(),
            count: 0,
        }
    }

    async fn add(
        &mut self,
        client: &kube::Client,
        kind: &ServedKind,
        wanted: &Wanted,
    ) -> Result<(), cluster::Error> {
        match self.output {
            Output::Table | Output::Wide | Output::Name => {
                self.tables.push(manifests::table(client, kind, wanted).await?);
            }
            Output::Json | Output::Yaml => {
                let found = manifests::whole(client, kind, wanted).await?;
                self.objects.extend(taken_apart(found, kind));
            }
        }
        Ok(())
    }

    fn end_of_kind(&mut self, kind: &ServedKind, all_namespaces: bool) -> anyhow::Result<()> {
        let mut tables = std::mem::take(&mut self.tables).into_iter();
        let Some(mut table) = tables.next() else {
            return Ok(());
        };
        let mut rows = table.rows.take().unwrap_or_default();
        rows.extend(tables.flat_map(|table| table.rows.unwrap_or_default()));
        let (found, earlier) = (rows.len(), self.count);
        self.count += found;
        table.rows = Some(rows);
        if self.output == Output::Name {
            return names_of(kind, &table).map_or(Ok(()), |names| show(&names));
        }
        let mut layout = layout(self.output, kind, all_namespaces, self.several);
        let Some(text) = layout.table(&table) else {
            return Ok(());
        };
        if earlier > 0 {
            show("")?;
        }
        show(&text)
    }

    /// How many there were. One that was asked for by its name is itself; of all else a list is made.
    fn end(mut self, as_list: bool) -> anyhow::Result<usize> {
        let is_text = matches!(self.output, Output::Table | Output::Wide | Output::Name);
        if is_text {
            return Ok(self.count);
        }
        let count = self.objects.len();
        for object in &mut self.objects {
            for_eyes(object);
        }
        let value = match self.objects.as_mut_slice() {
            [] if !as_list => return Ok(count),
            [one] if !as_list => one.take(),
            _ => json!({ "apiVersion": "v1", "kind": "List", "items": self.objects }),
        };
        match self.output {
            Output::Yaml => show(serde_saphyr::to_string(&value)?.trim_end())?,
            Output::Json | Output::Table | Output::Wide | Output::Name => {
                show(&serde_json::to_string_pretty(&value)?)?;
            }
        }
        // An empty list was shown.
        Ok(count.max(1))
    }
}

fn layout(output: Output, kind: &ServedKind, all_namespaces: bool, several: bool) -> Layout {
    Layout::new(
        output == Output::Wide,
        all_namespaces && kind.namespaced,
        several.then(|| kind.short.clone()),
    )
}

/// `ocgw/harbour`
fn names_of(kind: &ServedKind, table: &Table) -> Option<String> {
    let rows = table.rows.as_deref().unwrap_or_default();
    let names = rows.iter().filter_map(|row| row.object.metadata.name.as_deref());
    let names: Vec<String> = names.map(|name| format!("{}/{name}", kind.short)).collect();
    (!names.is_empty()).then(|| names.join("\n"))
}

/// Since which to go on: of the list, or of its only row.
fn version(table: &Table) -> String {
    let list = table.metadata.resource_version.clone();
    let row = || {
        let row = table.rows.as_deref().unwrap_or_default().last()?;
        row.object.metadata.resource_version.clone()
    };
    list.filter(|version| !version.is_empty())
        .or_else(row)
        .unwrap_or_default()
}

/// The items of a list, which do not say themselves what they are; or the one object.
fn taken_apart(found: Value, kind: &ServedKind) -> Vec<Value> {
    let Value::Object(mut fields) = found else {
        return Vec::new();
    };
    let Some(Value::Array(items)) = fields.remove("items") else {
        return vec![Value::Object(fields)];
    };
    let typed = items.into_iter().map(|item| {
        let mut whole = Map::new();
        whole.insert("apiVersion".to_owned(), json!(kind.resource.api_version));
        whole.insert("kind".to_owned(), json!(kind.resource.kind));
        if let Value::Object(item) = item {
            whole.extend(item);
        }
        Value::Object(whole)
    });
    typed.collect()
}

/// Without what is for machines, and without what is for nobody: what is on a screen is soon in a log or in a ticket. What
/// stands in a value's place is no base64, so that nobody can apply it.
fn for_eyes(object: &mut Value) {
    let is_secret = object.get("kind").and_then(Value::as_str) == Some("Secret");
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        // kubectl keeps a copy of everything here.
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
            && is_secret
        {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    if !is_secret {
        return;
    }
    for place in ["data", "stringData"] {
        let values = object.get_mut(place).and_then(Value::as_object_mut);
        for (_, value) in values.into_iter().flatten() {
            *value = json!("(not shown)");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_and_names_are_given_in_one_word_or_in_several() {
        let of = |kind: &str, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            subjects(kind, &names).unwrap()
        };
        let words = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
        assert_eq!(of("ocgw", &["a", "b"]), (words(&["ocgw"]), words(&["a", "b"])));
        assert_eq!(of("ocgw/a", &["b"]), (words(&["ocgw"]), words(&["a", "b"])));
        assert_eq!(of("ocgw,ocagent", &[]), (words(&["ocgw", "ocagent"]), vec![]));
        assert!(subjects("ocgw/a", &["ocagent/b".to_owned()]).is_err());
    }

    #[test]
    fn a_secret_shows_its_keys_and_no_value() {
        let mut secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": { "name": "a", "managedFields": [{}], "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{\"stringData\":{\"token\":\"sesame\"}}", "b": "c",
            } },
            "data": { "token": "c2VzYW1l" }, "stringData": { "other": "sesame" },
        });
        for_eyes(&mut secret);
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": { "name": "a", "annotations": { "b": "c" } },
            "data": { "token": "(not shown)" }, "stringData": { "other": "(not shown)" },
        });
        assert_eq!(secret, expected);
    }
}
