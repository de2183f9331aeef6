//! The objective: an order that is placed has ended within 5 s, 99.9 times of 100.
//!
//! An order has ended once `order` has committed its confirmation or cancellation. What was given up on the way counts as
//! missed. What has not ended yet counts neither way: the alerts on lag and age tell of that.

use std::time::Duration;

/// Of a hundred thousand orders, so many may take longer.
pub const BUDGET_OF_100_000: u32 = 100;
/// The bound, as the label `le` of the histogram has it in Prometheus' text form. OpenMetrics has `5.0`, and so has
/// Prometheus 3 of both.
pub const WITHIN_SECONDS: &str = "5";
/// The same, to be compared with.
pub const WITHIN: Duration = Duration::from_secs(5);
/// Where an order ends.
pub const ENDS_IN: &str = "order";
/// Where an order can be given up on its way.
pub const WAY: &str = "order|inventory|payment";

/// A pair of windows and how many times faster than allowed the budget is used up in both.
#[derive(Debug, Clone, Copy)]
pub struct Burn {
    /// The long window.
    pub long: &'static str,
    /// The short one, which ends the alert soon after the cause has ended.
    pub short: &'static str,
    /// The factor, as PromQL has it.
    pub factor: &'static str,
}

/// 2 % of a month's budget in an hour.
pub const FAST: Burn = Burn { long: "1h", short: "5m", factor: "14.4" };
/// 5 % in six hours.
pub const SLOW: Burn = Burn { long: "6h", short: "30m", factor: "6" };
/// 10 % in three days.
pub const CREEPING: Burn = Burn { long: "3d", short: "6h", factor: "1" };

/// Every window of a recording rule.
pub const WINDOWS: [&str; 5] = ["5m", "30m", "1h", "6h", "3d"];

/// The name of the recorded share of orders that missed the objective.
pub fn missed(window: &str) -> String {
    format!("slo:jetlag_order_missed:ratio_rate{window}")
}

/// The share of orders that missed the objective within `window`.
pub(crate) fn missed_expr(window: &str) -> String {
    let good = format!(
        "sum(rate(jetlag_journey_seconds_bucket{{function=\"{ENDS_IN}\",le=~\"{WITHIN_SECONDS}([.]0)?\"}}[{window}]))"
    );
    let ended = format!("sum(rate(jetlag_journey_seconds_count{{function=\"{ENDS_IN}\"}}[{window}]))");
    let dead =
        format!("(sum(rate(jetlag_dead_letters_total{{function=~\"{WAY}\"}}[{window}])) or vector(0))");
    format!("1 - {good} / ({ended} + {dead})")
}
