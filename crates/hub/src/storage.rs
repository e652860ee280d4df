//! Which store the flags mean.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use serde::Deserialize;
use store::{SqliteOptions, SqliteStore, Store};
use tracing::{info, warn};

/// The file in `--data-dir`.
const FILE: &str = "search.db";

/// The file that `--storage-config` names, as far as it is understood here.
#[derive(Debug, Deserialize)]
struct Config {
    r#type: String,
    #[serde(default)]
    dsn: String,
}

/// Opens the store; nothing if none is wanted, or if another process has it: that one synchronises.
pub(crate) async fn open(
    config: Option<&Path>,
    directory: Option<&Path>,
) -> anyhow::Result<Option<Arc<dyn Store>>> {
    let Some(path) = path(config, directory)? else {
        info!("nothing is synchronised for the search: there is neither --data-dir nor --storage-config");
        return Ok(None);
    };
    match SqliteStore::open(SqliteOptions::new(&path)).await {
        Ok(store) => Ok(Some(Arc::new(store))),
        Err(store::Error::Held(by)) => {
            warn!(file = by, "another process has the store; this one does not synchronise");
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("the store {}", path.display())),
    }
}

fn path(config: Option<&Path>, directory: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    if let Some(file) = config {
        let context = || format!("--storage-config {}", file.display());
        let text = std::fs::read_to_string(file).with_context(context)?;
        return read(&text).map(Some).with_context(context);
    }
    let Some(directory) = directory else { return Ok(None) };
    std::fs::create_dir_all(directory).with_context(|| format!("--data-dir {}", directory.display()))?;
    Ok(Some(directory.join(FILE)))
}

fn read(text: &str) -> anyhow::Result<PathBuf> {
    // The parser's own words would quote the text, which may hold a password.
    let config: Config =
        serde_saphyr::from_str(text).map_err(|_| anyhow::anyhow!("it is not YAML with a type and a dsn"))?;
    anyhow::ensure!(
        matches!(config.r#type.as_str(), "sqlite" | "sqlite3"),
        "the type {:?} is not supported, only sqlite is",
        config.r#type
    );
    // What drivers of other makes take behind a question mark means nothing here.
    let file = config.dsn.trim().trim_start_matches("file:").split('?').next().unwrap_or_default().to_owned();
    anyhow::ensure!(!file.is_empty() && file != ":memory:", "dsn names no file");
    Ok(PathBuf::from(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_names_a_sqlite_file() {
        for text in ["{type: sqlite, dsn: /a/b.db}", "type: sqlite3\ndsn: file:/a/b.db?cache=shared\n"] {
            assert_eq!(read(text).unwrap(), Path::new("/a/b.db"), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_and_no_password_is_repeated() {
        for text in
            ["type: mysql\npassword: hunter2", "type: sqlite", "type: sqlite\ndsn: ':memory:'", "hunter2: ["]
        {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn without_flags_there_is_no_store_and_a_held_one_is_left_alone() {
        assert!(open(None, None).await.unwrap().is_none());
        let directory = tempfile::tempdir().unwrap();
        let held = open(None, Some(directory.path())).await.unwrap();
        assert!(held.is_some());
        assert!(open(None, Some(directory.path())).await.unwrap().is_none());
    }
}
