//! Times and sizes as people read them.

use time::Duration;

/// A length of time in its two largest units, such as `2 m 5 s`.
pub fn span(time: Duration) -> String {
    let seconds = time.whole_seconds().max(0);
    let two = |large: i64, unit: &str, small: i64, fine: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {fine}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "m", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the largest unit that leaves a number before the point.
pub fn size(bytes: u64) -> String {
    let units = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_short() {
        let spans = [0, 59, 60, 125, 3_600, 7_320, 86_400, 180_000, -5].map(|s| span(Duration::seconds(s)));
        assert_eq!(spans, ["0 s", "59 s", "1 m", "2 m 5 s", "1 h", "2 h 2 m", "1 d", "2 d 2 h", "0 s"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 999, 1_500, 8_589_934_592].map(size), ["0 B", "999 B", "1.5 kB", "8.5 GB"]);
    }
}
