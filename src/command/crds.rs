//! `quartermaster crds`: prints the CustomResourceDefinitions, for `kubectl apply -f -`. The files in `crds/` are the
//! same text, one kind a file, for those who install from the repository.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::resource;

/// Writes every definition to standard output, as documents of one YAML stream.
pub fn print() -> Result<()> {
    let mut out = io::stdout().lock();
    for file in files()? {
        write!(out, "---\n{}", file.text).context("cannot write to standard output")?;
    }
    Ok(())
}

/// Writes every definition to its file in `folder`: what `make crds` does.
pub fn write(folder: &Path) -> Result<()> {
    for file in files()? {
        let path = folder.join(file.name);
        std::fs::write(&path, file.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

struct File {
    name: String,
    text: String,
}

fn files() -> Result<Vec<File>> {
    resource::definitions()
        .iter()
        .map(|definition| {
            let yaml = serde_saphyr::to_string(definition)
                .with_context(|| format!("cannot write {} as YAML", definition.spec.names.plural))?;
            Ok(File {
                name: format!("{}.yaml", definition.spec.names.plural),
                text: format!("# Made from src/resource/ by `make crds`: change it there.\n{yaml}"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_in_crds_are_what_is_printed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
        let mut expected = Vec::new();
        for file in files().unwrap() {
            let found = std::fs::read_to_string(folder.join(&file.name)).unwrap_or_default();
            assert!(
                found == file.text,
                "crds/{} is not what src/resource/ says: run `make crds`",
                file.name
            );
            expected.push(file.name);
        }
        let mut found: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".yaml"))
            .collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "crds/ holds one file for each kind and no other");
    }

    #[test]
    fn two_printings_are_the_same_bytes() {
        let once: Vec<String> = files().unwrap().into_iter().map(|file| file.text).collect();
        let twice: Vec<String> = files().unwrap().into_iter().map(|file| file.text).collect();
        assert_eq!(once, twice);
    }

    #[test]
    fn the_yaml_means_what_the_types_say() {
        for (definition, file) in resource::definitions().iter().zip(files().unwrap()) {
            let read: serde_json::Value = serde_saphyr::from_str(&file.text).unwrap();
            assert_eq!(read, serde_json::to_value(definition).unwrap());
        }
    }
}
