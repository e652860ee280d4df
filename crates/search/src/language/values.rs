//! Single values: numbers, flags, times, orders.

use std::num::NonZeroU64;

use api::names::search::parameters as names;
use jiff::{Timestamp, civil, tz::TimeZone};
use store::{OrderBy, OrderField, OwnedBy, Start, Token};

use super::{Error, shown};

/// `0` and `false` in any case are false, everything else is true, nothing too.
pub(super) fn boolean(text: &str) -> bool {
    !(text == "0" || text.eq_ignore_ascii_case("false"))
}

pub(super) fn integer(parameter: &str, text: &str) -> Result<i64, Error> {
    text.parse().map_err(|_| Error::new(parameter, format!("{} is no integer of 64 bits", shown(text))))
}

/// No limit below 1.
pub(super) fn limit(limit: i64) -> Option<NonZeroU64> {
    u64::try_from(limit).ok().and_then(NonZeroU64::new)
}

/// Negative is the beginning.
pub(super) fn offset(offset: i64) -> Start {
    match u64::try_from(offset) {
        Ok(0) | Err(_) => Start::Beginning,
        Ok(offset) => Start::Offset(offset),
    }
}

/// The value of `continue`: a number of objects to pass over, or a token, which never looks like one.
pub(super) fn start(text: &str) -> Result<(Start, Option<u64>), Error> {
    if text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit()) {
        return integer(names::CONTINUE, text).map(|number| counted(offset(number)));
    }
    // As `with_passed` wrote it.
    let parts = text.rsplit_once('~').and_then(|(token, passed)| Some((token, passed.parse().ok()?)));
    Ok(match parts {
        Some((token, passed)) => (Start::After(Token::from_client(token)), Some(passed)),
        None => (Start::After(Token::from_client(text)), None),
    })
}

/// A start that is a number says itself how many objects lie before it.
pub(super) fn counted(start: Start) -> (Start, Option<u64>) {
    let passed = match &start {
        Start::Beginning => Some(0),
        Start::Offset(offset) => Some(*offset),
        Start::After(_) => None,
    };
    (start, passed)
}

/// How many generations to go up; the store bounds it from above.
pub(super) fn seniority(parameter: &str, text: &str) -> Result<u32, Error> {
    let number = integer(parameter, text)?;
    if number < 0 {
        return Err(Error::new(parameter, "must not be negative"));
    }
    u32::try_from(number)
        .map_err(|_| Error::new(parameter, format!("must not be above {}", OwnedBy::MAX_SENIORITY)))
}

/// `deployments.apps` or `pods`: group and plural name.
pub(super) fn group_resource(text: String) -> (String, String) {
    match text.split_once('.') {
        Some((resource, group)) => (group.to_owned(), resource.to_owned()),
        None => (String::new(), text),
    }
}

/// A moment in whole seconds since 1970, rounded up: objects are created at whole seconds, so that "at or after" and
/// "before" a part of a second mean the next whole one.
pub(super) fn time(parameter: &str, text: &str) -> Result<i64, Error> {
    let seconds = if text.contains('T') {
        rfc3339(text)
    } else if text.contains(' ') {
        shaped(text, "dddd-dd-dd dd:dd:dd").and_then(|text| utc(text.parse::<civil::DateTime>().ok()?))
    } else if text.contains('-') {
        shaped(text, "dddd-dd-dd").and_then(|text| utc(text.parse::<civil::Date>().ok()?.at(0, 0, 0, 0)))
    } else if shaped(text, "dddddddddd").is_some() {
        text.parse().ok()
    } else if shaped(text, "ddddddddddddd").is_some() {
        text.parse::<i64>().ok().map(|milliseconds| (milliseconds + 999) / 1000)
    } else {
        None
    };
    seconds.ok_or_else(|| {
        let forms = "2022-03-04T05:06:07Z (a + before the offset is written %2B), 2022-03-04 05:06:07, 2022-03-04, \
                     or 10 digits of seconds or 13 of milliseconds since 1970";
        Error::new(parameter, format!("{} is no time; write it as {forms}", shown(text)))
    })
}

fn rfc3339(text: &str) -> Option<i64> {
    let (moment, rest) = text.split_at_checked("dddd-dd-ddTdd:dd:dd".len())?;
    shaped(moment, "dddd-dd-ddTdd:dd:dd")?;
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => {
            let offset = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            (offset.len() < fraction.len()).then_some(offset)?
        }
        None => rest,
    };
    if offset != "Z" {
        shaped(offset.strip_prefix(['+', '-'])?, "dd:dd")?;
    }
    let moment: Timestamp = text.parse().ok()?;
    Some(moment.as_second() + i64::from(moment.subsec_nanosecond() > 0))
}

fn utc(moment: civil::DateTime) -> Option<i64> {
    Some(TimeZone::UTC.to_timestamp(moment).ok()?.as_second())
}

/// `text`, if it has digits where `shape` has `d`, and what `shape` has elsewhere.
fn shaped<'a>(text: &'a str, shape: &str) -> Option<&'a str> {
    let fits = |(byte, shape): (u8, u8)| if shape == b'd' { byte.is_ascii_digit() } else { byte == shape };
    (text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)).then_some(text)
}

/// `namespace,name desc`.
pub(super) fn order(text: &str) -> Result<Vec<OrderBy>, Error> {
    text.split(',')
        .map(|term| match term.split_once(' ') {
            None => order_by(names::ORDER_BY, term, false),
            Some((field, "desc")) => order_by(names::ORDER_BY, field, true),
            Some(_) => Err(Error::new(
                names::ORDER_BY,
                format!("{} is neither a field nor a field, one space and desc", shown(term)),
            )),
        })
        .collect()
}

/// `name_desc`, as labels have to say it.
pub(super) fn order_of_label(key: &str, text: &str) -> Result<OrderBy, Error> {
    match text.strip_suffix("_desc") {
        Some(field) => order_by(key, field, true),
        None => order_by(key, text, false),
    }
}

fn order_by(parameter: &str, field: &str, descending: bool) -> Result<OrderBy, Error> {
    let field = match field {
        "cluster" => OrderField::Cluster,
        "namespace" => OrderField::Namespace,
        "name" => OrderField::Name,
        "created_at" => OrderField::CreatedAt,
        "resource_version" => OrderField::ResourceVersion,
        "sequence" => OrderField::Sequence,
        _ => {
            let known = "cluster, namespace, name, created_at, resource_version, sequence";
            return Err(Error::new(
                parameter,
                format!("{} is none of the fields to order by: {known}", shown(field)),
            ));
        }
    };
    Ok(OrderBy { field, descending })
}
