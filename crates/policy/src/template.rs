//! Templates of policies: parsed, rendered, and what is said about those that cannot be. Pure.

use gotemplate::{Environment, Error, ErrorKind, Limits, NO_VALUE, Template};
use serde_json::{Map, Value};

/// What a template sees: `.source` and `.references.KEY`.
#[derive(Debug, Clone)]
pub(crate) struct Objects(Value);

impl Objects {
    /// The source object, and no references yet.
    pub(crate) fn of(source: Value) -> Self {
        let references = Value::Object(Map::new());
        let all = [("source", source), ("references", references)];
        Self(all.map(|(name, value)| (name.to_owned(), value)).into_iter().collect())
    }

    /// A reference that was found. Templates rendered from now on see it.
    pub(crate) fn add(&mut self, key: &str, object: Value) {
        self.0["references"][key] = object;
    }
}

/// Parses the template in `field`. The error is a sentence.
pub(crate) fn parse(field: &str, text: &str) -> Result<Template, String> {
    Template::parse(field, text).map_err(|error| explain(&error))
}

/// Renders a template; what is missing is nothing. The error is a sentence.
pub(crate) fn render(template: &Template, objects: &Objects) -> Result<String, String> {
    // There is neither a clock nor chance: the same objects always give the same PediaCluster.
    let rendered = template.render(&objects.0, &limits(), &Environment::default());
    rendered.map(|text| text.replace(NO_VALUE, "")).map_err(|error| explain(&error))
}

/// Whether a template renders to true: to that word and nothing else, in any case. If not, what it renders to, for
/// people.
pub(crate) fn is_true(template: &Template, objects: &Objects) -> Result<Result<(), String>, String> {
    let text = render(template, objects)?;
    let text = text.trim();
    if text.eq_ignore_ascii_case("true") {
        return Ok(Ok(()));
    }
    // Anything else may be what nobody is to read.
    let words = text.split_whitespace();
    let harmless = text.len() <= 64
        && words.clone().all(|word| word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false"));
    Ok(Err(match words.count() {
        0 => String::from("nothing"),
        _ if harmless => format!("{:?}", text.split_whitespace().collect::<Vec<_>>().join(" ")),
        _ => format!("{} characters other than true", text.chars().count()),
    }))
}

/// Renders a template for the name of an object. The error is a sentence.
pub(crate) fn name(template: &Template, objects: &Objects) -> Result<String, String> {
    let text = render(template, objects)?;
    let name = text.trim();
    let field = template.name();
    if name.is_empty() {
        return Err(format!("{field} renders to nothing: a field it names is missing or empty"));
    }
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part = |part: &str| {
        part.starts_with(alphanumeric)
            && part.ends_with(alphanumeric)
            && part.chars().all(|c| alphanumeric(c) || c == '-')
    };
    if name.len() <= 253 && name.split('.').all(part) {
        return Ok(name.to_owned());
    }
    Err(format!(
        "{field} renders to {} characters that cannot be the name of an object: it may have up to 253 lower-case \
         letters, digits, hyphens and dots, and begins and ends with a letter or digit",
        name.chars().count()
    ))
}

/// Renders a template for the name of an existing object or namespace, which the API server has checked. The error is a
/// sentence.
pub(crate) fn existing_name(template: &Template, objects: &Objects) -> Result<String, String> {
    let text = render(template, objects)?;
    let name = text.trim();
    if name.is_empty() {
        return Err(format!("{} renders to nothing: a field it names is missing or empty", template.name()));
    }
    if name.len() > 253 || name.contains(|c: char| c.is_control() || c.is_whitespace() || "/%".contains(c)) {
        return Err(format!(
            "{} renders to {} characters that cannot be the name of an object",
            template.name(),
            name.chars().count()
        ));
    }
    Ok(name.to_owned())
}

/// No rendering takes longer than some tens of milliseconds; `Renderers` keep it off the threads that serve requests.
fn limits() -> Limits {
    Limits { steps: 100_000, memory_bytes: 16 << 20, ..Limits::default() }
}

fn explain(error: &Error) -> String {
    let Error { template, line, column, kind, message, .. } = error;
    let hint = match kind {
        ErrorKind::Comparison => {
            "; values of unlike types are compared, such as the boolean true, which is how YAML reads an unquoted True, \
             and the text \"True\": compare with a value of the same type, or with toString"
        }
        ErrorKind::Environment => "; policies have neither a clock nor random values",
        _ => "",
    };
    format!("{template}, line {line}, column {column}: {message}{hint}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(text: &str) -> Template {
        parse("spec.creationCondition", text).unwrap()
    }

    fn source() -> Objects {
        Objects::of(json!({
            "metadata": { "name": "a" }, "status": { "ready": true, "text": " True\n", "secret": "hunter2" }
        }))
    }

    #[test]
    fn only_the_one_word_true_is_true() {
        let told = |text: &str| is_true(&of(text), &source()).unwrap();
        for yes in ["true", " TRUE \n", "{{ .source.status.ready }}", "{{ .source.status.text }}"] {
            assert_eq!(told(yes), Ok(()), "{yes}");
        }
        assert_eq!(told("{{ .source.no.such.field }}true"), Ok(()), "what is missing is nothing");
        for (no, why) in [
            ("", "nothing"),
            ("{{ .source.status.missing }}", "nothing"),
            ("false", "\"false\""),
            ("true true", "\"true true\""),
            ("{{ .source.status.secret }}", "7 characters other than true"),
        ] {
            assert_eq!(told(no), Err(why.to_owned()), "{no}");
        }
    }

    #[test]
    fn a_comparison_of_unlike_types_is_called_that() {
        let template = of("\n  {{ if eq .source.status.ready \"True\" }}true{{ end }}");
        let why = is_true(&template, &source()).unwrap_err();
        assert!(why.starts_with("spec.creationCondition, line 2, column 9: "), "{why}");
        assert!(why.contains("unlike types") && why.contains("unquoted True"), "{why}");
    }

    #[test]
    fn a_name_is_one_or_is_not_repeated() {
        let named = |text: &str| name(&parse("spec.nameTemplate", text).unwrap(), &source());
        assert_eq!(named(" x-{{ .source.metadata.name }}\n"), Ok(String::from("x-a")));
        assert!(named("{{ .source.metadata.none }}").unwrap_err().contains("renders to nothing"));
        for wrong in ["{{ .source.status.secret }}_", "-a", "a.", "a..b", "A", "ä"] {
            let why = named(wrong).unwrap_err();
            assert!(why.contains("cannot be the name") && !why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn nothing_is_rendered_that_depends_on_the_hour() {
        let why = render(&of("{{ now }}"), &source()).unwrap_err();
        assert!(why.contains("neither a clock nor random values"), "{why}");
    }
}
