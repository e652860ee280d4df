//! A chart that was fetched.

use std::path::Path;

use serde::Deserialize;

use crate::workspace::Workspace;

/// A chart on disk, for as long as this value lives.
#[derive(Debug)]
pub struct Chart {
    pub(crate) file: std::path::PathBuf,
    pub(crate) metadata: Metadata,
    /// Holds the file.
    pub(crate) _workspace: Workspace,
}

/// What a chart says of itself, in its `Chart.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `application` or `library`; nothing means the former.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// The version of what it installs, for people.
    #[serde(default)]
    pub app_version: Option<String>,
}

impl Chart {
    /// What it says of itself.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }
}
