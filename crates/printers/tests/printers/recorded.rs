//! The golden files: objects, and what a real API server printed of them.

#![expect(clippy::unwrap_used, reason = "a golden file that cannot be read is a failed test")]

use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// What a server printed of the objects of one kind.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) group: String,
    pub(crate) versions: Vec<String>,
    pub(crate) kind: String,
    pub(crate) plural: String,
    /// When it was printed.
    pub(crate) now: Timestamp,
    pub(crate) columns: Vec<Value>,
    pub(crate) rows: Vec<Row>,
}

/// An object in each of the versions, and its cells.
#[derive(Deserialize)]
pub(crate) struct Row {
    pub(crate) objects: Vec<Value>,
    pub(crate) cells: Vec<Value>,
}

/// All golden files.
pub(crate) fn golden() -> Vec<Golden> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files.iter().map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()).collect()
}
