//! Sets of small numbers, and what one does with many of them at once.

/// A set of numbers below a size that its maker knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set(Vec<u64>);

impl Set {
    pub(crate) fn empty(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)])
    }

    /// All numbers below `size`.
    pub(crate) fn full(size: usize) -> Self {
        let mut words = vec![u64::MAX; size.div_ceil(64)];
        if let (Some(last), 1..) = (words.last_mut(), size % 64) {
            *last = low_bits(size % 64);
        }
        Self(words)
    }

    pub(crate) fn has(&self, i: usize) -> bool {
        self.0.get(i / 64).is_some_and(|word| word >> (i % 64) & 1 == 1)
    }

    /// How many of `start..start + count` it has.
    pub(crate) fn count(&self, start: usize, count: usize) -> usize {
        let (mut start, mut left, mut found) = (start, count, 0);
        while left > 64 {
            found += self.bits(start).count_ones() as usize;
            (start, left) = (start + 64, left - 64);
        }
        found + (self.bits(start) & low_bits(left)).count_ones() as usize
    }

    /// Whether it has `start`, in the lowest bit, and each of the 63 numbers after it.
    fn bits(&self, start: usize) -> u64 {
        let word = |at: usize| self.0.get(at).copied().unwrap_or_default();
        let (at, shift) = (start / 64, start % 64);
        // In two steps, as no shift may be by 64.
        word(at) >> shift | word(at + 1) << 1 << (63 - shift)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let next = (rest != 0).then(|| at * 64 + rest.trailing_zeros() as usize);
                rest &= rest.wrapping_sub(1);
                next
            })
        })
    }

    pub(crate) fn insert(&mut self, i: usize) {
        if let Some(word) = self.0.get_mut(i / 64) {
            *word |= 1 << (i % 64);
        }
    }

    /// Keeps what is in `other` too.
    pub(crate) fn intersect(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= b);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    pub(crate) fn remove(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= !b);
    }

    /// Adds what is in both.
    pub(crate) fn add_common(&mut self, one: &Self, other: &Self) {
        let words = self.0.iter_mut().zip(one.0.iter().zip(&other.0));
        words.for_each(|(a, (b, c))| *a |= b & c);
    }

    /// Removes what is in both.
    pub(crate) fn remove_common(&mut self, one: &Self, other: &Self) {
        let words = self.0.iter_mut().zip(one.0.iter().zip(&other.0));
        words.for_each(|(a, (b, c))| *a &= !(b & c));
    }
}

/// Keeps in `rows` only what `columns` have the other way round: `i` stays in row `j` if `j` is in
/// column `i`. A column that is `None` has everything.
pub(crate) fn intersect_transposed(rows: &mut [Set], columns: &[Option<&Set>]) {
    for (at, block) in rows.chunks_mut(64).enumerate() {
        for (word, columns) in columns.chunks(64).enumerate() {
            if columns.iter().all(Option::is_none) {
                continue;
            }
            let mut square = [u64::MAX; 64];
            for (line, column) in square.iter_mut().zip(columns) {
                if let Some(column) = column {
                    *line = column.0.get(at).copied().unwrap_or_default();
                }
            }
            transpose(&mut square);
            for (row, line) in block.iter_mut().zip(square) {
                if let Some(word) = row.0.get_mut(word) {
                    *word &= line;
                }
            }
        }
    }
}

/// Bit `i` of word `j` for bit `j` of word `i`: halves swapped, then quarters, and so on (Warren,
/// Hacker's Delight, 7-3).
fn transpose(square: &mut [u64; 64]) {
    let mut width = 32;
    let mut mask = low_bits(32);
    while width != 0 {
        for pair in square.chunks_mut(2 * width) {
            let (upper, lower) = pair.split_at_mut(width);
            for (a, b) in upper.iter_mut().zip(lower) {
                let swapped = ((*a >> width) ^ *b) & mask;
                *a ^= swapped << width;
                *b ^= swapped;
            }
        }
        width /= 2;
        mask ^= mask << width;
    }
}

/// The lowest `count` bits; all of them from 64 on.
fn low_bits(count: usize) -> u64 {
    if count < 64 { (1 << count) - 1 } else { u64::MAX }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(size: usize, members: &BTreeSet<usize>) -> Set {
        let mut set = Set::empty(size);
        members.iter().filter(|i| **i < size).for_each(|i| set.insert(*i));
        set
    }

    #[test]
    fn a_full_set_has_just_its_numbers() {
        for size in [0, 1, 63, 64, 65, 128] {
            assert_eq!(
                Set::full(size).members().collect::<Vec<_>>(),
                (0..size).collect::<Vec<_>>()
            );
        }
    }

    proptest! {
        #[test]
        fn members_are_what_was_inserted(members in prop::collection::btree_set(0_usize..200, 0..40)) {
            let set = set(200, &members);
            prop_assert_eq!(set.members().collect::<BTreeSet<_>>(), members.clone());
            for start in [0, 1, 60, 64, 130, 199] {
                for count in [0, 1, 4, 64, 70] {
                    let counted = members.iter().filter(|i| (start..start + count).contains(*i)).count();
                    prop_assert_eq!(set.count(start, count), counted, "{}+{}", start, count);
                }
            }
        }

        #[test]
        fn transposing_asks_each_pair_the_other_way_round(
            pairs in prop::collection::btree_set((0_usize..70, 0_usize..130), 0..200),
            open in prop::collection::btree_set(0_usize..130, 0..5),
        ) {
            let column = |i| set(70, &pairs.iter().filter(|(_, c)| *c == i).map(|(r, _)| *r).collect());
            let columns: Vec<_> = (0..130).map(|i| (!open.contains(&i)).then(|| column(i))).collect();
            let mut rows = vec![Set::full(130); 70];
            intersect_transposed(&mut rows, &columns.iter().map(Option::as_ref).collect::<Vec<_>>());
            for (j, row) in rows.iter().enumerate() {
                for i in 0..130 {
                    prop_assert_eq!(row.has(i), open.contains(&i) || pairs.contains(&(j, i)));
                }
            }
        }
    }
}
