//! `semver` and `semverCompare`.

use std::cmp::Ordering;

use super::{
    Args, Function, Type,
    version::{Version, compare, compare_prereleases},
};
use crate::{
    error::Fault,
    value::{Uint, Value},
};

pub(super) const TABLE: &[Function] = &[
    Function::new(&["semver"], &[Type::Text], |cx, args| {
        let version = Version::parse(&args.chars(0)).ok_or_else(no_version)?;
        cx.budget.make(args.bytes(0).len())?;
        Ok(Value::Version(version.into()))
    }),
    Function::new(&["semverCompare"], &[Type::Text, Type::Text], |_, args| {
        let alternatives =
            parse(&args.chars(0)).ok_or_else(|| Fault::failed("improper version constraint"))?;
        let version = Version::parse(&args.chars(1)).ok_or_else(no_version)?;
        Ok(Value::Bool(alternatives.iter().any(|all| all.iter().all(|one| one.admits(&version)))))
    }),
];

/// Methods of a version; the first argument is the version.
pub(super) const METHODS: &[Function] = &[
    Function::new(&["Major"], &[Type::Any], |_, args| number(args, |version| version.major)),
    Function::new(&["Minor"], &[Type::Any], |_, args| number(args, |version| version.minor)),
    Function::new(&["Patch"], &[Type::Any], |_, args| number(args, |version| version.patch)),
    Function::new(&["Prerelease"], &[Type::Any], |_, args| text(args, |version| version.prerelease.clone())),
    Function::new(&["Metadata"], &[Type::Any], |_, args| text(args, |version| version.metadata.clone())),
    Function::new(&["Original"], &[Type::Any], |_, args| text(args, |version| version.original.clone())),
    Function::new(&["String"], &[Type::Any], |_, args| text(args, Version::to_string)),
];

fn number(args: Args<'_>, part: fn(&Version) -> u64) -> Result<Value, Fault> {
    match args.value(0) {
        Value::Version(version) => Ok(Value::Uint(part(version), Uint::Uint64)),
        _ => Err(no_version()),
    }
}

fn text(args: Args<'_>, part: fn(&Version) -> String) -> Result<Value, Fault> {
    match args.value(0) {
        Value::Version(version) => Ok(Value::from(part(version))),
        _ => Err(no_version()),
    }
}

fn no_version() -> Fault {
    Fault::failed("the text is not a semantic version")
}

/// Longer constraints are refused, and those with more alternatives.
const LONGEST: usize = 512;
const MOST_ALTERNATIVES: usize = 32;

/// `>=1.2`: an operator and a version of which the end may be left out.
struct Constraint {
    operator: Operator,
    bound: Version,
    /// How many of the three numbers are given.
    given: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// Alternatives of constraints that must all hold: `>=1.2, <2 || ^3`.
fn parse(text: &str) -> Option<Vec<Vec<Constraint>>> {
    let alternatives: Vec<&str> = text.split("||").collect();
    if text.len() > LONGEST || alternatives.len() > MOST_ALTERNATIVES {
        return None;
    }
    alternatives.into_iter().map(conjunction).collect()
}

fn conjunction(text: &str) -> Option<Vec<Constraint>> {
    let mut constraints = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (operator, behind) = operator(rest);
        let behind = behind.trim_start();
        let length = behind.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(behind.len());
        let bound = &behind[..length];
        rest = behind[length..].trim_start();
        // "1.2 - 2.3" is a range.
        if operator == Operator::Equal
            && let Some(last) = rest.strip_prefix("- ")
        {
            let last = last.trim_start();
            let length = last.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(last.len());
            constraints.push(Constraint::parse(Operator::GreaterOrEqual, bound)?);
            constraints.push(Constraint::parse(Operator::LessOrEqual, &last[..length])?);
            rest = last[length..].trim_start();
        } else {
            constraints.push(Constraint::parse(operator, bound)?);
        }
        if let Some(behind) = rest.strip_prefix(',') {
            rest = behind.trim_start();
            if rest.is_empty() {
                return None;
            }
        }
    }
    (!constraints.is_empty()).then_some(constraints)
}

fn operator(text: &str) -> (Operator, &str) {
    const OPERATORS: [(&str, Operator); 11] = [
        ("!=", Operator::NotEqual),
        (">=", Operator::GreaterOrEqual),
        ("=>", Operator::GreaterOrEqual),
        ("<=", Operator::LessOrEqual),
        ("=<", Operator::LessOrEqual),
        ("~>", Operator::Tilde),
        ("=", Operator::Equal),
        (">", Operator::Greater),
        ("<", Operator::Less),
        ("~", Operator::Tilde),
        ("^", Operator::Caret),
    ];
    let found = OPERATORS.iter().find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?)));
    found.unwrap_or((Operator::Equal, text))
}

impl Constraint {
    fn parse(operator: Operator, text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let end = text.find(['-', '+']).unwrap_or(text.len());
        let (numbers, behind) = text.split_at(end);
        let parts: Vec<&str> = numbers.split('.').collect();
        let is_part = |part: &&str| {
            matches!(*part, "x" | "X" | "*") || (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        };
        if parts.len() > 3 || !parts.iter().all(is_part) {
            return None;
        }
        let given = parts.iter().take_while(|part| !matches!(**part, "x" | "X" | "*")).count();
        let mut numbers = parts[..given].to_vec();
        numbers.resize(3, "0");
        // Of a version with a hole, only the prerelease is kept.
        let behind = if given < 3 { behind.split('+').next().unwrap_or("") } else { behind };
        let bound = Version::parse(&format!("{}{behind}", numbers.join(".")))?;
        Some(Self { operator, bound, given })
    }

    fn admits(&self, version: &Version) -> bool {
        let bound = &self.bound;
        let order = compare(version, bound);
        let is_whole = self.given == 3;
        // A prerelease is wanted only where the constraint names one.
        let is_unwanted = !version.prerelease.is_empty() && bound.prerelease.is_empty();
        if is_unwanted && !(is_whole && self.operator == Operator::NotEqual) {
            return false;
        }
        match self.operator {
            Operator::Greater if is_whole => order == Ordering::Greater,
            Operator::Greater => {
                version.major > bound.major
                    || version.major == bound.major && self.given == 2 && version.minor > bound.minor
                    || version.major == bound.major && self.given == 0 && order == Ordering::Greater
            }
            Operator::Less => order == Ordering::Less,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::LessOrEqual if is_whole => order != Ordering::Greater,
            Operator::LessOrEqual => {
                version.major < bound.major
                    || version.major == bound.major && (self.given == 1 || version.minor <= bound.minor)
            }
            Operator::Equal if is_whole => order == Ordering::Equal,
            Operator::Equal | Operator::Tilde => self.tilde(version, order),
            Operator::NotEqual if is_whole => order != Ordering::Equal,
            Operator::NotEqual => {
                version.major != bound.major
                    || self.given == 2 && version.minor != bound.minor
                    || self.given == 2
                        && compare_prereleases(&version.prerelease, &bound.prerelease) != Ordering::Equal
                    || self.given == 0 && order != Ordering::Equal
            }
            Operator::Caret => self.caret(version, order),
        }
    }

    /// Not below, and the same up to the minor version.
    fn tilde(&self, version: &Version, order: Ordering) -> bool {
        let bound = &self.bound;
        if order == Ordering::Less {
            return false;
        }
        let is_anything = (bound.major, bound.minor, bound.patch) == (0, 0, 0) && matches!(self.given, 0 | 3);
        is_anything || version.major == bound.major && (self.given == 1 || version.minor == bound.minor)
    }

    /// Not below, and the same up to the first number that is not 0.
    fn caret(&self, version: &Version, order: Ordering) -> bool {
        let bound = &self.bound;
        if order == Ordering::Less {
            return false;
        }
        if bound.major > 0 || self.given == 1 {
            return version.major == bound.major;
        }
        if version.major > 0 {
            return false;
        }
        if bound.minor > 0 || self.given == 2 {
            return version.minor == bound.minor;
        }
        version.minor == 0 && version.patch == bound.patch
    }
}
