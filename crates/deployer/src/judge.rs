//! Whether an object has to be applied, given what is there. Pure.

use api::names::{
    apps::annotations::OWNED_BY_DESCRIPTION,
    deployer::{annotations::APPLIED, labels::DEPLOYED},
};
use placement::diff::{Diff, Difference, drift};
use serde_json::{Map, Value};

use crate::item::{Item, annotation};

/// Differences that are looked at, and named in an Event.
const DIFFERENCES: usize = 50;

/// Whether an object has to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is as it is to be.
    Fine,
    /// It is not there, is not marked as ours, or something else was applied last.
    Apply,
    /// What was applied last is what is wanted, and the object is another: it has been changed, or the server writes it in
    /// another way than it was given.
    Drifted(Diff),
    /// It is being deleted.
    Going,
}

/// Judges the object that is there.
///
/// `recovery` tells whether changes made in the cluster are taken back. `accepted` are the differences of an earlier look that
/// turned out to be none.
pub(crate) fn judge(
    item: &Item,
    live: Option<&Value>,
    owner: &str,
    recovery: bool,
    accepted: &[Difference],
) -> Verdict {
    let Some(live) = live else { return Verdict::Apply };
    if !live["metadata"]["deletionTimestamp"].is_null() {
        return Verdict::Going;
    }
    let marked = annotation(live, OWNED_BY_DESCRIPTION).as_deref() == Some(owner)
        && annotation(live, APPLIED).as_ref() == Some(&item.digest)
        && live["metadata"]["labels"][DEPLOYED] == "true";
    if !marked {
        return Verdict::Apply;
    }
    let diff = of(item, live);
    let is_secret = item.feed.kind == "Secret";
    if !recovery || diff.is_empty() || (diff.differences == accepted && diff.omitted == 0 && !is_secret) {
        return Verdict::Fine;
    }
    Verdict::Drifted(diff)
}

/// Where the live object differs from what is wanted, but for what others may change.
pub(crate) fn of(item: &Item, live: &Value) -> Diff {
    drift(&item.wanted, live, &others(item, live), DIFFERENCES)
}

/// What is sent to the server: the object with its marks, without fields that others have changed and may.
///
/// Such a field is left out only where it differs: what is left out and was ours alone would be removed.
pub(crate) fn applied(item: &Item, live: Option<&Value>, owner: &str) -> Value {
    let mut object = item.marked(owner);
    let Some(live) = live else { return object };
    let others = others(item, live);
    if others.is_empty() {
        return object;
    }
    for difference in drift(&item.wanted, live, &[], usize::MAX).differences {
        let is_theirs = others.iter().any(|prefix| is_below(&difference.path, prefix));
        if is_theirs {
            remove(&mut object, &difference.path);
        }
    }
    object
}

/// JSON pointers of what others may change: what the object's annotation lists, and the replicas where a controller such as a
/// HorizontalPodAutoscaler sets them. A person who scales by hand is no such controller.
fn others(item: &Item, live: &Value) -> Vec<String> {
    let mut paths = item.ignored.clone();
    let entries = live["metadata"]["managedFields"].as_array().into_iter().flatten();
    let scales = entries.filter(|entry| entry["subresource"] == "scale").any(|entry| {
        let manager = entry["manager"].as_str().unwrap_or_default();
        let owns = !entry["fieldsV1"]["f:spec"]["f:replicas"].is_null();
        owns && !manager.starts_with("kubectl")
    });
    if scales {
        paths.push(String::from("/spec/replicas"));
    }
    paths
}

/// Whether fields of an object may turn out to be others': then it has to be read before it is applied.
pub(crate) fn may_be_shared(item: &Item) -> bool {
    !item.ignored.is_empty() || !item.wanted["spec"]["replicas"].is_null()
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Removes the field at a JSON pointer; of an item of a list the whole list, as places in it have no meaning to the server.
fn remove(object: &mut Value, path: &str) {
    let Some((parent, last)) = path.rsplit_once('/') else { return };
    match object.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.remove(&last.replace("~1", "/").replace("~0", "~"));
        }
        Some(Value::Array(_)) => remove(object, parent),
        _ => {}
    }
}

/// Whether two states of an object are one but for what the server writes about each write.
pub(crate) fn is_same(one: &Value, other: &Value) -> bool {
    let plain = |value: &Value| {
        let mut value = value.clone();
        if let Some(metadata) = value["metadata"].as_object_mut() {
            forget(metadata);
        }
        value
    };
    plain(one) == plain(other)
}

fn forget(metadata: &mut Map<String, Value>) {
    for field in ["managedFields", "resourceVersion", "generation"] {
        metadata.remove(field);
    }
}

/// The paths of differences, for an Event.
pub(crate) fn paths(diff: &Diff) -> String {
    const NAMED: usize = 8;
    let named: Vec<&str> = diff.differences.iter().take(NAMED).map(|one| one.path.as_str()).collect();
    let more = diff.differences.len() - named.len() + diff.omitted;
    let named = named.join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

#[cfg(test)]
mod tests {
    use api::apps::DescriptionSpec;
    use k8s_openapi::ByteString;
    use serde_json::json;

    use super::*;
    use crate::item;

    fn item(object: &Value) -> Item {
        item::read(&DescriptionSpec::generic(vec![ByteString(object.to_string().into_bytes())]), 10)
            .items
            .remove(0)
    }

    fn web(annotations: &Value) -> Item {
        item(&json!({ "apiVersion": "apps/v1", "kind": "Deployment",
                      "metadata": { "name": "web", "namespace": "qux", "annotations": annotations },
                      "spec": { "replicas": 2, "paused": false } }))
    }

    fn there(item: &Item) -> Value {
        item.marked("n.d")
    }

    #[test]
    fn what_is_as_it_was_applied_is_not_written_again() {
        let web = web(&json!({}));
        let mut live = there(&web);
        live["spec"]["strategy"] = json!({ "type": "RollingUpdate" });
        assert_eq!(judge(&web, Some(&live), "n.d", true, &[]), Verdict::Fine);
        assert_eq!(judge(&web, None, "n.d", true, &[]), Verdict::Apply);
        assert_eq!(judge(&web, Some(&live), "n.other", true, &[]), Verdict::Apply);
        live["metadata"]["annotations"][APPLIED] = json!("another");
        assert_eq!(judge(&web, Some(&live), "n.d", true, &[]), Verdict::Apply);
        live["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(judge(&web, Some(&live), "n.d", true, &[]), Verdict::Going);
    }

    #[test]
    fn a_change_in_the_cluster_is_seen_unless_recovery_is_off_or_it_is_known_to_be_none() {
        let web = web(&json!({}));
        let mut live = there(&web);
        live["spec"]["paused"] = json!(true);
        let Verdict::Drifted(diff) = judge(&web, Some(&live), "n.d", true, &[]) else { panic!() };
        assert_eq!(paths(&diff), "/spec/paused");
        assert_eq!(judge(&web, Some(&live), "n.d", false, &[]), Verdict::Fine);
        assert_eq!(judge(&web, Some(&live), "n.d", true, &diff.differences), Verdict::Fine);
    }

    #[test]
    fn an_ignored_field_is_set_at_first_and_then_left_to_whoever_changes_it() {
        let web = web(&json!({ "apps.clusterway.io/ignored-fields": "/spec/replicas, /spec/paused" }));
        assert_eq!(applied(&web, None, "n.d")["spec"]["replicas"], 2);
        let mut live = there(&web);
        live["spec"]["replicas"] = json!(7);
        assert_eq!(judge(&web, Some(&live), "n.d", true, &[]), Verdict::Fine);
        let sent = applied(&web, Some(&live), "n.d");
        assert_eq!(sent["spec"], json!({ "paused": false }), "what nobody has changed stays ours");
    }

    #[test]
    fn replicas_that_an_autoscaler_sets_are_its_own_and_those_that_a_person_sets_are_not() {
        let web = web(&json!({}));
        let mut live = there(&web);
        live["spec"]["replicas"] = json!(7);
        let by = |manager: &str| {
            json!([{ "manager": manager, "operation": "Update", "subresource": "scale",
                     "fieldsV1": { "f:spec": { "f:replicas": {} } } }])
        };
        live["metadata"]["managedFields"] = by("kube-controller-manager");
        assert_eq!(judge(&web, Some(&live), "n.d", true, &[]), Verdict::Fine);
        assert_eq!(applied(&web, Some(&live), "n.d")["spec"], json!({ "paused": false }));
        live["metadata"]["managedFields"] = by("kubectl");
        assert!(matches!(judge(&web, Some(&live), "n.d", true, &[]), Verdict::Drifted(_)));
        assert_eq!(applied(&web, Some(&live), "n.d")["spec"]["replicas"], 2);
    }

    #[test]
    fn a_field_that_only_the_cluster_has_is_no_drift() {
        let web = web(&json!({}));
        let mut live = there(&web);
        live["spec"]["minReadySeconds"] = json!(5);
        live["metadata"]["annotations"]["somebody"] = json!("else");
        assert_eq!(judge(&web, Some(&live), "n.d", true, &[]), Verdict::Fine);
    }

    #[test]
    fn two_states_are_one_if_only_the_servers_own_notes_differ() {
        let one =
            json!({ "metadata": { "name": "a", "resourceVersion": "1", "managedFields": [] }, "spec": 1 });
        let mut other = one.clone();
        other["metadata"]["resourceVersion"] = json!("2");
        assert!(is_same(&one, &other));
        other["spec"] = json!(2);
        assert!(!is_same(&one, &other));
    }
}
