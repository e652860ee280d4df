//! Text to tokens, as Go's template language cuts them.

use crate::error::{ErrorKind, Fault, Position};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Token<'t> {
    pub(crate) position: Position,
    pub(crate) kind: Kind<'t>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind<'t> {
    /// Outside of actions, trimmed.
    Text(&'t str),
    /// `{{`
    Open,
    /// `}}`
    Close,
    Space,
    /// `=`
    Assign,
    /// `:=`
    Declare,
    Pipe,
    LeftParen,
    RightParen,
    /// Any other ASCII sign.
    Sign(char),
    /// With its quotes.
    Quoted(&'t str),
    Number(&'t str),
    /// `'c'`
    Char(&'t str),
    Identifier(&'t str),
    Keyword(Keyword),
    Bool(bool),
    Nil,
    Dot,
    /// Without its dot.
    Field(&'t str),
    /// With its `$`.
    Variable(&'t str),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

/// All tokens of `text`; the last is [`Kind::End`].
pub(crate) fn lex(text: &str) -> Result<Vec<Token<'_>>, (Fault, Position)> {
    let mut lexer =
        Lexer { text, at: 0, position: Position { line: 1, column: 1 }, parens: 0, tokens: Vec::new() };
    match lexer.run() {
        Ok(()) => Ok(lexer.tokens),
        Err(message) => Err((Fault::new(ErrorKind::Syntax, message), lexer.position)),
    }
}

struct Lexer<'t> {
    text: &'t str,
    /// In bytes.
    at: usize,
    /// Of `at`.
    position: Position,
    parens: usize,
    tokens: Vec<Token<'t>>,
}

type Step = Result<(), String>;

impl<'t> Lexer<'t> {
    fn run(&mut self) -> Step {
        loop {
            let rest = self.rest();
            let Some(open) = rest.find("{{") else {
                if !rest.is_empty() {
                    self.push(rest.len(), Kind::Text(rest));
                }
                self.push(0, Kind::End);
                return Ok(());
            };
            let before = &rest[..open];
            let trims = trims_left(&rest[open + 2..]);
            let kept = if trims { before.trim_end_matches(is_space) } else { before };
            if !kept.is_empty() {
                self.push(kept.len(), Kind::Text(kept));
            }
            self.advance(before.len() - kept.len());
            let marker = if trims { 2 } else { 0 };
            if rest[open + 2 + marker..].starts_with("/*") {
                self.comment(2 + marker)?;
            } else {
                self.push(2, Kind::Open);
                self.advance(marker);
                self.parens = 0;
                self.action()?;
            }
        }
    }

    /// `/* … */` with the delimiters around it, of which the left one takes `delimiter` bytes.
    fn comment(&mut self, delimiter: usize) -> Step {
        let rest = self.rest();
        let Some(end) = rest[delimiter + 2..].find("*/") else { return Err("unclosed comment".into()) };
        self.advance(delimiter + 2 + end + 2);
        if !self.close_delimiter(false) {
            return Err("comment ends before closing delimiter".into());
        }
        Ok(())
    }

    /// Passes a closing delimiter, if there is one.
    fn close_delimiter(&mut self, emits: bool) -> bool {
        let rest = self.rest();
        let trims = trims_right(rest);
        if !trims && !rest.starts_with("}}") {
            return false;
        }
        if trims {
            self.advance(2);
        }
        if emits {
            self.push(2, Kind::Close);
        } else {
            self.advance(2);
        }
        if trims {
            let rest = self.rest();
            self.advance(rest.len() - rest.trim_start_matches(is_space).len());
        }
        true
    }

    fn action(&mut self) -> Step {
        loop {
            let rest = self.rest();
            if trims_right(rest) || rest.starts_with("}}") {
                if self.parens > 0 {
                    return Err("unclosed left paren".into());
                }
                self.close_delimiter(true);
                return Ok(());
            }
            let Some(first) = rest.chars().next() else { return Err("unclosed action".into()) };
            match first {
                c if is_space(c) => self.space(),
                '=' => self.push(1, Kind::Assign),
                ':' if rest.starts_with(":=") => self.push(2, Kind::Declare),
                ':' => return Err("expected :=".into()),
                '|' => self.push(1, Kind::Pipe),
                '"' => self.quoted('"', "unterminated quoted string")?,
                '\'' => self.quoted('\'', "unterminated character constant")?,
                '`' => {
                    let Some(end) = rest[1..].find('`') else {
                        return Err("unterminated raw quoted string".into());
                    };
                    self.push(end + 2, Kind::Quoted(&rest[..end + 2]));
                }
                '$' => self.name(1, Kind::Variable)?,
                '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                    if rest.len() == 1 {
                        // Go looks for a number behind a dot at the very end of the text; there is none.
                        return Err("bad number syntax".into());
                    }
                    self.name(1, |name| if name.len() == 1 { Kind::Dot } else { Kind::Field(&name[1..]) })?;
                }
                '.' | '+' | '-' | '0'..='9' => self.number()?,
                c if is_alphanumeric(c) => self.name(0, word)?,
                '(' => {
                    self.parens += 1;
                    self.push(1, Kind::LeftParen);
                }
                ')' => {
                    self.parens = self.parens.checked_sub(1).ok_or("unexpected right paren")?;
                    self.push(1, Kind::RightParen);
                }
                c if c.is_ascii_graphic() => self.push(1, Kind::Sign(c)),
                c => return Err(format!("unrecognized character in action: U+{:04X}", u32::from(c))),
            }
        }
    }

    /// A run of spaces, without the one that belongs to a trim marker.
    fn space(&mut self) {
        let rest = self.rest();
        let length = rest.len() - rest.trim_start_matches(is_space).len();
        let length = if trims_right(&rest[length - 1..]) { length - 1 } else { length };
        self.push(length, Kind::Space);
    }

    fn quoted(&mut self, quote: char, message: &str) -> Step {
        let rest = self.rest();
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    let raw = &rest[..=at];
                    self.push(raw.len(), if quote == '"' { Kind::Quoted(raw) } else { Kind::Char(raw) });
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(message.into())
    }

    /// Letters and digits behind a prefix of `prefix` bytes, with something behind them that may stand there.
    fn name(&mut self, prefix: usize, kind: impl FnOnce(&'t str) -> Kind<'t>) -> Step {
        let rest = self.rest();
        let length = rest[prefix..].find(|c| !is_alphanumeric(c)).map_or(rest.len(), |at| at + prefix);
        let behind = &rest[length..];
        match behind.chars().next() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => {}
            Some(c) if is_space(c) || behind.starts_with("}}") => {}
            Some(c) => {
                self.advance(length);
                return Err(format!("bad character U+{:04X}", u32::from(c)));
            }
        }
        self.push(length, kind(&rest[..length]));
        Ok(())
    }

    fn number(&mut self) -> Step {
        let rest = self.rest();
        let length = number_length(rest).ok_or("bad number syntax")?;
        if rest[length..].starts_with(['+', '-']) {
            return Err("complex numbers are not supported".into());
        }
        self.push(length, Kind::Number(&rest[..length]));
        Ok(())
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn push(&mut self, length: usize, kind: Kind<'t>) {
        self.tokens.push(Token { position: self.position, kind });
        self.advance(length);
    }

    fn advance(&mut self, length: usize) {
        for c in self.text[self.at..self.at + length].chars() {
            if c == '\n' {
                self.position.line += 1;
                self.position.column = 1;
            } else {
                self.position.column += 1;
            }
        }
        self.at += length;
    }
}

fn word(word: &str) -> Kind<'_> {
    Kind::Keyword(match word {
        "block" => Keyword::Block,
        "break" => Keyword::Break,
        "continue" => Keyword::Continue,
        "define" => Keyword::Define,
        "else" => Keyword::Else,
        "end" => Keyword::End,
        "if" => Keyword::If,
        "range" => Keyword::Range,
        "template" => Keyword::Template,
        "with" => Keyword::With,
        "nil" => return Kind::Nil,
        "true" | "false" => return Kind::Bool(word == "true"),
        _ => return Kind::Identifier(word),
    })
}

/// How far something goes that looks like a number; whether it is one, [`super::literal`] knows.
fn number_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let run = |from: usize, digits: fn(u8) -> bool| {
        from + bytes[from..].iter().take_while(|b| digits(**b) || **b == b'_').count()
    };
    let accept = |at: usize, set: &[u8]| at + usize::from(set.contains(&byte(at)));
    let mut at = accept(0, b"+-");
    let mut digits: fn(u8) -> bool = is_digit;
    let mut exponent: &[u8] = b"eE";
    if byte(at) == b'0' {
        at += 1;
        match byte(at).to_ascii_lowercase() {
            b'x' => (digits, exponent) = (is_hex_digit, b"pP"),
            b'o' => (digits, exponent) = (is_octal_digit, b""),
            b'b' => (digits, exponent) = (is_binary_digit, b""),
            _ => at -= 1,
        }
        at += 1;
    }
    at = run(at, digits);
    if byte(at) == b'.' {
        at = run(at + 1, digits);
    }
    if exponent.contains(&byte(at)) {
        at = accept(at + 1, b"+-");
        at = run(at, is_digit);
    }
    at = accept(at, b"i");
    (!text[at..].starts_with(is_alphanumeric)).then_some(at)
}

fn is_digit(b: u8) -> bool {
    b.is_ascii_digit()
}

fn is_hex_digit(b: u8) -> bool {
    b.is_ascii_hexdigit()
}

fn is_octal_digit(b: u8) -> bool {
    (b'0'..=b'7').contains(&b)
}

fn is_binary_digit(b: u8) -> bool {
    matches!(b, b'0' | b'1')
}

/// Whether what follows `{{` is a trim marker.
fn trims_left(behind: &str) -> bool {
    let mut chars = behind.chars();
    chars.next() == Some('-') && chars.next().is_some_and(is_space)
}

/// Whether `text` begins with a closing delimiter that trims.
fn trims_right(text: &str) -> bool {
    text.starts_with(is_space) && text[1..].starts_with("-}}")
}

pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The kinds of `text`, for tests.
#[cfg(test)]
fn kinds(text: &str) -> Vec<Kind<'_>> {
    lex(text).unwrap().into_iter().map(|token| token.kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trim_markers_take_the_space_around_an_action() {
        assert_eq!(
            kinds("a \n{{- .b -}} \t c"),
            [Kind::Text("a"), Kind::Open, Kind::Field("b"), Kind::Close, Kind::Text("c"), Kind::End]
        );
    }

    #[test]
    fn a_minus_without_a_space_is_a_sign() {
        assert_eq!(kinds("{{-3}}"), [Kind::Open, Kind::Number("-3"), Kind::Close, Kind::End]);
    }

    #[test]
    fn comments_leave_nothing() {
        assert_eq!(kinds("a{{/* x }} */}}b"), [Kind::Text("a"), Kind::Text("b"), Kind::End]);
        assert_eq!(lex("{{ /* x */ }}").unwrap()[2].kind, Kind::Sign('/'));
    }

    #[test]
    fn positions_count_lines_and_characters() {
        let tokens = lex("é\né{{ .x }}").unwrap();
        let field = tokens.iter().find(|token| token.kind == Kind::Field("x")).unwrap();
        assert_eq!(field.position, Position { line: 2, column: 5 });
    }
}
