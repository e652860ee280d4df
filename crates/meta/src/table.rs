//! `meta.k8s.io/v1` Table: rows and columns, as a client prints them.

use serde::Serialize;
use serde_json::Value;

/// One column of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableColumn {
    /// The heading, such as `Name` or `Ready`; clients print it in capitals.
    pub name: String,
    /// The OpenAPI type of the cells: `string`, `integer`, `number`, `boolean` or `date`.
    #[serde(rename = "type")]
    pub type_: String,
    /// The OpenAPI format; `name` marks the column that holds the object's name.
    pub format: String,
    /// What the column tells.
    pub description: String,
    /// 0 is always shown, anything above only with `-o wide`.
    pub priority: i32,
}

/// The cells of one object, one for each column; `null` where there is nothing to show.
pub type TableCells = Vec<Value>;
