//! The printer columns of custom resources.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    TableCells, TableColumn, human_age,
    jsonpath::{JsonPath, float, printed},
};

/// What is printed of a custom resource: the name, and the `additionalPrinterColumns` of its version in the
/// CustomResourceDefinition (without any: the age). Cells are typed and written as an API server does it.
///
/// ```
/// use serde_json::json;
/// let given = json!([{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]);
/// let columns = meta::CrdColumns::from_json(&given)?;
/// assert_eq!(columns.columns()[1].name, "Size");
/// let object = json!({"metadata": {"name": "a"}, "spec": {"size": 3}});
/// assert_eq!(columns.cells(&object, 0), [json!("a"), json!(3)]);
/// # Ok::<(), meta::CrdColumnsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CrdColumns {
    columns: Vec<TableColumn>,
    /// One for each column but the first; nothing for a path that cannot be read.
    paths: Vec<Option<JsonPath>>,
}

/// The value is no `additionalPrinterColumns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a list of printer columns with name, type and jsonPath")]
pub struct CrdColumnsError;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrinterColumn {
    name: String,
    #[serde(rename = "type")]
    type_: String,
    #[serde(default)]
    format: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    priority: i32,
    json_path: String,
}

impl CrdColumns {
    /// Reads `additionalPrinterColumns`, a list or null. A column with a path that cannot be read stays empty: one
    /// column is no reason to show nothing.
    pub fn from_json(additional_printer_columns: &Value) -> Result<Self, CrdColumnsError> {
        let given: Option<Vec<PrinterColumn>> =
            Deserialize::deserialize(additional_printer_columns).map_err(|_| CrdColumnsError)?;
        let given = given.filter(|columns| !columns.is_empty()).unwrap_or_else(|| vec![age()]);
        let paths = given.iter().map(|column| JsonPath::parse_relaxed(&column.json_path).ok()).collect();
        let columns = std::iter::once(name()).chain(given.into_iter().map(TableColumn::from)).collect();
        Ok(Self { columns, paths })
    }

    /// The columns, that of the name first.
    pub fn columns(&self) -> &[TableColumn] {
        &self.columns
    }

    /// The cells of `object` when it is `now`, in seconds since 1970: of each path the first value.
    pub fn cells(&self, object: &Value, now: i64) -> TableCells {
        let name = object.pointer("/metadata/name").cloned().unwrap_or_default();
        let cells = self.columns.iter().skip(1).zip(&self.paths).map(|(column, path)| {
            let found = path.as_ref().and_then(|path| path.find(object).into_iter().next());
            found.map_or(Value::Null, |value| cell(&column.type_, value, now))
        });
        std::iter::once(name).chain(cells).collect()
    }
}

fn name() -> TableColumn {
    TableColumn {
        name: "Name".to_owned(),
        type_: "string".to_owned(),
        format: "name".to_owned(),
        description: "The object's name, unique within its namespace.".to_owned(),
        priority: 0,
    }
}

fn age() -> PrinterColumn {
    PrinterColumn {
        name: "Age".to_owned(),
        type_: "date".to_owned(),
        format: String::new(),
        description: "How long ago the object was created.".to_owned(),
        priority: 0,
        json_path: ".metadata.creationTimestamp".to_owned(),
    }
}

impl From<PrinterColumn> for TableColumn {
    fn from(column: PrinterColumn) -> Self {
        let PrinterColumn { name, type_, format, mut description, priority, json_path } = column;
        if description.is_empty() {
            description = format!("Custom resource definition column (in JSONPath format): {json_path}");
        }
        Self { name, type_, format, description, priority }
    }
}

/// A value as a cell of a column of this type; null where it is of another type.
fn cell(type_: &str, value: &Value, now: i64) -> Value {
    match (type_, value) {
        ("integer", Value::Number(number)) => number.as_i64().unwrap_or_else(|| float(number) as i64).into(),
        ("number", Value::Number(number)) if number.is_i64() => number.clone().into(),
        ("number", Value::Number(number)) => float(number).into(),
        ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(text)) => date(text, now).into(),
        ("string", Value::Null) => "<no value>".into(),
        ("string", value) => printed(value).into(),
        _ => Value::Null,
    }
}

fn date(text: &str, now: i64) -> String {
    /// Go cannot tell longer durations: 2^63 nanoseconds.
    const LONGEST: i64 = 9_223_372_036;
    if text.is_empty() {
        return "<unknown>".to_owned();
    }
    match text.parse::<Timestamp>() {
        Ok(time) => human_age(now.saturating_sub(time.as_second()).min(LONGEST)),
        Err(_) => "<invalid>".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TYPES: [&str; 5] = ["string", "integer", "number", "boolean", "date"];
    /// 2026-11-21T11:20:00Z
    const NOW: i64 = 1_795_260_000;

    /// The cells of a column of each of [`TYPES`].
    fn cells(path: &str, object: &Value) -> Vec<Value> {
        let columns: Vec<Value> =
            TYPES.iter().map(|type_| json!({"name": type_, "type": type_, "jsonPath": path})).collect();
        CrdColumns::from_json(&columns.into()).unwrap().cells(object, NOW).split_off(1)
    }

    /// Recorded from kube-apiserver 1.37.
    #[test]
    fn a_cell_is_what_an_api_server_makes_of_it() {
        let object = json!({
            "metadata": {"name": "one", "labels": {"app.x/y": "lab"}},
            "spec": {
                "str": "text", "int": 3, "float": 1.5, "whole": 2.0, "large": 1e20, "small": 1.234e-5, "yes": true,
                "null": null, "obj": {"b": 1, "a": [1, "x"]}, "arr": [1, "two", true, null], "none": [], "empty": "",
                "names": [{"name": "a", "v": 1}, {"name": "b", "v": 2}], "date": "2020-01-01T00:00:00Z",
                "future": "2999-01-01T00:00:00Z", "old": "1001-01-01T00:00:00Z", "offset": "2020-01-01T00:00:00+02:00",
                "html": "a<b>", "markup": {"a": "<&>"}
            }
        });
        let null = || Value::Null;
        for (path, expected) in [
            (".spec.str", [json!("text"), null(), null(), null(), json!("<invalid>")]),
            (".spec.int", [json!("3"), json!(3), json!(3), null(), null()]),
            (".spec.float", [json!("1.5"), json!(1), json!(1.5), null(), null()]),
            (".spec.whole", [json!("2"), json!(2), json!(2.0), null(), null()]),
            (".spec.large", [json!("1e+20"), json!(i64::MAX), json!(1e20), null(), null()]),
            (".spec.small", [json!("1.234e-05"), json!(0), json!(1.234e-5), null(), null()]),
            (".spec.yes", [json!("true"), null(), null(), json!(true), null()]),
            (".spec.null", [json!("<no value>"), null(), null(), null(), null()]),
            (".spec.missing", [null(), null(), null(), null(), null()]),
            (".spec.obj", [json!(r#"{"a":[1,"x"],"b":1}"#), null(), null(), null(), null()]),
            (".spec.arr", [json!(r#"[1,"two",true,null]"#), null(), null(), null(), null()]),
            (".spec.none", [json!("[]"), null(), null(), null(), null()]),
            (".spec.empty", [json!(""), null(), null(), null(), json!("<unknown>")]),
            (".spec.names[*].v", [json!("1"), json!(1), json!(1), null(), null()]),
            (".spec.names[?(@.name==\"b\")].v", [json!("2"), json!(2), json!(2), null(), null()]),
            (".spec.names[9].v", [null(), null(), null(), null(), null()]),
            (".spec.date", [json!("2020-01-01T00:00:00Z"), null(), null(), null(), json!("6y326d")]),
            (".spec.future", [json!("2999-01-01T00:00:00Z"), null(), null(), null(), json!("<invalid>")]),
            (".spec.old", [json!("1001-01-01T00:00:00Z"), null(), null(), null(), json!("292y")]),
            (".spec.offset", [json!("2020-01-01T00:00:00+02:00"), null(), null(), null(), json!("6y326d")]),
            (".spec.html", [json!("a<b>"), null(), null(), null(), json!("<invalid>")]),
            (".spec.markup", [json!(r#"{"a":"\u003c\u0026\u003e"}"#), null(), null(), null(), null()]),
            (".metadata.labels.app\\.x/y", [json!("lab"), null(), null(), null(), json!("<invalid>")]),
        ] {
            assert_eq!(cells(path, &object), expected, "{path}");
        }
    }

    #[test]
    fn columns_keep_what_the_definition_says_of_them() {
        let given = json!([
            {"name": "Ready", "type": "string", "jsonPath": ".status.ready"},
            {"name": "At", "type": "string", "format": "date-time", "priority": 1, "description": "When", "jsonPath": ".status.at"}
        ]);
        let columns = CrdColumns::from_json(&given).unwrap();
        let [name, ready, at] = columns.columns() else { panic!("{columns:?}") };
        assert_eq!((name.name.as_str(), name.format.as_str()), ("Name", "name"));
        assert_eq!(
            ready.description,
            "Custom resource definition column (in JSONPath format): .status.ready"
        );
        assert_eq!((at.format.as_str(), at.description.as_str(), at.priority), ("date-time", "When", 1));
    }

    #[test]
    fn without_columns_name_and_age_are_shown() {
        let object = json!({"metadata": {"name": "a", "creationTimestamp": "2026-11-21T11:19:00Z"}});
        for none in [json!(null), json!([])] {
            let columns = CrdColumns::from_json(&none).unwrap();
            let names: Vec<&str> = columns.columns().iter().map(|column| column.name.as_str()).collect();
            assert_eq!(names, ["Name", "Age"]);
            assert_eq!(columns.cells(&object, NOW), [json!("a"), json!("60s")]);
        }
    }

    #[test]
    fn a_path_that_cannot_be_read_leaves_its_column_empty() {
        let columns =
            CrdColumns::from_json(&json!([{"name": "X", "type": "string", "jsonPath": ".a["}])).unwrap();
        assert_eq!(columns.cells(&json!({"metadata": {"name": "a"}}), NOW), [json!("a"), Value::Null]);
        assert_eq!(CrdColumns::from_json(&json!([{"name": "X"}])), Err(CrdColumnsError));
    }
}
