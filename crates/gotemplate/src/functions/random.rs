//! Functions that need random bytes: refused unless the environment has some.

use super::{Args, Context, Function, Type, digests, encoding};
use crate::{
    error::{ErrorKind, Fault},
    value::Value,
};

pub(super) const TABLE: &[Function] = &[
    Function::new(&["uuidv4"], &[], |cx, _| {
        let mut bytes = bytes(cx, 16)?;
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex = digests::hex(&bytes);
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        Ok(Value::from(parts.join("-")))
    }),
    Function::new(&["randAlphaNum"], &[Type::Int], |cx, args| {
        from_alphabet(cx, args, |c| c.is_ascii_alphanumeric())
    }),
    Function::new(&["randAlpha"], &[Type::Int], |cx, args| {
        from_alphabet(cx, args, |c| c.is_ascii_alphabetic())
    }),
    Function::new(&["randNumeric"], &[Type::Int], |cx, args| from_alphabet(cx, args, |c| c.is_ascii_digit())),
    Function::new(&["randAscii"], &[Type::Int], |cx, args| from_alphabet(cx, args, |_| true)),
    Function::new(&["randBytes"], &[Type::Int], |cx, args| {
        let count = count(&args)?;
        let bytes = bytes(cx, count)?;
        cx.text(encoding::base64(&bytes))
    }),
    Function::new(&["randInt"], &[Type::Int, Type::Int], |cx, args| {
        let range = args.int(1).checked_sub(args.int(0)).and_then(|range| u64::try_from(range).ok());
        let range =
            range.filter(|range| *range > 0).ok_or_else(|| Fault::failed("the range of numbers is empty"))?;
        Ok(Value::int(args.int(0) + below(cx, range)? as i64))
    }),
    Function::new(&["shuffle"], &[Type::Text], |cx, args| {
        let mut chars: Vec<char> = args.chars(0).chars().collect();
        cx.budget.steps(chars.len() as u64)?;
        for at in (1..chars.len()).rev() {
            let other = below(cx, at as u64 + 1)? as usize;
            chars.swap(at, other);
        }
        cx.text(chars.into_iter().collect::<String>())
    }),
];

fn count(args: &Args<'_>) -> Result<usize, Fault> {
    usize::try_from(args.int(0)).map_err(|_| Fault::failed("a negative number of random characters"))
}

fn bytes(cx: &mut Context<'_>, count: usize) -> Result<Vec<u8>, Fault> {
    let random = cx.environment.random.ok_or_else(|| {
        let message = "the result would be another each time: random values cannot be used here";
        Fault::new(ErrorKind::Environment, message)
    })?;
    cx.budget.make(count)?;
    let mut bytes = vec![0; count];
    random(&mut bytes);
    Ok(bytes)
}

/// A number below `range`, all equally likely.
fn below(cx: &mut Context<'_>, range: u64) -> Result<u64, Fault> {
    loop {
        let number = bytes(cx, 8)?.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        // The last, incomplete run of `range` numbers would favour small ones.
        if number < u64::MAX - u64::MAX % range {
            return Ok(number % range);
        }
    }
}

fn from_alphabet(cx: &mut Context<'_>, args: Args<'_>, has: fn(char) -> bool) -> Result<Value, Fault> {
    let alphabet: Vec<char> = (' '..='~').filter(|c| has(*c)).collect();
    let mut text = String::new();
    for _ in 0..count(&args)? {
        text.push(alphabet[below(cx, alphabet.len() as u64)? as usize]);
    }
    cx.text(text)
}
