use super::*;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_keys: 1000 };

fn snapshot(entries: Vec<Entry>) -> Snapshot {
    Snapshot::new(7, entries.into_iter().map(Arc::new).collect()).unwrap()
}

fn header(prefix: &str, snapshot: &Snapshot) -> Header {
    let confirmed = "2026-11-23T04:43:41Z".parse().unwrap();
    let identity = Identity::of_prefix(prefix);
    let mut header = Header::new(&identity, snapshot, confirmed, "pod-0");
    header.version = "0.1.0".into();
    header
}

fn encoded(header: &Header, snapshot: &Snapshot) -> Vec<u8> {
    let mut out = Vec::new();
    encode(header, snapshot, &mut out).unwrap();
    out
}

fn small() -> Vec<u8> {
    let snapshot = snapshot(vec![
        Entry::new("a/host", b"localhost", 42, 3, 5),
        Entry::new("a/port", b"", u64::MAX, 4, 6),
    ]);
    encoded(&header("a/", &snapshot), &snapshot)
}

/// Decodes, and holds the check without values to the same verdict.
fn read(bytes: &[u8]) -> Result<(Header, Snapshot), Damage> {
    let decoded = decode(bytes, bytes.len() as u64, LIMITS);
    let checked = check(bytes, bytes.len() as u64, LIMITS);
    assert_eq!(checked, decoded.as_ref().map(|d| d.0.clone()).map_err(|e| *e));
    decoded
}

fn refused(bytes: &[u8]) -> Damage {
    read(bytes).expect_err("must be refused")
}

/// Puts a right checksum under wrong content, as no accident does.
fn forged(mut bytes: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    bytes.truncate(bytes.len() - 32);
    change(&mut bytes);
    let sum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

/// A file whose header was changed, with a right checksum.
fn with_header(change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let snapshot = snapshot(vec![Entry::new("a/b", b"12345", 0, 1, 1)]);
    let mut header = header("a/", &snapshot);
    change(&mut header);
    encoded(&header, &snapshot)
}

/// Where the first entry starts.
fn body(bytes: &[u8]) -> usize {
    16 + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize
}

fn entry_strategy() -> impl Strategy<Value = (Vec<u8>, u64, u64, u64)> {
    (vec(any::<u8>(), 0..50), any::<u64>(), any::<u64>(), any::<u64>())
}

proptest! {
    #[test]
    fn what_is_written_is_read(map in btree_map(".{0,20}", entry_strategy(), 0..20)) {
        let entries = map.iter().map(|(k, (v, f, c, m))| Entry::new(&format!("a/{k}"), v, *f, *c, *m));
        let snapshot = snapshot(entries.collect());
        let header = header("a/", &snapshot);
        prop_assert_eq!(read(&encoded(&header, &snapshot)).unwrap(), (header, snapshot));
    }

    #[test]
    fn any_bytes_are_refused(bytes in vec(any::<u8>(), 0..300), dressed in any::<bool>()) {
        let bytes = if dressed { [&small()[..16], &bytes].concat() } else { bytes };
        refused(&bytes);
    }

    #[test]
    fn a_forger_gets_no_panic(at in 16usize..600, with in vec(any::<u8>(), 1..9)) {
        let bytes = forged(small(), |bytes| {
            let at = at.min(bytes.len() - 1);
            let end = (at + with.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&with[..end - at]);
        });
        if let Ok((header, snapshot)) = read(&bytes) {
            prop_assert_eq!(snapshot.digest(), header.digest);
        }
    }
}

#[test]
fn odd_content_survives() {
    let big = vec![0xA5; 512 * 1024];
    let all = snapshot(vec![
        Entry::new("", b"the prefix's own key", 0, 0, 0),
        Entry::new("../../etc/passwd", b"x", u64::MAX, u64::MAX, u64::MAX),
        Entry::new("a\0\u{1}\\\u{FFFD}//é/", &big, 1, 2, 3),
    ]);
    for snapshot in [Snapshot::empty(9), all] {
        let header = header("", &snapshot);
        let bytes = encoded(&header, &snapshot);
        let size = size_without_header(&snapshot) + header_bytes(&header);
        assert_eq!(bytes.len() as u64, size);
        assert_eq!(read(&bytes), Ok((header, snapshot)));
    }
}

#[test]
fn version_1_is_read_for_ever() {
    use base64::Engine as _;
    let file = base64::engine::general_purpose::STANDARD
        .decode(include_str!("version1.base64").replace('\n', ""))
        .unwrap();
    assert_eq!(file, small());
    let (header, snapshot) = read(&file).unwrap();
    assert_eq!(header.confirmed.to_string(), "2026-11-23T04:43:41Z");
    assert_eq!(snapshot.get("a/port").unwrap().flags, u64::MAX);
}

#[test]
fn every_truncation_is_refused() {
    let bytes = small();
    for length in 0..bytes.len() {
        let why = refused(&bytes[..length]);
        assert_eq!(why, Damage::Truncated, "{length} of {} bytes", bytes.len());
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let bytes = small();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&flipped);
    }
}

#[test]
fn two_thousand_flipped_bits_in_a_large_body_are_refused() {
    let value: Vec<u8> = (0..5_000u32).map(|n| (n * 7) as u8).collect();
    let entries = (0..3).map(|n| Entry::new(&format!("a/{n}"), &value, n, n, n));
    let snapshot = snapshot(entries.collect());
    let mut bytes = encoded(&header("a/", &snapshot), &snapshot);
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..2000 {
        let bit = random.usize(body(&bytes) * 8..bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        check(&bytes[..], bytes.len() as u64, LIMITS).expect_err("must be refused");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    read(&bytes).unwrap();
}

#[test]
fn zeroes_and_swapped_halves_are_refused() {
    let bytes = small();
    assert_eq!(refused(&vec![0; bytes.len()]), Damage::Magic);
    let (front, back) = bytes.split_at(body(&bytes));
    assert_eq!(refused(&[back, front].concat()), Damage::Magic);
}

#[test]
fn trailing_bytes_are_refused() {
    let mut bytes = small();
    bytes.push(0);
    assert_eq!(refused(&bytes), Damage::Trailing(1));
    let longer = forged(small(), |bytes| bytes.extend_from_slice(&[0; 100]));
    assert_eq!(refused(&longer), Damage::Trailing(100));
    let twice = [small(), small()].concat();
    assert!(matches!(refused(&twice), Damage::Trailing(_)));
}

#[test]
fn a_newer_version_is_refused_as_such() {
    let version = |n: u32| forged(small(), |b| b[8..12].copy_from_slice(&n.to_le_bytes()));
    assert_eq!(refused(&version(2)), Damage::FutureVersion(2));
    assert_eq!(refused(&version(u32::MAX)), Damage::FutureVersion(u32::MAX));
    assert_eq!(refused(&version(0)), Damage::Header("names format version 0"));
    assert!(!Damage::FutureVersion(2).is_certain());
}

#[test]
fn fields_of_a_later_release_are_ignored() {
    let snapshot = Snapshot::empty(1);
    let header = header("a/", &snapshot);
    let mut json = serde_json::to_value(&header).unwrap();
    json["colour"] = "blue".into();
    let json = serde_json::to_vec(&json).unwrap();
    let bytes = forged(Vec::from([0; 32]), |bytes| {
        *bytes =
            [&MAGIC[..], &1u32.to_le_bytes(), &(json.len() as u32).to_le_bytes(), &json].concat();
    });
    assert_eq!(read(&bytes).unwrap().0, header);
}

#[test]
fn a_forged_header_is_caught_by_the_content() {
    let digest = Snapshot::empty(1).digest();
    assert_eq!(refused(&with_header(|h| h.digest = digest)), Damage::Digest);
    assert_eq!(refused(&with_header(|h| h.keys = 2)), Damage::Truncated);
    assert_eq!(refused(&with_header(|h| h.keys = 0)), Damage::Trailing(40));
    assert_eq!(refused(&with_header(|h| h.bytes = 4)), Damage::Counts);
    assert_eq!(refused(&with_header(|h| h.bytes = 6)), Damage::Counts);
    let outside = with_header(|h| h.identity.prefix = "b/".into());
    assert_eq!(refused(&outside), Damage::Entry("lies outside the prefix"));
}

#[test]
fn keys_must_rise() {
    let pair = |first: &str, second: &str| {
        let snapshot = snapshot(vec![Entry::new("a", b"", 0, 0, 0), Entry::new("b", b"", 0, 0, 0)]);
        forged(encoded(&header("", &snapshot), &snapshot), |bytes| {
            let at = body(bytes) + 32;
            bytes[at] = first.as_bytes()[0];
            bytes[at + 33] = second.as_bytes()[0];
        })
    };
    assert!(read(&pair("a", "b")).is_ok());
    assert_eq!(refused(&pair("b", "a")), Damage::Entry("is not in key order"));
    assert_eq!(refused(&pair("a", "a")), Damage::Entry("is not in key order"));
    let not_utf8 = forged(small(), |bytes| {
        let at = body(bytes) + 32;
        bytes[at] = 0xFF;
    });
    assert_eq!(refused(&not_utf8), Damage::Entry("has a key that is not UTF-8"));
}

/// The most address space this process ever had, in KiB. A lying length that is believed shows here
/// even when its pages are never touched.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmPeak:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn lying_lengths_are_refused_and_cost_no_memory() {
    let before = peak();
    let huge = u32::MAX.to_le_bytes();
    let lie = |at: usize| forged(small(), |bytes| bytes[at..at + 4].copy_from_slice(&huge));
    let entry = body(&small());
    assert_eq!(refused(&lie(12)), Damage::Header("is too long"));
    assert_eq!(refused(&lie(entry)), Damage::Truncated);
    assert_eq!(refused(&lie(entry + 4)), Damage::Counts);
    let both = |bytes: u64| with_header(|h| (h.keys, h.bytes) = (1, bytes));
    assert_eq!(refused(&both(u64::MAX)), Damage::Truncated);
    assert_eq!(refused(&with_header(|h| h.keys = u64::MAX)), Damage::Truncated);
    // The header leaves room for the value that the file does not hold.
    let roomy = with_header(|h| h.bytes = 30);
    let at = body(&roomy) + 4;
    let roomy = forged(roomy, |b| b[at..at + 4].copy_from_slice(&30u32.to_le_bytes()));
    assert_eq!(refused(&roomy), Damage::Truncated);
    assert!(peak() - before < 1 << 20, "{} KiB more", peak() - before);
}

#[test]
fn limits_are_kept_before_anything_is_read() {
    let bytes = small();
    let tight = |max_bytes, max_keys| {
        let limits = Limits { max_bytes, max_keys };
        decode(&bytes[..], bytes.len() as u64, limits).map(|_| ())
    };
    assert_eq!(tight(9, 2), Ok(()));
    let over = |what, found, max| Err(Damage::Oversize { what, found, max });
    assert_eq!(tight(8, 2), over("value bytes", 9, 8));
    assert_eq!(tight(9, 1), over("keys", 2, 1));
    let (max, size) = (LIMITS.file_bytes(), LIMITS.file_bytes() + 1);
    let nothing_is_read = std::io::empty();
    let found = decode(nothing_is_read, size, LIMITS).map(|_| ());
    assert_eq!(found, Err(Damage::Oversize { what: "file bytes", found: size, max }));
}

#[test]
fn what_the_format_cannot_say_is_not_written() {
    let snapshot = Snapshot::empty(1);
    let header = header(&"p".repeat(70_000), &snapshot);
    let error = encode(&header, &snapshot, Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_full_disk_ends_the_encoding() {
    let snapshot = snapshot(vec![Entry::new("a/b", &[0; 1000], 0, 0, 0)]);
    let mut room = [0; 500];
    let error = encode(&header("a/", &snapshot), &snapshot, &mut room[..]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
}

#[test]
fn no_text_shows_content() {
    let bytes = forged(small(), |b| {
        let at = 20;
        b[at..at + 6].copy_from_slice(b"s3cret");
    });
    let why = refused(&bytes);
    assert!(!format!("{why} {why:?}").contains("s3cret"));
}
