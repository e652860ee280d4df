//! A stored object as clients see it: whose it is, and in which version of ours. Its bytes are passed on, not decoded.

use std::{borrow::Cow, fmt};

use api::names::search::annotations;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{json, value::RawValue};
use store::Row;

/// The stored bytes are not an object. That is a fault of the store.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a stored object is not a Kubernetes object")]
pub(crate) struct Broken;

/// How much of an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Whatever the store gave, under its own kind.
    AsStored,
    /// `PartialObjectMetadata` of this version of `meta.k8s.io`.
    Metadata(&'static str),
}

/// The members of an object, in their order, each value as its bytes.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A stored object, taken apart as far as it is changed.
pub(crate) struct Object<'a> {
    members: Members<'a>,
    row: &'a Row,
    /// The `apiVersion` to write instead of its own.
    api_version: Option<&'a str>,
    /// Its Events, as a JSON array.
    events: Option<String>,
}

impl<'a> Object<'a> {
    pub(crate) fn of(row: &'a Row) -> Result<Self, Broken> {
        let members = serde_json::from_slice(&row.json).map_err(|_| Broken)?;
        Ok(Self { members, row, api_version: None, events: None })
    }

    /// The object in another version, whose fields are the same; `None` is its own.
    pub(crate) fn in_version(self, api_version: Option<&'a str>) -> Self {
        Self { api_version, ..self }
    }

    /// The object with its Events in an annotation.
    pub(crate) fn with_events(self, events: Option<String>) -> Self {
        Self { events, ..self }
    }

    /// The object as far as its metadata, which stands near its beginning: what follows is not read. For
    /// [`Shape::Metadata`].
    pub(crate) fn metadata_of(row: &'a Row) -> Result<Self, Broken> {
        let mut found = None;
        // It ends with an error either way: where the metadata was found, or where there is none.
        let _ = serde_json::Deserializer::from_slice(&row.json).deserialize_map(UntilMetadata(&mut found));
        let metadata = found.ok_or(Broken)?;
        let members = Members(vec![("metadata".into(), metadata)]);
        Ok(Self { members, row, api_version: None, events: None })
    }

    /// `kind`; empty if there is none.
    pub(crate) fn kind(&self) -> String {
        let kind = self.members.get("kind").and_then(|kind| serde_json::from_str(kind.get()).ok());
        kind.unwrap_or_default()
    }

    /// Writes the object with the cluster's name, with the number of its last change as its resourceVersion and the
    /// child's own in an annotation. Annotations of these names that the child has set are not passed on.
    pub(crate) fn write(&self, shape: Shape, out: &mut Vec<u8>) -> Result<(), Broken> {
        let metadata = self.members.get("metadata").ok_or(Broken)?;
        match shape {
            Shape::Metadata(version) => {
                let head = format!(
                    r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/{version}","metadata":"#
                );
                out.extend_from_slice(head.as_bytes());
                self.write_metadata(metadata, out)?;
            }
            Shape::AsStored => {
                for (at, (name, value)) in self.members.0.iter().enumerate() {
                    out.push(if at == 0 { b'{' } else { b',' });
                    write_name(name, out)?;
                    if name == "metadata" {
                        self.write_metadata(value, out)?;
                    } else if name == "apiVersion"
                        && let Some(api_version) = self.api_version
                    {
                        serde_json::to_writer(&mut *out, api_version).map_err(|_| Broken)?;
                    } else {
                        out.extend_from_slice(value.get().as_bytes());
                    }
                }
            }
        }
        out.push(b'}');
        Ok(())
    }

    fn write_metadata(&self, metadata: &RawValue, out: &mut Vec<u8>) -> Result<(), Broken> {
        const OURS: [&str; 3] =
            [annotations::CLUSTER_NAME, annotations::CHILD_RESOURCE_VERSION, annotations::EVENTS];
        let metadata: Members<'_> = serde_json::from_str(metadata.get()).map_err(|_| Broken)?;
        let position = &self.row.position;
        let cluster = json!(position.cluster.as_str());
        let version = json!(position.version.to_string());
        let begin = format!(
            r#"{{"resourceVersion":"{}","annotations":{{"{}":{cluster},"{}":{version}"#,
            position.sequence, OURS[0], OURS[1]
        );
        out.extend_from_slice(begin.as_bytes());
        if let Some(events) = &self.events {
            out.push(b',');
            write_name(OURS[2], out)?;
            serde_json::to_writer(&mut *out, events).map_err(|_| Broken)?;
        }
        if let Some(annotations) = metadata.get("annotations") {
            let annotations: Option<Members<'_>> =
                serde_json::from_str(annotations.get()).map_err(|_| Broken)?;
            let theirs = annotations.iter().flat_map(|annotations| &annotations.0);
            for (name, value) in theirs.filter(|(name, _)| !OURS.contains(&&**name)) {
                out.push(b',');
                write_name(name, out)?;
                out.extend_from_slice(value.get().as_bytes());
            }
        }
        out.push(b'}');
        for (name, value) in &metadata.0 {
            if name != "annotations" && name != "resourceVersion" {
                out.push(b',');
                write_name(name, out)?;
                out.extend_from_slice(value.get().as_bytes());
            }
        }
        out.push(b'}');
        Ok(())
    }
}

fn write_name(name: &str, out: &mut Vec<u8>) -> Result<(), Broken> {
    serde_json::to_writer(&mut *out, name).map_err(|_| Broken)?;
    out.push(b':');
    Ok(())
}

impl<'a> Members<'a> {
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Each)
    }
}

/// Breaks off once it has read `metadata`.
struct UntilMetadata<'f, 'a>(&'f mut Option<&'a RawValue>);

impl<'a> Visitor<'a> for UntilMetadata<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            if name == "metadata" {
                *self.0 = Some(map.next_value()?);
                break;
            }
            map.next_value::<IgnoredAny>()?;
        }
        Err(serde::de::Error::custom("no more is wanted"))
    }
}

/// A name that borrows where it can.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::Value;
    use store::{ClusterName, Position, Resource, Version};

    use super::*;

    fn row(json: &str) -> Row {
        let position = Position {
            cluster: ClusterName::new("c1"),
            resource: Resource::new("", "v1", "pods"),
            namespace: "default".into(),
            name: "web".into(),
            created: 0,
            version: Version::new("17"),
            sequence: 5,
        };
        Row { position, uid: "u".into(), json: Bytes::copy_from_slice(json.as_bytes()) }
    }

    fn written(json: &str, shape: Shape) -> Value {
        let row = row(json);
        let mut out = Vec::new();
        Object::of(&row).unwrap().write(shape, &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn number_15_an_object_says_whose_it_is_and_keeps_everything_else() {
        let given = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","resourceVersion":"17","annotations":{"a\n":"b"},"labels":{"x":"y"}},"spec":{"n":1.50}}"#;
        let expected = json!({
            "apiVersion": "v1", "kind": "Pod", "spec": {"n": 1.50},
            "metadata": {
                "name": "web", "labels": {"x": "y"}, "resourceVersion": "5",
                "annotations": {
                    "a\n": "b", "shadow.clusterpedia.io/cluster-name": "c1", "search.clusterway.io/resource-version": "17"
                }
            }
        });
        assert_eq!(written(given, Shape::AsStored), expected);
        let metadata = written(given, Shape::Metadata("v1"));
        assert_eq!(metadata["metadata"], expected["metadata"]);
        let (row, mut beginning) = (row(given), Vec::new());
        Object::metadata_of(&row).unwrap().write(Shape::Metadata("v1"), &mut beginning).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&beginning).unwrap(), metadata);
        assert_eq!((&metadata["kind"], metadata.get("spec")), (&json!("PartialObjectMetadata"), None));
    }

    #[test]
    fn a_child_cannot_pass_its_objects_off_as_those_of_another() {
        let forged = r#"{"metadata":{"annotations":{"shadow.clusterpedia.io/cluster\u002dname":"prod"}}}"#;
        let written = written(forged, Shape::AsStored);
        assert_eq!(written["metadata"]["annotations"]["shadow.clusterpedia.io/cluster-name"], "c1");
    }

    #[test]
    fn what_is_no_object_is_broken() {
        for json in ["", "[]", "{}", r#"{"metadata":1}"#, r#"{"metadata":{"annotations":[]}}"#] {
            let row = row(json);
            let written = Object::of(&row).and_then(|object| object.write(Shape::AsStored, &mut Vec::new()));
            assert!(written.is_err(), "{json}");
            let beginning = Object::metadata_of(&row);
            let written = beginning.and_then(|object| object.write(Shape::Metadata("v1"), &mut Vec::new()));
            assert!(written.is_err(), "{json}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "[a\"\\\\é\n]{0,4}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
                members("[ab\"]{0,2}", inner),
            ]
        })
    }

    fn members(names: &'static str, values: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
        prop::collection::btree_map(names, values, 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn no_bytes_are_more_than_broken(bytes: Vec<u8>, text in r#"[{}\[\]:,"a\\ ]{0,40}"#) {
            let among_metadata = format!(r#"{{"metadata":{{"annotations":{{{text}}}}}}}"#);
            for json in [String::from_utf8_lossy(&bytes).into_owned(), text, among_metadata] {
                let (row, mut out) = (row(&json), Vec::new());
                if Object::of(&row).and_then(|object| object.write(Shape::AsStored, &mut out)).is_ok() {
                    prop_assert!(serde_json::from_slice::<Value>(&out).is_ok());
                }
            }
        }

        #[test]
        fn only_what_is_ours_changes(
            mut object in members("[a-c\"]{1,2}|kind", value()),
            mut metadata in members("[a-c\"]{1,2}|resourceVersion", value()),
            annotations in members("[a-c\"]{1,2}|shadow\\.clusterpedia\\.io/cluster-name", value()),
            pretty: bool,
        ) {
            metadata["annotations"] = annotations;
            object["metadata"] = metadata;
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) };
            let written = written(&text.unwrap(), Shape::AsStored);
            object["metadata"]["resourceVersion"] = json!("5");
            object["metadata"]["annotations"][annotations::CLUSTER_NAME] = json!("c1");
            object["metadata"]["annotations"][annotations::CHILD_RESOURCE_VERSION] = json!("17");
            prop_assert_eq!(written, object);
        }
    }
}
