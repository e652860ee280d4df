//! Dates. The present comes from the environment.

use jiff::{Timestamp, tz::Offset};

use super::{
    Args, Context, Function, Type,
    moment::{Moment, format_duration, parse_duration},
    time_layout,
};
use crate::{
    error::{ErrorKind, Fault},
    value::{Int, Value},
};

pub(super) const TABLE: &[Function] = &[
    Function::new(&["now"], &[], |cx, _| Ok(value(Moment::utc(now(cx)?)))),
    Function::new(&["date"], &[Type::Text, Type::Any], |cx, args| {
        format(cx, &args.chars(0), args.value(1), "")
    }),
    Function::new(&["dateInZone", "date_in_zone"], &[Type::Text, Type::Any, Type::Text], |cx, args| {
        format(cx, &args.chars(0), args.value(1), &args.chars(2))
    }),
    Function::new(&["htmlDate"], &[Type::Any], |cx, args| format(cx, "2006-01-02", args.value(0), "")),
    Function::new(&["htmlDateInZone"], &[Type::Any, Type::Text], |cx, args| {
        format(cx, "2006-01-02", args.value(0), &args.chars(1))
    }),
    Function::new(&["toDate"], &[Type::Text, Type::Text], |_, args| {
        Ok(value(time_layout::parse(&args.chars(0), &args.chars(1)).unwrap_or_else(Moment::zero)))
    }),
    Function::new(&["mustToDate"], &[Type::Text, Type::Text], |_, args| {
        let parsed = time_layout::parse(&args.chars(0), &args.chars(1));
        parsed.map(value).ok_or_else(|| Fault::failed("the text is not a date of that layout"))
    }),
    Function::new(&["dateModify", "date_modify"], &[Type::Text, Type::Time], |_, args| {
        let duration = parse_duration(&args.chars(0)).unwrap_or(0);
        moment(args.value(1)).add(duration).map(value).ok_or_else(too_far)
    }),
    Function::new(&["mustDateModify", "must_date_modify"], &[Type::Text, Type::Time], |_, args| {
        let duration =
            parse_duration(&args.chars(0)).ok_or_else(|| Fault::failed("the text is not a duration"))?;
        moment(args.value(1)).add(duration).map(value).ok_or_else(too_far)
    }),
    Function::new(&["unixEpoch"], &[Type::Time], |_, args| {
        Ok(Value::from(moment(args.value(0)).at.as_second().to_string()))
    }),
    Function::new(&["ago"], &[Type::Any], |cx, args| {
        let since = since(cx, args.value(0))?;
        let second = 1_000_000_000;
        let half = if since < 0 { -second / 2 } else { second / 2 };
        Ok(Value::from(format_duration(since.saturating_add(half) / second * second)))
    }),
    Function::new(&["duration"], &[Type::Any], |_, args| {
        let seconds = match args.value(0) {
            Value::Text(text) => text.chars().parse().unwrap_or(0),
            Value::Int(seconds, Int::Int64) => *seconds,
            _ => 0_i64,
        };
        Ok(Value::from(format_duration(seconds.wrapping_mul(1_000_000_000))))
    }),
    Function::new(&["durationRound"], &[Type::Any], |cx, args| {
        let nanoseconds = match args.value(0) {
            Value::Text(text) => parse_duration(&text.chars()).unwrap_or(0),
            Value::Int(nanoseconds, Int::Int64) => *nanoseconds,
            time @ Value::Moment(_) => since(cx, time)?,
            _ => 0,
        };
        Ok(Value::from(rounded(nanoseconds.unsigned_abs())))
    }),
];

/// Methods of a time; the first argument is the time.
pub(super) const METHODS: &[Function] = &[
    Function::new(&["Format"], &[Type::Time, Type::Text], |cx, args| {
        cx.text(moment(args.value(0)).format(&args.chars(1)))
    }),
    Function::new(&["String"], &[Type::Time], |_, args| Ok(Value::from(moment(args.value(0)).to_string()))),
    Function::new(&["UTC"], &[Type::Time], |_, args| Ok(value(Moment::utc(moment(args.value(0)).at)))),
    Function::new(&["Unix"], &[Type::Time], |_, args| Ok(Value::int64(moment(args.value(0)).at.as_second()))),
    Function::new(&["UnixMilli"], &[Type::Time], |_, args| {
        Ok(Value::int64(moment(args.value(0)).at.as_millisecond()))
    }),
    Function::new(&["UnixNano"], &[Type::Time], |_, args| {
        Ok(Value::int64(moment(args.value(0)).at.as_nanosecond() as i64))
    }),
    Function::new(&["Year"], &[Type::Time], |_, args| Ok(Value::int(civil(args).year().into()))),
    Function::new(&["Day"], &[Type::Time], |_, args| Ok(Value::int(civil(args).day().into()))),
    Function::new(&["YearDay"], &[Type::Time], |_, args| {
        Ok(Value::int(civil(args).date().day_of_year().into()))
    }),
    Function::new(&["Hour"], &[Type::Time], |_, args| Ok(Value::int(civil(args).hour().into()))),
    Function::new(&["Minute"], &[Type::Time], |_, args| Ok(Value::int(civil(args).minute().into()))),
    Function::new(&["Second"], &[Type::Time], |_, args| Ok(Value::int(civil(args).second().into()))),
    Function::new(&["IsZero"], &[Type::Time], |_, args| {
        Ok(Value::Bool(moment(args.value(0)).at == Moment::zero().at))
    }),
];

fn value(moment: Moment) -> Value {
    Value::Moment(moment.into())
}

fn civil(args: Args<'_>) -> jiff::civil::DateTime {
    moment(args.value(0)).civil()
}

fn now(cx: &Context<'_>) -> Result<Timestamp, Fault> {
    cx.environment.now.ok_or_else(|| {
        let message = "the result would depend on when it is made: the present time cannot be used here";
        Fault::new(ErrorKind::Environment, message)
    })
}

fn too_far() -> Fault {
    Fault::failed("the date is too far away")
}

fn moment(value: &Value) -> Moment {
    match value {
        Value::Moment(moment) => (**moment).clone(),
        _ => Moment::zero(),
    }
}

/// A date as sprig takes them: a time, seconds since 1970, and the present for anything else.
fn instant(cx: &Context<'_>, date: &Value) -> Result<Timestamp, Fault> {
    match date {
        Value::Moment(moment) => Ok(moment.at),
        Value::Int(seconds, _) => Timestamp::from_second(*seconds).map_err(|_| too_far()),
        _ => now(cx),
    }
}

fn format(cx: &mut Context<'_>, layout: &str, date: &Value, zone: &str) -> Result<Value, Fault> {
    let at = instant(cx, date)?;
    let is_utc = matches!(zone, "" | "UTC" | "Local");
    let known = if is_utc { None } else { cx.environment.time_zone.and_then(|find| find(zone)) };
    let moment = match known {
        Some(zone) => {
            let info = zone.to_offset_info(at);
            Moment { at, offset: info.offset(), abbreviation: info.abbreviation().to_owned() }
        }
        None => Moment { at, offset: Offset::UTC, abbreviation: "UTC".into() },
    };
    // A fraction can be as long as its layout; everything else is at most four times as long.
    cx.budget.make(layout.len().saturating_mul(4))?;
    cx.text(moment.format(layout))
}

fn since(cx: &Context<'_>, date: &Value) -> Result<i64, Fault> {
    let elapsed = now(cx)?.as_nanosecond() - instant(cx, date)?.as_nanosecond();
    Ok(i64::try_from(elapsed).unwrap_or(if elapsed < 0 { i64::MIN } else { i64::MAX }))
}

/// In the largest unit of which there is more than one.
fn rounded(nanoseconds: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    const UNITS: [(&str, u64); 6] = [
        ("y", 365 * 86_400 * SECOND),
        ("mo", 30 * 86_400 * SECOND),
        ("d", 86_400 * SECOND),
        ("h", 3_600 * SECOND),
        ("m", 60 * SECOND),
        ("s", SECOND),
    ];
    let unit = UNITS.iter().find(|(_, unit)| nanoseconds > *unit);
    unit.map_or_else(|| "0s".into(), |(name, unit)| format!("{}{name}", nanoseconds / unit))
}
