use proptest::prelude::*;
use serde_json::json;

use super::*;

fn lines(diff: &Diff) -> Vec<String> {
    let show = |value: &Option<String>| value.clone().unwrap_or_else(|| String::from("-"));
    diff.differences.iter().map(|d| format!("{} {} {}", d.path, show(&d.before), show(&d.after))).collect()
}

#[test]
fn the_innermost_fields_are_named() {
    let before = json!({ "a": { "b": 1, "c/d": [1, 2] }, "same": {}, "gone": null });
    let after = json!({ "a": { "b": 2, "c/d": [1, 3] }, "same": {}, "new": "x" });
    assert_eq!(
        lines(&diff(&before, &after, 100)),
        ["/a/b 1 2", "/a/c~1d/1 2 3", "/gone null -", "/new - \"x\""]
    );
    assert!(diff(&before, &before, 100).is_empty());
    assert_eq!(lines(&diff(&json!(null), &json!({ "a": 1 }), 100)), [" - {\"a\":1}"]);
}

#[test]
fn an_item_that_is_put_into_a_list_does_not_change_the_others() {
    let named = |names: &[&str]| json!({ "l": names });
    for (before, after, expected) in [
        (named(&["a", "b"]), named(&["x", "a", "b"]), vec!["/l/0 - \"x\""]),
        (named(&["a", "b"]), named(&["a", "x", "b"]), vec!["/l/1 - \"x\""]),
        (named(&["a", "b"]), named(&["a", "b", "x"]), vec!["/l/2 - \"x\""]),
        (named(&["a", "b", "c"]), named(&["a", "c"]), vec!["/l/1 \"b\" -"]),
        (named(&["a", "b", "c"]), named(&["x"]), vec!["/l/0 \"a\" \"x\"", "/l/1 \"b\" -", "/l/2 \"c\" -"]),
    ] {
        assert_eq!(lines(&diff(&before, &after, 100)), expected);
    }
}

#[test]
fn what_is_shown_is_bounded() {
    let many: Value = (0..50).map(|n| (n.to_string(), json!("x".repeat(1_000)))).collect();
    let found = diff(&json!({}), &many, 10);
    assert_eq!((found.differences.len(), found.omitted), (10, 40));
    assert!(found.differences.iter().all(|d| d.after.as_ref().unwrap().len() <= VALUE));
}

#[test]
fn nothing_secret_is_shown() {
    const PLANTED: &str = "cGxhbnRlZA==";
    let secret = |value: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": { "name": "s", "labels": { "shown": "yes" }, "annotations": {
                LAST_APPLIED: value, KUBECTL_LAST_APPLIED: value, "note": "shown" } },
            "data": { "password": value }, "stringData": { "password": value },
        })
    };
    let (one, other) = (secret(PLANTED), secret("b3RoZXI="));
    let renamed = json!({ "kind": "ConfigMap", "data": { "password": PLANTED } });
    for (before, after) in [
        (&one, &other),
        (&other, &one),
        (&one, &json!(null)),
        (&json!(null), &one),
        (&one, &json!({})),
        (&json!({}), &one),
        (&one, &renamed),
        (&one, &json!({ "kind": "Secret", "metadata": { "name": "s" }, "data": {} })),
        (&json!({ "kind": "Secret", "metadata": {} }), &one),
    ] {
        for diff in [diff(before, after, 100), drift(before, after, &[], 100)] {
            assert!(!format!("{diff:?}").contains(PLANTED), "{diff:?}");
        }
    }
    let found = lines(&diff(&one, &other, 100));
    assert!(found.contains(&String::from("/data/password (hidden) (hidden)")), "{found:?}");
    let labelled = json!({ "kind": "Secret", "metadata": { "labels": { "a": "1" } } });
    let found = diff(&labelled, &json!({ "kind": "Secret", "metadata": { "labels": { "a": "2" } } }), 100);
    assert_eq!(lines(&found), ["/metadata/labels/a \"1\" \"2\""]);
}

#[test]
fn drift_is_what_was_applied_and_is_not_so() {
    let applied = json!({
        "metadata": { "labels": { "a": "1" }, "annotations": {}, "creationTimestamp": null },
        "spec": {
            "replicas": 2,
            "containers": [{ "name": "web", "image": "web:1", "resources": { "requests": { "cpu": "1000m" } } }],
            "args": ["--a"],
        },
        "status": { "replicas": 0 },
    });
    let live = json!({
        "metadata": { "labels": { "a": "1", "added": "yes" }, "uid": "x" },
        "spec": {
            "replicas": 2, "defaulted": true,
            "containers": [
                { "name": "injected", "image": "sidecar" },
                { "name": "web", "image": "web:1", "policy": "Always", "resources": { "requests": { "cpu": "1" } } },
            ],
            "args": ["--a"],
        },
        "status": { "replicas": 2 },
    });
    assert!(drift(&applied, &live, &[], 100).is_empty(), "{:?}", drift(&applied, &live, &[], 100));
    let mut changed = live.clone();
    changed["spec"]["containers"][1]["image"] = json!("web:2");
    changed["spec"]["replicas"] = json!(5);
    changed["spec"]["args"] = json!(["--a", "--b"]);
    changed["metadata"]["labels"] = json!({});
    assert_eq!(
        lines(&drift(&applied, &changed, &[], 100)),
        [
            "/metadata/labels/a \"1\" -",
            "/spec/args [\"--a\"] [\"--a\",\"--b\"]",
            "/spec/containers/0/image \"web:1\" \"web:2\"",
            "/spec/replicas 2 5",
        ]
    );
    let ignored = ["/spec/replicas".to_owned(), "/spec/args".to_owned(), "/metadata".to_owned()];
    assert_eq!(lines(&drift(&applied, &changed, &ignored, 100)).len(), 1);
}

/// Small values with lists and mappings.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c/~]{1,2}", inner, 0..4)
                .prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn values_differ_exactly_when_a_path_is_named(before in value(), after in value()) {
        let found = paths(&before, &after, usize::MAX);
        prop_assert_eq!(found.paths.is_empty(), before == after);
        for path in &found.paths {
            prop_assert!(before.pointer(path).is_some() || after.pointer(path).is_some(), "{}", path);
        }
        let mirrored = paths(&after, &before, usize::MAX);
        prop_assert_eq!(mirrored.paths, found.paths);
        let few = paths(&before, &after, 2);
        prop_assert_eq!(few.paths.len() + few.omitted, paths(&before, &after, usize::MAX).paths.len());
    }

    #[test]
    fn what_is_applied_and_only_added_to_has_not_drifted(applied in value(), more in value()) {
        prop_assert!(drift(&applied, &applied, &[], 10).is_empty());
        if let Value::Object(fields) = &applied {
            let mut live = fields.clone();
            live.entry("added by the server").or_insert(more);
            prop_assert!(drift(&applied, &Value::Object(live), &[], 10).is_empty());
        }
    }
}
