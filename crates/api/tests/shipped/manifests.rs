//! Reads the manifests we ship.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// One YAML document of a shipped file.
pub(crate) struct Manifest {
    /// The file, relative to the root of the repository.
    pub(crate) file: String,
    /// The object.
    pub(crate) object: Value,
}

impl Manifest {
    /// `Kind name`, for messages.
    pub(crate) fn title(&self) -> String {
        format!("{}: {} {}", self.file, self.kind(), self.name())
    }

    /// The object's kind.
    pub(crate) fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    /// The object's name.
    pub(crate) fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Everything a user may apply.
pub(crate) fn all() -> Vec<Manifest> {
    let mut manifests = Vec::new();
    for directory in ["deploy", "manifests"] {
        read(&root().join(directory), &mut manifests);
    }
    assert!(manifests.len() > 30, "the manifests were not found");
    manifests
}

fn read(directory: &Path, into: &mut Vec<Manifest>) {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    for path in entries {
        if path.is_dir() {
            read(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let file = path.strip_prefix(root()).unwrap().display().to_string();
            let objects: Vec<Value> =
                serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
            into.extend(objects.into_iter().map(|object| Manifest { file: file.clone(), object }));
        }
    }
}
