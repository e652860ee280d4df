//! Patches of a document that is a text in a field of an object, as in ConfigMaps.

use api::apps::{FieldFormat, OverrideConfig, OverrideType};
use serde_json::{Value, ser::PrettyFormatter};

use super::{
    bounds::Budget,
    error::{Fault, Problem},
    json_patch,
    value::{Place, parse_yaml},
};

/// Patches the document in the field an override names. An empty text is no document, and is left alone.
pub(super) fn apply(
    object: &mut Value,
    config: &OverrideConfig,
    patch: Value,
    budget: &mut Budget<'_>,
) -> Result<(), Fault> {
    let path = pointer(config.field_path.as_deref().unwrap_or_default())
        .ok_or_else(|| Fault::from(Problem::FieldPathUnset))?;
    let at_field = |problem: Problem| problem.at(path.clone());
    let field = object.pointer_mut(&path).ok_or_else(|| at_field(Problem::FieldMissing))?;
    let Value::String(text) = field else { return Err(at_field(Problem::FieldNoText)) };
    if text.trim().is_empty() {
        return Ok(());
    }
    let format = config.field_format.unwrap_or_default();
    // Paths in the document are below the field.
    let inside = |fault: Fault| fault.problem.at(format!("{path}{}", fault.path));
    let mut document = read(text, format, budget).map_err(inside)?;
    if config.type_ == OverrideType::FieldJsonPatch {
        json_patch::apply(&mut document, patch, budget).map_err(inside)?;
    } else {
        ::json_patch::merge(&mut document, &patch);
    }
    budget.check(&document).map_err(inside)?;
    *text =
        write(&document, format).ok_or_else(|| at_field(invalid(format, Place { line: 0, column: 0 })))?;
    Ok(())
}

/// `data/app.yaml` and `/data/app.yaml` as a JSON pointer; none where it is empty.
fn pointer(path: &str) -> Option<String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    (!path.is_empty()).then(|| format!("/{path}"))
}

fn read(text: &str, format: FieldFormat, budget: &mut Budget<'_>) -> Result<Value, Fault> {
    budget.work(text.len())?;
    let document = match format {
        FieldFormat::Json => serde_json::from_str(text)
            .map_err(|error| Place { line: error.line() as u64, column: error.column() as u64 }),
        FieldFormat::Yaml => parse_yaml(text, budget),
    };
    let document = document.map_err(|place| invalid(format, place))?;
    budget.check(&document)?;
    Ok(document)
}

fn write(document: &Value, format: FieldFormat) -> Option<String> {
    match format {
        FieldFormat::Json => {
            let mut text = Vec::new();
            let formatter = PrettyFormatter::with_indent(b"    ");
            let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
            serde::Serialize::serialize(document, &mut serializer).ok()?;
            String::from_utf8(text).ok()
        }
        FieldFormat::Yaml => serde_saphyr::to_string(document).ok(),
    }
}

fn invalid(format: FieldFormat, Place { line, column }: Place) -> Problem {
    let format = match format {
        FieldFormat::Json => "JSON",
        FieldFormat::Yaml => "YAML",
    };
    Problem::FieldInvalid { format, line, column }
}
