//! Files that tell by themselves which generation they are of and whether they are whole.

/// The files of a generation, by key. The first and the last in order of writing are far apart.
pub const NAMES: [&str; 4] = ["a", "dir/b", "dir/c", "z"];

/// A word of a file: its generation's number.
const WORD: usize = 8;

/// The largest file.
pub const LARGEST: usize = 1024;

/// Generation `number`'s content of a file: the number again and again, as often as the number says.
pub fn content(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(length(number) / WORD)
}

/// The number of a whole file; `None` where it is torn: of another length than its number says, or
/// of more than one number.
pub fn number(bytes: &[u8]) -> Option<u64> {
    let number = u64::from_be_bytes(bytes.get(..WORD)?.try_into().expect("eight bytes"));
    let whole = bytes.len() == length(number) && bytes[WORD..] == bytes[..bytes.len() - WORD];
    whole.then_some(number)
}

fn length(number: u64) -> usize {
    let most = (LARGEST / WORD) as u64;
    (number * 37 % most + 1) as usize * WORD
}
