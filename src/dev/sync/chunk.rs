//! A long text in pieces.
//!
//! Law: the pieces, one after the other, are the text; each is valid UTF-8, none is empty, and none but a single character
//! is longer than asked for.

/// The pieces, each as long as `most` bytes allow. A `most` below the length of a character gives one character at a time.
pub(super) fn pieces(text: &str, most: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let longest = rest.floor_char_boundary(most);
        // A character that is longer than a piece may be makes a piece of its own.
        let end = if longest == 0 { rest.ceil_char_boundary(1) } else { longest };
        let (piece, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(piece).filter(|piece| !piece.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_character_is_never_cut() {
        assert_eq!(pieces("aéb", 2).collect::<Vec<_>>(), ["a", "é", "b"]);
        assert_eq!(pieces("ab🦀c", 4).collect::<Vec<_>>(), ["ab", "🦀", "c"]);
        assert_eq!(pieces("abcd", 2).collect::<Vec<_>>(), ["ab", "cd"]);
        assert_eq!(pieces("", 2).count(), 0);
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_text(text in any::<String>(), most in 0_usize..8) {
            let pieces: Vec<_> = pieces(&text, most).collect();
            prop_assert_eq!(pieces.concat(), text.as_str());
            for piece in pieces {
                prop_assert!(!piece.is_empty());
                prop_assert!(piece.len() <= most || piece.chars().count() == 1, "{:?}", piece);
            }
        }
    }
}
