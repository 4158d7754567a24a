//! Percent-encoding, as far as it is needed: names of any bytes in a URL, and in a key.

/// Encodes every byte but the unreserved ones and `/` (RFC 3986, section 2.3). Consul decodes `%2F` to a
/// slash, so that a slash needs no escape and has none.
pub fn path(text: &str) -> String {
    encode(text, b"/")
}

/// Encodes every byte but the unreserved ones: what comes of it holds no separator of any kind.
pub fn segment(text: &str) -> String {
    encode(text, b"")
}

/// What was encoded; `None` for what is not.
pub fn decode(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || (rest.next()? as char).to_digit(16);
        bytes.push((digit()? * 16 + digit()?) as u8);
    }
    String::from_utf8(bytes).ok()
}

fn encode(text: &str, also_plain: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte as char);
            }
            _ if also_plain.contains(&byte) => encoded.push(byte as char),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_encoded_byte_by_byte() {
        assert_eq!(path("a b/c%2F?#é+"), "a%20b/c%252F%3F%23%C3%A9%2B");
        assert_eq!(path("A-z._~/0"), "A-z._~/0");
        assert_eq!(segment("a/b&c=d"), "a%2Fb%26c%3Dd");
    }

    #[test]
    fn what_is_cut_short_is_not_decoded() {
        for broken in ["%", "%2", "%zz", "a%2", "%FF"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn it_is_decoded_to_what_it_was(text in ".{0,20}") {
            prop_assert_eq!(decode(&segment(&text)), Some(text));
        }
    }
}
