//! What of an object is stored.

use std::{ops::Range, sync::Arc};

use api::names::search::annotations::LAST_APPLIED;
use meta::{ObjectError, RawObject};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::rules::Target;

/// The object as it is stored: without what kubectl remembers in an annotation, and a Secret without its values unless
/// the rules say so.
pub(crate) fn stored(object: RawObject, target: &Target) -> Result<RawObject, ObjectError> {
    let secret = target.is_secrets();
    // Most objects have nothing to cut. A Secret is looked at closely, however its JSON is written.
    if !secret && memchr::memmem::find(&object.json, LAST_APPLIED.as_bytes()).is_none() {
        return Ok(object);
    }
    let json = edited(&object.json, secret && !target.keep_secret_data)?;
    Ok(RawObject { json, ..object })
}

fn edited(json: &[u8], drop_values: bool) -> Result<Arc<[u8]>, ObjectError> {
    let malformed =
        |error: serde_json::Error| ObjectError::Malformed { line: error.line(), column: error.column() };
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let whole: Members<'_> = serde_json::from_slice(json).map_err(malformed)?;
    for (name, value) in &whole.0 {
        match name.as_str() {
            "metadata" => {
                let metadata: Members<'_> = serde_json::from_str(value.get()).map_err(malformed)?;
                for (_, annotations) in metadata.0.iter().filter(|(name, _)| name == "annotations") {
                    let read: Option<Members<'_>> =
                        serde_json::from_str(annotations.get()).map_err(malformed)?;
                    let Some(mut read) = read else { continue };
                    let before = read.0.len();
                    read.0.retain(|(name, _)| name != LAST_APPLIED);
                    if read.0.len() < before {
                        edits.push((place(json, annotations.get()), read.write(|value| value.get())));
                    }
                }
            }
            "data" | "stringData" if drop_values => {
                let data: Option<Members<'_>> = serde_json::from_str(value.get()).map_err(malformed)?;
                let Some(data) = data else { continue };
                edits.push((place(json, value.get()), data.write(|_| "\"\"")));
            }
            _ => {}
        }
    }
    edits.sort_by_key(|(range, _)| range.start);
    let mut written = Vec::with_capacity(json.len());
    let mut from = 0;
    for (range, text) in edits {
        written.extend_from_slice(&json[from..range.start]);
        written.extend_from_slice(text.as_bytes());
        from = range.end;
    }
    written.extend_from_slice(&json[from..]);
    Ok(written.into())
}

/// Where `part`, which is borrowed from `whole`, stands in it.
fn place(whole: &[u8], part: &str) -> Range<usize> {
    let begin = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    begin..begin + part.len()
}

/// The members of a JSON object in their order, each as often as it is there.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl Members<'_> {
    fn write<'b>(&'b self, value: impl Fn(&'b RawValue) -> &'b str) -> String {
        let mut text = String::from("{");
        for (at, (name, raw)) in self.0.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(&serde_json::Value::from(name.as_str()).to_string());
            text.push(':');
            text.push_str(value(raw));
        }
        text.push('}');
        text
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Reader).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use store::Resource;

    use super::*;

    fn stored_as(resource: &str, keep: bool, json: &str) -> String {
        let target = Target {
            resource: Resource::new("", "v1", resource),
            kind: "X".into(),
            namespaced: true,
            parts: Vec::new(),
            keep_secret_data: keep,
        };
        let object = RawObject::from_json(json.as_bytes(), "v1", "X").unwrap();
        String::from_utf8(stored(object, &target).unwrap().json.to_vec()).unwrap()
    }

    const SECRET: &str = r#"{"apiVersion":"v1","kind":"X","metadata":{"name":"a","annotations":{"kubectl.kubernetes.io\/last-applied-configuration":"hunter2","b":"\u00fc"}}, "data" : {"pass\"word":"aHVudGVyMg==","n":null},"stringData":{"x":"hunter2"},"type":"Opaque"}"#;

    #[test]
    fn the_values_of_a_secret_are_dropped_and_its_keys_stay() {
        assert_eq!(
            stored_as("secrets", false, SECRET),
            r#"{"apiVersion":"v1","kind":"X","metadata":{"name":"a","annotations":{"b":"\u00fc"}}, "data" : {"pass\"word":"","n":""},"stringData":{"x":""},"type":"Opaque"}"#
        );
    }

    #[test]
    fn the_values_of_a_secret_are_kept_where_the_rules_say_so() {
        let kept = stored_as("secrets", true, SECRET);
        assert!(kept.contains("aHVudGVyMg==") && !kept.contains("last-applied"), "{kept}");
    }

    #[test]
    fn no_spelling_of_a_member_hides_the_values_of_a_secret() {
        for json in [
            r#"{"metadata":{"name":"a"},"d\u0061ta":{"a":"hunter2"}}"#,
            r#"{"metadata":{"name":"a"},"data":{"a":"hunter2"},"data":{"a":"hunter2"}}"#,
            r#"{"data":{"a":["hunter2"]},"metadata":{"name":"a"}}"#,
        ] {
            assert!(!stored_as("secrets", false, json).contains("hunter2"), "{json}");
        }
    }

    #[test]
    fn a_secret_that_cannot_be_read_closely_is_not_stored() {
        let target = Target {
            resource: Resource::new("", "v1", "secrets"),
            kind: "Secret".into(),
            namespaced: true,
            parts: Vec::new(),
            keep_secret_data: false,
        };
        let json = r#"{"metadata":{"name":"a"},"data":"hunter2"}"#;
        let object = RawObject::from_json(json.as_bytes(), "v1", "Secret").unwrap();
        assert!(stored(object, &target).is_err());
    }

    #[test]
    fn other_objects_lose_what_kubectl_remembers_and_nothing_else() {
        let json = r#"{"apiVersion":"v1","kind":"X","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"},"name":"a"},"data":{"a":"b"}}"#;
        assert_eq!(
            stored_as("configmaps", false, json),
            r#"{"apiVersion":"v1","kind":"X","metadata":{"annotations":{},"name":"a"},"data":{"a":"b"}}"#
        );
        let plain = r#"{"apiVersion":"v1","kind":"X","metadata":{"annotations":null,"name":"a"},"spec":{}}"#;
        assert_eq!(stored_as("configmaps", false, plain), plain);
    }

    proptest! {
        #[test]
        fn no_bytes_are_more_than_refused(bytes: Vec<u8>, text in r#"[{}\[\]:,"a\\ ]{0,40}"#) {
            let target = Target {
                resource: Resource::new("", "v1", "secrets"),
                kind: "Secret".into(),
                namespaced: true,
                parts: Vec::new(),
                keep_secret_data: false,
            };
            let among_data = format!(r#"{{"metadata":{{"name":"a"}},"data":{{"x":{text}}}}}"#);
            for json in [&bytes[..], text.as_bytes(), among_data.as_bytes()] {
                if let Ok(object) = RawObject::from_json(json, "v1", "Secret")
                    && let Ok(stored) = stored(object, &target)
                {
                    let stored: serde_json::Value = serde_json::from_slice(&stored.json).unwrap();
                    prop_assert!(stored["data"].as_object().is_none_or(|data| data.values().all(|value| value == "")));
                }
            }
        }

        #[test]
        fn no_value_of_a_secret_is_ever_stored(
            data in prop::collection::btree_map("[a-z\\\\\"é]{0,6}", "[A-Z]{12}", 0..5),
            annotations in prop::collection::btree_map("[a-z/\"]{1,6}", "[a-z]{0,4}", 0..4),
        ) {
            let json = serde_json::json!({
                "metadata": { "name": "a", "annotations": annotations }, "data": data, "stringData": data,
            });
            let text = stored_as("secrets", false, &json.to_string());
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            for value in data.values() {
                prop_assert!(!text.contains(value.as_str()));
            }
            prop_assert_eq!(read["data"].as_object().unwrap().len(), data.len());
            prop_assert_eq!(&read["metadata"]["annotations"], &json["metadata"]["annotations"]);
        }
    }
}
