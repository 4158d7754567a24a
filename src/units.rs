//! Periods and sizes as people type them.
//!
//! Both keep what they mean in one number, print the shortest exact spelling, and read back what
//! they print. A bare number is no period: whoever writes `30` may mean seconds or minutes.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// A length of time such as `30s`, `15m`, `1500ms` or `1h30m`, in whole milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Period(u64);

/// Why a text is no period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// A number alone.
    #[error("has no unit")]
    NoUnit,
    /// Below zero.
    #[error("is negative")]
    Negative,
    /// Anything else that does not read as a period.
    #[error("is not a period")]
    Malformed,
    /// Above [`Period::MAX`].
    #[error("is too long")]
    TooLong,
}

/// A number of bytes such as `512Ki`, `16Mi`, `1Gi` or `1000`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(u64);

/// Why a text is no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BytesError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// Below zero.
    #[error("is negative")]
    Negative,
    /// The letters after the number are none of ours.
    #[error("has an unknown unit")]
    Unit,
    /// Anything else that does not read as a size.
    #[error("is not a size")]
    Malformed,
    /// More than 64 bits can count.
    #[error("is too large")]
    TooLarge,
}

/// Units of a period and their milliseconds, in the order in which they may follow each other.
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of a size and their bytes, largest first.
const SIZES: [(&str, u64); 4] = [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10), ("", 1)];

/// `wait` as Consul's `wait` parameter takes it. Never below 1 ms: Consul reads zero as five minutes.
pub fn consul_wait(wait: Duration) -> String {
    format!("{}ms", wait.as_millis().max(1))
}

// === impl Period ===

impl Period {
    /// The longest period: what Go's own duration holds. Deadlines made of it do not overflow.
    pub const MAX: Self = Self(i64::MAX as u64 / 1_000_000);

    /// So many seconds.
    pub const fn seconds(seconds: u32) -> Self {
        Self(seconds as u64 * 1_000)
    }

    /// The same length as the standard library has it.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.duration()
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(typed: &str) -> Result<Self, PeriodError> {
        if typed.is_empty() {
            return Err(PeriodError::Empty);
        }
        if typed.starts_with('-') {
            return Err(PeriodError::Negative);
        }
        let (mut rest, mut units, mut total) = (typed, &TIMES[..], 0u64);
        while !rest.is_empty() {
            let (count, unit, after) = first_part(rest)?;
            let at = units.iter().position(|(name, _)| *name == unit);
            let at = at.ok_or(PeriodError::Malformed)?;
            let part = count.checked_mul(units[at].1);
            let sum = part.and_then(|part| total.checked_add(part));
            total = sum.ok_or(PeriodError::TooLong)?;
            (rest, units) = (after, &units[at + 1..]);
        }
        (total <= Self::MAX.0).then_some(Self(total)).ok_or(PeriodError::TooLong)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_multiple_of(1_000) {
            return write!(f, "{}ms", self.0);
        }
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut left = self.0;
        for (unit, size) in TIMES {
            if left >= size {
                write!(f, "{}{unit}", left / size)?;
                left %= size;
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Period {
    type Error = PeriodError;

    fn try_from(typed: String) -> Result<Self, PeriodError> {
        typed.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

/// Splits `1h30m` into 1, `h` and `30m`.
fn first_part(text: &str) -> Result<(u64, &str, &str), PeriodError> {
    let (digits, rest) = text.split_at(digits(text));
    if digits.is_empty() {
        return Err(PeriodError::Malformed);
    }
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    match rest.split_at(letters) {
        ("", "") => Err(PeriodError::NoUnit),
        (unit, after) => {
            let count = digits.parse().map_err(|_| PeriodError::TooLong)?;
            Ok((count, unit, after))
        }
    }
}

// === impl Bytes ===

impl Bytes {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// How many bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Bytes {
    type Err = BytesError;

    fn from_str(typed: &str) -> Result<Self, BytesError> {
        if typed.is_empty() {
            return Err(BytesError::Empty);
        }
        if typed.starts_with('-') {
            return Err(BytesError::Negative);
        }
        let (digits, unit) = typed.split_at(digits(typed));
        if digits.is_empty() {
            return Err(BytesError::Malformed);
        }
        let size = SIZES.iter().find(|(name, _)| *name == unit);
        let (_, size) = size.ok_or(BytesError::Unit)?;
        let count: u64 = digits.parse().map_err(|_| BytesError::TooLarge)?;
        count.checked_mul(*size).map(Self).ok_or(BytesError::TooLarge)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, size): &&(&str, u64)| self.0 >= *size && self.0.is_multiple_of(*size);
        let (unit, size) = SIZES.iter().find(fits).unwrap_or(&("", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

impl TryFrom<String> for Bytes {
    type Error = BytesError;

    fn try_from(typed: String) -> Result<Self, BytesError> {
        typed.parse()
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        bytes.to_string()
    }
}

/// How many ASCII digits `text` starts with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn period(typed: &str) -> Result<String, PeriodError> {
        typed.parse().map(|p: Period| p.to_string())
    }

    fn bytes(typed: &str) -> Result<String, BytesError> {
        typed.parse().map(|b: Bytes| b.to_string())
    }

    #[test]
    fn periods_print_their_shortest_exact_spelling() {
        for (typed, printed) in [
            ("30s", "30s"),
            ("15m", "15m"),
            ("1500ms", "1500ms"),
            ("1h30m", "1h30m"),
            ("90m", "1h30m"),
            ("1s500ms", "1500ms"),
            ("2000ms", "2s"),
            ("1h0m5s", "1h5s"),
            ("0s", "0s"),
            ("0ms", "0s"),
        ] {
            assert_eq!(period(typed).as_deref(), Ok(printed), "{typed}");
        }
    }

    #[test]
    fn what_is_no_period_says_why() {
        for (typed, why) in [
            ("", PeriodError::Empty),
            ("30", PeriodError::NoUnit),
            ("1h30", PeriodError::NoUnit),
            ("0", PeriodError::NoUnit),
            ("-30s", PeriodError::Negative),
            ("1.5s", PeriodError::Malformed),
            ("30 s", PeriodError::Malformed),
            ("30S", PeriodError::Malformed),
            ("30d", PeriodError::Malformed),
            ("30m1h", PeriodError::Malformed),
            ("1m1m", PeriodError::Malformed),
            ("s", PeriodError::Malformed),
            ("٣s", PeriodError::Malformed),
            ("18446744073709551616ms", PeriodError::TooLong),
            ("18446744073709551615h", PeriodError::TooLong),
            ("9223372036855ms", PeriodError::TooLong),
        ] {
            assert_eq!(period(typed), Err(why), "{typed:?}");
        }
        assert_eq!(period("9223372036854ms").as_deref(), Ok("9223372036854ms"), "the longest");
    }

    #[test]
    fn sizes_print_their_largest_exact_unit() {
        for (typed, printed) in [
            ("16Mi", "16Mi"),
            ("512Ki", "512Ki"),
            ("1Gi", "1Gi"),
            ("1024Ki", "1Mi"),
            ("1000", "1000"),
            ("1536", "1536"),
            ("0Mi", "0"),
        ] {
            assert_eq!(bytes(typed).as_deref(), Ok(printed), "{typed}");
        }
    }

    #[test]
    fn what_is_no_size_says_why() {
        for (typed, why) in [
            ("", BytesError::Empty),
            ("-1", BytesError::Negative),
            ("16M", BytesError::Unit),
            ("16MiB", BytesError::Unit),
            ("16 Mi", BytesError::Unit),
            ("1.5Mi", BytesError::Unit),
            ("Mi", BytesError::Malformed),
            ("18446744073709551616", BytesError::TooLarge),
            ("17179869184Gi", BytesError::TooLarge),
        ] {
            assert_eq!(bytes(typed), Err(why), "{typed:?}");
        }
    }

    #[test]
    fn consul_is_never_asked_to_wait_zero() {
        assert_eq!(consul_wait(Duration::from_secs(30)), "30000ms");
        assert_eq!(consul_wait(Duration::from_millis(1500)), "1500ms");
        assert_eq!(consul_wait(Duration::ZERO), "1ms");
        assert_eq!(consul_wait(Duration::from_micros(20)), "1ms");
    }

    proptest! {
        #[test]
        fn every_period_reads_back(ms in 0..=Period::MAX.0) {
            for period in [Period(ms), Period(ms / 1_000 * 1_000), Period(ms % 90_000_000)] {
                prop_assert_eq!(period.to_string().parse(), Ok(period));
                let json = serde_json::to_string(&period).unwrap();
                prop_assert_eq!(serde_json::from_str::<Period>(&json).unwrap(), period);
            }
        }

        #[test]
        fn every_size_reads_back(count: u64, shift in 0u32..40) {
            let bytes = Bytes(count >> shift << shift);
            prop_assert_eq!(bytes.to_string().parse(), Ok(bytes));
            let json = serde_json::to_string(&bytes).unwrap();
            prop_assert_eq!(serde_json::from_str::<Bytes>(&json).unwrap(), bytes);
        }

        #[test]
        fn no_text_panics_or_reads_as_something_it_is_not(text in "[-0-9hmsKMGi. ]{0,24}") {
            if let Ok(period) = text.parse::<Period>() {
                prop_assert_eq!(period.to_string().parse(), Ok(period));
            }
            if let Ok(bytes) = text.parse::<Bytes>() {
                prop_assert_eq!(bytes.to_string().parse(), Ok(bytes));
            }
        }
    }
}
