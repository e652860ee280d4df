//! `kubeconfig CLUSTER`: a kubeconfig with which plain kubectl, or any other client, visits a child (contract 7.3).
//!
//! A kubeconfig has no room for the header that the plug-in sends, so a credential for the child travels as an
//! impersonation extra, which the parent's audit log records. Without one only the identity in the parent is used.

use api::{
    names::{PROXY_USER, extras},
    proxies::direct_path,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    args::{ChildFlags, Connection},
    child::{Child, Credential, Impersonation, encode},
    clusters,
    failure::Failure,
    kubeconfig::{embed, merge_into_own},
    output::{data, say, yaml},
    parent::Parent,
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
    let file = merge_into_own(connection, &config)?;
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

#[cfg(test)]
mod tests;
