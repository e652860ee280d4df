//! `kubeconfig --search`: contexts and clusters for searching with plain kubectl (contract `clusterpedia.md`, section 9):
//! `clusterpedia` for all clusters, and one for each PediaCluster.
//!
//! `kubectl --cluster clusterpedia get deployments -A` then searches as whoever the current context makes the caller.

use std::collections::BTreeSet;

use api::search::{GROUP, Resources, VERSION};
use serde_json::{Value, json};

use crate::{
    args::Connection,
    failure::Failure,
    kubeconfig::{embed, merge_into_own, own},
    output::{data, say, yaml},
    parent::Parent,
    search,
};

/// The context and cluster that mean all clusters.
const ALL: &str = "clusterpedia";

/// `kubeconfig --search`: prints one, or merges it into the caller's own; for all PediaClusters, or for the one named.
pub(crate) async fn print(connection: &Connection, only: Option<&str>, merge: bool) -> Result<(), Failure> {
    let mut parent = Parent::load(connection)?;
    let mut clusters = match only {
        Some(one) => BTreeSet::from([one.to_owned()]),
        None => search::clusters(&parent).await.map_err(|failure| {
            failure.next(
                "name one cluster, kubectl clusterway kubeconfig --search CLUSTER, or ask for the right to list \
                 pediaclusters",
            )
        })?,
    };
    if clusters.is_empty() {
        say(
            "note: nothing can be searched yet, because there is no PediaCluster; docs/guide.md tells how to make one",
        );
    }
    if clusters.remove(ALL) {
        say("note: the PediaCluster clusterpedia has no context of its own: that name means all clusters");
    }
    warn(&parent, only).await?;
    embed(&mut parent)?;
    let namespace = connection.namespace.clone().or_else(|| parent.namespace.clone());
    if !merge {
        return data(&yaml(&build(&parent, &clusters, ALL, namespace.as_deref())?)?);
    }
    let Some(user) = parent.user_name.clone() else {
        return Err(Failure::new("there is no user in your kubeconfig for these contexts")
            .because("flags say who you are")
            .next("leave out --merge and keep what is printed in a file of its own"));
    };
    let mut config = build(&parent, &clusters, &user, namespace.as_deref())?;
    // The user is there already, and stays as it is.
    config["users"] = json!([]);
    let (_, whole) = own(connection)?;
    for (list, name) in leave_taken(&mut config, &whole, &base(parent.server()?)) {
        say(&format!("note: {name} is left alone: you have another {list} of that name"));
    }
    let file = merge_into_own(connection, &config)?;
    say(&format!("written to {}; try: kubectl --cluster {ALL} get pods -A", file.display()));
    Ok(())
}

/// Tells what will keep the caller from searching, if the parent says so now.
async fn warn(parent: &Parent, only: Option<&str>) -> Result<(), Failure> {
    if let Some(why) = search::refusal(parent, only).await? {
        say(&format!("warning: a search would fail now: {}", why.message));
        say(&format!("hint: {}", search::remedy(&why)));
    }
    Ok(())
}

/// What the address of every search of this parent begins with, in old spelling too.
fn base(server: &str) -> String {
    format!("{server}/apis/{GROUP}/{VERSION}/{}/", Resources::PLURAL)
}

/// The kubeconfig, with one user called `user`.
fn build(
    parent: &Parent,
    clusters: &BTreeSet<String>,
    user: &str,
    namespace: Option<&str>,
) -> Result<Value, Failure> {
    let mut config = serde_json::to_value(parent.standalone(ALL, user, namespace.map(str::to_owned)))
        .map_err(|error| Failure::new("cannot make the kubeconfig").because(error))?;
    let (mut cluster, mut context) = (config["clusters"][0].take(), config["contexts"][0].take());
    let (mut all, mut contexts) = (Vec::new(), Vec::new());
    for (name, place) in
        std::iter::once((ALL, None)).chain(clusters.iter().map(|name| (&**name, Some(&**name))))
    {
        let server = format!("{}{}", parent.server()?, search::path(place));
        (cluster["name"], cluster["cluster"]["server"]) = (json!(name), json!(server));
        (context["name"], context["context"]["cluster"]) = (json!(name), json!(name));
        all.push(cluster.clone());
        contexts.push(context.clone());
    }
    (config["clusters"], config["contexts"]) = (json!(all), json!(contexts));
    Ok(config)
}

/// Takes out of `config` the clusters and contexts whose names mean something else in `whole`: another server than
/// below `base`, another cluster. Tells which those are.
fn leave_taken(config: &mut Value, whole: &Value, base: &str) -> Vec<(&'static str, String)> {
    let mut taken = Vec::new();
    for (list, one) in [("clusters", "cluster"), ("contexts", "context")] {
        let mine = whole[list].as_array().map_or(&[][..], Vec::as_slice);
        let Some(entries) = config[list].as_array_mut() else { continue };
        entries.retain(|entry| {
            let mine = mine.iter().find(|mine| mine["name"] == entry["name"]);
            let means_another = mine.is_some_and(|mine| match one {
                "cluster" => {
                    !mine["cluster"]["server"].as_str().is_some_and(|server| server.starts_with(base))
                }
                _ => mine["context"]["cluster"] != entry["context"]["cluster"],
            });
            if means_another {
                taken.push((one, entry["name"].as_str().unwrap_or_default().to_owned()));
            }
            !means_another
        });
    }
    // A context of our own to a cluster that is not ours would lead elsewhere.
    let foreign: Vec<Value> =
        taken.iter().filter(|(one, _)| *one == "cluster").map(|(_, name)| json!(name)).collect();
    if let Some(contexts) = config["contexts"].as_array_mut() {
        contexts.retain(|context| !foreign.contains(&context["context"]["cluster"]));
    }
    taken
}

#[cfg(test)]
mod tests {
    use kube::config::{AuthInfo, Cluster};

    use super::*;

    fn parent() -> Parent {
        Parent {
            cluster: Cluster { server: Some("https://parent:6443/".into()), ..Cluster::default() },
            user: AuthInfo { token: Some(String::from("parent-token").into()), ..AuthInfo::default() },
            ..Parent::default()
        }
    }

    fn config() -> Value {
        build(&parent(), &["a", "b"].map(str::to_owned).into(), "me", Some("ns")).unwrap()
    }

    #[test]
    fn all_clusters_come_first_and_then_each_by_its_name() {
        let config = build(&parent(), &BTreeSet::from(["c1".to_owned()]), ALL, None).unwrap();
        assert_eq!(
            yaml(&config).unwrap(),
            "\
apiVersion: v1
clusters:
- cluster:
    server: https://parent:6443/apis/clusterpedia.io/v1beta1/resources/all/proxy
  name: clusterpedia
- cluster:
    server: https://parent:6443/apis/clusterpedia.io/v1beta1/resources/c1/proxy
  name: c1
contexts:
- context:
    cluster: clusterpedia
    user: clusterpedia
  name: clusterpedia
- context:
    cluster: c1
    user: clusterpedia
  name: c1
current-context: clusterpedia
kind: Config
users:
- name: clusterpedia
  user:
    token: parent-token
"
        );
    }

    #[test]
    fn a_name_that_means_another_server_stays_with_it_and_one_of_an_earlier_run_is_replaced() {
        let whole = json!({
            "clusters": [
                { "name": "a", "cluster": { "server": "https://child-a:6443" } },
                { "name": "b", "cluster": { "server": "https://parent:6443/apis/clusterpedia.io/v1beta1/resources/clusters/b" } },
            ],
            "contexts": [{ "name": "clusterpedia", "context": { "cluster": "else", "user": "me" } }],
        });
        let mut config = config();
        let taken = leave_taken(&mut config, &whole, &base("https://parent:6443"));
        assert_eq!(taken, [("cluster", "a".to_owned()), ("context", "clusterpedia".to_owned())]);
        let names = |list: &str| -> Vec<Value> {
            config[list].as_array().unwrap().iter().map(|entry| entry["name"].clone()).collect()
        };
        assert_eq!(
            (names("clusters"), names("contexts")),
            (vec![json!("clusterpedia"), json!("b")], vec![json!("b")])
        );
    }

    #[test]
    fn every_context_has_the_namespace_and_the_user() {
        for context in config()["contexts"].as_array().unwrap() {
            assert_eq!(
                (&context["context"]["namespace"], &context["context"]["user"]),
                (&json!("ns"), &json!("me"))
            );
        }
    }
}
