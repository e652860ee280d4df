//! Which store the flags and the environment mean.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use store::{Backends, Config, Store};
use tracing::{info, warn};

/// The file in `--data-dir`.
const FILE: &str = "search.db";

/// Opens the store; nothing if none is wanted, or if another process has it: that one synchronises.
pub(crate) async fn open(
    config: Option<&Path>,
    directory: Option<&Path>,
    environment: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Option<Arc<dyn Store>>> {
    let Some(config) = configured(config, directory, environment)? else {
        info!(
            "nothing is synchronised for the search: there is neither --data-dir nor --storage-config nor DB_TYPE"
        );
        return Ok(None);
    };
    match Backends::default().open(&config).await {
        Ok(store) => Ok(Some(store)),
        Err(store::Error::Held(by)) => {
            warn!(store = by, "another process has the store; this one does not synchronise");
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("the store: {config:?}")),
    }
}

/// A storage configuration wins over a directory; the `DB_*` variables are one, or change the file's.
fn configured(
    config: Option<&Path>,
    directory: Option<&Path>,
    environment: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Option<Config>> {
    if let Some(file) = config {
        let context = || format!("--storage-config {}", file.display());
        let text = std::fs::read_to_string(file).with_context(context)?;
        return Config::parse(&text, environment).map(Some).with_context(context);
    }
    if environment(api::names::search::environment::DB_TYPE).is_some_and(|kind| !kind.is_empty()) {
        return Config::parse("", environment).map(Some).context("the variables DB_*");
    }
    let Some(directory) = directory else { return Ok(None) };
    std::fs::create_dir_all(directory).with_context(|| format!("--data-dir {}", directory.display()))?;
    let file = directory.join(FILE);
    let file = file.to_str().with_context(|| format!("--data-dir {}: is not UTF-8", directory.display()))?;
    Ok(Some(Config { kind: "sqlite".into(), dsn: Some(file.into()), ..Config::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_environment(_: &str) -> Option<String> {
        None
    }

    async fn opened(text: &str) -> anyhow::Result<Option<Arc<dyn Store>>> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("storage.yaml");
        std::fs::write(&file, text.replace("DIRECTORY", directory.path().to_str().unwrap())).unwrap();
        open(Some(&file), None, no_environment).await
    }

    #[tokio::test]
    async fn a_config_names_a_sqlite_file() {
        for text in
            ["{type: sqlite, dsn: DIRECTORY/b.db}", "type: sqlite3\ndsn: file:DIRECTORY/b.db?cache=shared\n"]
        {
            assert!(opened(text).await.unwrap().is_some(), "{text}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_refused_and_no_password_is_repeated() {
        for text in
            ["type: mysql\npassword: hunter2", "type: sqlite", "type: sqlite\ndsn: ':memory:'", "hunter2: ["]
        {
            let error = format!("{:#}", opened(text).await.map(drop).unwrap_err());
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn without_flags_there_is_no_store_and_a_held_one_is_left_alone() {
        assert!(open(None, None, no_environment).await.unwrap().is_none());
        let directory = tempfile::tempdir().unwrap();
        let held = open(None, Some(directory.path()), no_environment).await.unwrap();
        assert!(held.is_some());
        assert!(open(None, Some(directory.path()), no_environment).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_environment_alone_names_a_store_and_wins_over_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("of-the-environment.db");
        let environment = |name: &str| match name {
            "DB_TYPE" => Some("sqlite".to_owned()),
            "DB_DSN" => file.to_str().map(Into::into),
            _ => None,
        };
        assert!(open(None, Some(directory.path()), environment).await.unwrap().is_some());
        assert!(file.is_file());
        assert!(!directory.path().join(FILE).is_file());
    }
}
