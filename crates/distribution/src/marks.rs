//! Labels and annotations that are written, as the difference to what is there. Pure.

use std::collections::BTreeMap;

pub(crate) use api::names::apps::labels::is_uid;
use serde_json::{Map, Value, json};

/// A merge patch of labels: those that are wanted and not there, and those that are there and `stale`.
pub(crate) fn labels(
    there: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
    stale: impl Fn(&str, &str) -> bool,
) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, value) in wanted {
        if there.get(key) != Some(value) {
            patch.insert(key.clone(), json!(value));
        }
    }
    for (key, value) in there {
        if !wanted.contains_key(key) && stale(key, value) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    patch
}

/// The finalizers with and without some; none where they are so already.
pub(crate) fn finalizers(there: &[String], wanted: &[&str], unwanted: &[&str]) -> Option<Vec<String>> {
    let kept = there.iter().filter(|it| !unwanted.contains(&it.as_str())).cloned();
    let mut next: Vec<String> = kept.collect();
    for finalizer in wanted {
        if !next.iter().any(|it| it == finalizer) {
            next.push((*finalizer).to_owned());
        }
    }
    (next != there).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_the_difference_is_written_and_labels_of_others_stay() {
        let there = map(&[("theirs", "1"), ("old", "Subscription"), ("same", "x")]);
        let patch = labels(&there, &map(&[("same", "x"), ("new", "y")]), |_, value| value == "Subscription");
        assert_eq!(Value::Object(patch), json!({ "new": "y", "old": null }));
        assert!(labels(&there, &map(&[("same", "x")]), |_, _| false).is_empty());
    }

    #[test]
    fn finalizers_of_others_stay_and_nothing_is_written_without_need() {
        let there = ["theirs".to_owned(), "ours".to_owned()];
        assert_eq!(finalizers(&there, &["ours"], &[]), None);
        assert_eq!(finalizers(&there, &[], &["ours"]), Some(vec!["theirs".to_owned()]));
        assert_eq!(finalizers(&[], &["ours"], &[]), Some(vec!["ours".to_owned()]));
    }
}
