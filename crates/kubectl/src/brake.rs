//! `pause`, `resume` and `confirm`: the brakes on what is deployed. Each is an annotation that anybody may write with kubectl.

use api::{
    apps::{Description, Subscription},
    clusters::ManagedCluster,
    names::{
        apps::labels::SUBSCRIPTION_UID,
        deployer::{
            annotations::{CONFIRM_DELETION, PAUSED},
            conditions::DELETION_HELD,
        },
    },
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    args::{BrakeFlags, Braked, Connection},
    clusters,
    failure::Failure,
    output::{data, say},
    parent::{Parent, suggest},
};

/// `pause`, or `resume`.
pub(crate) async fn pause(connection: &Connection, flags: &BrakeFlags, pauses: bool) -> Result<(), Failure> {
    let parent = Parent::load(connection)?;
    let client = parent.client().await?;
    match flags.what {
        Braked::Subscription => {
            let namespace = namespace(connection, &parent);
            let there = subscription(&client, &namespace, &flags.target).await?;
            let words = format!("subscription {} -n {namespace}", flags.target);
            let api = Api::<Subscription>::namespaced(client, &namespace);
            set(&api, &there, pauses, &words).await
        }
        Braked::Cluster => {
            let there = clusters::find(&client, &flags.target).await?;
            let words = format!("cluster {}", there.name_any());
            let api = Api::<ManagedCluster>::namespaced(client, &there.namespace().unwrap_or_default());
            set(&api, &there, pauses, &words).await
        }
    }
}

/// Writes the annotation if it is not as it should be, and says what that means. `words` name the object on a command line.
async fn set<K>(api: &Api<K>, there: &K, pauses: bool, words: &str) -> Result<(), Failure>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let (done, undo) = if pauses { ("paused", "resume") } else { ("resumed", "pause") };
    let object = format!("{}.{}/{}", K::kind(&()).to_lowercase(), K::group(&()), there.name_any());
    let is_paused = there.annotations().get(PAUSED).is_some_and(|value| value == "true");
    if is_paused == pauses {
        let state = if pauses { "is paused already" } else { "is not paused" };
        return data(&format!("{object} {state}\n"));
    }
    let value = if pauses { json!("true") } else { Value::Null };
    let patch = json!({ "metadata": { "annotations": { PAUSED: value } } });
    annotate(api, &there.name_any(), &patch).await?;
    data(&format!("{object} {done}\n"))?;
    let meaning = if pauses {
        "Nothing that it deploys is changed or deleted in the clusters, and nothing is corrected there, until you say"
    } else {
        "Everything is looked at again, and brought to what it should be. To stop that:"
    };
    say(&format!("{meaning} kubectl clusterway {undo} {words}"));
    Ok(())
}

async fn annotate<K>(api: &Api<K>, name: &str, patch: &Value) -> Result<(), Failure>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let params =
        PatchParams { field_manager: Some(String::from("kubectl-clusterway")), ..PatchParams::default() };
    let answer = api.patch(name, &params, &Patch::Merge(patch)).await;
    answer.map(drop).map_err(|error| Failure::parent(&format!("annotate {name}"), &error))
}

/// `confirm`: lets the deletions go on that wait for somebody to look at them.
pub(crate) async fn confirm(connection: &Connection, flags: &BrakeFlags) -> Result<(), Failure> {
    let parent = Parent::load(connection)?;
    let client = parent.client().await?;
    let (api, params) = match flags.what {
        Braked::Subscription => {
            let there = subscription(&client, &namespace(connection, &parent), &flags.target).await?;
            let label = format!("{SUBSCRIPTION_UID}={}", there.uid().unwrap_or_default());
            (Api::<Description>::all(client.clone()), ListParams::default().labels(&label))
        }
        Braked::Cluster => {
            let there = clusters::find(&client, &flags.target).await?;
            let namespace = there.namespace().unwrap_or_default();
            (Api::namespaced(client.clone(), &namespace), ListParams::default())
        }
    };
    let found = api.list(&params).await.map_err(|error| Failure::parent("list Descriptions", &error))?;
    let held: Vec<(&Description, &str)> =
        found.iter().filter_map(|description| Some((description, held(description)?))).collect();
    if held.is_empty() {
        say("No deletion waits to be confirmed.");
    }
    for (description, why) in held {
        let (namespace, name) = (description.namespace().unwrap_or_default(), description.name_any());
        // Only what was asked for when this was read: a later change is confirmed by itself.
        let generation = description.metadata.generation.unwrap_or_default().to_string();
        let patch = json!({ "metadata": { "annotations": { CONFIRM_DELETION: generation } } });
        say(&format!("{namespace}/{name}: {why}"));
        annotate(&Api::<Description>::namespaced(client.clone(), &namespace), &name, &patch).await?;
        data(&format!("description.{}/{name} confirmed\n", api::apps::GROUP))?;
    }
    Ok(())
}

/// Why deletions of a Description wait, if they do.
fn held(description: &Description) -> Option<&str> {
    let conditions = &description.status.as_ref()?.conditions;
    let held = conditions.iter().find(|condition| condition.type_ == DELETION_HELD)?;
    (held.status == "True").then_some(held.message.as_str())
}

/// The namespace of Subscriptions: the flag's, or else the context's.
pub(crate) fn namespace(connection: &Connection, parent: &Parent) -> String {
    let namespace = connection.namespace.clone().or_else(|| parent.namespace.clone());
    namespace.filter(|namespace| !namespace.is_empty()).unwrap_or_else(|| String::from("default"))
}

async fn subscription(client: &Client, namespace: &str, name: &str) -> Result<Subscription, Failure> {
    let api = Api::<Subscription>::namespaced(client.clone(), namespace);
    let read = |error| Failure::parent(&format!("read the Subscription {namespace}/{name}"), &error);
    if let Some(found) = api.get_opt(name).await.map_err(read)? {
        return Ok(found);
    }
    // Whoever may read one need not be allowed to list them all.
    let others = Api::<Subscription>::all(client.clone()).list(&ListParams::default()).await;
    let others = others.map(|list| list.items).unwrap_or_default();
    let elsewhere =
        others.iter().find(|other| other.name_any() == name).and_then(kube::ResourceExt::namespace);
    let names: Vec<String> = others
        .iter()
        .filter(|it| it.namespace().as_deref() == Some(namespace))
        .map(ResourceExt::name_any)
        .collect();
    let hint = elsewhere
        .map(|elsewhere| format!("there is one in the namespace {elsewhere}: give -n {elsewhere}"))
        .or_else(|| suggest(name, names.iter().map(String::as_str)))
        .unwrap_or_else(|| String::from("kubectl get subscriptions -A lists them"));
    Err(Failure::new(format!("there is no Subscription {name:?} in the namespace {namespace:?}")).next(hint))
}
