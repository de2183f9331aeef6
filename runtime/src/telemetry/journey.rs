//! When the journey of an event began: with the first event of its trace, such as an order being placed. It travels in
//! `tracestate`, as a member of Jetlag's own, beside those of others.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::telemetry::traceparent::tracestate;

/// How the member begins; milliseconds since 1970 follow.
const MEMBER: &str = "jetlag=t:";
/// A journey that is said to be longer is not believed: it came from outside, or from a clock that is wrong. As long as
/// dead letters are kept.
const LONGEST: time::Duration = time::Duration::days(30);

/// What travels on from an event that came with `state`, and was made at `at`: if nobody has said when the journey began, it
/// begins here.
pub(crate) fn of(state: Option<&str>, at: OffsetDateTime) -> Option<Arc<str>> {
    let others =
        || state.into_iter().flat_map(|state| state.split(',')).map(str::trim).filter(|m| !is_ours(m));
    if is_told(state, at) {
        return state.map(Into::into);
    }
    let own = format!("{MEMBER}{}", at.unix_timestamp_nanos() / 1_000_000);
    let all: Vec<&str> = std::iter::once(own.as_str()).chain(others()).filter(|m| !m.is_empty()).collect();
    // Where there is no room, theirs stays as it is.
    tracestate(&all.join(",")).or_else(|| state.map(Into::into))
}

/// Whether nothing is to be added to `state`.
pub(crate) fn is_told(state: Option<&str>, at: OffsetDateTime) -> bool {
    began(state, at).is_some_and(|began| began != at) || at.unix_timestamp() <= 0
}

/// When the journey of an event began that came with `state`, and was made at `at`; nothing if that is not known of either.
pub(crate) fn began(state: Option<&str>, at: OffsetDateTime) -> Option<OffsetDateTime> {
    let member = state.and_then(|state| state.split(',').map(str::trim).find(|member| is_ours(member)));
    let ms: Option<i128> = member.and_then(|member| member.strip_prefix(MEMBER)?.parse().ok());
    let told = ms.and_then(|ms| OffsetDateTime::from_unix_timestamp_nanos(ms.checked_mul(1_000_000)?).ok());
    // A millisecond, as the rest of the time is cut off.
    told.filter(|told| *told <= at && at - *told <= LONGEST)
        .or_else(|| (at.unix_timestamp() > 0).then_some(at))
}

fn is_ours(member: &str) -> bool {
    member.starts_with("jetlag=")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    const PLACED: OffsetDateTime = datetime!(2026-11-22 07:00:00.250 UTC);
    const PAID: OffsetDateTime = datetime!(2026-11-22 07:00:03.750 UTC);

    #[test]
    fn a_journey_begins_with_the_first_event_and_everybody_after_it_knows_when() {
        let state = of(None, PLACED).unwrap();
        assert_eq!(began(Some(&state), PAID), Some(PLACED));
        assert_eq!(of(Some(&state), PAID).as_deref(), Some(&*state), "a later event does not begin it anew");
    }

    #[test]
    fn what_others_say_stays_and_is_behind() {
        let state = of(Some("vendor=x, other=y"), PLACED).unwrap();
        assert!(state.starts_with("jetlag=t:") && state.ends_with(",vendor=x,other=y"), "{state}");
        let full = format!("vendor={}", "x".repeat(500));
        assert_eq!(of(Some(&full), PLACED).as_deref(), Some(full.as_str()));
    }

    #[test]
    fn a_beginning_that_cannot_be_is_not_believed() {
        for forged in ["jetlag=t:99999999999999", "jetlag=t:1", "jetlag=t:-5", "jetlag=t:x", "jetlag=", ""] {
            assert_eq!(began(Some(forged), PAID), Some(PAID), "{forged}");
            let state = of(Some(forged), PAID).unwrap();
            assert_eq!(state.matches("jetlag=").count(), 1, "{forged} became {state}");
        }
        assert_eq!(of(None, OffsetDateTime::UNIX_EPOCH), None, "of an event that says no time");
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in ".{0,80}") {
            if let Some(state) = of(Some(&text), PAID) {
                prop_assert!(began(Some(&state), PAID).is_some());
            }
        }
    }
}
