//! Tables as kubectl prints them; the columns are the API server's.

use serde_json::Value;

use crate::cluster::manifests::{Column, Row, Table};

/// How one kind's rows are printed. Kept while they are watched: columns stay as wide as they were, or become wider.
#[derive(Debug, Default)]
pub(super) struct Layout {
    wide: bool,
    with_namespace: bool,
    /// `ocgw`, where several kinds are shown.
    prefix: Option<String>,
    columns: Vec<Column>,
    widths: Vec<usize>,
}

impl Layout {
    pub(super) fn new(wide: bool, with_namespace: bool, prefix: Option<String>) -> Self {
        Self {
            wide,
            with_namespace,
            prefix,
            ..Self::default()
        }
    }

    /// With the head. None: there is no row.
    pub(super) fn table(&mut self, table: &Table) -> Option<String> {
        self.learn(table);
        let rows = table.rows.as_deref().unwrap_or_default();
        let mut lines = vec![self.head()];
        lines.extend(rows.iter().map(|row| self.row(row)));
        (!rows.is_empty()).then(|| self.aligned(&lines))
    }

    /// What a watch brings: no head. A head once, if there was none yet.
    pub(super) fn rows(&mut self, table: &Table) -> String {
        let first = self.widths.is_empty();
        self.learn(table);
        let mut lines: Vec<Vec<String>> = if first { vec![self.head()] } else { Vec::new() };
        let rows = table.rows.as_deref().unwrap_or_default();
        lines.extend(rows.iter().map(|row| self.row(row)));
        self.aligned(&lines)
    }

    fn learn(&mut self, table: &Table) {
        if let Some(columns) = &table.column_definitions
            && !columns.is_empty()
        {
            self.columns.clone_from(columns);
        }
    }

    /// The places of the columns that are shown.
    fn shown(&self) -> impl Iterator<Item = (usize, &Column)> {
        let columns = self.columns.iter().enumerate();
        columns.filter(|(_, column)| self.wide || column.priority == 0)
    }

    fn head(&self) -> Vec<String> {
        let names = self.shown().map(|(_, column)| column.name.to_uppercase());
        let namespace = self.with_namespace.then(|| "NAMESPACE".to_owned());
        namespace.into_iter().chain(names).collect()
    }

    fn row(&self, row: &Row) -> Vec<String> {
        let cells = self.shown().enumerate().map(|(place, (index, _))| {
            let cell = row.cells.get(index).map(cell).unwrap_or_default();
            match &self.prefix {
                Some(prefix) if place == 0 => format!("{prefix}/{cell}"),
                Some(_) | None => cell,
            }
        });
        let namespace = row.object.metadata.namespace.clone().unwrap_or_default();
        self.with_namespace
            .then_some(namespace)
            .into_iter()
            .chain(cells)
            .collect()
    }

    /// Columns as wide as their widest cell.
    fn aligned(&mut self, lines: &[Vec<String>]) -> String {
        for line in lines {
            self.widths.resize(self.widths.len().max(line.len()), 0);
            for (width, cell) in self.widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let lines = lines.iter().map(|line| {
            let cells = line.iter().zip(&self.widths);
            let cells = cells.map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// On one line, and nothing that a terminal would obey: whose words these are is not known.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
    };
    let mut line = text.lines().next().unwrap_or_default().to_owned();
    if text.trim_end().len() > line.len() {
        line.push_str("...");
    }
    line.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read() -> Table {
        serde_json::from_value(json!({
            "columnDefinitions": [
                { "name": "Name", "priority": 0 }, { "name": "Url", "priority": 1 }, { "name": "Ready", "priority": 0 },
            ],
            "rows": [
                { "cells": ["harbour", "ws://x", "True"], "object": { "metadata": { "name": "harbour", "namespace": "a" } } },
                { "cells": ["b", "ws://y", null], "object": { "metadata": { "name": "b", "namespace": "team" } } },
            ],
        }))
        .unwrap()
    }

    #[test]
    fn a_table_is_printed_as_kubectl_prints_it() {
        assert_eq!(
            Layout::default().table(&read()).unwrap(),
            "NAME      READY\nharbour   True\nb"
        );
        let mut layout = Layout::new(true, true, Some("ocgw".to_owned()));
        assert_eq!(
            layout.table(&read()).unwrap(),
            "NAMESPACE   NAME           URL      READY\na           ocgw/harbour   ws://x   True\nteam        ocgw/b         ws://y"
        );
    }

    #[test]
    fn rows_that_come_later_stand_below_the_first_ones() {
        let mut layout = Layout::default();
        layout.table(&read());
        let later: Table = serde_json::from_value(json!({
            "columnDefinitions": null,
            "rows": [{ "cells": ["b", "ws://y", "False"], "object": {} }],
        }))
        .unwrap();
        assert_eq!(layout.rows(&later), "b         False");
        // Nothing was there before.
        assert_eq!(
            Layout::default().rows(&read()),
            "NAME      READY\nharbour   True\nb"
        );
    }

    #[test]
    fn a_cell_is_one_line_without_orders_to_the_terminal() {
        assert_eq!(cell(&json!("a\nb")), "a...");
        assert_eq!(cell(&json!("red\u{1b}[31m")), "red?[31m");
        assert_eq!(cell(&json!(3)), "3");
        assert_eq!(cell(&json!("whole\n")), "whole");
    }
}
