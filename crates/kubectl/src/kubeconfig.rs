//! `kubeconfig`: kubeconfigs for plain kubectl and any other client, printed or merged into the caller's own.

pub(crate) mod search;
pub(crate) mod visit;

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    args::Connection,
    failure::Failure,
    output::yaml,
    parent::{self, Parent},
};

/// The caller's own kubeconfig: the file kubectl would write to, and what is in it.
fn own(connection: &Connection) -> Result<(PathBuf, Value), Failure> {
    let file = target(connection)?;
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Failure::new(format!("cannot read {}", file.display())).because(error)),
    };
    let whole = if text.trim().is_empty() {
        json!({ "apiVersion": "v1", "kind": "Config" })
    } else {
        serde_saphyr::from_str(&text).map_err(|error| cannot_merge(&file, error))?
    };
    Ok((file, whole))
}

fn cannot_merge(file: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::new(format!("cannot merge into {}", file.display())).because(why)
}

/// Merges `config` into the caller's own kubeconfig, and tells which file that is.
fn merge_into_own(connection: &Connection, config: &Value) -> Result<PathBuf, Failure> {
    let (file, whole) = own(connection)?;
    let merged = merged(whole, config).map_err(|why| cannot_merge(&file, why))?;
    write(&file, &yaml(&merged)?)?;
    Ok(file)
}

/// The file kubectl itself would write to.
fn target(connection: &Connection) -> Result<PathBuf, Failure> {
    let env = std::env::var_os("KUBECONFIG");
    let file = parent::files(connection.kubeconfig.as_deref(), env.as_deref(), std::env::home_dir())
        .into_iter()
        .next();
    let file = file.ok_or_else(|| {
        Failure::new("there is no kubeconfig to merge into").next("name it with --kubeconfig")
    })?;
    // A link stays a link.
    Ok(std::fs::canonicalize(&file).unwrap_or(file))
}

/// `whole` with the clusters, users and contexts of `config` added, or replaced where the names are taken by an earlier
/// run. Everything else stays as it is, the current context too.
fn merged(mut whole: Value, config: &Value) -> Result<Value, String> {
    let object = whole.as_object_mut().ok_or_else(|| String::from("it is not a kubeconfig"))?;
    for list in ["clusters", "contexts", "users"] {
        let entries = object.entry(list).or_insert_with(|| json!([]));
        if entries.is_null() {
            *entries = json!([]);
        }
        let entries = entries.as_array_mut().ok_or_else(|| format!("its {list} are not a list"))?;
        for new in config[list].as_array().into_iter().flatten() {
            match entries.iter_mut().find(|entry| entry["name"] == new["name"]) {
                Some(entry) => *entry = new.clone(),
                None => entries.push(new.clone()),
            }
        }
    }
    if object.get("current-context").is_none_or(|current| current.as_str().is_none_or(str::is_empty)) {
        object.insert(String::from("current-context"), config["current-context"].clone());
    }
    Ok(whole)
}

/// Replaces the file in one step, readable by its owner only.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let failed =
        |error: std::io::Error| Failure::new(format!("cannot write {}", file.display())).because(error);
    let directory =
        file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(directory).map_err(failed)?;
    let mut new = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    new.write_all(text.as_bytes()).map_err(failed)?;
    new.persist(file).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Puts certificates that lie in files into the kubeconfig, so that it works wherever it is carried. Token files stay
/// files: their content changes.
fn embed(parent: &mut Parent) -> Result<(), Failure> {
    let read = |path: String| {
        std::fs::read(&path)
            .map(|bytes| STANDARD.encode(bytes))
            .map_err(|error| Failure::new(format!("cannot read {path}")).because(error))
    };
    let (cluster, user) = (&mut parent.cluster, &mut parent.user);
    if let Some(path) = cluster.certificate_authority.take()
        && cluster.certificate_authority_data.is_none()
    {
        cluster.certificate_authority_data = Some(read(path)?);
    }
    if let Some(path) = user.client_certificate.take()
        && user.client_certificate_data.is_none()
    {
        user.client_certificate_data = Some(read(path)?);
    }
    if let Some(path) = user.client_key.take()
        && user.client_key_data.is_none()
    {
        user.client_key_data = Some(read(path)?.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
