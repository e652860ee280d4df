//! The columns of a kind.

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use meta::{CrdColumns, TableCells, TableColumn};
use printers::Printer;
use serde_json::Value;

/// What is printed of objects.
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
    /// Of a kind of Kubernetes, or of another API server behind the parent: then name and time of creation.
    pub(crate) fn built_in(group: &str, version: &str, plural: &str) -> Self {
        Self::BuiltIn(printers::printer(group, version, plural).unwrap_or_else(|| printers::generic()))
    }

    /// Of a custom resource; name and age if its definition has none that can be read.
    pub(crate) fn custom(columns: Option<Arc<CrdColumns>>) -> Self {
        let columns = columns.or_else(|| PLAIN.clone());
        columns.map_or_else(|| Self::BuiltIn(printers::generic()), Self::Custom)
    }

    /// What stands above the cells.
    pub(crate) fn definitions(&self) -> &[TableColumn] {
        match self {
            Self::BuiltIn(printer) => printer.columns(),
            Self::Custom(columns) => columns.columns(),
        }
    }

    /// The cells of an object. One that cannot be read as its kind shows its name and nothing else: it must not hide
    /// the others.
    pub(crate) fn cells(&self, object: &Value, now: Timestamp) -> TableCells {
        let printed = match self {
            Self::BuiltIn(printer) => printer.cells(object.to_string().as_bytes(), now).ok(),
            Self::Custom(columns) => Some(columns.cells(object, now.as_second())),
        };
        printed.unwrap_or_else(|| {
            let rest = self.definitions().len().saturating_sub(1);
            std::iter::once(object["metadata"]["name"].clone())
                .chain(std::iter::repeat_n(Value::Null, rest))
                .collect()
        })
    }
}
