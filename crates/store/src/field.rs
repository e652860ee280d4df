//! Fields of an object by their path, without decoding the rest of it; and what selectors make of them.
//!
//! A path leads to any number of values: none where something on the way is absent, of another type or null; several
//! where it goes through `[]`. A text is its characters, a number or boolean its JSON text (`3`, `1.50`, `true`); an
//! object or a list is there, but equals no text.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use meta::{FieldPath, Operator, Step};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// One value a path leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldValue {
    /// A text, number or boolean.
    Text(String),
    /// An object or a list.
    Structured,
}

/// Whether the values at the end of a path (or of one label key) satisfy `operator`.
///
/// Of several values one has to satisfy `In`, `GreaterThan` and `LessThan`, and none may be in `NotIn`.
pub fn satisfies<'a>(operator: &Operator, values: impl IntoIterator<Item = &'a FieldValue>) -> bool {
    let mut values = values.into_iter();
    let number = |value: &FieldValue| match value {
        FieldValue::Text(text) => text.parse::<i64>().ok(),
        FieldValue::Structured => None,
    };
    let within = |set: &BTreeSet<String>, value: &FieldValue| match value {
        FieldValue::Text(text) => set.contains(text),
        FieldValue::Structured => false,
    };
    match operator {
        Operator::In(set) => values.any(|value| within(set, value)),
        Operator::NotIn(set) => !values.any(|value| within(set, value)),
        Operator::Exists => values.next().is_some(),
        Operator::NotExists => values.next().is_none(),
        Operator::GreaterThan(bound) => values.any(|value| number(value).is_some_and(|it| it > *bound)),
        Operator::LessThan(bound) => values.any(|value| number(value).is_some_and(|it| it < *bound)),
    }
}

/// The values at each of `paths` in the object `json`, without duplicates. Malformed JSON has no fields; of what no path
/// leads through only the structure is checked.
pub fn extract(json: &[u8], paths: &[&FieldPath]) -> Vec<BTreeSet<FieldValue>> {
    let mut found = vec![BTreeSet::new(); paths.len()];
    let wanted: Vec<Wanted<'_>> =
        paths.iter().enumerate().map(|(slot, path)| Wanted { slot, rest: &path.steps }).collect();
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let walked = Walk { wanted, found: &mut found }.deserialize(&mut deserializer);
    if walked.and_then(|()| deserializer.end()).is_err() {
        found.iter_mut().for_each(BTreeSet::clear);
    }
    found
}

/// `apiVersion`, `kind` and `metadata` of an object, as an object; `None` if it is malformed.
pub fn metadata_only(json: &[u8]) -> Option<Vec<u8>> {
    #[derive(serde::Deserialize, serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Head<'a> {
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        api_version: Option<&'a RawValue>,
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        kind: Option<&'a RawValue>,
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        metadata: Option<&'a RawValue>,
    }
    let head: Head<'_> = serde_json::from_slice(json).ok()?;
    serde_json::to_vec(&head).ok()
}

/// The rest of a way, and where what is at its end goes.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    slot: usize,
    rest: &'a [Step],
}

/// Goes into one JSON value along several ways at once.
struct Walk<'a, 'f> {
    wanted: Vec<Wanted<'a>>,
    found: &'f mut [BTreeSet<FieldValue>],
}

impl<'a> Walk<'a, '_> {
    /// The ways that go on from here with a step that `takes` accepts, one step further.
    fn onward(&self, takes: impl Fn(&Step) -> bool) -> Vec<Wanted<'a>> {
        self.wanted
            .iter()
            .filter_map(|wanted| match wanted.rest.split_first() {
                Some((step, rest)) if takes(step) => Some(Wanted { slot: wanted.slot, rest }),
                _ => None,
            })
            .collect()
    }

    /// Keeps the value at the end of the ways that end here, and follows the others into it.
    fn finish(self, raw: &RawValue) {
        let text = raw.get();
        let value = match text.as_bytes().first() {
            Some(b'n') | None => return,
            Some(b'{' | b'[') => FieldValue::Structured,
            Some(b'"') => match serde_json::from_str::<Cow<'_, str>>(text) {
                Ok(text) => FieldValue::Text(text.into_owned()),
                Err(_) => return,
            },
            Some(_) => FieldValue::Text(text.to_owned()),
        };
        let (ends, wanted): (Vec<_>, Vec<_>) = self.wanted.into_iter().partition(|way| way.rest.is_empty());
        for end in ends {
            self.found[end.slot].insert(value.clone());
        }
        if !wanted.is_empty() {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            let _ = Walk { wanted, found: self.found }.deserialize(&mut deserializer);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.wanted.is_empty() {
            return IgnoredAny::deserialize(deserializer).map(drop);
        }
        if self.wanted.iter().any(|way| way.rest.is_empty()) {
            let raw = <&'de RawValue>::deserialize(deserializer)?;
            self.finish(raw);
            return Ok(());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let wanted = self.onward(|step| matches!(step, Step::Field(name) if *name == key.0));
            map.next_value_seed(Walk { wanted, found: self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut at = 0;
        loop {
            let wanted = self.onward(|step| matches!(step, Step::Any) || *step == Step::Index(at));
            if list.next_element_seed(Walk { wanted, found: self.found })?.is_none() {
                return Ok(());
            }
            at += 1;
        }
    }

    // A way that goes on ends without a value in anything else.
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A key of an object, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POD: &str = r#"{
        "metadata": {"name": "web-1", "annotations": {"team.example.com/owner": "r\u0065d"}},
        "spec": {"replicas": 3, "paused": true, "nodeName": null, "ratio": 1.50,
                 "containers": [{"name": "app", "ports": [{"port": 80}]}, {"name": "proxy", "ports": [{"port": 81}, {"port": 82}]}]}
    }"#;

    fn path(text: &str) -> FieldPath {
        let step = |text: &str| match text {
            "[]" => Step::Any,
            text => text.parse().map_or_else(|_| Step::Field(text.to_owned()), Step::Index),
        };
        FieldPath { steps: text.split('|').map(step).collect() }
    }

    fn values(json: &str, text: &str) -> Vec<String> {
        extract(json.as_bytes(), &[&path(text)])
            .remove(0)
            .into_iter()
            .map(|value| match value {
                FieldValue::Text(text) => text,
                FieldValue::Structured => "<structured>".to_owned(),
            })
            .collect()
    }

    #[test]
    fn what_is_cut_off_or_followed_by_more_has_no_fields() {
        assert_eq!(values(r#"{"a":"x","b":1}"#, "a"), ["x"]);
        for malformed in [r#"{"a":"x","b":"#, r#"{"a":"x"}}"#, r#"{"a":"x","b":1"#] {
            assert_eq!(values(malformed, "a"), [""; 0], "{malformed}");
        }
    }

    #[test]
    fn a_path_leads_to_the_text_of_a_scalar() {
        assert_eq!(values(POD, "metadata|name"), ["web-1"]);
        assert_eq!(values(POD, "metadata|annotations|team.example.com/owner"), ["red"]);
        assert_eq!(values(POD, "spec|replicas"), ["3"]);
        assert_eq!(values(POD, "spec|paused"), ["true"]);
        assert_eq!(values(POD, "spec|ratio"), ["1.50"]);
    }

    #[test]
    fn null_absence_and_other_types_on_the_way_are_no_value() {
        for text in ["spec|nodeName", "status|phase", "metadata|name|x", "spec|0|x", "spec|containers|name"] {
            assert!(values(POD, text).is_empty(), "{text}");
        }
    }

    #[test]
    fn list_steps_take_one_element_or_all() {
        assert_eq!(values(POD, "spec|containers|0|name"), ["app"]);
        assert_eq!(values(POD, "spec|containers|2|name"), Vec::<String>::new());
        assert_eq!(values(POD, "spec|containers|[]|name"), ["app", "proxy"]);
        assert_eq!(values(POD, "spec|containers|[]|ports|[]|port"), ["80", "81", "82"]);
    }

    #[test]
    fn an_object_is_there_but_equals_nothing() {
        assert_eq!(values(POD, "spec|containers"), ["<structured>"]);
        let found = [FieldValue::Structured];
        assert!(satisfies(&Operator::Exists, &found));
        assert!(!satisfies(&Operator::In([String::new()].into()), &found));
        assert!(satisfies(&Operator::NotIn([String::new()].into()), &found));
    }

    #[test]
    fn a_path_and_its_own_beginning_are_found_together() {
        let (outer, inner) = (path("spec|containers"), path("spec|containers|0|name"));
        let found = extract(POD.as_bytes(), &[&inner, &outer]);
        assert_eq!(found[0], [FieldValue::Text("app".into())].into());
        assert_eq!(found[1], [FieldValue::Structured].into());
    }

    #[test]
    fn metadata_only_keeps_the_three_parts_as_they_were_written() {
        let json = br#"{"kind":"Pod","spec":{"a":1},"metadata":{"name" : "x"},"apiVersion":"v1"}"#;
        let text = String::from_utf8(metadata_only(json).unwrap()).unwrap();
        assert_eq!(text, r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name" : "x"}}"#);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            "[a\"\\\\é]{0,3}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("[ab\"]", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The same by walking a decoded tree.
    fn plain(value: &serde_json::Value, steps: &[Step], found: &mut BTreeSet<FieldValue>) {
        use serde_json::Value;
        match (steps.split_first(), value) {
            (None, Value::Null) => {}
            (None, Value::String(text)) => drop(found.insert(FieldValue::Text(text.clone()))),
            (None, Value::Object(_) | Value::Array(_)) => drop(found.insert(FieldValue::Structured)),
            (None, scalar) => drop(found.insert(FieldValue::Text(scalar.to_string()))),
            (Some((Step::Field(name), rest)), Value::Object(map)) => {
                map.get(name).into_iter().for_each(|value| plain(value, rest, found));
            }
            (Some((Step::Index(at), rest)), Value::Array(list)) => {
                list.get(*at).into_iter().for_each(|value| plain(value, rest, found));
            }
            (Some((Step::Any, rest)), Value::Array(list)) => {
                for value in list {
                    plain(value, rest, found);
                }
            }
            _ => {}
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof!["[ab\"]".prop_map(Step::Field), (0..3_usize).prop_map(Step::Index), Just(Step::Any)]
    }

    proptest! {
        #[test]
        fn extraction_agrees_with_a_decoded_tree(
            value in json(),
            paths in prop::collection::vec(prop::collection::vec(step(), 1..4), 1..4),
        ) {
            let text = serde_json::to_vec(&value).unwrap();
            let paths: Vec<FieldPath> = paths.into_iter().map(|steps| FieldPath { steps }).collect();
            let found = extract(&text, &paths.iter().collect::<Vec<_>>());
            for (path, found) in paths.iter().zip(found) {
                let mut expected = BTreeSet::new();
                plain(&value, &path.steps, &mut expected);
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn no_bytes_make_extraction_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            extract(&bytes, &[&path("a|[]|b"), &path("a")]);
            metadata_only(&bytes);
        }
    }
}
