//! What is printed: data on stdout, everything else on stderr.

use std::io::Write as _;

use crate::failure::Failure;

/// Prints data. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn data(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new("cannot write the answer").because(error))
        }
        _ => Ok(()),
    }
}

/// Tells the person at the terminal something that is not data.
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// A value as YAML.
pub(crate) fn yaml(value: &serde_json::Value) -> Result<String, Failure> {
    serde_saphyr::to_string(value).map_err(|error| Failure::new("cannot print YAML").because(error))
}

/// Columns as kubectl prints them: aligned, three spaces apart, `-` for what is unknown.
pub(crate) fn table(header: Option<&[&str]>, rows: &[Vec<String>]) -> String {
    let head = header.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let lines: Vec<&Vec<String>> = head.iter().chain(rows).collect();
    let count = lines.iter().map(|line| line.len()).max().unwrap_or(0);
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| shown(cell).chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{:width$}", shown(cell))).collect();
        text.push_str(cells.join("   ").trim_end());
        text.push('\n');
    }
    text
}

fn shown(cell: &str) -> &str {
    if cell.is_empty() { "-" } else { cell }
}

/// A length of time as kubectl prints ages: the two largest units while they tell something.
pub(crate) fn age(seconds: i64) -> String {
    let s = seconds.max(0);
    let (m, h, d) = (s / 60, s / 3600, s / 86_400);
    let pair = |big: i64, unit: &str, small: i64, name: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{name}") }
    };
    match s {
        ..120 => format!("{s}s"),
        120..600 => pair(m, "m", s % 60, "s"),
        600..10_800 => format!("{m}m"),
        10_800..28_800 => pair(h, "h", m % 60, "m"),
        28_800..172_800 => format!("{h}h"),
        172_800..691_200 => pair(d, "d", h % 24, "h"),
        691_200..63_072_000 => format!("{d}d"),
        63_072_000..252_288_000 => pair(d / 365, "y", d % 365, "d"),
        _ => format!("{}y", d / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_gaps_are_visible() {
        let rows =
            [vec!["a".into(), "long".into(), "x".into()], vec!["bcd".into(), String::new(), "y".into()]];
        let text = table(Some(&["NAME", "B", "C"]), &rows);
        assert_eq!(text, "NAME   B      C\na      long   x\nbcd    -      y\n");
        assert_eq!(table(None, &rows), "a     long   x\nbcd   -      y\n");
    }

    #[test]
    fn ages_read_as_kubectls() {
        for (seconds, text) in [
            (-5, "0s"),
            (119, "119s"),
            (130, "2m10s"),
            (600, "10m"),
            (10_800, "3h"),
            (11_460, "3h11m"),
            (100_000, "27h"),
            (180_000, "2d2h"),
            (900_000, "10d"),
            (94_608_000, "3y"),
        ] {
            assert_eq!(age(seconds), text, "{seconds}");
        }
    }
}
