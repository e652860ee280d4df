//! What we print is what a real API server printed.

use crate::recorded::{Golden, golden};
use serde_json::Value;

#[test]
fn the_columns_are_those_of_a_real_server() {
    for Golden { group, versions, kind, plural, columns, .. } in golden() {
        for name in [&kind, &plural] {
            for version in &versions {
                let printer = printers::printer(&group, version, name).expect(name);
                assert_eq!(
                    serde_json::to_value(printer.columns()).unwrap(),
                    Value::from(columns.clone()),
                    "{kind}"
                );
            }
        }
    }
}

#[test]
fn the_cells_are_those_of_a_real_server() {
    let mut wrong = Vec::new();
    for golden in golden() {
        for row in &golden.rows {
            // A server sends an age of IPAddresses, for which it has no column.
            let expected = &row.cells[..golden.columns.len()];
            for (object, version) in row.objects.iter().zip(&golden.versions) {
                let printer = printers::printer(&golden.group, version, &golden.kind).unwrap();
                let cells = printer.cells(object.to_string().as_bytes(), golden.now);
                if cells.as_deref() != Ok(expected) {
                    let name = &object["metadata"]["name"];
                    wrong.push(format!("{} {version} {name}: {cells:?}, not {expected:?}", golden.kind));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}
