//! Field selectors: as text.

use std::fmt;

use super::{
    FieldPath, FieldRequirement, FieldSelector, Step,
    grammar::{self, ParseSelectorError, Token},
    name::{QUALIFIED_NAME, is_qualified_name},
};

impl FieldSelector {
    /// Reads a selector of any fields: the grammar of label selectors with a [path](FieldPath::parse) as key and any
    /// text as value, such as `status.phase!=Running,spec.containers[].image in (a:1,b:2)`.
    ///
    /// ```
    /// let selector = meta::FieldSelector::parse(".metadata.labels['app.kubernetes.io/name']==web")?;
    /// assert_eq!(selector.to_string(), "metadata.labels['app.kubernetes.io/name']=web");
    /// # Ok::<(), meta::ParseSelectorError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ParseSelectorError> {
        let requirements = grammar::requirements(text, |_| true, "any value")?
            .into_iter()
            .map(|(key, operator)| Ok(FieldRequirement { path: path(key)?, operator }))
            .collect::<Result<_, _>>()?;
        Ok(Self { requirements })
    }
}

impl FieldPath {
    /// Reads a path: names with dots between, of which the first may be left out; names with dots in quotes, with or
    /// without brackets around; `[3]` for one element of a list and `[]` for any. Names are qualified names, as those of
    /// labels. The dot after a quote or bracket may be left out.
    pub fn parse(text: &str) -> Result<Self, ParseSelectorError> {
        path(Token { at: 0, text })
    }
}

fn path(token: Token<'_>) -> Result<FieldPath, ParseSelectorError> {
    let mut parser = PathParser { token, rest: token.text.strip_prefix('.').unwrap_or(token.text) };
    let mut steps = vec![parser.field()?];
    while !parser.rest.is_empty() {
        steps.push(if let Some(after) = parser.rest.strip_prefix('.') {
            parser.rest = after;
            parser.field()?
        } else if let Some(after) = parser.rest.strip_prefix('[') {
            parser.rest = after;
            parser.bracket()?
        } else {
            parser.field()?
        });
    }
    if !matches!(steps.last(), Some(Step::Field(_))) {
        return Err(parser.expected("a field after the list"));
    }
    Ok(FieldPath { steps })
}

struct PathParser<'a> {
    token: Token<'a>,
    rest: &'a str,
}

impl PathParser<'_> {
    /// A name, with or without quotes.
    fn field(&mut self) -> Result<Step, ParseSelectorError> {
        if self.rest.starts_with(['\'', '"']) {
            return self.quoted();
        }
        let end = self.rest.find(['.', '[']).unwrap_or(self.rest.len());
        self.name(end).map(Step::Field)
    }

    fn quoted(&mut self) -> Result<Step, ParseSelectorError> {
        let quote = if self.rest.starts_with('"') { '"' } else { '\'' };
        self.rest = &self.rest[1..];
        let Some(end) = self.rest.find(quote) else {
            self.rest = "";
            return Err(self.expected("a closing quote"));
        };
        let name = self.name(end)?;
        self.rest = &self.rest[1..];
        Ok(Step::Field(name))
    }

    /// What stands after `[`, and its end.
    fn bracket(&mut self) -> Result<Step, ParseSelectorError> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let step = if self.rest.starts_with(['\'', '"']) {
            self.quoted()?
        } else if self.rest.starts_with(']') {
            Step::Any
        } else {
            let index = self.rest[..digits].parse();
            let index = index.map_err(|_| self.expected("an index, a name in quotes or ']'"))?;
            self.rest = &self.rest[digits..];
            Step::Index(index)
        };
        self.rest = self.rest.strip_prefix(']').ok_or_else(|| self.expected("']'"))?;
        Ok(step)
    }

    /// The next `length` bytes as a name.
    fn name(&mut self, length: usize) -> Result<String, ParseSelectorError> {
        let (name, rest) = self.rest.split_at(length);
        if !is_qualified_name(name) {
            return Err(self.expected(QUALIFIED_NAME));
        }
        self.rest = rest;
        Ok(name.to_owned())
    }

    fn expected(&self, expected: &'static str) -> ParseSelectorError {
        let position = self.token.at + self.token.text.len() - self.rest.len();
        ParseSelectorError::new(position, expected, self.rest)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Field(name) if name.contains('.') && at == 0 => write!(f, "'{name}'")?,
                Step::Field(name) if name.contains('.') => write!(f, "['{name}']")?,
                Step::Field(name) if at == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Any => f.write_str("[]")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for FieldRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        grammar::write(f, &self.path, &self.operator)
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        grammar::write_all(f, &self.requirements)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::Operator, *};

    fn canonical(text: &str) -> String {
        FieldSelector::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
    }

    fn steps(text: &str) -> Vec<Step> {
        FieldPath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).steps
    }

    fn field(name: &str) -> Step {
        Step::Field(name.to_owned())
    }

    #[test]
    fn the_examples_of_the_contract_are_read() {
        for (text, expected) in [
            ("status.phase=Running", "status.phase=Running"),
            (".status.phase==Running", "status.phase=Running"),
            (
                "metadata.annotations['team.example.com/owner'] in (red,blue)",
                "metadata.annotations['team.example.com/owner'] in (blue,red)",
            ),
            (
                "metadata.annotations.'team.example.com/owner'!=red",
                "metadata.annotations['team.example.com/owner']!=red",
            ),
            (
                ".metadata.labels[\"app.kubernetes.io/name\"]=web",
                "metadata.labels['app.kubernetes.io/name']=web",
            ),
            ("!spec.nodeName", "!spec.nodeName"),
            ("spec.paused", "spec.paused"),
            (
                "spec.replicas=3,spec.strategy.type notin (Recreate)",
                "spec.replicas=3,spec.strategy.type!=Recreate",
            ),
            ("status.podIP=10.0.0.7", "status.podIP=10.0.0.7"),
            (
                "metadata.creationTimestamp=2024-01-02T03:04:05Z",
                "metadata.creationTimestamp=2024-01-02T03:04:05Z",
            ),
            ("status.reason=", "status.reason="),
            ("status.phase in (Pending,,Failed)", "status.phase in (,Failed,Pending)"),
            ("spec.containers[].name=app", "spec.containers[].name=app"),
            ("spec.containers[0].image=x", "spec.containers[0].image=x"),
            ("spec.replicas>3", "spec.replicas>3"),
            ("spec.replicas>-3", "spec.replicas>-3"),
            ("in in (in)", "in=in"),
            ("a['b']=x", "a.b=x"),
            ("a.'b'=x", "a.b=x"),
            ("  ", ""),
        ] {
            assert_eq!(canonical(text), expected, "{text}");
        }
    }

    #[test]
    fn a_path_has_steps() {
        assert_eq!(steps("a"), [field("a")]);
        assert_eq!(steps("a['x.y']b"), [field("a"), field("x.y"), field("b")]);
        assert_eq!(steps("'a.b'.c/d"), [field("a.b"), field("c/d")]);
        assert_eq!(steps("a[0][].b"), [field("a"), Step::Index(0), Step::Any, field("b")]);
        assert_eq!(steps("a[]['b']"), [field("a"), Step::Any, field("b")]);
    }

    #[test]
    fn what_the_contract_rejects_is_rejected_where_it_is_wrong() {
        for (text, position) in [
            (".", 1),
            ("metadata.", 9),
            ("a..b", 2),
            ("metadata.annotations[team.io]=x", 21),
            ("metadata.annotations['a'b']=x", 24),
            ("a['x'.y]=1", 5),
            ("a['x=1", 4),
            ("a[0", 3),
            ("[]", 0),
            ("[0].a", 0),
            ("spec.containers[]=x", 17),
            ("b,spec.containers[0]", 20),
            ("a['']=x", 3),
            ("a['two words']=x", 7),
            ("spec.replicas>=3", 14),
            ("a>x", 2),
            ("a<1.5", 2),
            (",a=b", 0),
            ("a=b,", 4),
            ("a b", 2),
            ("a in b", 5),
            ("a in (b c)", 8),
            ("a=b=c", 3),
            ("!a=b", 2),
            ("metadata.annotations['$x']=1", 22),
            ("f:spec=1", 0),
            ("a[-1].b", 2),
            ("a[99999999999999999999].b", 2),
            ("a'b'", 0),
            ("a.['b']", 2),
        ] {
            assert_eq!(FieldSelector::parse(text).map_err(|error| error.position), Err(position), "{text}");
        }
    }

    fn path() -> impl Strategy<Value = FieldPath> {
        let name = || prop_oneof!["[a-z]{1,3}", "(in|notin|x\\.io/y|a\\.b|A_b-c)"].prop_map(Step::Field);
        let step = prop_oneof![name(), (0..12_usize).prop_map(Step::Index), Just(Step::Any)];
        (name(), prop::collection::vec(step, 0..4), name()).prop_map(|(first, between, last)| FieldPath {
            steps: std::iter::once(first).chain(between).chain(std::iter::once(last)).collect(),
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(
            parts in prop::collection::vec(
                (path(), prop::collection::btree_set("[a:/\\[\\]'\"é.-]{0,3}", 1..3), 0..6_usize, any::<i64>()), 0..4),
        ) {
            let requirements = parts.into_iter().map(|(path, values, operator, bound)| {
                let operator = match operator {
                    0 => Operator::In(values),
                    1 => Operator::NotIn(values),
                    2 => Operator::Exists,
                    3 => Operator::NotExists,
                    4 => Operator::GreaterThan(bound),
                    _ => Operator::LessThan(bound),
                };
                FieldRequirement { path, operator }
            });
            let selector = FieldSelector { requirements: requirements.collect() };
            prop_assert_eq!(FieldSelector::parse(&selector.to_string()), Ok(selector));
        }

        #[test]
        fn any_text_is_read_or_refused_within_its_bounds(text in "[ab.\\['\"\\]0=,é/ \\-]{0,16}") {
            match FieldSelector::parse(&text) {
                Ok(selector) => prop_assert_eq!(FieldSelector::parse(&selector.to_string()), Ok(selector)),
                Err(error) => prop_assert!(text[error.position..].starts_with(&error.found)),
            }
        }
    }
}
