//! Texts: in quotes, and heredocs.

/// The text in quotes that `rest` begins with, and how many bytes it takes there.
pub(super) fn json(rest: &str) -> Option<(String, usize)> {
    let mut read = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    let text = read.next()?.ok()?;
    Some((text, read.byte_offset()))
}

/// The same in HCL. What `${` and `}` enclose stays as it is, quotes and backslashes too.
pub(super) fn hcl(rest: &str) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut at = 1;
    let mut braces = 0_usize;
    loop {
        let c = rest[at..].chars().next()?;
        match c {
            '"' if braces == 0 => return Some((text, at + 1)),
            '\n' if braces == 0 => return None,
            '\\' if braces == 0 => {
                let (escaped, length) = escape(&rest[at + 1..])?;
                text.push(escaped);
                at += 1 + length;
                continue;
            }
            '$' if braces == 0 && rest[at..].starts_with("${") => {
                text.push_str("${");
                braces = 1;
                at += 2;
                continue;
            }
            '{' if braces > 0 => braces += 1,
            '}' if braces > 0 => braces -= 1,
            _ => {}
        }
        text.push(c);
        at += c.len_utf8();
    }
}

/// What stands after a backslash, as in Go: the character, and the bytes it is written with.
pub fn escape(rest: &str) -> Option<(char, usize)> {
    let first = rest.chars().next()?;
    let simple = match first {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' | '"' | '\'' => first,
        'x' => return digits(rest, 1, 2, 16),
        'u' => return digits(rest, 1, 4, 16),
        'U' => return digits(rest, 1, 8, 16),
        '0'..='7' => return digits(rest, 0, 3, 8),
        _ => return None,
    };
    Some((simple, 1))
}

/// A byte above ASCII would be one of several of a character: such a text is refused.
fn digits(rest: &str, from: usize, count: usize, radix: u32) -> Option<(char, usize)> {
    let digits = rest.get(from..from + count)?;
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let number = u32::from_str_radix(digits, radix).ok()?;
    let is_byte = count < 4;
    let c = char::from_u32(number).filter(|c| !is_byte || c.is_ascii())?;
    Some((c, from + count))
}

/// The content of the heredoc that `rest` begins with, and the bytes up to its closing word.
pub(super) fn heredoc(rest: &str) -> Option<(String, usize)> {
    let (head, body) = rest.split_once('\n')?;
    let word = head.strip_prefix("<<")?.trim_end_matches('\r');
    let (word, is_indented) = word.strip_prefix('-').map_or((word, false), |word| (word, true));
    if word.is_empty() || !word.chars().all(char::is_alphanumeric) {
        return None;
    }
    let mut length = 0;
    for line in body.split_inclusive('\n') {
        let end = line.trim_end_matches(['\r', '\n']);
        if end.trim_start() == word {
            let margin = &end[..end.len() - word.len()];
            let content = &body[..length];
            let taken = head.len() + 1 + length + end.len();
            let text = if is_indented {
                without_margin(content, margin)
            } else {
                // What is before the closing word on its line is kept, as HCL 1 does.
                format!("{content}{margin}")
            };
            return Some((text, taken));
        }
        length += line.len();
    }
    None
}

/// Each line without the closing word's margin; if one has less, all stay as they are.
fn without_margin(content: &str, margin: &str) -> String {
    let mut lines = content.split_inclusive('\n');
    if !lines.clone().all(|line| line.starts_with(margin)) {
        return content.to_owned();
    }
    lines.by_ref().map(|line| &line[margin.len()..]).collect()
}
