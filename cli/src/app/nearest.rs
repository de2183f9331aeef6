//! The name that somebody may have meant.

/// Of `known`, the one that is nearest to `name`, if one is near.
pub(crate) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let most = name.chars().count() / 3 + 1;
    let distances = known.into_iter().map(|other| (distance(name, other), other));
    distances.filter(|(distance, _)| *distance <= most).min().map(|(_, other)| other)
}

/// How many letters have to be changed, added or left out.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        let mut next = vec![left];
        for (above, theirs) in row.iter().skip(1).zip(&other) {
            let changed = diagonal + usize::from(letter != *theirs);
            diagonal = *above;
            left = changed.min(left + 1).min(*above + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_seen_through() {
        assert_eq!((distance("payment", "paymnet"), distance("", "abc"), distance("a", "a")), (2, 3, 0));
        let known = ["order", "payment", "inventory"];
        assert_eq!(nearest("paymet", known), Some("payment"));
        assert_eq!(nearest("oder", known), Some("order"));
        assert_eq!(nearest("loyalty", known), None);
    }
}
