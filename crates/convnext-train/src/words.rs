//! Times, counts and bytes as they are shown.

use std::time::Duration;

use humantime::format_duration;

/// Below so many seconds a fraction tells something.
const FEW_SECONDS: f64 = 10.0;

/// Below so many seconds there are no minutes, rounded.
const MINUTE: f64 = 59.5;

/// From so many seconds on, single seconds tell nothing.
const MANY_SECONDS: u64 = 3600;

/// A time in words, such as `34 ms`, `2.4 s`, `12m 34s` or `3h 5m`.
pub fn duration_in_words(seconds: f64) -> String {
    match seconds {
        ..1.0 => format!("{:.0} ms", 1000.0 * seconds.max(0.0)),
        ..FEW_SECONDS => format!("{seconds:.1} s"),
        ..MINUTE => format!("{seconds:.0} s"),
        _ => {
            let whole = seconds.round() as u64;
            let whole = if whole < MANY_SECONDS { whole } else { (whole + 30) / 60 * 60 };
            format_duration(Duration::from_secs(whole)).to_string()
        }
    }
}

/// Bytes in words, such as `3.2 GiB`.
pub(crate) fn bytes_in_words(bytes: u64) -> String {
    const GIB: f64 = (1_u64 << 30) as f64;
    let gib = bytes as f64 / GIB;
    if gib >= 1.0 { format!("{gib:.1} GiB") } else { format!("{:.0} MiB", gib * 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_larger_unit_that_fits() {
        assert_eq!(bytes_in_words(3 << 30), "3.0 GiB");
        assert_eq!(bytes_in_words(300 << 20), "300 MiB");
    }

    #[test]
    fn a_time_has_as_many_digits_as_it_is_worth() {
        for (seconds, words) in [
            (0.0344, "34 ms"),
            (2.44, "2.4 s"),
            (12.1, "12 s"),
            (59.6, "1m"),
            (754.0, "12m 34s"),
            (11_111.0, "3h 5m"),
            (1e6, "11days 13h 47m"),
        ] {
            assert_eq!(duration_in_words(seconds), words);
        }
    }
}
