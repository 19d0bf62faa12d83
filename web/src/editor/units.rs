//! The one place where the core's byte offsets become the browser's UTF-16 offsets.

/// Converts the offsets of one text.
#[derive(Debug)]
pub(crate) struct Units {
    /// The end of each character that is not ASCII, in bytes, and how many bytes more than units
    /// there are up to it.
    surplus: Vec<(usize, usize)>,
    /// The text's length in bytes.
    length: usize,
}

impl Units {
    /// For offsets of `text`.
    pub(crate) fn of(text: &str) -> Self {
        let mut total = 0;
        let mut surplus = Vec::new();
        if !text.is_ascii() {
            for (start, character) in text.char_indices().filter(|(_, it)| !it.is_ascii()) {
                total += character.len_utf8() - character.len_utf16();
                surplus.push((start + character.len_utf8(), total));
            }
        }
        Self { surplus, length: text.len() }
    }

    /// The UTF-16 offset of a byte offset; the text's end for offsets beyond it.
    pub(crate) fn at(&self, byte: usize) -> u32 {
        let byte = byte.min(self.length);
        let before = self.surplus.partition_point(|(end, _)| *end <= byte);
        let surplus = before.checked_sub(1).and_then(|last| self.surplus.get(last));
        u32::try_from(byte - surplus.map_or(0, |(_, total)| *total)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_utf16_units() {
        let text = "a: ä # → 😀\nb: 1\n";
        let units = Units::of(text);
        for (byte, _) in text.char_indices() {
            let expected = text[..byte].encode_utf16().count();
            assert_eq!(units.at(byte) as usize, expected, "at byte {byte}");
        }
        assert_eq!(units.at(text.len()) as usize, text.encode_utf16().count());
        assert_eq!(units.at(9_999) as usize, text.encode_utf16().count());
    }

    #[test]
    fn ascii_offsets_stay() {
        assert_eq!(Units::of("kind: Pod").at(6), 6);
    }
}
