//! From JSON, as Kubernetes' unstructured objects are decoded: whole numbers are `int64`.

use serde_json::Value as Json;

use super::{Map, Text, Value};

impl From<&Json> for Value {
    /// As deep as `json`; `serde_json` reads nothing deeper than 128 levels.
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Value::Nil,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(int) => Value::int64(int),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::from(text.as_str()),
            Json::Array(items) => Value::list(items.iter().map(Value::from).collect()),
            Json::Object(entries) => Value::map(Map::new(
                entries.iter().map(|(key, value)| (Text::from(key.as_str()), Value::from(value))).collect(),
            )),
        }
    }
}

impl Value {
    /// JSON as `fromJson` decodes it: every number is a `float64`.
    pub(crate) fn from_json_floats(json: &Json) -> Self {
        match json {
            Json::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            Json::Array(items) => Value::list(items.iter().map(Value::from_json_floats).collect()),
            Json::Object(entries) => Value::map(Map::new(
                entries
                    .iter()
                    .map(|(key, value)| (Text::from(key.as_str()), Value::from_json_floats(value)))
                    .collect(),
            )),
            simple => Value::from(simple),
        }
    }
}
