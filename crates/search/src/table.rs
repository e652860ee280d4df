//! What is printed of objects: the cluster first, then the columns of their kind (contract 4.8).

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use meta::{CrdColumns, TableCells, TableColumn};
use printers::Printer;
use serde_json::Value;
use store::{Resource, Row};

use crate::Kind;

/// The columns of a resource.
#[derive(Debug, Clone)]
pub(crate) enum Columns {
    /// Kubernetes' own.
    BuiltIn(&'static Printer),
    /// Those of a custom resource's definition.
    Custom(Arc<CrdColumns>),
}

/// Name and age: a definition without columns.
static PLAIN: LazyLock<Option<Arc<CrdColumns>>> =
    LazyLock::new(|| CrdColumns::from_json(&Value::Null).ok().map(Arc::new));

impl Columns {
    /// Those of a resource, whose kind may bring its own.
    pub(crate) fn of(resource: &Resource, kind: &Kind) -> Self {
        let built_in = printers::printer(&resource.group, &resource.version, &resource.resource);
        let custom = || kind.columns.clone().or_else(|| PLAIN.clone()).map(Self::Custom);
        built_in.map(Self::BuiltIn).or_else(custom).unwrap_or_else(|| Self::BuiltIn(printers::generic()))
    }

    /// What stands above the cells.
    pub(crate) fn definitions(&self) -> Vec<TableColumn> {
        let of_kind = match self {
            Self::BuiltIn(printer) => printer.columns(),
            Self::Custom(columns) => columns.columns(),
        };
        std::iter::once(cluster()).chain(of_kind.iter().cloned()).collect()
    }

    /// The cells of an object. One that cannot be read as its kind shows its name and nothing else: it must not hide
    /// the others.
    pub(crate) fn cells(&self, row: &Row, now: Timestamp) -> TableCells {
        let printed = match self {
            Self::BuiltIn(printer) => printer.cells(&row.json, now).ok(),
            Self::Custom(columns) => serde_json::from_slice(&row.json)
                .ok()
                .map(|object: Value| columns.cells(&object, now.as_second())),
        };
        let of_kind = printed.unwrap_or_else(|| {
            let count = self.definitions().len().saturating_sub(2);
            std::iter::once(row.position.name.as_str().into())
                .chain(std::iter::repeat_n(Value::Null, count))
                .collect()
        });
        std::iter::once(row.position.cluster.as_str().into()).chain(of_kind).collect()
    }
}

/// A column of text.
pub(crate) fn column(name: &str, description: &str) -> TableColumn {
    TableColumn {
        name: name.to_owned(),
        type_: "string".to_owned(),
        description: description.to_owned(),
        ..TableColumn::default()
    }
}

/// The column before all others.
pub(crate) fn cluster() -> TableColumn {
    column("Cluster", "The cluster the object is in.")
}
