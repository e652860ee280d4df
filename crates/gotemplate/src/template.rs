//! The public face: parse once, render often.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::{
    environment::Environment,
    error::Error,
    eval,
    limits::Limits,
    syntax::{parse::parse, reads, tree::Tree},
};

/// What a missing value and a null are printed as, as in Go. Import policies take it out of their results.
///
/// ```
/// use gotemplate::{Environment, Limits, NO_VALUE, Template};
///
/// let template = Template::parse("t", "{{ .spec.region }}")?;
/// let text = template.render(&serde_json::json!({}), &Limits::default(), &Environment::default())?;
/// assert_eq!(text, NO_VALUE);
/// # Ok::<(), gotemplate::Error>(())
/// ```
pub const NO_VALUE: &str = "<no value>";

/// A parsed template and the templates it defines.
#[derive(Debug, Clone)]
pub struct Template {
    name: String,
    tree: Tree,
}

impl Template {
    /// Parses `text`. `name` is for errors, and `{{ template "name" }}` calls the template itself.
    ///
    /// Everything Go checks at this time is checked: syntax, the names of functions and variables.
    ///
    /// ```
    /// use gotemplate::{ErrorKind, Template};
    ///
    /// let error = Template::parse("t", "{{ if .x }}").unwrap_err();
    /// assert_eq!(error.kind, ErrorKind::Syntax);
    /// let error = Template::parse("t", r#"{{ env "HOME" }}"#).unwrap_err();
    /// assert_eq!(error.kind, ErrorKind::RefusedFunction);
    /// ```
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        match parse(name, text) {
            Ok(tree) => Ok(Self { name: name.to_owned(), tree }),
            Err((fault, position)) => Err(fault.at(name, position)),
        }
    }

    /// The name given to [`Template::parse`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fields of the data that the template looks at, as paths from the root: what lies elsewhere cannot change a
    /// result. Nothing if it may be all of them.
    ///
    /// ```
    /// use gotemplate::Template;
    ///
    /// let template = Template::parse("t", "{{ range .status.conditions }}{{ .type }}{{ $.metadata.name }}{{ end }}")?;
    /// let paths: Vec<String> = template.paths().into_iter().flatten().map(|path| path.join(".")).collect();
    /// assert_eq!(paths, ["metadata.name", "status.conditions"]);
    /// assert_eq!(Template::parse("t", "{{ toJson . }}")?.paths(), None);
    /// # Ok::<(), gotemplate::Error>(())
    /// ```
    pub fn paths(&self) -> Option<BTreeSet<Vec<String>>> {
        reads::paths(&self.tree)
    }

    /// Renders the template with `data` as its dot.
    ///
    /// Bytes of the result that are not UTF-8, as of a Secret that was decoded, become U+FFFD. Every rendering begins
    /// with fresh data: what `set` changes in one is not seen by another.
    ///
    /// ```
    /// use gotemplate::{Environment, ErrorKind, Limit, Limits, Template};
    /// use serde_json::json;
    ///
    /// let limits = Limits::default();
    /// let nothing = Environment::default();
    /// let template = Template::parse("t", r"{{ .name | trunc 3 | quote }}")?;
    /// assert_eq!(template.render(&json!({ "name": "cluster" }), &limits, &nothing)?, r#""clu""#);
    ///
    /// let error = template.render(&json!({ "name": 3 }), &limits, &nothing).unwrap_err();
    /// assert_eq!(error.to_string(), "t:1:12: trunc: wrong type for an argument; expected string; got int64");
    ///
    /// let template = Template::parse("t", r#"{{ repeat 1000000000 "x" }}"#)?;
    /// let error = template.render(&json!({}), &limits, &nothing).unwrap_err();
    /// assert!(matches!(error.kind, ErrorKind::Limit(Limit::Steps | Limit::Memory)));
    /// # Ok::<(), gotemplate::Error>(())
    /// ```
    pub fn render(
        &self,
        data: &Json,
        limits: &Limits,
        environment: &Environment<'_>,
    ) -> Result<String, Error> {
        eval::render(&self.name, &self.tree, data, limits, environment)
    }
}
