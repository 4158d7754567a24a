//! Values that are stored encoded, and files that hold them as they are meant.

use std::io::Read as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::MultiGzDecoder;

/// How a value is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 4648, the usual alphabet, with or without its padding; white space counts for nothing.
    Base64,
    /// RFC 1952.
    Gzip,
}

/// Why a value is not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecoded {
    /// It is not encoded so.
    Malformed,
    /// It would be larger than allowed.
    TooLarge,
}

// === impl Encoding ===

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Base64, Self::Gzip];

    /// The word for it in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Gzip => "gzip",
        }
    }

    /// Decodes a value into at most `max` bytes.
    pub fn decode(self, value: &[u8], max: u64) -> Result<Vec<u8>, Undecoded> {
        match self {
            Self::Base64 => base64(value, max),
            Self::Gzip => gunzip(value, max),
        }
    }
}

fn base64(value: &[u8], max: u64) -> Result<Vec<u8>, Undecoded> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text: Vec<u8> = value.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    match GeneralPurpose::new(&alphabet::STANDARD, config).decode(text) {
        Ok(decoded) if decoded.len() as u64 > max => Err(Undecoded::TooLarge),
        Ok(decoded) => Ok(decoded),
        Err(_) => Err(Undecoded::Malformed),
    }
}

/// A few bytes may unpack to gigabytes: it stops one byte above what is allowed.
fn gunzip(value: &[u8], max: u64) -> Result<Vec<u8>, Undecoded> {
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(value).take(max.saturating_add(1)).read_to_end(&mut unpacked);
    match read {
        Ok(_) if unpacked.len() as u64 > max => Err(Undecoded::TooLarge),
        Ok(_) => Ok(unpacked),
        Err(_) => Err(Undecoded::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    #[test]
    fn base64_is_read_as_people_wrap_it() {
        for text in ["aGVsbG8=", "aGVs\nbG8=\n", " aGVsbG8 "] {
            assert_eq!(Encoding::Base64.decode(text.as_bytes(), 5), Ok(b"hello".to_vec()));
        }
        assert_eq!(Encoding::Base64.decode(b"aGVsbG8=", 4), Err(Undecoded::TooLarge));
        for text in ["a", "a-_b", "aGVsbG8=x"] {
            let decoded = Encoding::Base64.decode(text.as_bytes(), 100);
            assert_eq!(decoded, Err(Undecoded::Malformed), "{text}");
        }
    }

    #[test]
    fn gzip_is_unpacked_up_to_the_limit_and_no_further() {
        let bomb = packed(&vec![0; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert_eq!(Encoding::Gzip.decode(&bomb, 1000), Err(Undecoded::TooLarge));
        let two = [packed(b"hel"), packed(b"lo")].concat();
        assert_eq!(Encoding::Gzip.decode(&two, 5), Ok(b"hello".to_vec()));
        let cut = &packed(b"hello")[..15];
        for wrong in [&b""[..], b"hello", cut] {
            assert_eq!(Encoding::Gzip.decode(wrong, 100), Err(Undecoded::Malformed));
        }
    }
}
