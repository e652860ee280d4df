//! Which store the flags mean, and who may have it open.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use replicas::{Open, Sharing};
use store::{Backends, Config};
use tracing::info;

/// The file in `--data-dir`.
const FILE: &str = "search.db";

/// The configuration of the store; nothing if none is wanted. What is at fault in it ends the program here.
pub(crate) fn config(config: Option<&Path>, directory: Option<&Path>) -> anyhow::Result<Option<Config>> {
    if let Some(file) = config {
        let context = || format!("--storage-config {}", file.display());
        let text = std::fs::read_to_string(file).with_context(context)?;
        let config = Config::parse(&text, |name| std::env::var(name).ok()).with_context(context)?;
        Backends::default().check(&config).with_context(context)?;
        return Ok(Some(config));
    }
    let Some(directory) = directory else {
        info!(
            "nothing is synchronised for the search here: there is neither --data-dir nor --storage-config"
        );
        return Ok(None);
    };
    let context = || format!("--data-dir {}", directory.display());
    std::fs::create_dir_all(directory).with_context(context)?;
    let dsn = directory.join(FILE).to_str().with_context(context)?.to_owned();
    Ok(Some(Config { kind: String::from("sqlite"), dsn: Some(dsn), ..Config::default() }))
}

/// Who may have this store open at the same time: a file is one process's, a server is everybody's.
pub(crate) fn sharing(config: &Config) -> Sharing {
    match config.kind.as_str() {
        "sqlite" | "sqlite3" => Sharing::OneProcess,
        _ => Sharing::EveryReplica,
    }
}

/// Opens the store, as often as it is asked to.
pub(crate) fn open(config: Config) -> Open {
    let config = Arc::new(config);
    Box::new(move || {
        let config = config.clone();
        Box::pin(async move { Backends::default().open(&config).await })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_names_a_store_and_a_directory_holds_a_file() {
        assert!(config(None, None).unwrap().is_none());
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let found = config(None, Some(&data)).unwrap().unwrap();
        assert_eq!(found.dsn.as_deref(), data.join("search.db").to_str());
        assert_eq!(sharing(&found), Sharing::OneProcess);
        let file = directory.path().join("storage.yaml");
        std::fs::write(&file, "type: sqlite3\ndsn: file:/a/b.db?cache=shared\n").unwrap();
        let found = config(Some(&file), Some(&data)).unwrap().unwrap();
        assert_eq!(found.dsn.as_deref(), Some("file:/a/b.db?cache=shared"));
    }

    #[test]
    fn what_cannot_be_used_is_refused_at_the_start_and_no_password_is_repeated() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("storage.yaml");
        for text in ["type: oracle\npassword: hunter2", "dsn: hunter2", "hunter2: ["] {
            std::fs::write(&file, text).unwrap();
            let error = format!("{:#}", config(Some(&file), None).unwrap_err());
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
