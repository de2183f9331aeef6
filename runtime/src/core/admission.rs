//! The high-water mark: nothing new is taken in while the stream of events is nearly full, so that what was taken in has
//! room to come to its end.

use tokio::sync::watch;

/// Admission closes when so much of the stream is taken, in percent of its bytes.
pub(crate) const CLOSES_AT_PERCENT: u64 = 90;
/// It opens again when less than this is taken: well below, so that it does not flap.
pub(crate) const OPENS_AT_PERCENT: u64 = 80;

/// Whether new events are taken in.
#[derive(Debug)]
pub(crate) struct Admission {
    open: watch::Sender<bool>,
}

impl Default for Admission {
    fn default() -> Self {
        Self { open: watch::Sender::new(true) }
    }
}

impl Admission {
    /// Takes note that `bytes` of `bytes_max` are taken, and tells whether admission is open now, if that is news.
    pub(crate) fn observe(&self, bytes: u64, bytes_max: Option<u64>) -> Option<bool> {
        let reaches = |percent: u64| {
            bytes_max.is_some_and(|most| u128::from(bytes) * 100 >= u128::from(most) * u128::from(percent))
        };
        let was_open = self.is_open();
        let is_open = !reaches(if was_open { CLOSES_AT_PERCENT } else { OPENS_AT_PERCENT });
        (was_open != is_open).then(|| self.open.send_replace(is_open)).map(|_| is_open)
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// Waits until it is open, or closed, other than `before`.
    pub(crate) async fn change(&self, before: bool) {
        let mut open = self.open.subscribe();
        // The sender is a field of this very value.
        let _ = open.wait_for(|now| *now != before).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_at_the_mark_and_opens_again_well_below_it() {
        let admission = Admission::default();
        let most = Some(1000);
        assert_eq!(admission.observe(899, most), None);
        assert_eq!(admission.observe(900, most), Some(false));
        assert_eq!(admission.observe(895, most), None, "no flapping about the mark");
        assert_eq!(admission.observe(800, most), None);
        assert_eq!(admission.observe(799, most), Some(true));
        assert_eq!(admission.observe(899, most), None);
    }

    #[test]
    fn a_larger_limit_opens_it_and_a_stream_without_one_never_closes_it() {
        let admission = Admission::default();
        assert_eq!(admission.observe(u64::MAX, None), None);
        assert_eq!(admission.observe(u64::MAX - 1, Some(u64::MAX)), Some(false));
        assert_eq!(admission.observe(u64::MAX - 1, None), Some(true));
    }

    #[tokio::test]
    async fn whoever_waits_for_a_change_sees_it() {
        let admission = Admission::default();
        let (_, closed) = tokio::join!(admission.change(true), async { admission.observe(95, Some(100)) });
        assert_eq!(closed, Some(false));
    }
}
