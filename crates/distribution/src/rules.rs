//! Globalizations and Localizations: marked with the feed they name (contract 5.7).

use std::collections::BTreeMap;

use api::{
    apps::{Globalization, Localization},
    names::apps::finalizers,
};
use serde_json::{Map, Value, json};

use crate::{
    hub::Hub,
    key::Name,
    marks,
    parent::{Note, Refusal, Write},
    world::{Known, RuleRecord},
};

/// One look at a Globalization.
pub(crate) async fn examine_globalization(hub: &Hub, name: &Name) -> Result<(), Refusal> {
    examine::<Globalization>(hub, name).await
}

/// One look at a Localization. Those in a namespace without a cluster are for nothing, and are left alone.
pub(crate) async fn examine_localization(hub: &Hub, name: &Name) -> Result<(), Refusal> {
    examine::<Localization>(hub, name).await
}

async fn examine<K: Known>(hub: &Hub, name: &Name) -> Result<(), Refusal> {
    let Some(rule) = hub.world.rule(name) else { return Ok(()) };
    let here = name.namespace.is_empty() || hub.world.cluster_in(&name.namespace, "").is_some();
    let path = name.path::<K>();
    if rule.meta.deleting {
        // What it changed is rendered again without it, whatever becomes of it.
        return match marks::finalizers(&rule.meta.finalizers, &[], &[finalizers::APPS]) {
            Some(left) => hub.release(path, &rule.meta, &left).await,
            None => Ok(()),
        };
    }
    if !here {
        return Ok(());
    }
    let uid = rule.feed().and_then(|feed| Some((hub.world.source_of(&feed)?.meta.uid.clone(), feed.kind)));
    if let Some(metadata) = marks_of(&rule, &uid.into_iter().collect()) {
        hub.write::<K>(Write::Merge(path, json!({ "metadata": metadata }))).await?;
    }
    let why = rule.rule.problem().map(ToString::to_string);
    if hub.world.is_news(name, why.as_deref())
        && let Some(why) = why
    {
        let text = format!(
            "Nothing new is deployed to what it may be for, and what runs stays as it is, until it is corrected or deleted: \
             {why}."
        );
        let note = Note { warning: true, reason: String::from("FailedApplyingOverrides"), text };
        hub.tell::<K>(&rule.meta, &note).await;
    }
    Ok(())
}

/// What has to be written: the uid of the feed as a label, and the finalizer.
fn marks_of(rule: &RuleRecord, wanted: &BTreeMap<String, String>) -> Option<Map<String, Value>> {
    let mut metadata = Map::new();
    // Those of Subscriptions are on Localizations that divide replicas.
    let stale = |key: &str, value: &str| marks::is_uid(key) && !["Subscription", "Base"].contains(&value);
    let labels = marks::labels(&rule.meta.labels, wanted, stale);
    if !labels.is_empty() {
        metadata.insert("labels".to_owned(), Value::Object(labels));
    }
    if let Some(all) = marks::finalizers(&rule.meta.finalizers, &[finalizers::APPS], &[]) {
        metadata.insert("finalizers".to_owned(), json!(all));
    }
    if metadata.is_empty() {
        return None;
    }
    metadata.insert("resourceVersion".to_owned(), json!(rule.meta.resource_version));
    Some(metadata)
}
