//! An object as the few fields that are looked at, and the bytes of all of it.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

/// An object of any kind: its key fields, and its JSON as bytes that nobody decodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawObject {
    /// What is looked at.
    pub key: ObjectKey,
    /// The whole object as JSON text, with `apiVersion` and `kind`, without `metadata.managedFields`.
    pub json: Arc<[u8]>,
}

/// The fields of an object that are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectKey {
    /// `apiVersion`, such as `apps/v1`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`; empty for a kind without namespaces.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`, opaque.
    pub resource_version: String,
    /// `metadata.creationTimestamp` in seconds since 1970.
    pub created: i64,
    /// `metadata.deletionTimestamp` in seconds since 1970.
    pub deleting: Option<i64>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// The owner reference with `controller: true`.
    pub owner: Option<Owner>,
}

/// Who controls an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `name`.
    pub name: String,
    /// `uid`.
    pub uid: String,
}

/// What is no object. Another attempt to read the same bytes gives the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// Not JSON, not an object, or a field of `metadata` is of another type than Kubernetes gives it.
    #[error("not a Kubernetes object as JSON: wrong at line {line}, column {column}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Bytes, counted from 1.
        column: usize,
    },
    /// `metadata.name` is absent or empty.
    #[error("an object without a name")]
    NoName,
}

impl RawObject {
    /// Reads an object: picks its key fields and copies the rest as it is, in one pass and without a tree.
    ///
    /// `api_version` and `kind` are for items of lists, which do not say theirs: what an object does not say itself is
    /// taken from there and written into [`Self::json`].
    ///
    /// ```
    /// use meta::RawObject;
    /// let item = br#"{"metadata":{"name":"a","managedFields":[{"manager":"kubectl"}],"uid":"1"},"spec":{}}"#;
    /// let pod = RawObject::from_json(item, "v1", "Pod")?;
    /// assert_eq!(pod.key.name, "a");
    /// assert_eq!(*pod.json, *br#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","uid":"1"},"spec":{}}"#);
    /// # Ok::<(), meta::ObjectError>(())
    /// ```
    pub fn from_json(json: &[u8], api_version: &str, kind: &str) -> Result<Self, ObjectError> {
        let text =
            std::str::from_utf8(json).map_err(|error| malformed(1, error.valid_up_to() + 1))?.trim_ascii();
        // A struct could be read from a list as well.
        let body = text.strip_prefix('{').ok_or_else(|| malformed(1, 1))?;
        let head: Head<'_> =
            serde_json::from_str(text).map_err(|error| malformed(error.line(), error.column()))?;
        let metadata = head.metadata.unwrap_or_default();
        let name = metadata.name.filter(|name| !name.is_empty()).ok_or(ObjectError::NoName)?;
        let cut = match metadata.managed_fields {
            Some(value) => member(body, value.get()).ok_or_else(|| malformed(1, 1))?,
            None => 0..0,
        };

        let mut whole = Vec::with_capacity(text.len() + api_version.len() + kind.len() + 32);
        whole.push(b'{');
        for (name, own, given) in [("apiVersion", &head.api_version, api_version), ("kind", &head.kind, kind)]
        {
            if own.is_none() && !given.is_empty() {
                whole.extend_from_slice(format!("\"{name}\":{},", serde_json::Value::from(given)).as_bytes());
            }
        }
        whole.extend_from_slice(&body.as_bytes()[..cut.start]);
        whole.extend_from_slice(&body.as_bytes()[cut.end..]);

        let key = ObjectKey {
            api_version: head.api_version.unwrap_or_else(|| api_version.to_owned()),
            kind: head.kind.unwrap_or_else(|| kind.to_owned()),
            namespace: metadata.namespace.unwrap_or_default(),
            name,
            uid: metadata.uid.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
            created: metadata.creation_timestamp.map_or(0, Timestamp::as_second),
            deleting: metadata.deletion_timestamp.map(Timestamp::as_second),
            labels: metadata.labels.unwrap_or_default(),
            owner: metadata
                .owner_references
                .unwrap_or_default()
                .into_iter()
                .find_map(OwnerReference::controller),
        };
        Ok(Self { key, json: whole.into() })
    }
}

fn malformed(line: usize, column: usize) -> ObjectError {
    ObjectError::Malformed { line, column }
}

/// Where the member of an object whose value is `value`, a part of `json`, stands: with its name and one comma, if it
/// has any. Nothing if it is not the value of a name.
fn member(json: &str, value: &str) -> Option<Range<usize>> {
    let blank = |c: char| c.is_ascii_whitespace();
    let begin = value.as_ptr().addr().checked_sub(json.as_ptr().addr())?;
    let end = begin + value.len();
    // A name of interest has no quote in it.
    let name = json.get(..begin)?.trim_end_matches(blank).strip_suffix(':')?.trim_end_matches(blank);
    let before = name.strip_suffix('"')?.rsplit_once('"')?.0.trim_end_matches(blank);
    if let Some(first) = before.strip_suffix(',') {
        return Some(first.len()..end);
    }
    let after = json.get(end..)?.trim_start_matches(blank);
    let after = after.strip_prefix(',').unwrap_or(after);
    Some(before.len()..json.len() - after.len())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    api_version: Option<String>,
    kind: Option<String>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    creation_timestamp: Option<Timestamp>,
    deletion_timestamp: Option<Timestamp>,
    labels: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
    #[serde(borrow)]
    managed_fields: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnerReference {
    api_version: String,
    kind: String,
    name: String,
    uid: String,
    controller: Option<bool>,
}

impl OwnerReference {
    fn controller(self) -> Option<Owner> {
        let Self { api_version, kind, name, uid, controller } = self;
        (controller == Some(true)).then_some(Owner { api_version, kind, name, uid })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(json: &str) -> Result<RawObject, ObjectError> {
        RawObject::from_json(json.as_bytes(), "v1", "Pod")
    }

    fn json_of(json: &str) -> String {
        String::from_utf8(read(json).unwrap().json.to_vec()).unwrap()
    }

    #[test]
    fn the_key_fields_are_picked() {
        let json = r#"{
            "kind": "Deployment", "spec": {"metadata": {"name": "no"}}, "apiVersion": "apps/v1",
            "metadata": {
                "name": "we\u0062", "namespace": "shop", "uid": "u", "resourceVersion": "12", "generation": 3,
                "creationTimestamp": "1970-01-02T00:00:00Z", "deletionTimestamp": "1970-01-01T00:00:07Z",
                "labels": {"b": "2", "a": ""},
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "1"},
                    {"apiVersion": "a/v1", "kind": "Own", "name": "o", "uid": "2", "controller": true, "blockOwnerDeletion": true}
                ]
            }
        }"#;
        let object = read(json).unwrap();
        let owner = |text: &str| text.to_owned();
        let expected = ObjectKey {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            namespace: "shop".into(),
            name: "web".into(),
            uid: "u".into(),
            resource_version: "12".into(),
            created: 86_400,
            deleting: Some(7),
            labels: [("a".into(), String::new()), ("b".into(), "2".into())].into(),
            owner: Some(Owner {
                api_version: owner("a/v1"),
                kind: owner("Own"),
                name: owner("o"),
                uid: owner("2"),
            }),
        };
        assert_eq!(object.key, expected);
        assert_eq!(*object.json, *json.as_bytes());
    }

    #[test]
    fn what_is_null_is_absent() {
        let json = r#"{"metadata":{"name":"a","namespace":null,"labels":null,"ownerReferences":null,"creationTimestamp":null}}"#;
        let key = read(json).unwrap().key;
        let expected = ObjectKey {
            api_version: "v1".into(),
            kind: "Pod".into(),
            name: "a".into(),
            ..ObjectKey::default()
        };
        assert_eq!(key, expected);
    }

    #[test]
    fn type_and_version_are_given_to_items_that_lack_them_and_only_to_these() {
        assert_eq!(
            json_of(r#"{"metadata":{"name":"a"}}"#),
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}"#
        );
        assert_eq!(
            json_of(r#"{"kind":"X","metadata":{"name":"a"}}"#),
            r#"{"apiVersion":"v1","kind":"X","metadata":{"name":"a"}}"#
        );
        assert_eq!(read(r#"{"kind":"X","metadata":{"name":"a"}}"#).unwrap().key.kind, "X");
    }

    #[test]
    fn managed_fields_are_cut_out_wherever_they_stand() {
        for (metadata, expected) in [
            (r#""managedFields":[],"name":"a""#, r#""name":"a""#),
            (r#""name":"a","managedFields":[{"x":"]\""}]"#, r#""name":"a""#),
            (r#""name":"a","managedFields":[{}],"uid":"u""#, r#""name":"a","uid":"u""#),
            (r#" "managedFields" : [ ] , "name":"a""#, r#" "name":"a""#),
            (r#""name":"a" , "managed\u0046ields" : {} , "uid":"u""#, r#""name":"a"  , "uid":"u""#),
            (r#""name":"a","labels":{"managedFields":"x"}"#, r#""name":"a","labels":{"managedFields":"x"}"#),
        ] {
            let rest = r#"{"apiVersion":"v1","kind":"Pod","spec":{"managedFields":[1]},"metadata":{"#;
            assert_eq!(json_of(&format!("{rest}{metadata}}}}}")), format!("{rest}{expected}}}}}"));
        }
    }

    #[test]
    fn what_is_no_object_with_a_name_is_refused() {
        for bad in [
            "",
            "[]",
            "null",
            r#"["v1","Pod",{"name":"a"}]"#,
            r#"{"metadata":{"name":"a"}"#,
            r#"{"metadata":{"name":"a"}}}"#,
            r#"{"metadata":{"name":1}}"#,
            r#"{"metadata":{"name":"a","creationTimestamp":"yesterday"}}"#,
            r#"{"metadata":{"name":"a"},"metadata":{"name":"b"}}"#,
            r#"{"metadata":[null,"a",null,null,null,null,null,null,[]]}"#,
            r#"{"metadata":{"name":"a"},"spec":{"a":]}}"#,
            r#"{"metadata":{"name":"a"},"spec":nul}"#,
        ] {
            assert!(matches!(read(bad), Err(ObjectError::Malformed { .. })), "{bad}");
        }
        for bad in ["{}", r#"{"metadata":null}"#, r#"{"metadata":{}}"#, r#"{"metadata":{"name":""}}"#] {
            assert_eq!(read(bad), Err(ObjectError::NoName), "{bad}");
        }
        let not_text = b"{\"metadata\":{\"name\":\"a\"},\"spec\":\"\xff\"}";
        assert_eq!(RawObject::from_json(not_text, "", ""), Err(malformed(1, 34)));
    }

    #[test]
    fn an_error_does_not_tell_what_the_object_holds() {
        let error = read(r#"{"metadata":{"name":"a","labels":"hunter2"}}"#).unwrap_err();
        assert_eq!(error.to_string(), "not a Kubernetes object as JSON: wrong at line 1, column 42");
    }

    proptest! {
        #[test]
        fn the_json_is_the_object_without_managed_fields(
            before in prop::collection::btree_map("[a-c]", "[\"{}\\\\:,é]{0,4}", 0..3),
            managed in proptest::option::of("[\"{}\\\\:,é]{0,4}"),
            after in prop::collection::btree_map("[x-z]", "[\"{}\\\\:,é]{0,4}", 0..3),
            pretty: bool,
        ) {
            let mut metadata: serde_json::Map<String, Value> =
                before.into_iter().chain(after).map(|(key, value)| (key, value.into())).collect();
            metadata.insert("name".to_owned(), "a".into());
            let expected = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata});
            if let Some(managed) = managed {
                metadata.insert("managedFields".to_owned(), json!([{"manager": managed}]));
            }
            let given = json!({"metadata": metadata});
            let text = if pretty { serde_json::to_string_pretty(&given) } else { serde_json::to_string(&given) };
            let read: Value = serde_json::from_slice(&read(&text.unwrap()).unwrap().json).unwrap();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn whatever_is_read_is_json(text in "\\{\"metadata\":[\\[\\]{}\":, amngedFils]{0,40}\\}") {
            if let Ok(object) = read(&text) {
                prop_assert!(serde_json::from_slice::<Value>(&object.json).is_ok());
            }
        }
    }
}
