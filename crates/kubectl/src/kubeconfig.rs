//! `kubeconfig CLUSTER`: a kubeconfig with which plain kubectl, or any other client, visits a child (contract 7.3).
//!
//! A kubeconfig has no room for the header that the plug-in sends, so a credential for the child travels as an
//! impersonation extra, which the parent's audit log records. Without one only the identity in the parent is used.

use std::path::{Path, PathBuf};

use api::{
    names::{PROXY_USER, extras},
    proxies::direct_path,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    args::{ChildFlags, Connection},
    child::{Child, Credential, Impersonation, encode},
    clusters,
    failure::Failure,
    output::{data, say, yaml},
    parent::{self, Parent},
};

/// `kubeconfig`: prints one, or merges it into the caller's own.
pub(crate) async fn print(
    connection: &Connection,
    flags: &ChildFlags,
    wanted: &str,
    merge: bool,
) -> Result<(), Failure> {
    let parent = Parent::load(connection)?;
    let child = Child::load(flags)?;
    let cluster = clusters::resolve(&parent, wanted).await?;
    let credential = child.credential().await?;
    let namespace = connection.namespace.clone().or_else(|| child.namespace.clone());
    let name = format!("clusterway-{wanted}");
    let config = build(parent, &name, &cluster, credential.as_ref(), &child.impersonation, namespace)?;
    warn(credential.is_some(), child.expires());
    if !merge {
        return data(&yaml(&config)?);
    }
    let file = target(connection)?;
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Failure::new(format!("cannot read {}", file.display())).because(error)),
    };
    let merged = merged(&text, &config)
        .map_err(|why| Failure::new(format!("cannot merge into {}", file.display())).because(why))?;
    write(&file, &yaml(&merged)?)?;
    say(&format!(
        "context {name} written to {0}; try: kubectl --context {name} get namespaces",
        file.display()
    ));
    Ok(())
}

/// The kubeconfig: the parent's server with the child's path, the caller's identity in the parent, and what the child
/// shall know of the caller.
fn build(
    mut parent: Parent,
    name: &str,
    cluster: &str,
    credential: Option<&Credential>,
    impersonation: &Impersonation,
    namespace: Option<String>,
) -> Result<Value, Failure> {
    parent.cluster.server = Some(format!("{}{}", parent.server()?, direct_path(cluster)));
    embed(&mut parent)?;
    let carried = carried(credential, impersonation);
    let mut config = serde_json::to_value(parent.standalone(name, name, namespace))
        .map_err(|error| Failure::new("cannot make the kubeconfig").because(error))?;
    if !carried.is_empty() {
        if let Some(user) = &parent.user.impersonate {
            return Err(Failure::new("the credential for the child cannot be put into this kubeconfig")
                .because(format!(
                    "you impersonate {user:?} in the parent, and one user cannot impersonate twice"
                ))
                .next("leave out --as, or use kubectl clusterway --cluster-id"));
        }
        let user = &mut config["users"][0]["user"];
        user["as"] = json!(PROXY_USER);
        user["as-user-extra"] = Value::Object(carried);
    }
    Ok(config)
}

/// What the extras of the impersonation carry.
fn carried(credential: Option<&Credential>, impersonation: &Impersonation) -> serde_json::Map<String, Value> {
    let mut carried = serde_json::Map::new();
    let mut put = |key: &str, values: Vec<String>| {
        if !values.is_empty() {
            carried.insert(key.to_owned(), json!(values));
        }
    };
    match credential {
        Some(Credential::Token(token)) => put(extras::TOKEN, vec![token.expose_secret().to_owned()]),
        Some(Credential::Certificate { certificate, key }) => {
            put(extras::CERTIFICATE, vec![encode(certificate)]);
            put(extras::PRIVATE_KEY, vec![encode(key)]);
        }
        None => {}
    }
    put(extras::IMPERSONATE_USER, impersonation.user.iter().cloned().collect());
    put(extras::IMPERSONATE_UID, impersonation.uid.iter().cloned().collect());
    put(extras::IMPERSONATE_GROUP, impersonation.groups.clone());
    carried
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

fn warn(with_credential: bool, expires: bool) {
    if !with_credential {
        say("note: without --child-kubeconfig the child sees an anonymous caller");
        return;
    }
    say(
        "warning: this kubeconfig sends the child's credential as an impersonation extra, so the parent's audit log \
         records it, and it needs deploy/compat/impersonation.yaml in the parent. kubectl clusterway --cluster-id needs neither.",
    );
    if expires {
        say("warning: it holds a copy of a credential that expires; make it anew when it has");
    }
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

/// `text` with the cluster, user and context of `config` added, or replaced where the names are taken by an earlier
/// run. Everything else stays as it is, the current context too.
fn merged(text: &str, config: &Value) -> Result<Value, String> {
    let mut whole: Value = if text.trim().is_empty() {
        json!({ "apiVersion": "v1", "kind": "Config" })
    } else {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())?
    };
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

#[cfg(test)]
mod tests;
