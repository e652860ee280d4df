//! What a Description holds, object by object, as it is to be in the cluster. Pure.

use std::collections::BTreeSet;

use api::{
    apps::{ContentReference, Description, DescriptionSpec, Feed},
    names::{
        apps::annotations::{KUBECTL_LAST_APPLIED, LAST_APPLIED, OWNED_BY_DESCRIPTION},
        deployer::{annotations, labels, reasons},
    },
};
use base64::{
    Engine as _, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use k8s_openapi::ByteString;
use placement::fingerprint::fingerprint;
use serde_json::{Map, Value, json};

use crate::trouble::Trouble;

/// Base64 as the API server reads it: it does not look at the bits that are left over at the end.
const READ: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);
/// The longest key that a message repeats; the API server takes no longer ones.
const KEY: usize = 253;
/// Larger copies of an object are not kept in its annotations, which have 256 KiB in all.
const LARGEST_COPY: usize = 64 << 10;
/// What the parent's API server says of its own object, which means nothing in a child.
const SYSTEM_METADATA: [&str; 9] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// One object, whatever version of it is spoken of: who is the same here is the same in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn of(feed: &Feed) -> Self {
        let group = feed.api_version.rsplit_once('/').map_or("", |(group, _)| group);
        Self {
            group: group.to_owned(),
            kind: feed.kind.clone(),
            namespace: feed.namespace().unwrap_or_default().to_owned(),
            name: feed.name.clone(),
        }
    }
}

/// An object for people: `Deployment qux/web`.
pub(crate) fn title(feed: &Feed) -> String {
    match feed.namespace() {
        Some(namespace) => format!("{} {namespace}/{}", feed.kind, feed.name),
        None => format!("{} {}", feed.kind, feed.name),
    }
}

/// An object as it is to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) feed: Feed,
    pub(crate) key: Key,
    /// The object, without marks of ours and without what only its API server can say.
    pub(crate) wanted: Value,
    /// Another one if `wanted` is.
    pub(crate) digest: String,
    /// JSON pointers of fields that are left alone once the object is there.
    pub(crate) ignored: Vec<String>,
    /// Whether no API server can take it: it is wanted, so what runs of it stays, and is not applied.
    pub(crate) broken: bool,
}

/// What a Description holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Items {
    pub(crate) items: Vec<Item>,
    /// What is wrong with those that are left out.
    pub(crate) troubles: Vec<Trouble>,
}

impl Items {
    /// Whether every object that the Description refers to was read.
    pub(crate) fn is_whole(&self) -> bool {
        self.troubles.iter().all(|trouble| trouble.reason != reasons::CONTENT_MISSING)
    }
}

/// Reads the objects of a Description; at most `most` of them.
pub(crate) fn read(spec: &DescriptionSpec, most: usize) -> Items {
    let mut found = Items::default();
    let mut seen = BTreeSet::new();
    let objects = &spec.raw;
    for (at, raw) in objects.iter().enumerate() {
        if at >= most {
            let why = format!("the Description has {} objects; at most {most} are applied", objects.len());
            found.troubles.push(Trouble::of_description(reasons::TOO_MUCH, why));
            break;
        }
        let apart = || spec.contents.iter().find(|reference| reference.place() == at);
        if let Some(reference) = is_nothing(raw).then(apart).flatten() {
            let why = format!(
                "object {at} is in the Content {}/{} of the parent, which cannot be read; it is tried again, and nothing is \
                 taken away meanwhile",
                reference.namespace, reference.name
            );
            found.troubles.push(Trouble::of_description(reasons::CONTENT_MISSING, why));
            continue;
        }
        match object(&raw.0) {
            Err(why) => {
                let why = format!("object {at} of spec.raw {why}");
                found.troubles.push(Trouble::of_description(reasons::INVALID, why));
            }
            Ok(wanted) => {
                let item = Item::new(wanted);
                let why = no_bytes(&item.wanted);
                let item = Item { broken: why.is_some(), ..item };
                if item.feed.is_chart() {
                    let why = "it is no object to be applied; name it as a feed of a Subscription";
                    found.troubles.push(Trouble::new(reasons::CHARTS, &item.feed, why));
                } else if seen.insert(item.key.clone()) {
                    found.troubles.extend(why.map(|why| Trouble::new(reasons::INVALID, &item.feed, why)));
                    found.items.push(item);
                } else {
                    let why = "it is there twice; the first one counts";
                    found.troubles.push(Trouble::new(reasons::INVALID, &item.feed, why));
                }
            }
        }
    }
    found
}

/// The object in some bytes; what is wrong never repeats any of them.
fn object(bytes: &[u8]) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| format!("is not JSON (line {}, column {})", error.line(), error.column()))?;
    let text =
        |pointer: &str| value.pointer(pointer).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    for needed in ["/apiVersion", "/kind", "/metadata/name"] {
        if !text(needed) {
            return Err(format!("has no {}", needed[1..].replace('/', ".")));
        }
    }
    for mapping in ["labels", "annotations"] {
        let found = &value["metadata"][mapping];
        if !(found.is_null() || found.is_object()) {
            return Err(format!("has metadata.{mapping} that are no mapping"));
        }
    }
    Ok(value)
}

/// What is wrong with values that stand for bytes: a server answers to them as if it were at fault itself, and so that it
/// could not be told from one that is. Names the key, and never repeats the value.
fn no_bytes(object: &Value) -> Option<String> {
    let (field, text) = match (object["apiVersion"].as_str(), object["kind"].as_str()) {
        (Some("v1"), Some("Secret")) => ("data", "stringData"),
        (Some("v1"), Some("ConfigMap")) => ("binaryData", "data"),
        _ => return None,
    };
    let is_base64 = |value: &Value| {
        value.is_null()
            || value.as_str().is_some_and(|text| READ.decode(text.replace(['\r', '\n'], "")).is_ok())
    };
    let (key, _) = object[field].as_object()?.iter().find(|(_, value)| !is_base64(value))?;
    let key = key.char_indices().nth(KEY).map_or(key.as_str(), |(end, _)| &key[..end]);
    Some(format!(
        "{field}.{key} is not base64; encode it, or write it as it is in {text}, in the template or in the override that sets \
         it. What runs of it stays as it is"
    ))
}

/// Whether no object stands in a place of a Description.
fn is_nothing(place: &ByteString) -> bool {
    place.0.trim_ascii().is_empty()
}

/// The references of a Description in whose place nothing stands yet.
pub(crate) fn missing(description: &Description) -> impl Iterator<Item = &ContentReference> {
    let raw = &description.spec.raw;
    description.spec.contents.iter().filter(|reference| raw.get(reference.place()).is_some_and(is_nothing))
}

impl Item {
    fn new(mut wanted: Value) -> Self {
        let text = |pointer: &str| wanted.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let feed = Feed {
            kind: text("/kind").unwrap_or_default(),
            api_version: text("/apiVersion").unwrap_or_default(),
            namespace: text("/metadata/namespace").filter(|namespace| !namespace.is_empty()),
            name: text("/metadata/name").unwrap_or_default(),
        };
        let ignored = annotation(&wanted, annotations::IGNORED_FIELDS).unwrap_or_default();
        let ignored = ignored.split(',').map(str::trim).filter(|path| path.starts_with('/'));
        let ignored = ignored.map(str::to_owned).collect();
        if let Some(fields) = wanted.as_object_mut() {
            fields.remove("status");
            plain_secret(fields);
        }
        if let Some(metadata) = wanted["metadata"].as_object_mut() {
            for field in SYSTEM_METADATA {
                metadata.remove(field);
            }
            remove_keys(
                metadata,
                "annotations",
                &[KUBECTL_LAST_APPLIED, LAST_APPLIED, OWNED_BY_DESCRIPTION, annotations::APPLIED],
            );
            remove_keys(metadata, "labels", &[labels::DEPLOYED]);
        }
        let digest = fingerprint(&wanted);
        Self { key: Key::of(&feed), feed, wanted, digest, ignored, broken: false }
    }

    /// The object with the marks of `owner` (`<namespace>.<description>`).
    pub(crate) fn marked(&self, owner: &str) -> Value {
        let mut object = self.wanted.clone();
        object["metadata"]["labels"][labels::DEPLOYED] = json!("true");
        let marks = &mut object["metadata"]["annotations"];
        marks[OWNED_BY_DESCRIPTION] = json!(owner);
        marks[annotations::APPLIED] = json!(self.digest);
        // A copy of a Secret would be read by whoever prints its metadata.
        if self.feed.kind != "Secret" {
            let copy = self.wanted.to_string();
            if copy.len() <= LARGEST_COPY {
                marks[LAST_APPLIED] = json!(copy);
            }
        }
        object
    }
}

/// An annotation of an object.
pub(crate) fn annotation(object: &Value, key: &str) -> Option<String> {
    object["metadata"]["annotations"][key].as_str().map(str::to_owned)
}

/// `stringData` is written as `data`, which is what the server makes of it: only then can it be compared.
fn plain_secret(fields: &mut Map<String, Value>) {
    let is_secret = fields.get("kind").and_then(Value::as_str) == Some("Secret")
        && fields.get("apiVersion").and_then(Value::as_str) == Some("v1");
    let given = fields.get("stringData").and_then(Value::as_object).cloned();
    let (true, Some(given)) = (is_secret, given) else { return };
    fields.remove("stringData");
    let data = fields.entry("data").or_insert_with(|| json!({}));
    if data.is_null() {
        *data = json!({});
    }
    for (key, value) in given {
        if let (Some(data), Some(text)) = (data.as_object_mut(), value.as_str()) {
            data.insert(key, json!(STANDARD.encode(text)));
        }
    }
}

/// Removes keys of a mapping, and the mapping if nothing is left or it is none.
fn remove_keys(metadata: &mut Map<String, Value>, field: &str, keys: &[&str]) {
    let left = metadata.get_mut(field).and_then(Value::as_object_mut).is_some_and(|all| {
        all.retain(|key, _| !keys.contains(&key.as_str()));
        !all.is_empty()
    });
    if !left {
        metadata.remove(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(objects: &[&str]) -> DescriptionSpec {
        DescriptionSpec::generic(objects.iter().map(|text| ByteString(text.as_bytes().to_vec())).collect())
    }

    fn reasons_of(items: &Items) -> Vec<&str> {
        items.troubles.iter().map(|trouble| trouble.reason).collect()
    }

    #[test]
    fn what_only_the_parents_server_can_say_is_left_out() {
        let found = read(
            &spec(&[r#"{"apiVersion":"v1","kind":"ConfigMap","status":{},"data":{"a":"b"},
                "metadata":{"name":"m","namespace":"n","uid":"1","resourceVersion":"2","ownerReferences":[{}],
                "annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"},
                "labels":{"apps.clusterway.io/deployed":"true"}}}"#]),
            10,
        );
        let wanted = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "a": "b" },
                             "metadata": { "name": "m", "namespace": "n" } });
        assert_eq!((&found.items[0].wanted, found.troubles.len()), (&wanted, 0));
    }

    #[test]
    fn what_is_no_object_is_left_out_with_a_word_and_the_others_are_there() {
        let found = read(
            &spec(&[
                "{",
                "[]",
                r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"hunter2"}}"#,
                r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"}}"#,
                r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"data":{}}"#,
                r#"{"apiVersion":"apps.clusternet.io/v1alpha1","kind":"HelmChart","metadata":{"name":"c"}}"#,
            ]),
            10,
        );
        assert_eq!(found.items.len(), 1);
        assert_eq!(
            reasons_of(&found),
            ["InvalidObject", "InvalidObject", "InvalidObject", "InvalidObject", "ChartsNotSupported"]
        );
        assert!(!format!("{:?}", found.troubles).contains("hunter2"));
    }

    #[test]
    fn more_objects_than_the_limit_are_left_out() {
        let objects: Vec<String> = (0..4)
            .map(|n| format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"m{n}"}}}}"#))
            .collect();
        let found = read(&spec(&objects.iter().map(String::as_str).collect::<Vec<_>>()), 3);
        assert_eq!((found.items.len(), reasons_of(&found)), (3, vec!["TooMuch"]));
    }

    #[test]
    fn what_should_be_base64_and_is_not_is_told_by_its_key_and_stays_wanted() {
        let of = |kind: &str, field: &str, value: &str| {
            let fields = format!(r#""{field}":{{"fine":"aGk=","token":{value}}}"#);
            read(
                &spec(&[&format!(
                    r#"{{"apiVersion":"v1","kind":"{kind}","metadata":{{"name":"s"}},{fields}}}"#
                )]),
                10,
            )
        };
        for (kind, field, instead) in [("Secret", "data", "stringData"), ("ConfigMap", "binaryData", "data")]
        {
            for value in [r#""hunter2!""#, r#""aHVudGVyMg""#, r#""aHVudGVyMg=""#, "5"] {
                let found = of(kind, field, value);
                assert!(found.items[0].broken, "{kind} {value}");
                assert_eq!(reasons_of(&found), ["InvalidObject"]);
                let told = found.troubles[0].to_string();
                let expected = format!(
                    "{kind} s: {field}.token is not base64; encode it, or write it as it is in {instead}"
                );
                assert!(told.starts_with(&expected), "{told}");
                assert!(!told.contains("hunter2") && !told.contains("aHVudGVyMg"), "{told}");
            }
            for value in [r#""aHVudGVyMg==""#, r#""aHVu\ndGVyMg==\n""#, r#""aHVudGVyMh==""#, r#""""#, "null"]
            {
                let found = of(kind, field, value);
                assert!(!found.items[0].broken && found.troubles.is_empty(), "{kind} {value}");
            }
        }
        assert!(!of("ConfigMap", "data", r#""no base64""#).items[0].broken, "that is text");
    }

    #[test]
    fn a_secret_is_compared_as_the_server_keeps_it_and_never_copied_into_its_annotations() {
        let found = read(
            &spec(&[
                r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"stringData":{"a":"hunter2"}}"#,
            ]),
            10,
        );
        assert_eq!(found.items[0].wanted["data"], json!({ "a": "aHVudGVyMg==" }));
        let marked = found.items[0].marked("ns.d");
        assert_eq!(marked["metadata"]["annotations"].as_object().unwrap().len(), 2);
        assert!(!marked["metadata"].to_string().contains("aHVudGVyMg"));
    }

    #[test]
    fn the_marks_are_those_of_the_contract() {
        let found = read(
            &spec(&[r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m","labels":{"a":"b"}}}"#]),
            10,
        );
        let marked = found.items[0].marked("ns.d");
        assert_eq!(annotation(&marked, "apps.clusternet.io/owned-by-description").as_deref(), Some("ns.d"));
        let copy = annotation(&marked, "clusternet.io/last-applied-configuration").unwrap();
        assert_eq!(serde_json::from_str::<Value>(&copy).unwrap(), found.items[0].wanted);
        assert_eq!(marked["metadata"]["labels"], json!({ "a": "b", "apps.clusterway.io/deployed": "true" }));
    }
}
