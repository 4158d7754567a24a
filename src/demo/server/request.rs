//! What a request asks for, read the way Go's HTTP library and Consul read it.

use std::time::Duration;

/// The path and query of a request, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The decoded path.
    pub(super) path: Vec<u8>,
    /// The query as it was sent.
    pub(super) raw_query: Option<String>,
    params: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why a target cannot be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadTarget {
    /// A broken percent escape in the path.
    Path,
    /// A broken percent escape in the query.
    Query,
}

/// How long a blocking query may block if it does not say, and the most it may say.
const WAIT_DEFAULT: Duration = Duration::from_secs(300);
const WAIT_MAX: Duration = Duration::from_secs(600);

// === impl Target ===

impl Target {
    pub(super) fn parse(path: &str, query: Option<&str>) -> Result<Self, BadTarget> {
        let path = unescape(path.as_bytes(), false).ok_or(BadTarget::Path)?;
        let mut params = Vec::new();
        let raw = query.unwrap_or_default();
        for pair in raw.split(['&', ';']).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = unescape(name.as_bytes(), true).ok_or(BadTarget::Query)?;
            let value = unescape(value.as_bytes(), true).ok_or(BadTarget::Query)?;
            params.push((name, value));
        }
        Ok(Self { path, raw_query: query.map(str::to_owned), params })
    }

    /// Whether a parameter is there, with any value: `recurse=false` recurses too.
    pub(super) fn has(&self, name: &str) -> bool {
        self.params.iter().any(|(key, _)| key == name.as_bytes())
    }

    /// A parameter's first value, empty if it is not there.
    pub(super) fn get(&self, name: &str) -> &[u8] {
        self.params
            .iter()
            .find(|(key, _)| key == name.as_bytes())
            .map_or(&[], |(_, value)| value.as_slice())
    }

    pub(super) fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(self.get(name)).into_owned()
    }

    /// All parameters again, sorted and escaped, as Consul quotes them in a complaint.
    pub(super) fn canonical_query(&self) -> String {
        let mut params = self.params.clone();
        params.sort_by(|(a, _), (b, _)| a.cmp(b));
        let pair = |(name, value): &(Vec<u8>, Vec<u8>)| {
            format!("{}={}", escape(name, b"-_.~"), escape(value, b"-_.~"))
        };
        params.iter().map(pair).collect::<Vec<_>>().join("&")
    }

    /// Where an unclean path is redirected to: the path without `.`, `..` and empty segments.
    pub(super) fn redirect(&self) -> Option<String> {
        let mut clean = clean_path(&self.path);
        if clean == b"/v1/kv" {
            clean.push(b'/');
        }
        (clean != self.path).then(|| {
            let query = self.raw_query.as_deref();
            escape(&clean, b"-_.~$&+,/:;=@") + &query.map(|q| format!("?{q}")).unwrap_or_default()
        })
    }

    /// Whether the path holds something that Go calls unprintable. Bytes that are no UTF-8 pass.
    pub(super) fn unprintable(&self) -> bool {
        let bad = |c: char| {
            c.is_control()
                || (c.is_whitespace() && c != ' ')
                || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e000}'..='\u{f8ff}')
        };
        self.path.utf8_chunks().any(|chunk| chunk.valid().chars().any(bad))
    }

    /// The index and wait of a blocking query, or Consul's complaint about them.
    pub(super) fn blocking(&self) -> Result<(u64, Duration), &'static str> {
        let wait = match self.text("wait").as_str() {
            "" => WAIT_DEFAULT,
            text => match go_duration(text).ok_or("Invalid wait time")? {
                Duration::ZERO => WAIT_DEFAULT,
                wait => wait.min(WAIT_MAX),
            },
        };
        let index = match self.text("index").as_str() {
            "" => 0,
            text => go_uint(text).map_err(|_| "Invalid index")?,
        };
        Ok((index, wait))
    }
}

/// Go's `ParseUint` with base 10: digits only.
///
/// # Errors
/// Go's own text.
pub(super) fn go_uint(text: &str) -> Result<u64, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let reason = match digits.then(|| text.parse()) {
        Some(Ok(number)) => return Ok(number),
        Some(Err(_)) => "value out of range",
        None => "invalid syntax",
    };
    Err(format!("strconv.ParseUint: parsing {text:?}: {reason}"))
}

/// Go's `ParseDuration`; what is negative comes out as zero, since Consul treats both alike.
fn go_duration(text: &str) -> Option<Duration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        seconds += number.parse::<f64>().ok()? * unit_seconds(unit)?;
        rest = tail;
    }
    Duration::try_from_secs_f64(if negative { 0.0 } else { seconds }).ok()
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

fn unescape(text: &[u8], plus_is_space: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    Some(out)
}

fn escape(bytes: &[u8], keep: &[u8]) -> String {
    let one = |&byte: &u8| match byte {
        byte if byte.is_ascii_alphanumeric() || keep.contains(&byte) => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    bytes.iter().map(one).collect()
}

fn clean_path(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let mut clean = vec![b'/'];
    clean.extend_from_slice(&kept.join(&b'/'));
    if path.ends_with(b"/") && clean.len() > 1 {
        clean.push(b'/');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let millis = |text| go_duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("30s"), Some(30_000));
        assert_eq!(millis("1500ms"), Some(1_500));
        assert_eq!(millis("1m1.5s"), Some(61_500));
        assert_eq!(millis(".5s"), Some(500));
        assert_eq!(millis("-5s"), Some(0));
        assert_eq!(millis("0"), Some(0));
        for bad in ["30", "1m30", "s", "", "-", "1 s", "1d", "1..5s"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_wait_of_zero_is_the_default_and_a_huge_one_is_capped() {
        let wait = |query| Target::parse("/v1/kv/a", Some(query)).unwrap().blocking().unwrap().1;
        assert_eq!(wait("index=1&wait=0s"), WAIT_DEFAULT);
        assert_eq!(wait("index=1"), WAIT_DEFAULT);
        assert_eq!(wait("index=1&wait=1400s"), WAIT_MAX);
    }

    #[test]
    fn unclean_paths_are_redirected_with_their_query() {
        let redirect = |path, query| Target::parse(path, query).unwrap().redirect();
        assert_eq!(redirect("/v1/kv/a//b", Some("recurse")), Some("/v1/kv/a/b?recurse".into()));
        assert_eq!(redirect("/v1/kv/%2e%2e/a", None), Some("/v1/a".into()));
        assert_eq!(redirect("/v1/kv", None), Some("/v1/kv/".into()));
        assert_eq!(redirect("/v1/kv/a%2Fb/", None), None);
    }
}
