//! `meta.k8s.io/v1` Table: rows and columns, as a client prints them.

use serde::Serialize;
use serde_json::Value;

/// One column of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableColumn {
    /// The heading, such as `Name` or `Ready`; clients print it in capitals.
    pub name: String,
    /// The OpenAPI type of the cells: `string`, `integer`, `number`, `boolean` or `date`.
    #[serde(rename = "type")]
    pub type_: String,
    /// The OpenAPI format; `name` marks the column that holds the object's name.
    pub format: String,
    /// What the column tells.
    pub description: String,
    /// 0 is always shown, anything above only with `-o wide`.
    pub priority: i32,
}

/// The cells of one object, one for each column; `null` where there is nothing to show.
pub type TableCells = Vec<Value>;

/// How long ago something was, as kubectl and the API server print it: `45s`, `5m2s`, `3h`, `2d4h`, `6y326d`. What is
/// to come is `<invalid>`.
///
/// ```
/// assert_eq!(meta::human_age(2 * 3600 + 5), "120m");
/// ```
pub fn human_age(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |large: i64, name: &str, small: i64, small_name: &str| match seconds % large / small {
        0 => format!("{}{name}", seconds / large),
        rest => format!("{}{name}{rest}{small_name}", seconds / large),
    };
    match seconds {
        // Clocks differ by a second.
        -1..0 => "0s".to_owned(),
        i64::MIN..0 => "<invalid>".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(MINUTE, "m", 1, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(HOUR, "h", MINUTE, "m"),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(DAY, "d", HOUR, "h"),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two(YEAR, "y", DAY, "d"),
        252_288_000.. => format!("{}y", seconds / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_printed_as_an_api_server_prints_it() {
        for (seconds, expected) in [
            (-30, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (63, "63s"),
            (119, "119s"),
            (120, "2m"),
            (124, "2m4s"),
            (600, "10m"),
            (3_603, "60m"),
            (10_804, "3h"),
            (10_864, "3h1m"),
            (28_804, "8h"),
            (172_799, "47h"),
            (172_804, "2d"),
            (176_404, "2d1h"),
            (691_204, "8d"),
            (63_071_999, "729d"),
            (63_072_004, "2y"),
            (63_158_404, "2y1d"),
            (252_288_004, "8y"),
            (283_824_004, "9y"),
        ] {
            assert_eq!(human_age(seconds), expected, "{seconds}");
        }
    }
}
