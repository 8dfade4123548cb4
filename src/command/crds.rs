//! `quartermaster crds`: prints the CustomResourceDefinitions, for `kubectl apply -f -`.

use std::io::{self, Write};

use crate::resource;

/// Writes every definition to standard output.
pub fn print() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for definition in resource::definitions() {
        writeln!(out, "---")?;
        writeln!(out, "{}", serde_json::to_string_pretty(&definition)?)?;
    }
    Ok(())
}
