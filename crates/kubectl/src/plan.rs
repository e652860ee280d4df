//! `plan`: what would change in the clusters if files were applied.
//!
//! kubectl itself says what would be stored, by `apply --dry-run=server` on the templates: so files, directories and standard
//! input are read as it reads them, and the parent fills in its defaults and refuses what it would refuse. What that means for
//! the clusters is worked out here, in memory, by the crate `placement`.

mod show;

use std::{collections::BTreeMap, ffi::OsString, fmt::Debug, io::IsTerminal as _, process::ExitCode};

use api::{
    apps::{Base, Content, Description, Globalization, HelmChart, Localization, Manifest, Subscription},
    names::apps::{DEFAULT_SCHEDULER, annotations::FEED_PROTECTION},
};
use k8s_openapi::ByteString;
use kube::{Api, Client, Resource, ResourceExt as _, api::ListParams};
use placement::{
    overrides::Limits,
    plan::{self, SourceError, Sources},
};
use serde::{Deserialize as _, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    args::{Connection, Format, PlanFlags},
    clusters,
    failure::Failure,
    output::{data, say},
    parent::Parent,
    passthrough,
};

/// Objects of one page of a list.
const PAGE: u32 = 500;
/// The exit code when something would change.
const CHANGES: u8 = 2;
/// Shows what would change; the exit code tells whether anything would.
pub(crate) async fn plan(connection: &Connection, flags: &PlanFlags) -> Result<ExitCode, Failure> {
    let parent = Parent::load(connection)?;
    let files = would_be_stored(&parent, connection, flags).await?;
    let standing = standing(&parent.client().await?, &flags.reserved_namespace).await?;
    let planned = tokio::task::spawn_blocking(move || {
        plan::plan(&standing, files, DEFAULT_SCHEDULER, &Limits::default())
    });
    let planned = planned.await.map_err(|_| Failure::new("the plan broke off"))?;
    let planned = planned.map_err(|error| unusable(&error))?;
    match flags.output {
        Format::Text => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            data(&show::text(&planned, colour))?;
        }
        Format::Json => data(&show::json(&planned))?,
    }
    for line in show::told(&planned) {
        say(&line);
    }
    Ok(match (planned.errors.is_empty(), planned.changes.is_empty()) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::from(CHANGES),
    })
}

fn unusable(error: &SourceError) -> Failure {
    Failure::new("cannot plan").because(error)
}

/// The objects of the files as the parent would store them.
async fn would_be_stored(
    parent: &Parent,
    connection: &Connection,
    flags: &PlanFlags,
) -> Result<Vec<Value>, Failure> {
    let mut words: Vec<OsString> = ["apply", "--dry-run=server", "-o", "json"].map(OsString::from).into();
    words
        .extend(flags.filename.iter().flat_map(|file| [OsString::from("-f"), file.clone().into_os_string()]));
    if flags.recursive {
        words.push("-R".into());
    }
    if let Some(namespace) = &connection.namespace {
        words.extend(["-n".into(), namespace.into()]);
    }
    let (ran, text) = passthrough::on_templates(parent, &words, None).await?;
    if !ran.succeeded {
        return Err(
            Failure::new("cannot plan").because("the parent would not store all of it, as told above")
        );
    }
    stored(&text).map_err(|error| Failure::new("cannot read what kubectl printed").because(error))
}

/// The objects in what kubectl printed, as they would be stored.
pub(crate) fn stored(text: &str) -> serde_json::Result<Vec<Value>> {
    let mut objects = printed(text)?;
    objects.iter_mut().for_each(unwrapped);
    Ok(objects)
}

/// The objects in what kubectl printed: one, or a list, or several.
pub(crate) fn printed(text: &str) -> serde_json::Result<Vec<Value>> {
    let mut objects = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let mut document = document?;
        match document.get_mut("items").map(Value::take) {
            Some(items) if document["kind"] == "List" => objects.extend(Vec::<Value>::deserialize(items)?),
            Some(items) => {
                document["items"] = items;
                objects.push(document);
            }
            None => objects.push(document),
        }
    }
    Ok(objects)
}

/// Takes from a template what a reader sees of its Manifest. Other objects keep their identity: by it is known what they have.
fn unwrapped(object: &mut Value) {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    if version.starts_with(&format!("{}/", api::apps::GROUP)) {
        return;
    }
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for key in Manifest::SHOWN.into_iter().chain(["managedFields"]) {
        metadata.remove(key);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(FEED_PROTECTION);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
}

/// What stands in the parent.
async fn standing(client: &Client, reserved_namespace: &str) -> Result<plan::Parent, Failure> {
    let mut sources = Sources::default();
    let manifests = all(Api::<Manifest>::namespaced(client.clone(), reserved_namespace)).await?;
    for manifest in manifests {
        // Others are nobody's feed.
        let _ = sources.insert(manifest.template);
    }
    lay(&mut sources, all(Api::<Subscription>::all(client.clone())).await?)?;
    lay(&mut sources, all(Api::<Globalization>::all(client.clone())).await?)?;
    lay(&mut sources, all(Api::<Localization>::all(client.clone())).await?)?;
    lay(&mut sources, all(Api::<HelmChart>::all(client.clone())).await?)?;
    Ok(plan::Parent {
        sources,
        clusters: clusters::list(client, None, &ListParams::default()).await?,
        bases: all(Api::<Base>::all(client.clone())).await?,
        descriptions: descriptions(client).await?,
    })
}

/// The Descriptions, with the large objects in their places that stand apart from them.
async fn descriptions(client: &Client) -> Result<Vec<Description>, Failure> {
    let mut found = all(Api::<Description>::all(client.clone())).await?;
    if found.iter().any(|description| !description.spec.contents.is_empty()) {
        let contents = all(Api::<Content>::all(client.clone())).await?;
        let name = |it: &Content| (it.namespace().unwrap_or_default(), it.name_any());
        let contents = contents.into_iter().map(|it| (name(&it), it.spec.raw)).collect();
        for description in &mut found {
            unpack(description, &contents);
        }
    }
    Ok(found)
}

fn unpack(description: &mut Description, contents: &BTreeMap<(String, String), ByteString>) {
    for reference in std::mem::take(&mut description.spec.contents) {
        let place = description.spec.raw.get_mut(reference.place());
        if let (Some(place), Some(raw)) = (place, contents.get(&(reference.namespace, reference.name))) {
            *place = raw.clone();
        }
    }
}

fn lay<K: Serialize>(sources: &mut Sources, objects: Vec<K>) -> Result<(), Failure> {
    for object in objects {
        let object =
            serde_json::to_value(object).map_err(|error| Failure::new("cannot plan").because(error))?;
        sources.insert(object).map_err(|error| unusable(&error))?;
    }
    Ok(())
}

/// All objects of a kind, page by page.
pub(crate) async fn all<K>(api: Api<K>) -> Result<Vec<K>, Failure>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let mut params = ListParams::default().limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page = api.list(&params).await;
        let page =
            page.map_err(|error| Failure::parent(&format!("list {} for the plan", K::plural(&())), &error))?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use api::apps::ContentReference;

    use super::*;

    #[test]
    fn what_kubectl_prints_is_one_object_or_a_list_and_has_nothing_of_its_manifest() {
        let web = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","uid":"u","resourceVersion":"7",
            "annotations":{"apps.clusternet.io/feed-protection":"s"}}}"#;
        let expected: Value =
            serde_json::json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" } });
        assert_eq!(stored(web).unwrap(), std::slice::from_ref(&expected));
        let list = format!(r#"{{"apiVersion":"v1","kind":"List","items":[{web},{web}]}}"#);
        assert_eq!(stored(&list).unwrap(), [expected.clone(), expected]);
        let subscription = r#"{"apiVersion":"apps.clusternet.io/v1alpha1","kind":"Subscription","metadata":{"name":"s","uid":"u"}}"#;
        assert_eq!(stored(subscription).unwrap()[0]["metadata"]["uid"], "u");
    }

    #[test]
    fn a_large_object_is_put_into_its_place_in_the_description() {
        let mut description = Description::new(
            "d",
            api::apps::DescriptionSpec::generic(vec![ByteString(b"a".to_vec()), ByteString(Vec::new())]),
        );
        description.spec.contents =
            vec![ContentReference { index: 1, namespace: "r".to_owned(), name: "c".to_owned() }];
        unpack(&mut description, &[(("r".to_owned(), "c".to_owned()), ByteString(b"b".to_vec()))].into());
        let raw: Vec<&[u8]> = description.spec.raw.iter().map(|raw| raw.0.as_slice()).collect();
        assert_eq!(raw, [b"a", b"b"]);
    }
}
