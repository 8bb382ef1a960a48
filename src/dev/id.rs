//! Document ids of Convex's shape: 31 to 37 characters of lower-case base32 that name the table and check themselves.
//!
//! The bytes are a variable-length table number, 16 bytes of the document, and a Fletcher-16 checksum of both, low byte
//! first (`crates/value/src/id_v6.rs`). Invariant: [`table_number`] reads back what [`encode`] was given, and nothing else.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// Crockford's alphabet in lower case: no `i`, `l`, `o`, `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DOCUMENT_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 2;
const LONGEST_TEXT: usize = 37;

/// Makes ids that nobody can guess and that never repeat: a hash of a random seed and a counter.
pub struct IdSource {
    seed: [u8; 32],
    count: u64,
}

impl IdSource {
    /// A source over a random seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, count: 0 }
    }

    /// The next id for a table of this number.
    pub fn next(&mut self, table: u32) -> String {
        let mut document = [0; DOCUMENT_BYTES];
        fill(&mut document, &self.next_hash());
        encode(table, &document)
    }

    fn next_hash(&mut self) -> [u8; 32] {
        self.count += 1;
        let mut hash = [0; 32];
        fill(&mut hash, digest(&SHA256, &[&self.seed[..], &self.count.to_le_bytes()].concat()).as_ref());
        hash
    }
}

/// Who knows the seed knows all ids to come.
impl fmt::Debug for IdSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "IdSource({})", self.count)
    }
}

/// The id of the document `document` in the table of number `table`.
pub fn encode(table: u32, document: &[u8; DOCUMENT_BYTES]) -> String {
    let mut bytes = Vec::with_capacity(5 + DOCUMENT_BYTES + CHECKSUM_BYTES);
    let mut rest = table;
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push((rest & 0x7f) as u8);
    bytes.extend_from_slice(document);
    let checksum = checksum(&bytes);
    bytes.extend_from_slice(&checksum);
    to_base32(&bytes)
}

/// The number of the table that an id names; nothing when the text is no id.
pub fn table_number(text: &str) -> Option<u32> {
    if text.len() > LONGEST_TEXT {
        return None;
    }
    let bytes = from_base32(text)?;
    let (body, footer) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    let (number, _) = body.split_at_checked(body.len().checked_sub(DOCUMENT_BYTES)?)?;
    if checksum(body) != footer {
        return None;
    }
    let (last, more) = number.split_last()?;
    let complete = number.len() <= 5 && *last < 0x80 && more.iter().all(|byte| *byte >= 0x80);
    let table = number.iter().rev().fold(0_u64, |table, byte| table << 7 | u64::from(byte & 0x7f));
    u32::try_from(table).ok().filter(|table| complete && *table != 0)
}

fn fill(target: &mut [u8], source: &[u8]) {
    for (slot, byte) in target.iter_mut().zip(source) {
        *slot = *byte;
    }
}

/// Fletcher's checksum with both sums modulo 256 (RFC 1145, appendix).
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    bytes.iter().fold([0, 0], |[first, second], byte| {
        let first = first.wrapping_add(*byte);
        [first, second.wrapping_add(first)]
    })
}

/// Five bits a character, the highest first; the last character is padded with zero bits.
fn to_base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(LONGEST_TEXT);
    let mut pending = 0_u32;
    let mut bits = 0;
    for byte in bytes {
        pending = pending << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(character(pending >> bits));
        }
    }
    if bits > 0 {
        text.push(character(pending << (5 - bits)));
    }
    text
}

#[expect(clippy::indexing_slicing, reason = "five bits index an alphabet of 32")]
fn character(bits: u32) -> char {
    char::from(ALPHABET[(bits & 0x1f) as usize])
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut pending = 0_u32;
    let mut bits = 0;
    for character in text.bytes() {
        let five = ALPHABET.iter().position(|candidate| *candidate == character)?;
        pending = pending << 5 | u32::try_from(five).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((pending >> bits & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_shape_is_convex_own() {
        let document = std::array::from_fn(|position| (0..position).fold(251_u8, |byte, _| byte.wrapping_mul(251)));
        assert_eq!(encode(1017, &document), "z43zp6c3e75gkmz1kfwj6mbbx5sw281h");
    }

    #[test]
    fn ids_of_one_source_differ_and_have_thirty_two_characters() {
        let mut source = IdSource::new([7; 32]);
        let (first, second) = (source.next(10_001), source.next(10_001));
        assert_ne!(first, second);
        assert_eq!(first.len(), 32);
    }

    #[test]
    fn texts_of_another_shape_are_no_ids() {
        let id = encode(10_001, &[9; 16]);
        let damaged = id.replacen(|_| true, "0", 1);
        for text in
            ["", "x", "invalid-user-id", "0e6f2b6e-6a4e-4f0e-9e8e-5d5f5c5b5a59", &id[1..], &damaged, &id.to_uppercase()]
        {
            assert_eq!(table_number(text), None, "{text}");
        }
    }

    proptest! {
        /// Law: the table is read back from every id, and the id has 31 to 37 characters.
        #[test]
        fn an_id_names_its_table(table in 1_u32.., document: [u8; 16]) {
            let id = encode(table, &document);
            prop_assert!((31..=37).contains(&id.len()));
            prop_assert_eq!(table_number(&id), Some(table));
        }

        /// Law: no text makes the reader panic, and a text of another alphabet names no table.
        #[test]
        fn any_text_can_be_asked(text: String) {
            let _ = table_number(&text);
        }
    }
}
