//! Overrides made to explode are refused, and soon.

use placement::overrides::{Limits, OverrideError, Problem, object};
use serde_json::{Value, json};

use crate::given::{cluster, deployment, globalization, helm_chart, one, render, render_chart};

fn patch(operations: impl IntoIterator<Item = Value>) -> Result<(), OverrideError> {
    let value = operations.into_iter().collect::<Value>().to_string();
    render(&deployment(), &[one("JSONPatch", value)]).map(|_| ())
}

#[test]
fn copies_of_copies_are_refused_by_their_size() {
    let start = json!({ "op": "add", "path": "/x", "value": ["x".repeat(100)] });
    let double = |n: usize| json!({ "op": "copy", "from": "/x", "path": format!("/x/{n}") });
    let error = patch(std::iter::once(start).chain((0..40).map(|_| double(0)))).unwrap_err();
    assert!(matches!(error.problem, Problem::ResultTooLarge { .. } | Problem::TooDeep { .. }), "{error}");
    let wide = json!({ "op": "add", "path": "/x", "value": "x".repeat(100_000) });
    let copies = (0..20).map(|n| json!({ "op": "copy", "from": "/x", "path": format!("/y{n}") }));
    let error = patch(std::iter::once(wide).chain(copies)).unwrap_err();
    assert!(matches!(error.problem, Problem::ResultTooLarge { .. }), "{error}");
}

#[test]
fn a_document_inside_itself_is_refused_by_its_depth() {
    let error =
        patch((0..100).map(|_| json!({ "op": "copy", "from": "/spec", "path": "/spec/a" }))).unwrap_err();
    assert!(matches!(error.problem, Problem::TooDeep { .. } | Problem::ResultTooLarge { .. }), "{error}");
    let steps = (1..200).map(|n| json!({ "op": "add", "path": "/a".repeat(n), "value": {} }));
    assert!(matches!(patch(steps).unwrap_err().problem, Problem::TooDeep { .. }));
}

#[test]
fn many_operations_on_large_lists_are_refused_by_their_work() {
    let list: Vec<u8> = vec![0; 100_000];
    let start = json!({ "op": "add", "path": "/x", "value": list });
    let turns = (0..9_000).map(|_| json!({ "op": "move", "from": "/x/0", "path": "/x/-" }));
    let value = std::iter::once(start).chain(turns).collect::<Value>().to_string();
    let limits = Limits { value_bytes: value.len(), result_bytes: 4 << 20, ..Limits::default() };
    let rule = one("JSONPatch", value);
    let error = object(&deployment(), &cluster(), &[&rule], &limits).unwrap_err();
    assert_eq!(error.problem, Problem::TooMuchWork);
}

#[test]
fn replacing_large_values_again_and_again_is_no_growth() {
    let large = "x".repeat(20_000);
    let turns =
        (0..10).map(|_| json!({ "op": "add", "path": "/metadata/annotations", "value": { "x": large } }));
    patch(turns.clone()).unwrap();
    let copies =
        (0..100).map(|_| json!({ "op": "copy", "from": "/metadata/annotations/x", "path": "/spec/y" }));
    patch(turns.take(1).chain(copies)).unwrap();
}

#[test]
fn numbers_of_operations_and_overrides_are_bounded() {
    let test = json!({ "op": "test", "path": "/kind", "value": "Deployment" });
    let limits = Limits { value_bytes: 1 << 20, ..Limits::default() };
    for (operations, refused) in [(10_000, false), (10_001, true)] {
        let rule = one("JSONPatch", Value::from(vec![test.clone(); operations]).to_string());
        let result = object(&deployment(), &cluster(), &[&rule], &limits);
        assert_eq!(result.is_err_and(|e| e.problem == Problem::TooManyOperations { limit: 10_000 }), refused);
    }
    let config = json!({ "type": "MergePatch", "value": "a: 1" });
    let rule = globalization("g", &json!({ "overrides": vec![config; 1_001] }));
    let error = render(&deployment(), &[rule]).unwrap_err();
    assert_eq!(error.problem, Problem::TooManyOverrides { limit: 1_000 });
    assert_eq!(
        error.to_string(),
        "Globalization g spec.overrides[1000], cluster n1/c1: with this one the feed has more than 1000 overrides in this \
         cluster; make one of several, or narrow the selectors of those that are not for it."
    );
}

#[test]
fn large_deep_and_self_repeating_values_are_refused() {
    let bomb: String = (1..12).fold(String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n"), |text, n| {
        let row = vec![format!("*a{}", n - 1); 9].join(",");
        format!("{text}a{n}: &a{n} [{row}]\n")
    });
    for value in [
        "x".repeat(300_000),
        format!("a: \"{}\"", "x".repeat(300_000)),
        format!("{}1{}", "[".repeat(100), "]".repeat(100)),
        format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100)),
        "[".repeat(200_000),
        (0..200).map(|n| " ".repeat(n) + "a:\n").collect(),
        bomb,
        String::from("a: &a [*a]"),
    ] {
        for type_ in ["MergePatch", "JSONPatch"] {
            assert!(
                render(&deployment(), &[one(type_, value.clone())]).is_err(),
                "{}",
                &value[..20.min(value.len())]
            );
        }
    }
}

#[test]
fn what_is_nested_too_deep_is_refused_with_override_cluster_path_and_remedy() {
    let nested = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
    let path = "/a".repeat(64);
    let remedy = "values are nested deeper than 64 levels, counted from the whole; make them flatter, or keep this part as a text.";
    for type_ in ["MergePatch", "Helm"] {
        let rule = [one(type_, nested(64).to_string())];
        let error = match type_ {
            "Helm" => render_chart(&helm_chart(), &rule).unwrap_err(),
            _ => render(&deployment(), &rule).unwrap_err(),
        };
        assert_eq!(
            error.to_string(),
            format!("Globalization g spec.overrides[0], cluster n1/c1, path {path}: {remedy}")
        );
    }
    let operations = json!([{ "op": "add", "path": "/spec/x", "value": nested(63) }]).to_string();
    let error = render(&deployment(), &[one("JSONPatch", operations)]).unwrap_err();
    assert_eq!(error.path, "", "a path in a list of operations is none in the object");
    let operations = json!([{ "op": "add", "path": "/spec/template/x", "value": nested(61) }]).to_string();
    let error = render(&deployment(), &[one("JSONPatch", operations)]).unwrap_err();
    assert_eq!((error.path.as_str(), &error.problem), ("/spec/template/x", &Problem::TooDeep { limit: 64 }));
    let deep = json!({ "kind": "X", "metadata": { "name": "x" }, "spec": nested(63) });
    let error = object(&deep, &cluster(), &[], &Limits::default()).unwrap_err();
    assert_eq!((error.by, error.path), (None, format!("/spec{}", "/a".repeat(63))));
}

#[test]
fn a_template_that_never_ends_ends() {
    for value in [
        "{{ range until 1000000 }}{{ range until 1000000 }}x{{ end }}{{ end }}",
        "{{ repeat 1000000 \"x\" }}",
        "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
    ] {
        let spec = json!({ "overrides": [{ "type": "MergePatch", "template": true, "value": value }] });
        let error = render(&deployment(), &[globalization("g", &spec)]).unwrap_err();
        assert!(matches!(error.problem, Problem::Template(_)), "{error}");
    }
}

#[test]
fn a_feed_that_is_too_large_by_itself_is_nobody_s_override() {
    let mut large = deployment();
    large["data"] = json!("x".repeat(2 << 20));
    let error = render(&large, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cluster n1/c1: the result is larger than 1048576 bytes, more than an API server takes; change less."
    );
}

#[test]
fn what_is_remembered_of_changes_is_bounded() {
    let labels: serde_json::Map<String, Value> = (0..3_000).map(|n| (format!("k{n}"), json!("v"))).collect();
    let mut object = deployment();
    object["data"] = json!({ "keep": "" });
    let provenance =
        render(&object, &[one("MergePatch", json!({ "data": labels }).to_string())]).unwrap().provenance;
    assert_eq!((provenance.changed.len(), provenance.omitted), (1_000, 2_000));
}
