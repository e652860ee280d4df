//! Ages and durations, in Kubernetes' two-part notation.

use jiff::{SignedDuration, Timestamp};

use crate::decode::Text;

/// A duration as Kubernetes prints ages: at most two units, and coarser the longer it is.
///
/// The future is `<invalid>`, except for two seconds that clocks may differ.
///
/// ```
/// use jiff::SignedDuration;
/// use printers::human_duration;
/// assert_eq!(human_duration(SignedDuration::from_secs(119)), "119s");
/// assert_eq!(human_duration(SignedDuration::from_mins(5)), "5m");
/// assert_eq!(human_duration(SignedDuration::from_hours(76)), "3d4h");
/// assert_eq!(human_duration(SignedDuration::from_hours(-1)), "<invalid>");
/// ```
pub fn human_duration(duration: SignedDuration) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let seconds = duration.as_secs();
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..600 => two_units(seconds, (MINUTE, "m"), (1, "s")),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two_units(seconds, (HOUR, "h"), (MINUTE, "m")),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two_units(seconds, (DAY, "d"), (HOUR, "h")),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two_units(seconds, (YEAR, "y"), (DAY, "d")),
        _ => format!("{}y", seconds / YEAR),
    }
}

/// `2m30s`; without the smaller unit if there is none of it.
fn two_units(seconds: i64, (large, large_name): (i64, &str), (small, small_name): (i64, &str)) -> String {
    match seconds % large / small {
        0 => format!("{}{large_name}", seconds / large),
        rest => format!("{}{large_name}{rest}{small_name}", seconds / large),
    }
}

/// How long ago a time was; `<unknown>` for none.
pub(crate) fn age(since: &Text<'_>, now: Timestamp) -> String {
    match time(since) {
        Some(since) => human_duration(now.duration_since(since)),
        None => "<unknown>".into(),
    }
}

/// A time of an object.
pub(crate) fn time(text: &Text<'_>) -> Option<Timestamp> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_change_where_kubernetes_changes_them() {
        const DAY: i64 = 24 * 3600;
        for (seconds, expected) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (28_799, "7h59m"),
            (28_800, "8h"),
            (2 * DAY - 1, "47h"),
            (2 * DAY, "2d"),
            (2 * DAY + 3600, "2d1h"),
            (8 * DAY - 1, "7d23h"),
            (8 * DAY + 3600, "8d"),
            (730 * DAY - 1, "729d"),
            (730 * DAY, "2y"),
            (731 * DAY, "2y1d"),
            (8 * 365 * DAY - 1, "7y364d"),
            (8 * 365 * DAY, "8y"),
            (30 * 365 * DAY + 100 * DAY, "30y"),
        ] {
            assert_eq!(human_duration(SignedDuration::from_secs(seconds)), expected, "{seconds}");
        }
    }
}
