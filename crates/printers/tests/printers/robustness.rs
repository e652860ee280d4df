//! No object, however odd, brings a printer down.

use crate::recorded::golden;
use jiff::Timestamp;
use meta::TableColumn;
use printers::Printer;
use proptest::{prelude::*, sample::Index};
use serde_json::{Map, Value, json};

/// Every object of the golden files, with what prints it.
fn objects() -> Vec<(&'static Printer, Value)> {
    let mut objects = Vec::new();
    for golden in golden() {
        for row in &golden.rows {
            for (version, object) in golden.versions.iter().zip(&row.objects) {
                let printer = printers::printer(&golden.group, version, &golden.kind);
                objects.extend(printer.map(|printer| (printer, object.clone())));
            }
        }
    }
    objects
}

/// Time enough has passed for every object to have an age.
const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// Calls `change` with an object and each value within it, from the outermost to the innermost.
fn each_value(object: &mut Value, change: &mut impl FnMut(&mut Value)) {
    change(object);
    match object {
        Value::Array(items) => items.iter_mut().for_each(|item| each_value(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_value(field, change)),
        _ => {}
    }
}

fn count_values(object: &Value) -> usize {
    let mut count = 0;
    each_value(&mut object.clone(), &mut |_| count += 1);
    count
}

/// The object with its nth value replaced.
fn with_value(object: &Value, nth: usize, new: &Value) -> Value {
    let mut object = object.clone();
    let mut index = 0;
    each_value(&mut object, &mut |value| {
        if index == nth {
            *value = new.clone();
        }
        index += 1;
    });
    object
}

#[test]
fn null_in_the_place_of_any_value_is_no_error() {
    for (printer, object) in objects() {
        for nth in 1..count_values(&object) {
            let object = with_value(&object, nth, &Value::Null);
            let cells = printer.cells(object.to_string().as_bytes(), NOW);
            assert_eq!(cells.as_ref().map(Vec::len), Ok(printer.columns().len()), "{object}");
        }
    }
}

#[test]
fn an_object_without_anything_is_no_error() {
    for (printer, _) in objects() {
        for object in [json!({}), json!({"metadata": null, "spec": null, "status": null})] {
            let cells = printer.cells(object.to_string().as_bytes(), NOW);
            assert_eq!(cells.as_ref().map(Vec::len), Ok(printer.columns().len()), "{object}");
        }
    }
}

#[test]
fn what_is_not_an_object_is_an_error_that_tells_nothing_of_it() {
    let secrets = printers::printer("", "v1", "Secret").unwrap();
    for object in ["", "null", "1", "\"password\"", r#"{"metadata": "password"}"#, r#"{"data": "password"}"#]
    {
        let error = secrets.cells(object.as_bytes(), NOW).unwrap_err();
        assert!(!error.to_string().contains("password"), "{error}");
    }
}

#[test]
fn kinds_are_found_by_kind_and_by_plural() {
    for name in ["Deployment", "deployments"] {
        let columns: Vec<_> = printers::printer("apps", "v1", name).unwrap().columns().iter().collect();
        assert_eq!(columns.first().map(|column| column.name.as_str()), Some("Name"));
    }
    for (group, version, name) in
        [("", "v1", "deployments"), ("apps", "v1beta1", "deployments"), ("x.io", "v1", "pods")]
    {
        assert!(printers::printer(group, version, name).is_none(), "{group}/{version} {name}");
    }
}

#[test]
fn a_kind_without_columns_has_its_name_and_its_time_of_creation() {
    let generic = printers::generic();
    let columns: Vec<_> =
        generic.columns().iter().map(|TableColumn { name, type_, .. }| (&**name, &**type_)).collect();
    assert_eq!(columns, [("Name", "string"), ("Created At", "date")]);
    let thing =
        br#"{"metadata": {"name": "thing", "creationTimestamp": "2026-11-21T08:00:00Z"}, "spec": [1]}"#;
    assert_eq!(generic.cells(thing, NOW), Ok(vec![json!("thing"), json!("2026-11-21T08:00:00Z")]));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        Just(json!("2026-11-21T11:00:00Z")),
        Just(json!("9999-12-31T23:59:59Z")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z]{1,6}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn anything_in_the_place_of_any_value_is_printed_or_refused(which: Index, nth: Index, new in any_json()) {
        thread_local!(static OBJECTS: Vec<(&'static Printer, Value)> = objects());
        OBJECTS.with(|objects| {
            let (printer, object) = which.get(objects);
            let object = with_value(object, nth.index(count_values(object)), &new);
            if let Ok(cells) = printer.cells(object.to_string().as_bytes(), NOW) {
                prop_assert_eq!(cells.len(), printer.columns().len());
            }
            Ok(())
        })?;
    }

    #[test]
    fn any_bytes_are_printed_or_refused(bytes: Vec<u8>, which: Index) {
        thread_local!(static OBJECTS: Vec<(&'static Printer, Value)> = objects());
        OBJECTS.with(|objects| {
            let (printer, _) = which.get(objects);
            let _ = printer.cells(&bytes, NOW);
        });
    }
}
