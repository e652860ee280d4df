//! From text to a template.

use serde_json::Value;

use super::{Comparison, Filter, JsonPath, Node, Operand, ParseJsonPathError, Path, Slice, Step};

type Result<T> = std::result::Result<T, ParseJsonPathError>;

/// Ranges within ranges, and filters within filters: more is nobody's intention.
const DEPTH_LIMIT: usize = 8;

const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

impl JsonPath {
    /// Reads a template as `kubectl -o jsonpath=` takes it: text, with paths in braces.
    pub fn parse(template: &str) -> Result<Self> {
        Parser { text: template, rest: template, filters: 0 }.template()
    }

    /// Reads one path as printer columns have it: without braces, the first dot may be missing. With braces it is read
    /// as by [`Self::parse`].
    pub fn parse_relaxed(path: &str) -> Result<Self> {
        if path.starts_with('{') {
            return Self::parse(path);
        }
        let mut parser = Parser { text: path, rest: path, filters: 0 };
        let mut steps = Path::new();
        if !path.starts_with(['.', '[', '$', '@']) {
            steps.push(Step::Field(parser.name()));
        }
        steps.append(&mut parser.path()?);
        if !parser.rest.is_empty() {
            return Err(parser.expected("a step such as '.name' or '[0]'"));
        }
        Ok(Self { nodes: vec![Node::Path(steps)] })
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    /// Filters that are open.
    filters: usize,
}

impl<'a> Parser<'a> {
    fn template(mut self) -> Result<JsonPath> {
        let mut nodes = Vec::new();
        // The ranges that are open: their paths, and what stood before them.
        let mut open: Vec<(Path, Vec<Node>)> = Vec::new();
        while !self.rest.is_empty() {
            let text = self.take_while(|c| c != '{');
            if !text.is_empty() {
                nodes.push(Node::Text(text.to_owned()));
            }
            if !self.accept("{") {
                continue;
            }
            self.blanks();
            if self.keyword("range") {
                if open.len() == DEPTH_LIMIT {
                    return Err(self.expected("fewer ranges within each other"));
                }
                self.blanks();
                open.push((self.path()?, std::mem::take(&mut nodes)));
            } else if self.keyword("end") {
                let (path, before) = open.pop().ok_or_else(|| self.expected("a range before its end"))?;
                let within = std::mem::replace(&mut nodes, before);
                nodes.push(Node::Range(path, within));
            } else {
                nodes.push(self.action()?);
            }
            self.blanks();
            self.require("}", "'}'")?;
        }
        // As kubectl does, an end that is missing is taken to be at the end.
        while let Some((path, before)) = open.pop() {
            let within = std::mem::replace(&mut nodes, before);
            nodes.push(Node::Range(path, within));
        }
        Ok(JsonPath { nodes })
    }

    /// A path, or something to be printed as it is.
    fn action(&mut self) -> Result<Node> {
        Ok(match self.literal()? {
            Some(Value::String(text)) => Node::Text(text),
            Some(value) => Node::Text(value.to_string()),
            None => {
                let path = self.path()?;
                if path.is_empty() && !self.rest.starts_with('}') {
                    return Err(self.expected("a path such as .name, a text in quotes, range or end"));
                }
                Node::Path(path)
            }
        })
    }

    /// A text in quotes, a number, `true` or `false`.
    fn literal(&mut self) -> Result<Option<Value>> {
        if self.rest.starts_with(['"', '\'']) {
            return self.quoted().map(|text| Some(text.into()));
        }
        for (word, value) in [("true", true), ("false", false)] {
            if self.keyword(word) {
                return Ok(Some(value.into()));
            }
        }
        if self.rest.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            let before = self.rest;
            let digits = self.take_while(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'));
            let number = digits.parse::<serde_json::Number>().map_err(|_| {
                self.rest = before;
                self.expected("a number")
            })?;
            return Ok(Some(number.into()));
        }
        Ok(None)
    }

    /// All steps that follow. White space between them has no meaning.
    fn path(&mut self) -> Result<Path> {
        let mut steps = Path::new();
        if !self.accept("$") {
            self.accept("@");
        }
        loop {
            self.blanks();
            if self.accept("..") {
                steps.push(Step::Descend);
                let name = self.name();
                if !name.is_empty() {
                    steps.push(Step::Field(name));
                }
            } else if self.accept(".") {
                steps.push(if self.accept("*") { Step::Children } else { Step::Field(self.name()) });
            } else if self.accept("[") {
                steps.push(self.bracket()?);
            } else {
                return Ok(steps);
            }
        }
    }

    /// The name of a field without quotes; may be empty.
    fn name(&mut self) -> String {
        let mut name = String::new();
        loop {
            name.push_str(self.take_while(|c| !BLANK.contains(&c) && !".,[]{}()=!<>|&*'\"\\".contains(c)));
            if !self.accept("\\") {
                return name;
            }
            name.extend(self.take_char());
        }
    }

    /// What stands after `[`, and its end.
    fn bracket(&mut self) -> Result<Step> {
        if self.accept("?(") {
            let filter = self.filter()?;
            self.require("]", "']'")?;
            return Ok(Step::Filter(filter));
        }
        let mut steps = Vec::new();
        loop {
            self.blanks();
            steps.push(if self.rest.starts_with(['"', '\'']) {
                Step::Field(self.key()?)
            } else if self.accept("*") {
                Step::Elements
            } else {
                self.slice()?
            });
            self.blanks();
            if !self.accept(",") {
                break;
            }
        }
        self.require("]", "',' or ']'")?;
        Ok(match steps.pop() {
            Some(step) if steps.is_empty() => step,
            last => Step::Union(steps.into_iter().chain(last).collect()),
        })
    }

    /// An index, or up to three parts of a slice.
    fn slice(&mut self) -> Result<Step> {
        let start = self.integer()?;
        if !self.accept(":") {
            // As kubectl does: nothing is the first element.
            return Ok(Step::Index(start.unwrap_or(0)));
        }
        let end = self.integer()?;
        let mut step = 1;
        if self.accept(":") {
            let before = self.rest;
            let given = self.integer()?.unwrap_or(1);
            step = usize::try_from(given).unwrap_or(0);
            if step == 0 {
                self.rest = before;
                return Err(self.expected("a step above 0"));
            }
        }
        Ok(Step::Slice(Slice { start, end, step }))
    }

    fn integer(&mut self) -> Result<Option<i64>> {
        let before = self.rest;
        let digits = self.take_while(|c| c.is_ascii_digit() || c == '-');
        if digits.is_empty() {
            let goes_on = self.rest.starts_with([':', ',', ']']) || self.rest.starts_with(BLANK);
            return if goes_on { Ok(None) } else { Err(self.expected("an index, '*' or a name in quotes")) };
        }
        digits.parse().map(Some).map_err(|_| {
            self.rest = before;
            self.expected("an index")
        })
    }

    /// What stands after `?(`, and its end.
    fn filter(&mut self) -> Result<Filter> {
        self.filters += 1;
        if self.filters > DEPTH_LIMIT {
            return Err(self.expected("fewer filters within each other"));
        }
        let left = self.operand()?;
        let comparison = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ]
        .into_iter()
        .find(|(sign, _)| self.accept(sign))
        .map(|(_, comparison)| Ok((comparison, self.operand()?)))
        .transpose()?;
        self.require(")", if comparison.is_some() { "')'" } else { "a comparison or ')'" })?;
        self.filters -= 1;
        Ok(Filter { left, comparison })
    }

    fn operand(&mut self) -> Result<Operand> {
        self.blanks();
        let operand = match self.literal()? {
            Some(value) => Operand::Literal(value),
            None if self.rest.starts_with(['@', '$', '.', '[']) => Operand::Path(self.path()?),
            None => return Err(self.expected("a path, a text in quotes, a number, true or false")),
        };
        self.blanks();
        Ok(operand)
    }

    /// A name in quotes, as a step.
    fn key(&mut self) -> Result<String> {
        self.within_quotes(|parser, name| {
            name.extend(parser.take_char());
            Ok(())
        })
    }

    /// A text in quotes, to print or compare.
    fn quoted(&mut self) -> Result<String> {
        self.within_quotes(|parser, text| {
            let at = parser.rest;
            let c = match parser.take_char() {
                Some('n') => Some('\n'),
                Some('t') => Some('\t'),
                Some('r') => Some('\r'),
                Some('u') => parser.code_point(4),
                Some('U') => parser.code_point(8),
                Some(c @ ('\\' | '"' | '\'' | '/')) => Some(c),
                _ => None,
            };
            text.push(c.ok_or_else(|| {
                parser.rest = at;
                parser.expected("an escape such as \\n, \\t, \\\" or \\u00e9")
            })?);
            Ok(())
        })
    }

    /// From one quote to the next of its kind; `escape` reads what stands after a backslash.
    fn within_quotes(&mut self, escape: impl Fn(&mut Self, &mut String) -> Result<()>) -> Result<String> {
        let quote = self.take_char().unwrap_or('"');
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|c| c != quote && c != '\\'));
            if self.accept("\\") {
                escape(self, &mut text)?;
            } else if self.take_char().is_none() {
                return Err(self.expected("a closing quote"));
            } else {
                return Ok(text);
            }
        }
    }

    fn code_point(&mut self, digits: usize) -> Option<char> {
        let code = u32::from_str_radix(self.rest.get(..digits)?, 16).ok()?;
        self.rest = &self.rest[digits..];
        char::from_u32(code)
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(BLANK);
    }

    /// Past `text`, if it stands here.
    fn accept(&mut self, text: &str) -> bool {
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Past `word`, if it stands here as a whole word.
    fn keyword(&mut self, word: &str) -> bool {
        let whole =
            self.rest.strip_prefix(word).is_some_and(|after| !after.starts_with(char::is_alphanumeric));
        whole && self.accept(word)
    }

    fn require(&mut self, text: &str, expected: &'static str) -> Result<()> {
        if self.accept(text) { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn take_char(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    fn expected(&self, expected: &'static str) -> ParseJsonPathError {
        ParseJsonPathError { position: self.text.len() - self.rest.len(), expected }
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}
