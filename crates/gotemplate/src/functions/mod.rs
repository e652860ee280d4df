//! The functions: Go's own and sprig's.
//!
//! Each file holds one family and its table. A function declares the types of its parameters as Go does; they are checked
//! before it runs. It takes what it makes from the budget of its [`Context`].

mod builtin;
mod case;
mod cast;
mod dates;
mod dicts;
mod digests;
mod encoding;
mod escape;
mod flow;
mod json;
mod layout;
mod lists;
mod math;
mod merge;
pub(crate) mod moment;
mod paths;
mod pattern;
mod random;
mod reflection;
mod regexes;
mod rounding;
mod semver;
mod strings;
mod time_layout;
mod urls;
pub(crate) mod version;

use std::{collections::HashMap, rc::Rc};

use crate::{
    environment::Environment,
    error::{ErrorKind, Fault},
    limits::Budget,
    value::{Map, Text, Value},
};
use pattern::Pattern;

/// What a function is called with, besides its arguments.
pub(crate) struct Context<'c> {
    pub(crate) budget: Budget,
    pub(crate) environment: &'c Environment<'c>,
    /// Compiled regular expressions of this rendering.
    patterns: HashMap<Text, Result<Rc<Pattern>, Fault>>,
}

impl<'c> Context<'c> {
    pub(crate) fn new(budget: Budget, environment: &'c Environment<'c>) -> Self {
        Self { budget, environment, patterns: HashMap::new() }
    }

    /// A new text, taken from the budget.
    fn text(&mut self, bytes: impl Into<Vec<u8>>) -> Result<Value, Fault> {
        let bytes = bytes.into();
        self.budget.make(bytes.len())?;
        Ok(Value::from(bytes))
    }

    /// A new list, taken from the budget.
    fn list(&mut self, items: Vec<Value>) -> Result<Value, Fault> {
        self.budget.make_values(items.len())?;
        Ok(Value::list(items))
    }

    /// A new list of new texts, taken from the budget.
    fn texts(&mut self, texts: Vec<Text>) -> Result<Value, Fault> {
        self.budget.make_values(texts.len())?;
        self.budget.make(texts.iter().map(|text| text.len()).sum())?;
        Ok(Value::texts(texts))
    }
}

/// Go's type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// `interface{}`: any value; a missing one is null.
    Any,
    /// `reflect.Value`: any value as it is.
    Raw,
    Text,
    Int,
    Float,
    Bool,
    /// `map[string]interface{}`
    Map,
    Time,
}

impl Type {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Type::Any => "interface {}",
            Type::Raw => "reflect.Value",
            Type::Text => "string",
            Type::Int => "int",
            Type::Float => "float64",
            Type::Bool => "bool",
            Type::Map => "map[string]interface {}",
            Type::Time => "time.Time",
        }
    }
}

type Run = fn(&mut Context<'_>, Args<'_>) -> Result<Value, Fault>;

/// A function a template can call.
pub(crate) struct Function {
    /// The first is its own, the others are aliases.
    names: &'static [&'static str],
    pub(crate) parameters: &'static [Type],
    /// Of any number of further arguments.
    pub(crate) rest: Option<Type>,
    run: Run,
}

impl Function {
    const fn new(names: &'static [&'static str], parameters: &'static [Type], run: Run) -> Self {
        Self { names, parameters, rest: None, run }
    }

    const fn variadic(
        names: &'static [&'static str],
        parameters: &'static [Type],
        rest: Type,
        run: Run,
    ) -> Self {
        Self { names, parameters, rest: Some(rest), run }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.names[0]
    }

    /// Of the argument at `index`, if there may be so many.
    pub(crate) fn parameter(&self, index: usize) -> Option<Type> {
        self.parameters.get(index).copied().or(self.rest)
    }

    /// With arguments of the declared types.
    pub(crate) fn call(&self, context: &mut Context<'_>, args: &[Value]) -> Result<Value, Fault> {
        let size = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::List(list) => list.items().len(),
            Value::Map(map) => map.len(),
            _ => 0,
        };
        context.budget.read(args.iter().map(size).sum())?;
        (self.run)(context, Args(args))
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

static TABLES: [&[Function]; 20] = [
    builtin::TABLE,
    case::TABLE,
    dates::TABLE,
    dicts::TABLE,
    digests::TABLE,
    encoding::TABLE,
    escape::TABLE,
    flow::TABLE,
    json::TABLE,
    layout::TABLE,
    lists::TABLE,
    math::TABLE,
    merge::TABLE,
    paths::TABLE,
    random::TABLE,
    reflection::TABLE,
    regexes::TABLE,
    semver::TABLE,
    strings::TABLE,
    urls::TABLE,
];

/// Sprig's functions that are refused, and why.
const REFUSED: [(&[&str], &str); 3] = [
    (
        &["env", "expandenv", "getHostByName"],
        "it would tell the template about the machine it is rendered on",
    ),
    (
        &[
            "genPrivateKey",
            "genCA",
            "genCAWithKey",
            "genSelfSignedCert",
            "genSelfSignedCertWithKey",
            "genSignedCert",
            "genSignedCertWithKey",
            "buildCustomCert",
            "encryptAES",
            "decryptAES",
        ],
        "templates make no keys and no certificates here",
    ),
    (&["bcrypt", "htpasswd", "derivePassword"], "it is slow by design"),
];

pub(crate) enum Lookup {
    Found(&'static Function),
    Refused(Fault),
    Unknown,
}

/// The function of that name.
pub(crate) fn lookup(name: &str) -> Lookup {
    if let Some((_, reason)) = REFUSED.iter().find(|(names, _)| names.contains(&name)) {
        let message = format!("function {name:?} is refused: {reason}");
        return Lookup::Refused(Fault::new(ErrorKind::RefusedFunction, message));
    }
    let mut functions = TABLES.iter().flat_map(|table| table.iter());
    functions.find(|function| function.names.contains(&name)).map_or(Lookup::Unknown, Lookup::Found)
}

/// What Go's times and versions can do, called as `.Method`. The value is the function's first argument.
pub(crate) fn method(receiver: &Value, name: &[u8]) -> Option<&'static Function> {
    let methods = match receiver {
        Value::Moment(_) => dates::METHODS,
        Value::Version(_) => semver::METHODS,
        _ => &[],
    };
    methods.iter().find(|method| method.name().as_bytes() == name)
}

/// Arguments whose types were checked: asking for one as another type than declared gives an empty value.
#[derive(Clone, Copy)]
struct Args<'a>(&'a [Value]);

impl<'a> Args<'a> {
    fn value(self, index: usize) -> &'a Value {
        self.0.get(index).unwrap_or(&Value::Missing)
    }

    fn bytes(self, index: usize) -> &'a [u8] {
        match self.value(index) {
            Value::Text(text) => text,
            _ => b"",
        }
    }

    fn chars(self, index: usize) -> std::borrow::Cow<'a, str> {
        String::from_utf8_lossy(self.bytes(index))
    }

    fn text(self, index: usize) -> Text {
        match self.value(index) {
            Value::Text(text) => text.clone(),
            _ => Text::from(""),
        }
    }

    fn int(self, index: usize) -> i64 {
        match self.value(index) {
            Value::Int(value, _) => *value,
            _ => 0,
        }
    }

    fn is_true(self, index: usize) -> bool {
        matches!(self.value(index), Value::Bool(true))
    }

    fn map(self, index: usize) -> Rc<Map> {
        match self.value(index) {
            Value::Map(map) => map.clone(),
            _ => Rc::new(Map::nil()),
        }
    }

    /// Those from `index` on.
    fn from(self, index: usize) -> &'a [Value] {
        self.0.get(index..).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_given_twice() {
        let mut names: Vec<_> = TABLES.iter().flat_map(|table| table.iter()).flat_map(|f| f.names).collect();
        names.extend(REFUSED.iter().flat_map(|(names, _)| names.iter()));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn what_reaches_outside_is_refused_by_name() {
        for name in ["env", "expandenv", "getHostByName", "genCA", "bcrypt"] {
            let Lookup::Refused(fault) = lookup(name) else { unreachable!("{name}") };
            assert_eq!(fault.kind, ErrorKind::RefusedFunction);
            assert!(fault.message.contains(name));
        }
    }
}
