//! Tokens to blocks: the control structures and the definitions.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    lex::{Keyword, Kind, Token, lex},
    literal::unquote,
    tree::{Block, Branch, Node, Tree},
};
use crate::error::{ErrorKind, Fault, Limit, Position};

/// Blocks and parentheses inside of each other. Deeper text is refused: each level takes a piece of the thread's stack.
const DEPTH: usize = 100;

pub(crate) type Parsed<T> = Result<T, (Fault, Position)>;

/// Parses the text of a whole template.
pub(crate) fn parse(name: &str, text: &str) -> Parsed<Tree> {
    let mut parser = Parser {
        tokens: lex(text)?,
        at: 0,
        variables: vec![Arc::from("$")],
        loops: 0,
        depth: DEPTH,
        defined: BTreeMap::new(),
    };
    let root = parser.template()?;
    // A definition by the template's own name is the template, if nothing else is.
    let root = match parser.defined.get(name) {
        None => root,
        Some(other) if is_empty(&root) => other.clone(),
        Some(other) if is_empty(other) => root,
        Some(_) => return parser.fail(format!("multiple definition of template {name:?}")),
    };
    parser.defined.insert(name.to_owned(), root.clone());
    Ok(Tree { root, defined: parser.defined })
}

pub(crate) struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    /// The next token; never behind the last.
    at: usize,
    /// Those declared here, with their `$`.
    pub(crate) variables: Vec<Arc<str>>,
    /// Of `range`, around this place.
    loops: usize,
    depth: usize,
    defined: BTreeMap<String, Block>,
}

/// What ended a block.
enum Ending {
    End,
    Else,
}

enum Item {
    Node(Node),
    Ending(Ending),
}

impl<'t> Parser<'t> {
    fn template(&mut self) -> Parsed<Block> {
        let mut block = Block::new();
        loop {
            match self.peek().kind {
                Kind::End => return Ok(block),
                Kind::Open if self.peek_behind_space(self.at + 1).kind == Kind::Keyword(Keyword::Define) => {
                    self.next();
                    self.next_token();
                    self.definition()?;
                }
                _ => match self.item()? {
                    Item::Node(node) => block.push(node),
                    Item::Ending(Ending::End) => return self.fail("unexpected {{end}}"),
                    Item::Ending(Ending::Else) => return self.fail("unexpected {{else}}"),
                },
            }
        }
    }

    /// Behind `define`.
    fn definition(&mut self) -> Parsed<()> {
        let name = self.template_name("define clause")?;
        self.expect_close("define clause")?;
        let block = self.separate_block("define clause")?;
        self.define(name, block)
    }

    /// A block that shares no variables with what is around it.
    fn separate_block(&mut self, context: &str) -> Parsed<Block> {
        let outside = std::mem::replace(&mut self.variables, vec![Arc::from("$")]);
        let loops = std::mem::take(&mut self.loops);
        let (block, ending) = self.block()?;
        if matches!(ending, Ending::Else) {
            return self.fail(format!("unexpected {{{{else}}}} in {context}"));
        }
        self.variables = outside;
        self.loops = loops;
        Ok(block)
    }

    fn define(&mut self, name: String, block: Block) -> Parsed<()> {
        match self.defined.get(&name) {
            Some(other) if is_empty(&block) && !is_empty(other) => {}
            Some(other) if !is_empty(other) => {
                return self.fail(format!("multiple definition of template {name:?}"));
            }
            _ => {
                self.defined.insert(name, block);
            }
        }
        Ok(())
    }

    /// Up to its `end` or `else`.
    fn block(&mut self) -> Parsed<(Block, Ending)> {
        self.enter()?;
        let mut block = Block::new();
        loop {
            if self.peek().kind == Kind::End {
                return self.fail("unexpected end of the template: an {{end}} is missing");
            }
            match self.item()? {
                Item::Node(node) => block.push(node),
                Item::Ending(ending) => {
                    self.leave();
                    return Ok((block, ending));
                }
            }
        }
    }

    fn item(&mut self) -> Parsed<Item> {
        let token = self.next_token();
        match token.kind {
            Kind::Text(text) => Ok(Item::Node(Node::Text(token.position, text.to_owned()))),
            Kind::Open => self.action(),
            _ => unexpected(token, "input"),
        }
    }

    /// Behind `{{`.
    fn action(&mut self) -> Parsed<Item> {
        let token = self.peek_token();
        let Kind::Keyword(keyword) = token.kind else {
            return Ok(Item::Node(Node::Action(self.pipeline("command", Kind::Close)?)));
        };
        self.next_token();
        Ok(Item::Node(match keyword {
            Keyword::End => {
                self.expect_close("end")?;
                return Ok(Item::Ending(Ending::End));
            }
            Keyword::Else => {
                // `else if` and `else with` leave their second word to the block they continue.
                if !matches!(self.peek_token().kind, Kind::Keyword(Keyword::If | Keyword::With)) {
                    self.expect_close("else")?;
                }
                return Ok(Item::Ending(Ending::Else));
            }
            Keyword::If => Node::If(self.branch(keyword, "if")?),
            Keyword::With => Node::With(self.branch(keyword, "with")?),
            Keyword::Range => Node::Range(self.branch(keyword, "range")?),
            Keyword::Break => self.jump("{{break}}", Node::Break)?,
            Keyword::Continue => self.jump("{{continue}}", Node::Continue)?,
            Keyword::Template => {
                let name = self.template_name("template clause")?;
                let argument = if self.peek_token().kind == Kind::Close {
                    self.next_token();
                    None
                } else {
                    Some(self.pipeline("template clause", Kind::Close)?)
                };
                Node::Template { position: token.position, name, argument }
            }
            Keyword::Block => {
                let name = self.template_name("block clause")?;
                let argument = Some(self.pipeline("block clause", Kind::Close)?);
                let block = self.separate_block("block clause")?;
                self.define(name.clone(), block)?;
                Node::Template { position: token.position, name, argument }
            }
            Keyword::Define => return unexpected(token, "command"),
        }))
    }

    fn jump(&mut self, what: &str, node: Node) -> Parsed<Node> {
        self.expect_close(what)?;
        if self.loops == 0 { self.fail(format!("{what} outside {{{{range}}}}")) } else { Ok(node) }
    }

    /// Behind `if`, `with` or `range`.
    fn branch(&mut self, keyword: Keyword, context: &str) -> Parsed<Branch> {
        self.enter()?;
        let declared = self.variables.len();
        let condition = self.pipeline(context, Kind::Close)?;
        let is_loop = usize::from(keyword == Keyword::Range);
        self.loops += is_loop;
        let (then, ending) = self.block()?;
        self.loops -= is_loop;
        let otherwise = match ending {
            Ending::End => Block::new(),
            Ending::Else if keyword != Keyword::Range && self.peek_token().kind == Kind::Keyword(keyword) => {
                self.next_token();
                let branch = self.branch(keyword, context)?;
                vec![if keyword == Keyword::If { Node::If(branch) } else { Node::With(branch) }]
            }
            Ending::Else => match self.block()? {
                (block, Ending::End) => block,
                _ => return self.fail("expected end; found {{else}}"),
            },
        };
        self.variables.truncate(declared);
        self.leave();
        Ok(Branch { condition, then, otherwise })
    }

    fn template_name(&mut self, context: &str) -> Parsed<String> {
        let token = self.next_token();
        let Kind::Quoted(quoted) = token.kind else { return unexpected(token, context) };
        let bytes =
            unquote(quoted).map_err(|message| (Fault::new(ErrorKind::Syntax, message), token.position))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn expect_close(&mut self, context: &str) -> Parsed<()> {
        let token = self.next_token();
        if token.kind == Kind::Close { Ok(()) } else { unexpected(token, context) }
    }

    /// The next token, be it a space.
    pub(crate) fn peek(&self) -> Token<'t> {
        self.tokens[self.at]
    }

    pub(crate) fn next(&mut self) -> Token<'t> {
        let token = self.tokens[self.at];
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// The next token that is no space.
    pub(crate) fn peek_token(&self) -> Token<'t> {
        self.peek_behind_space(self.at)
    }

    pub(crate) fn next_token(&mut self) -> Token<'t> {
        if self.peek().kind == Kind::Space {
            self.next();
        }
        self.next()
    }

    fn peek_behind_space(&self, at: usize) -> Token<'t> {
        let last = self.tokens.len() - 1;
        let token = self.tokens[at.min(last)];
        if token.kind == Kind::Space { self.tokens[(at + 1).min(last)] } else { token }
    }

    /// Where the parser stands, for [`Parser::back_to`].
    pub(crate) fn mark(&self) -> usize {
        self.at
    }

    pub(crate) fn back_to(&mut self, mark: usize) {
        self.at = mark;
    }

    pub(crate) fn enter(&mut self) -> Parsed<()> {
        match self.depth.checked_sub(1) {
            Some(depth) => self.depth = depth,
            None => return Err((Limit::Depth.into(), self.peek().position)),
        }
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth += 1;
    }

    pub(crate) fn fail<T>(&self, message: impl Into<String>) -> Parsed<T> {
        // The token that was looked at last.
        let position = self.tokens[self.at.saturating_sub(1)].position;
        Err((Fault::new(ErrorKind::Syntax, message), position))
    }
}

pub(crate) fn unexpected<T>(token: Token<'_>, context: &str) -> Parsed<T> {
    let message = format!("unexpected {} in {context}", describe(token.kind));
    Err((Fault::new(ErrorKind::Syntax, message), token.position))
}

fn describe(kind: Kind<'_>) -> String {
    match kind {
        Kind::Text(_) => "text".into(),
        Kind::Open => r#""{{""#.into(),
        Kind::Close => r#""}}""#.into(),
        Kind::Space => "space".into(),
        Kind::Assign => r#""=""#.into(),
        Kind::Declare => r#"":=""#.into(),
        Kind::Pipe => r#""|""#.into(),
        Kind::LeftParen => r#""(""#.into(),
        Kind::RightParen => r#"")""#.into(),
        Kind::Sign(c) => format!("{:?}", c.to_string()),
        Kind::Quoted(text)
        | Kind::Number(text)
        | Kind::Char(text)
        | Kind::Identifier(text)
        | Kind::Variable(text) => {
            format!("<{text}>")
        }
        Kind::Keyword(keyword) => format!("{{{{{}}}}}", format!("{keyword:?}").to_lowercase()),
        Kind::Bool(value) => format!("<{value}>"),
        Kind::Nil => "<nil>".into(),
        Kind::Dot => "<.>".into(),
        Kind::Field(name) => format!("<.{name}>"),
        Kind::End => "end of the template".into(),
    }
}

/// Nothing but white space: such a definition gives way to another of its name.
fn is_empty(block: &[Node]) -> bool {
    block.iter().all(|node| matches!(node, Node::Text(_, text) if text.trim().is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let (fault, position) = parse("t", text).unwrap_err();
        format!("{}:{} {}", position.line, position.column, fault.message)
    }

    #[test]
    fn a_malformed_template_is_an_error_with_its_place() {
        assert_eq!(message("{{if .x}}a"), "1:10 unexpected end of the template: an {{end}} is missing");
        assert_eq!(message("a\n{{end}}"), "2:6 unexpected {{end}}");
        assert_eq!(message("{{if .x}}{{else}}{{else}}{{end}}"), "1:24 expected end; found {{else}}");
        assert_eq!(message("{{break}}"), "1:8 {{break}} outside {{range}}");
        assert_eq!(message("{{if}}x{{end}}"), "1:5 missing value for if");
        assert_eq!(message("{{ template . }}"), "1:13 unexpected <.> in template clause");
        assert_eq!(message("{{ 1 | 2 }}"), "1:8 non executable command in pipeline stage 2");
        assert_eq!(message("{{ .x"), "1:6 unclosed action");
    }

    #[test]
    fn nested_definitions_and_variables_of_other_templates_are_refused() {
        assert!(message(r#"{{if .x}}{{define "a"}}{{end}}{{end}}"#).contains("unexpected {{define}}"));
        assert!(message(r#"{{$x := 1}}{{define "a"}}{{$x}}{{end}}"#).contains("undefined variable"));
        assert!(
            message(r#"{{range .l}}{{block "a" .}}{{break}}{{end}}{{end}}"#).contains("outside {{range}}")
        );
    }

    #[test]
    fn deep_text_is_refused_before_it_takes_the_stack() {
        for (open, close) in [("{{if .}}", "{{end}}"), ("{{with .}}{{else with .}}", "{{end}}")] {
            let text = format!("{}{}", open.repeat(10_000), close.repeat(10_000));
            assert_eq!(parse("t", &text).unwrap_err().0.kind, ErrorKind::Limit(Limit::Depth));
        }
        let text = format!("{{{{ {}1{} }}}}", "(".repeat(10_000), ")".repeat(10_000));
        assert_eq!(parse("t", &text).unwrap_err().0.kind, ErrorKind::Limit(Limit::Depth));
    }
}
