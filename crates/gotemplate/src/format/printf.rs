//! `printf`: a format with verbs.

use super::{Out, spec::Spec, value};
use crate::{error::Fault, limits::Budget, value::Value};

/// Go refuses widths and precisions beyond this.
const WIDEST: i64 = 1_000_000;

/// `fmt.Sprintf`. A verb that does not fit its operand is no error but part of the text, as in Go.
pub(crate) fn printf(format: &[u8], operands: &[Value], budget: &mut Budget) -> Result<Vec<u8>, Fault> {
    budget.read(format.len())?;
    let mut printer = Printer {
        format,
        at: 0,
        operands,
        next: 0,
        reordered: false,
        good_index: true,
        behind_index: false,
        out: Out::new(budget),
    };
    while printer.at < format.len() && !printer.out.is_stopped() {
        let text = format[printer.at..].iter().position(|b| *b == b'%').unwrap_or(format.len() - printer.at);
        printer.out.push(&format[printer.at..printer.at + text]);
        printer.at += text;
        if printer.at < format.len() {
            budget.step()?;
            printer.at += 1;
            printer.verb();
        }
    }
    if !printer.reordered && printer.next < operands.len() {
        printer.extra();
    }
    Ok(printer.out.finish(budget)?)
}

struct Printer<'f> {
    format: &'f [u8],
    at: usize,
    operands: &'f [Value],
    /// Of the operands.
    next: usize,
    /// An index such as `[2]` occurred: operands left over are not reported.
    reordered: bool,
    good_index: bool,
    behind_index: bool,
    out: Out,
}

impl Printer<'_> {
    /// Behind `%`.
    fn verb(&mut self) {
        self.good_index = true;
        self.behind_index = false;
        let mut spec = Spec::default();
        while let Some(flag) = self.format.get(self.at) {
            match flag {
                b'#' => spec.sharp = true,
                b'0' => spec.zero = true,
                b'+' => spec.plus = true,
                b'-' => spec.minus = true,
                b' ' => spec.space = true,
                _ => break,
            }
            self.at += 1;
        }
        self.index();
        if self.eat(b'*') {
            match self.number_operand() {
                Some(width) => {
                    spec.minus |= width < 0;
                    spec.width = Some(width.unsigned_abs() as usize);
                }
                None => self.out.push(b"%!(BADWIDTH)"),
            }
            self.behind_index = false;
        } else {
            spec.width = self.digits();
            if self.behind_index && spec.width.is_some() {
                self.good_index = false;
            }
        }
        if self.eat(b'.') {
            if self.behind_index {
                self.good_index = false;
            }
            self.index();
            if self.eat(b'*') {
                match self.number_operand() {
                    Some(precision) if precision >= 0 => spec.precision = Some(precision as usize),
                    Some(_) => spec.precision = None,
                    None => self.out.push(b"%!(BADPREC)"),
                }
                self.behind_index = false;
            } else {
                spec.precision = Some(self.digits().unwrap_or(0));
            }
        }
        if !self.behind_index {
            self.index();
        }
        let Some(verb) = self.character() else { return self.out.push(b"%!(NOVERB)") };
        match verb {
            '%' => self.out.push(b"%"),
            _ if !self.good_index => self.complain(verb, "BADINDEX"),
            _ => match self.operands.get(self.next) {
                None => self.complain(verb, "MISSING"),
                Some(operand) => {
                    self.next += 1;
                    self.operand(operand, verb, spec);
                }
            },
        }
    }

    fn operand(&mut self, operand: &Value, verb: char, mut spec: Spec) {
        match verb {
            'T' => spec.pad(&mut self.out, operand.type_name().as_bytes()),
            'v' if spec.sharp => {
                spec.sharp = false;
                spec.go_syntax = true;
                value::print(&mut self.out, operand, 'v', &spec);
            }
            'v' if spec.plus => {
                spec.plus = false;
                value::print(&mut self.out, operand, 'v', &spec);
            }
            verb => value::print(&mut self.out, operand, verb, &spec),
        }
    }

    fn complain(&mut self, verb: char, what: &str) {
        self.out.push(b"%!");
        self.out.push_char(verb);
        self.out.push(format!("({what})").as_bytes());
    }

    /// What was left over: `%!(EXTRA int=1)`.
    fn extra(&mut self) {
        self.out.push(b"%!(EXTRA ");
        for (at, operand) in self.operands[self.next..].iter().enumerate() {
            if at > 0 {
                self.out.push(b", ");
            }
            if operand.is_nil() {
                self.out.push(b"<nil>");
            } else {
                self.out.push(operand.type_name().as_bytes());
                self.out.push(b"=");
                value::print(&mut self.out, operand, 'v', &Spec::default());
            }
        }
        self.out.push(b")");
    }

    /// `[n]`: the next operand is the n-th.
    fn index(&mut self) {
        if self.format.get(self.at) != Some(&b'[') {
            return;
        }
        self.reordered = true;
        let Some(length) = self.format[self.at..].iter().position(|b| *b == b']') else {
            self.good_index = false;
            self.at += 1;
            return;
        };
        let inner = std::str::from_utf8(&self.format[self.at + 1..self.at + length]).unwrap_or("");
        self.at += length + 1;
        match inner.parse::<usize>() {
            Ok(number)
                if inner.bytes().all(|b| b.is_ascii_digit())
                    && (1..=self.operands.len()).contains(&number) =>
            {
                self.next = number - 1;
                self.behind_index = true;
            }
            _ => self.good_index = false,
        }
    }

    /// An operand for `*`.
    fn number_operand(&mut self) -> Option<i64> {
        let operand = self.operands.get(self.next)?;
        self.next += 1;
        match operand {
            Value::Int(value, _) if (-WIDEST..=WIDEST).contains(value) => Some(*value),
            Value::Uint(value, _) => i64::try_from(*value).ok().filter(|value| *value <= WIDEST),
            _ => None,
        }
    }

    fn digits(&mut self) -> Option<usize> {
        let count = self.format[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let digits = std::str::from_utf8(&self.format[self.at..self.at + count]).unwrap_or("");
        let number = digits.parse::<i64>().ok().filter(|number| *number <= WIDEST)?;
        self.at += count;
        usize::try_from(number).ok()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.format.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn character(&mut self) -> Option<char> {
        let rest = self.format.get(self.at..).filter(|rest| !rest.is_empty())?;
        let chunk = rest[..rest.len().min(4)].utf8_chunks().next()?;
        let (c, length) = chunk.valid().chars().next().map_or(('\u{fffd}', 1), |c| (c, c.len_utf8()));
        self.at += length;
        Some(c)
    }
}
