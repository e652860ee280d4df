//! Which store the flags and the environment mean, and who may have it open.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use replicas::{Open, Sharing};
use store::{Backends, Config};
use tracing::info;

/// The file in `--data-dir`.
const FILE: &str = "search.db";

/// The configuration of the store; nothing if none is wanted. What is at fault in it ends the program here.
///
/// A storage configuration wins over a directory; the `DB_*` variables are one, or change the file's.
pub(crate) fn configured(
    config: Option<&Path>,
    directory: Option<&Path>,
    environment: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Option<Config>> {
    let checked = |config: Config| Backends::default().check(&config).map(|()| Some(config));
    if let Some(file) = config {
        let context = || format!("--storage-config {}", file.display());
        let text = std::fs::read_to_string(file).with_context(context)?;
        return Config::parse(&text, environment).and_then(checked).with_context(context);
    }
    if environment(api::names::search::environment::DB_TYPE).is_some_and(|kind| !kind.is_empty()) {
        return Config::parse("", environment).and_then(checked).context("the variables DB_*");
    }
    let Some(directory) = directory else {
        info!(
            "nothing is synchronised for the search here: there is neither --data-dir nor --storage-config nor DB_TYPE"
        );
        return Ok(None);
    };
    std::fs::create_dir_all(directory).with_context(|| format!("--data-dir {}", directory.display()))?;
    let file = directory.join(FILE);
    let file = file.to_str().with_context(|| format!("--data-dir {}: is not UTF-8", directory.display()))?;
    Ok(Some(Config { kind: "sqlite".into(), dsn: Some(file.into()), ..Config::default() }))
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

    fn no_environment(_: &str) -> Option<String> {
        None
    }

    fn of_file(text: &str) -> anyhow::Result<Option<Config>> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("storage.yaml");
        std::fs::write(&file, text).unwrap();
        configured(Some(&file), None, no_environment)
    }

    #[test]
    fn a_config_names_a_store_that_one_process_may_have() {
        for text in ["{type: sqlite, dsn: /a/b.db}", "type: sqlite3\ndsn: file:/a/b.db?cache=shared\n"] {
            assert_eq!(sharing(&of_file(text).unwrap().unwrap()), Sharing::OneProcess, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_at_the_start_and_no_password_is_repeated() {
        for text in ["type: oracle\npassword: hunter2", "dsn: hunter2", "hunter2: ["] {
            let error = format!("{:#}", of_file(text).unwrap_err());
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_directory_holds_a_file_that_is_made() {
        assert!(configured(None, None, no_environment).unwrap().is_none());
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let config = configured(None, Some(&data), no_environment).unwrap().unwrap();
        assert!(open(config)().await.is_ok());
        assert!(data.join(FILE).is_file());
    }

    #[test]
    fn the_environment_alone_names_a_store_and_wins_over_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let environment = |name: &str| match name {
            "DB_TYPE" => Some("sqlite".to_owned()),
            "DB_DSN" => Some("/of/the/environment.db".to_owned()),
            _ => None,
        };
        let config = configured(None, Some(directory.path()), environment).unwrap().unwrap();
        assert_eq!(config.dsn.as_deref(), Some("/of/the/environment.db"));
    }
}
