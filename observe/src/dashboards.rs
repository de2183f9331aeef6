//! Every dashboard.

use crate::dashboard::{Dashboard, Of, Panel};

const fn panel(
    title: &'static str,
    unit: &'static str,
    about: &'static str,
    queries: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel { title, unit, about, queries }
}

const OVERVIEW: &[&[Panel]] = &[
    &[
        panel(
            "Lag",
            "short",
            "Inputs that are not delivered, or not answered for. The function whose lag grows is the bottleneck.",
            &[("function:jetlag_lag:sum", "{{function}}")],
        ),
        panel(
            "Processes",
            "short",
            "How many run. A function at its maximum whose lag grows needs more, or a faster dependency.",
            &[("function:jetlag_processes:count", "{{function}}")],
        ),
        panel(
            "Handling time, 99 of 100",
            "s",
            "From an input's coming to its outcome being durable. Long here and short in the queue: what it depends on is slow.",
            &[(
                "histogram_quantile(0.99, sum by (function, le) (rate({__name__=~\".+_process_duration_seconds_bucket\"}[5m])))",
                "{{function}}",
            )],
        ),
    ],
    &[
        panel(
            "Orders later than 5 s",
            "percentunit",
            "The share of orders that missed the objective; the line is what it allows.",
            &[
                ("slo:jetlag_order_missed:ratio_rate5m", "5 min"),
                ("slo:jetlag_order_missed:ratio_rate1h", "1 h"),
                ("vector(0.001)", "objective"),
            ],
        ),
        panel(
            "Order placed to ended",
            "s",
            "From the first event of the trace to the commit in `order`.",
            &[
                (
                    "histogram_quantile(0.5, sum by (le) (rate(jetlag_journey_seconds_bucket{function=\"order\"}[5m])))",
                    "half",
                ),
                (
                    "histogram_quantile(0.99, sum by (le) (rate(jetlag_journey_seconds_bucket{function=\"order\"}[5m])))",
                    "99 of 100",
                ),
            ],
        ),
        panel(
            "Event made to handled, 99 of 100",
            "s",
            "The wait in the queue, retries and the run itself.",
            &[(
                "histogram_quantile(0.99, sum by (function, le) (rate(jetlag_queue_time_seconds_bucket[5m])))",
                "{{function}}",
            )],
        ),
    ],
    &[
        panel(
            "Handled",
            "ops",
            "Inputs a second, by outcome.",
            &[("sum by (outcome) (function:jetlag_handled:rate5m)", "{{outcome}}")],
        ),
        panel(
            "Dead letters",
            "short",
            "What nobody has dealt with yet.",
            &[("max by (function) (jetlag_dead_letters)", "{{function}}")],
        ),
        panel(
            "Retries that wait",
            "short",
            "Failed attempts that wait for their time; no lag until then.",
            &[("max by (function) (jetlag_retries_waiting)", "{{function}}")],
        ),
    ],
    &[
        panel(
            "Oldest input",
            "s",
            "How long the oldest waits that its function has not answered for.",
            &[("max by (function) (jetlag_oldest_input_age_seconds)", "{{function}}")],
        ),
        panel(
            "Circuit breakers",
            "short",
            "0 closed, 1 half open, 2 open.",
            &[("max by (function) (jetlag_breaker_position)", "{{function}}")],
        ),
        panel(
            "Streams",
            "percent",
            "How much of their bytes is taken. From 90 % of EVENTS on nothing new is taken in.",
            &[("max by (stream) (jetlag_stream_fill_percent)", "{{stream}}")],
        ),
    ],
    &[
        panel(
            "Memory of the broker",
            "bytes",
            "About 250 bytes of it for each retained subject.",
            &[("max(jetlag_broker_memory_bytes)", "memory")],
        ),
        panel(
            "Messages by stream",
            "short",
            "EVENTS keeps one for each subject.",
            &[("max by (stream) (jetlag_stream_messages)", "{{stream}}")],
        ),
        panel(
            "Audit trail",
            "short",
            "Faults that the last verification found.",
            &[("max(jetlag_audit_faults)", "faults")],
        ),
    ],
];

const FUNCTION: &[&[Panel]] = &[
    &[
        panel(
            "Lag",
            "short",
            "By stream: EVENTS is new work, RETRY is attempts that are due.",
            &[
                ("max by (stream) (jetlag_lag{function=\"$function\"})", "{{stream}}"),
                ("max by (stream) (jetlag_lag_in_flight{function=\"$function\"})", "{{stream}}, in flight"),
            ],
        ),
        panel(
            "Processes",
            "short",
            "How many run, and how many may.",
            &[
                ("count(jetlag_slots{function=\"$function\"})", "run"),
                ("max(jetlag_processes_max{function=\"$function\"})", "may run"),
            ],
        ),
        panel(
            "Handling time",
            "s",
            "From an input's coming to its outcome being durable.",
            &[
                (
                    "histogram_quantile(0.5, sum by (le) (rate({__name__=~\".+_process_duration_seconds_bucket\",function=\"$function\"}[5m])))",
                    "half",
                ),
                (
                    "histogram_quantile(0.99, sum by (le) (rate({__name__=~\".+_process_duration_seconds_bucket\",function=\"$function\"}[5m])))",
                    "99 of 100",
                ),
            ],
        ),
    ],
    &[
        panel(
            "Handled",
            "ops",
            "Inputs a second, by outcome.",
            &[("sum by (outcome) (rate(jetlag_handled_total{function=\"$function\"}[5m]))", "{{outcome}}")],
        ),
        panel(
            "Attempts",
            "short",
            "The attempt with which inputs came to their end, on average.",
            &[(
                "sum(rate(jetlag_attempts_sum{function=\"$function\"}[5m])) / sum(rate(jetlag_attempts_count{function=\"$function\"}[5m]))",
                "attempts",
            )],
        ),
        panel(
            "Commits",
            "ops",
            "By outcome: `already` is work that an earlier run had done, `stale` is state that changed meanwhile.",
            &[("sum by (outcome) (rate(jetlag_commits_total{function=\"$function\"}[5m]))", "{{outcome}}")],
        ),
    ],
    &[
        panel(
            "Slots",
            "short",
            "What its processes hold, and what they can hold. All taken and lag growing: it needs more processes.",
            &[
                ("sum(jetlag_in_flight{function=\"$function\"})", "held"),
                ("sum(jetlag_slots{function=\"$function\"})", "slots"),
            ],
        ),
        panel(
            "Requests for inputs",
            "ops",
            "How often its processes ask, and how many requests stand.",
            &[
                ("sum(rate(jetlag_pulls_total{function=\"$function\"}[5m]))", "asked"),
                ("max by (stream) (jetlag_pulls_waiting{function=\"$function\"})", "{{stream}}, standing"),
            ],
        ),
        panel(
            "Delivered again",
            "short",
            "Inputs given back or held by a process that ended; suspects are those that nobody gave back.",
            &[
                ("sum(increase(jetlag_redeliveries_total{function=\"$function\"}[5m]))", "delivered again"),
                ("sum(increase(jetlag_suspects_total{function=\"$function\"}[5m]))", "suspects"),
            ],
        ),
    ],
    &[
        panel(
            "Dead letters written",
            "short",
            "By reason, in five minutes.",
            &[(
                "sum by (reason) (increase(jetlag_dead_letters_total{function=\"$function\"}[5m]))",
                "{{reason}}",
            )],
        ),
        panel(
            "Circuit breaker",
            "short",
            "0 closed, 1 half open, 2 open.",
            &[("max(jetlag_breaker_position{function=\"$function\"})", "position")],
        ),
        panel(
            "Connections",
            "short",
            "Processes that are connected to the broker.",
            &[("sum(jetlag_broker_connected{function=\"$function\"})", "connected")],
        ),
    ],
];

const ORDER: &[&[Panel]] = &[
    &[
        panel(
            "Lag",
            "short",
            "Where orders stand in line. An order whose next function is at the top of this waits its turn.",
            &[("function:jetlag_lag:sum", "{{function}}")],
        ),
        panel(
            "Oldest input",
            "s",
            "How long the oldest waits that its function has not answered for: at most so long this one.",
            &[("max by (function) (jetlag_oldest_input_age_seconds)", "{{function}}")],
        ),
        panel(
            "Circuit breakers",
            "short",
            "0 closed, 1 half open, 2 open: orders wait there until what the function depends on answers.",
            &[("max by (function) (jetlag_breaker_position)", "{{function}}")],
        ),
    ],
    &[
        panel(
            "Order placed to ended",
            "s",
            "What an order takes now; 99 of 100 take less than this.",
            &[(
                "histogram_quantile(0.99, sum by (le) (rate(jetlag_journey_seconds_bucket{function=\"order\"}[5m])))",
                "99 of 100",
            )],
        ),
        panel(
            "Retries that wait",
            "short",
            "Its last attempt may have failed: the log has it, the trace too.",
            &[("max by (function) (jetlag_retries_waiting)", "{{function}}")],
        ),
        panel(
            "Dead letters",
            "short",
            "It may have been given up: `jetlag dlq list`.",
            &[("max by (function) (jetlag_dead_letters)", "{{function}}")],
        ),
    ],
];

/// Every dashboard.
pub const DASHBOARDS: &[Dashboard] = &[
    Dashboard {
        path: "observe/grafana/overview.json",
        uid: "jetlag-overview",
        title: "Jetlag: overview",
        of: Of::Everything,
        rows: OVERVIEW,
    },
    Dashboard {
        path: "observe/grafana/function.json",
        uid: "jetlag-function",
        title: "Jetlag: one function",
        of: Of::Function,
        rows: FUNCTION,
    },
    Dashboard {
        path: "observe/grafana/order.json",
        uid: "jetlag-order",
        title: "Jetlag: one order",
        of: Of::Order,
        rows: ORDER,
    },
];
