//! Patterns of subjects: what one covers of another.

/// Whether every subject that `inner` matches is matched by `outer` too.
pub(crate) fn covers(outer: &str, inner: &str) -> bool {
    let (mut outer, mut inner) = (outer.split('.'), inner.split('.'));
    loop {
        match (outer.next(), inner.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

/// Whether there is a subject that both match.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        match (one.next(), other.next()) {
            (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
            (Some(a), Some(b)) if a == "*" || b == "*" || a == b => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_covers_what_is_narrower_and_nothing_else() {
        for (outer, inner) in [
            (">", "a"),
            ("a.>", "a.b.c"),
            ("a.>", "a.*.>"),
            ("a.*", "a.b"),
            ("a.*", "a.*"),
            ("*.b.*.>", "a.b.c.d"),
        ] {
            assert!(covers(outer, inner), "{outer} covers {inner}");
        }
        for (outer, inner) in [("a.>", "a"), ("a.*", "a.>"), ("a.b", "a.*"), ("a.*", "a.b.c"), ("a.b", "a")] {
            assert!(!covers(outer, inner), "{outer} does not cover {inner}");
        }
    }

    fn pattern() -> impl Strategy<Value = String> {
        let token = prop_oneof![Just("a"), Just("b"), Just("*")];
        (prop::collection::vec(token, 1..4), any::<bool>()).prop_map(|(mut tokens, open)| {
            if open {
                tokens.push(">");
            }
            tokens.join(".")
        })
    }

    fn subject() -> impl Strategy<Value = String> {
        prop::collection::vec(prop_oneof![Just("a"), Just("b")], 1..6).prop_map(|tokens| tokens.join("."))
    }

    proptest! {
        #[test]
        fn what_is_covered_is_matched(outer in pattern(), inner in pattern(), subject in subject()) {
            if covers(&outer, &inner) {
                prop_assert!(overlap(&outer, &inner));
                prop_assert!(!covers(&inner, &subject) || covers(&outer, &subject), "{outer} {inner} {subject}");
            }
            if covers(&outer, &subject) && covers(&inner, &subject) {
                prop_assert!(overlap(&outer, &inner), "{outer} {inner} {subject}");
            }
            prop_assert_eq!(overlap(&outer, &inner), overlap(&inner, &outer));
        }
    }
}
