//! Go's `text/template` with the sprig functions.
//!
//! Policies and charts are written in this language, and what they mean is what Go makes of them. This crate answers as
//! Go does, or refuses: what Go refuses is refused here, at the same place, and a malformed template never renders. A
//! corpus of templates with Go's own answers holds it to that (`tests/`, made by `tools/gotemplate`).
//!
//! ```
//! use gotemplate::{Environment, Limits, Template};
//! use serde_json::json;
//!
//! let template = Template::parse(
//!     "condition",
//!     r#"{{ range .status.conditions }}{{ if eq .type "Ready" }}{{ .status | lower }}{{ end }}{{ end }}"#,
//! )?;
//! let object = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
//! assert_eq!(template.render(&object, &Limits::default(), &Environment::default())?, "true");
//! # Ok::<(), gotemplate::Error>(())
//! ```
//!
//! * Data are JSON values, seen as Go sees unstructured objects: whole numbers are `int64`.
//! * A key that a dictionary does not have prints as [`NO_VALUE`]; fields of it are missing too. A field of a null is an
//!   error. What to make of the marker is left to the caller.
//! * Nothing is escaped unasked: the engine is `text/template`, not `html/template`.
//! * [`Limits`] bound size, steps, depth and memory, whatever the template does.
//! * [`Environment`] brings the clock and the random bytes; without them such functions are errors.
//! * An [`Error`] has a place in the template and a kind; it never repeats a value of the data.
//!
//! Deliberately absent: `env`, `expandenv`, `getHostByName` and the functions that make keys, certificates and password
//! hashes, which are errors when a template is parsed; functions of the caller's, other delimiters, complex numbers,
//! files, I/O, async, clocks and global state.
//!
//! Where it knowingly differs from Go: `keys` and `values` come in the order of the keys (Go's order is random); a
//! dictionary cannot be put into itself (Go ends in a stack overflow); the local time zone is UTC; text, data and
//! templates nest no deeper than 100 to 200 levels; a template has at most a thousand variables; templates that call each other are bounded by [`Limits::depth`].

mod environment;
mod error;
mod eval;
mod format;
mod functions;
mod limits;
mod syntax;
mod template;
mod value;

pub use environment::Environment;
pub use error::{Error, ErrorKind, Limit};
pub use limits::Limits;
pub use template::{NO_VALUE, Template};
