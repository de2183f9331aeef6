//! Which subjects a pattern of subjects covers.

/// Whether `pattern`, with `*` for one token and `>` for all that follow, covers `subject`.
pub(crate) fn covers(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in pattern.split('.') {
        match (wanted, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

/// Whether `pattern` covers more than one subject.
pub(crate) fn is_pattern(pattern: &str) -> bool {
    pattern.contains(['*', '>'])
}

/// The end that every subject covered by `pattern` has: quicker to compare than the pattern itself.
pub(crate) fn ending(pattern: &str) -> &str {
    if pattern.ends_with('>') { "" } else { pattern.rsplit_once('*').map_or(pattern, |(_, rest)| rest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_token_and_a_greater_than_sign_at_least_one() {
        assert!(covers("*.*.O-1.e", "orders.placed.O-1.e"));
        assert!(!covers("*.*.O-1.e", "orders.placed.O-2.e"));
        assert!(!covers("orders.placed.*", "orders.placed"));
        assert!(!covers("orders.*", "orders.placed.O-1"));
        assert!(covers("retry.pay.>", "retry.pay.x.2"));
        assert!(!covers("retry.pay.>", "retry.pay"));
        assert!(covers("a.b", "a.b"));
    }

    #[test]
    fn an_ending_is_what_follows_the_last_wildcard() {
        assert_eq!(ending("*.*.O-1.e"), ".O-1.e");
        assert_eq!(ending("orders.placed.O-1.*"), "");
        assert_eq!(ending("a.>"), "");
        assert_eq!(ending("a.b"), "a.b");
    }
}
