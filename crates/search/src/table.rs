//! What is printed of objects: the cluster first, then the columns of their kind (contract 4.8).

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use meta::{CrdColumns, TableCells, TableColumn};
use printers::Printer;
use serde_json::Value;
use store::{Resource, Row};

use crate::builtin;

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
    /// Those of a resource that is part of Kubernetes.
    pub(crate) fn built_in(resource: &Resource) -> Option<Self> {
        let Resource { group, version, resource: plural } = resource;
        let generic = || builtin::kind(group, plural).map(|_| printers::generic());
        printers::printer(group, version, plural).or_else(generic).map(Self::BuiltIn)
    }

    /// Those of a custom resource; name and age if nothing is known of its definition.
    pub(crate) fn custom(columns: Option<Arc<CrdColumns>>) -> Self {
        let columns = columns.or_else(|| PLAIN.clone());
        columns.map_or_else(|| Self::BuiltIn(printers::generic()), Self::Custom)
    }

    /// What a stored CustomResourceDefinition says of the columns of one version.
    pub(crate) fn defined(definition: &[u8], version: &str) -> Option<Arc<CrdColumns>> {
        let definition: Value = serde_json::from_slice(definition).ok()?;
        let versions = definition.pointer("/spec/versions")?.as_array()?;
        let found = versions.iter().find(|candidate| candidate["name"] == version)?;
        CrdColumns::from_json(&found["additionalPrinterColumns"]).ok().map(Arc::new)
    }

    /// What the synchronisation has told of them.
    pub(crate) fn told(description: &str) -> Option<Arc<CrdColumns>> {
        let description: Value = serde_json::from_str(description).ok()?;
        CrdColumns::from_json(description.get(api::names::search::PRINTER_COLUMNS)?).ok().map(Arc::new)
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
