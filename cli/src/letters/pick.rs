//! Which dead letters are meant.

use clap::Args;
use jetlag::{DeadLetter, Reason};
use time::OffsetDateTime;

use crate::moment;

/// Which dead letters are meant: those that everything given here fits.
#[derive(Debug, Clone, Default, Args)]
pub struct Pick {
    /// Their sequences, as `jetlag dlq list` shows them [default: all that the other options pick]
    #[arg(value_name = "SEQUENCE")]
    pub sequences: Vec<u64>,

    /// Only those that this function gave up
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,

    /// Only those given up for this reason, such as attempts_exhausted (docs/errors lists them)
    #[arg(long, value_name = "CODE", value_parser = reason)]
    pub reason: Option<Reason>,

    /// Only events of this type, such as orders.placed
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,

    /// Only what is about this order, or whatever else events are about
    #[arg(long, value_name = "ID")]
    pub order: Option<String>,

    /// Only what was given up since then: a time (2025-01-31T08:00:00Z) or an age (90s, 15m, 2h, 3d)
    #[arg(long, value_name = "TIME", value_parser = moment::time)]
    pub since: Option<OffsetDateTime>,

    /// Only what was given up before then: a time or an age
    #[arg(long, value_name = "TIME", value_parser = moment::time)]
    pub until: Option<OffsetDateTime>,
}

impl Pick {
    /// Whether nothing is said, which means all.
    pub fn is_all(&self) -> bool {
        let Self { sequences, function, reason, kind, order, since, until } = self;
        sequences.is_empty()
            && function.is_none()
            && reason.is_none()
            && kind.is_none()
            && order.is_none()
            && since.is_none()
            && until.is_none()
    }

    /// Whether `letter` is meant.
    pub fn fits(&self, letter: &DeadLetter) -> bool {
        let envelope = letter.envelope();
        let event = envelope.as_ref();
        (self.sequences.is_empty() || self.sequences.contains(&letter.sequence))
            && self.function.as_ref().is_none_or(|function| *function == letter.function)
            && self.reason.is_none_or(|reason| reason == letter.reason)
            && self.kind.as_ref().is_none_or(|kind| event.is_some_and(|event| event.kind == *kind))
            && self.order.as_ref().is_none_or(|order| event.is_some_and(|event| event.aggregate_id == *order))
            && self.since.is_none_or(|since| letter.at >= since)
            && self.until.is_none_or(|until| letter.at < until)
    }
}

fn reason(code: &str) -> Result<Reason, String> {
    let known = || Reason::ALL.iter().map(|reason| reason.code()).collect::<Vec<_>>().join(", ");
    let found = Reason::ALL.iter().find(|reason| reason.code() == code);
    found.copied().ok_or_else(|| format!("the reasons are {}", known()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(function: &str, reason: Reason, order: &str) -> DeadLetter {
        let body = format!(
            r#"{{"id":"e","type":"orders.placed","aggregate_id":"{order}","data":{{}},"timestamp":"2025-01-01T00:00:00Z"}}"#
        );
        let headers = [
            (jetlag::headers::FUNCTION, function),
            (jetlag::headers::REASON, reason.code()),
            (jetlag::headers::SUBJECT, "orders.placed.x.e"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let at = OffsetDateTime::now_utc() - time::Duration::hours(1);
        DeadLetter::read(7, "dlq.x.y", at, headers, body.into()).unwrap()
    }

    #[test]
    fn everything_given_must_fit() {
        let letter = letter("payment", Reason::Rejected, "O-1");
        let pick = Pick::default();
        assert!(pick.is_all() && pick.fits(&letter));
        let pick = Pick { order: Some("O-1".into()), reason: Some(Reason::Rejected), ..Pick::default() };
        assert!(!pick.is_all() && pick.fits(&letter));
        assert!(!Pick { function: Some("audit".into()), ..pick.clone() }.fits(&letter));
        assert!(!Pick { sequences: vec![8], ..pick.clone() }.fits(&letter));
        assert!(!Pick { kind: Some("orders.confirmed".into()), ..pick.clone() }.fits(&letter));
        assert!(!Pick { since: Some(moment::time("30m").unwrap()), ..pick.clone() }.fits(&letter));
        assert!(
            Pick {
                since: Some(moment::time("2h").unwrap()),
                until: Some(moment::time("30m").unwrap()),
                ..pick
            }
            .fits(&letter)
        );
    }

    #[test]
    fn what_is_no_reason_is_told() {
        assert!(reason("tired").unwrap_err().contains("attempts_exhausted"));
    }
}
