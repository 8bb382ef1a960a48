//! "Did you mean": the known name that is nearest to a name that is not known.

/// A name may differ from the nearest one by at most this many letters.
const DISTANCE_MAX: usize = 3;

/// The nearest of some names, when it is near enough to have been meant: at most three letters, and less than half of
/// the name, have to change. Of several equally near, the first.
pub(super) fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    // A name longer than any known one by more than the distance cannot be near; cut before the quadratic part.
    let name: String = name.chars().take(80).collect::<String>().to_ascii_lowercase();
    known
        .map(|candidate| (distance(&name, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= DISTANCE_MAX && distance.saturating_mul(2) < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, remove or replace to make one text of the other (Levenshtein's distance).
fn distance(one: &str, other: &str) -> usize {
    let mut above: Vec<usize> = (0..=other.chars().count()).collect();
    for (row, letter) in one.chars().enumerate() {
        let mut left = row + 1;
        let mut here = vec![left];
        for ((other_letter, diagonal), up) in other.chars().zip(&above).zip(above.iter().skip(1)) {
            left = (diagonal + usize::from(letter != other_letter)).min(up + 1).min(left + 1);
            here.push(left);
        }
        above = here;
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{distance, nearest};

    #[test]
    fn a_slip_of_the_finger_finds_its_key() {
        let known = || ["listen.public", "listen.adapter", "log.level"].map(str::to_owned).into_iter();
        assert_eq!(nearest("listen.publc", known()).as_deref(), Some("listen.public"));
        assert_eq!(nearest("LISTEN.ADAPTOR", known()).as_deref(), Some("listen.adapter"));
        assert_eq!(nearest("colour", known()), None);
        assert_eq!(nearest("", known()), None);
    }

    proptest! {
        /// Law: the distance is zero for equal texts only, the same both ways, and one letter more is one more at most.
        #[test]
        fn the_distance_is_a_distance(one in "[ab]{0,6}", other in "[ab]{0,6}") {
            prop_assert_eq!(distance(&one, &other) == 0, one == other);
            prop_assert_eq!(distance(&one, &other), distance(&other, &one));
            let longer = format!("{one}a");
            prop_assert!(distance(&longer, &other) <= distance(&one, &other) + 1);
        }
    }
}
