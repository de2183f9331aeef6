//! Every alert.

use crate::alert::Severity::{Page, Ticket};
use crate::alert::{Alert, Case};

const fn fires(
    series: &'static [(&'static str, &'static str)],
    at: &'static str,
    labels: &'static [(&'static str, &'static str)],
) -> Case {
    Case { series, at, labels }
}

const fn silent(series: &'static [(&'static str, &'static str)], at: &'static str) -> Case {
    Case { series, at, labels: &[] }
}

const PAYMENT: &[(&str, &str)] = &[("function", "payment")];
const EVENTS_OF_PAYMENT: &[(&str, &str)] = &[("function", "payment"), ("stream", "EVENTS")];

/// Every alert, what stops everything first.
pub const ALERTS: &[Alert] = &[
    Alert {
        name: "JetlagBrokerSilent",
        severity: Page,
        expr: "max(jetlag_broker_answers) == 0",
        after: "1m",
        summary: "The broker does not answer.",
        fires: fires(&[("jetlag_broker_answers", "1 1 0x10")], "5m", &[]),
        silent: silent(&[("jetlag_broker_answers", "1 1 0 1x10")], "5m"),
    },
    Alert {
        name: "JetlagNobodyLooks",
        severity: Ticket,
        expr: "absent(jetlag_broker_answers)",
        after: "10m",
        summary: "Nobody scrapes `jetlag metrics`: what the broker alone knows is not seen.",
        fires: fires(&[("jetlag_slots{function=\"payment\"}", "64x30")], "20m", &[]),
        silent: silent(&[("jetlag_broker_answers", "1x30")], "20m"),
    },
    Alert {
        name: "JetlagNotConnected",
        severity: Page,
        expr: "min by (function) (jetlag_broker_connected) == 0",
        after: "2m",
        summary: "A process of {{ $labels.function }} is not connected to the broker.",
        fires: fires(
            &[
                ("jetlag_broker_connected{function=\"payment\",instance=\"a\"}", "1x30"),
                ("jetlag_broker_connected{function=\"payment\",instance=\"b\"}", "1 0x29"),
            ],
            "5m",
            PAYMENT,
        ),
        silent: silent(&[("jetlag_broker_connected{function=\"payment\",instance=\"b\"}", "1 0 1x28")], "5m"),
    },
    Alert {
        name: "JetlagConsumerMissing",
        severity: Page,
        expr: "min by (function) (jetlag_consumers_there) == 0",
        after: "2m",
        summary: "{{ $labels.function }} is given nothing: its consumer or its stream is not there, or JetStream takes nothing.",
        fires: fires(&[("jetlag_consumers_there{function=\"payment\"}", "1 0x29")], "5m", PAYMENT),
        silent: silent(&[("jetlag_consumers_there{function=\"payment\"}", "1 0 1x28")], "5m"),
    },
    Alert {
        name: "JetlagAdmissionClosed",
        severity: Page,
        expr: "min by (function) (jetlag_admission_open) == 0",
        after: "1m",
        summary: "{{ $labels.function }} takes nothing new in: the stream of events is nearly full.",
        fires: fires(
            &[("jetlag_admission_open{function=\"order\"}", "1 0x29")],
            "5m",
            &[("function", "order")],
        ),
        silent: silent(&[("jetlag_admission_open{function=\"order\"}", "1x30")], "5m"),
    },
    Alert {
        name: "JetlagStreamNearlyFull",
        severity: Page,
        expr: "max by (stream) (jetlag_stream_fill_percent{stream!=\"ADVISORIES\"}) > 80",
        after: "5m",
        summary: "The stream {{ $labels.stream }} is nearly full.",
        fires: fires(
            &[("jetlag_stream_fill_percent{stream=\"EVENTS\"}", "70+2x30")],
            "15m",
            &[("stream", "EVENTS")],
        ),
        silent: silent(
            &[
                ("jetlag_stream_fill_percent{stream=\"EVENTS\"}", "80x30"),
                // It lets its oldest go by itself.
                ("jetlag_stream_fill_percent{stream=\"ADVISORIES\"}", "99x30"),
            ],
            "15m",
        ),
    },
    Alert {
        name: "JetlagBrokerStorageNearlyFull",
        severity: Page,
        expr: "max(jetlag_broker_storage_fill_percent) > 80",
        after: "5m",
        summary: "The server's file storage is nearly full: at its limit JetStream stops altogether.",
        fires: fires(&[("jetlag_broker_storage_fill_percent", "81x30")], "10m", &[]),
        silent: silent(&[("jetlag_broker_storage_fill_percent", "80x30")], "10m"),
    },
    Alert {
        name: "JetlagBrokerMemoryHigh",
        severity: Ticket,
        // 1.5 GiB: three quarters of what a server of three with a day of 100 events a second is given.
        expr: "max(jetlag_broker_memory_bytes) > 1.5 * 1024 * 1024 * 1024",
        after: "15m",
        summary: "The broker's process has more than 1.5 GiB of memory: about 250 bytes of it for each retained subject.",
        fires: fires(&[("jetlag_broker_memory_bytes", "1700000000x40")], "30m", &[]),
        silent: silent(&[("jetlag_broker_memory_bytes", "1600000000x40")], "30m"),
    },
    Alert {
        name: "JetlagEventsExpire",
        severity: Page,
        expr: "max by (place) (jetlag_finding{kind=\"expiring\"}) > 0",
        after: "5m",
        summary: "The oldest event that {{ $labels.place }} has not answered for is past half of what events are kept.",
        fires: fires(
            &[("jetlag_finding{kind=\"expiring\",place=\"payment\"}", "1x30")],
            "10m",
            &[("place", "payment")],
        ),
        silent: silent(&[("jetlag_finding{kind=\"redelivered\",place=\"payment\"}", "1x30")], "10m"),
    },
    Alert {
        name: "JetlagAuditBroken",
        severity: Page,
        expr: "max(jetlag_audit_faults) > 0",
        after: "0m",
        summary: "The audit trail is not what was sealed.",
        fires: fires(&[("jetlag_audit_faults", "0 1x10")], "3m", &[]),
        silent: silent(&[("jetlag_audit_faults", "0x10")], "3m"),
    },
    Alert {
        name: "JetlagAuditNotVerified",
        severity: Ticket,
        expr: "time() - max(jetlag_audit_verified_timestamp_seconds) > 26 * 3600",
        after: "0m",
        summary: "The audit trail was not verified for more than a day.",
        fires: fires(&[("jetlag_audit_verified_timestamp_seconds", "0x1700")], "27h", &[]),
        // At 27 h it is 97200 s since the beginning.
        silent: silent(&[("jetlag_audit_verified_timestamp_seconds", "5000x1700")], "27h"),
    },
    Alert {
        name: "JetlagBreakerOpen",
        severity: Page,
        // Where nothing waits nothing is kept back: the record stays open until an input has tried.
        expr: "(max by (function) (jetlag_breaker_opened_timestamp_seconds) > 0)\n  \
               and on (function) (function:jetlag_lag:sum > 0)",
        after: "2m",
        summary: "What {{ $labels.function }} depends on does not answer: its circuit breaker is open, and its inputs wait.",
        fires: fires(
            &[
                ("jetlag_breaker_opened_timestamp_seconds{function=\"payment\"}", "0 60x29"),
                ("jetlag_lag{function=\"payment\",stream=\"EVENTS\"}", "7x30"),
            ],
            "5m",
            PAYMENT,
        ),
        silent: silent(
            &[
                ("jetlag_breaker_opened_timestamp_seconds{function=\"payment\"}", "0 60 0x28"),
                ("jetlag_lag{function=\"payment\",stream=\"EVENTS\"}", "7x30"),
                // Open, and nothing waits.
                ("jetlag_breaker_opened_timestamp_seconds{function=\"notification\"}", "60x30"),
                ("jetlag_lag{function=\"notification\",stream=\"EVENTS\"}", "0x30"),
            ],
            "5m",
        ),
    },
    Alert {
        name: "JetlagNobodyPulls",
        severity: Page,
        expr: "(max by (function, stream) (jetlag_lag) > 0)\n  and (max by (function, stream) (jetlag_lag_in_flight) == 0)\n  \
               and (max by (function, stream) (jetlag_pulls_waiting) == 0)\n  \
               unless on (function) (max by (function) (jetlag_breaker_opened_timestamp_seconds) > 0)",
        after: "2m",
        summary: "Inputs wait for {{ $labels.function }} on {{ $labels.stream }}, and no process asks for them.",
        fires: fires(
            &[
                ("jetlag_lag{function=\"payment\",stream=\"EVENTS\"}", "7x30"),
                ("jetlag_lag_in_flight{function=\"payment\",stream=\"EVENTS\"}", "0x30"),
                ("jetlag_pulls_waiting{function=\"payment\",stream=\"EVENTS\"}", "0x30"),
                ("jetlag_breaker_opened_timestamp_seconds{function=\"payment\"}", "0x30"),
            ],
            "5m",
            EVENTS_OF_PAYMENT,
        ),
        silent: silent(
            &[
                ("jetlag_lag{function=\"payment\",stream=\"EVENTS\"}", "7x30"),
                ("jetlag_lag_in_flight{function=\"payment\",stream=\"EVENTS\"}", "0x30"),
                ("jetlag_pulls_waiting{function=\"payment\",stream=\"EVENTS\"}", "0x30"),
                // Nobody pulls on purpose.
                ("jetlag_breaker_opened_timestamp_seconds{function=\"payment\"}", "60x30"),
            ],
            "5m",
        ),
    },
    Alert {
        name: "JetlagOldestInputTooOld",
        severity: Page,
        expr: "(max by (function) (jetlag_oldest_input_age_seconds) > 300)\n  \
               unless on (function) (max by (function) (jetlag_breaker_opened_timestamp_seconds) > 0)",
        after: "5m",
        summary: "An input has waited for {{ $labels.function }} for more than five minutes.",
        fires: fires(&[("jetlag_oldest_input_age_seconds{function=\"payment\"}", "0+60x30")], "15m", PAYMENT),
        silent: silent(
            &[
                ("jetlag_oldest_input_age_seconds{function=\"payment\"}", "0+60x30"),
                ("jetlag_breaker_opened_timestamp_seconds{function=\"payment\"}", "60x30"),
                ("jetlag_oldest_input_age_seconds{function=\"order\"}", "290x30"),
            ],
            "15m",
        ),
    },
    Alert {
        name: "JetlagLagGrowsAtMaximum",
        severity: Page,
        expr: "(function:jetlag_lag:sum > 100)\n  and on (function) (deriv(function:jetlag_lag:sum[10m]) > 0)\n  \
               and on (function) (function:jetlag_processes:count >= on (function) max by (function) (jetlag_processes_max))",
        after: "10m",
        summary: "The lag of {{ $labels.function }} grows, and it has as many processes as it may have.",
        fires: fires(
            &[
                ("jetlag_lag{function=\"payment\",stream=\"EVENTS\"}", "0+50x60"),
                ("jetlag_slots{function=\"payment\",instance=\"a\"}", "64x60"),
                ("jetlag_slots{function=\"payment\",instance=\"b\"}", "64x60"),
                ("jetlag_processes_max{function=\"payment\",instance=\"a\"}", "2x60"),
            ],
            "30m",
            PAYMENT,
        ),
        silent: silent(
            &[
                ("jetlag_lag{function=\"payment\",stream=\"EVENTS\"}", "0+50x60"),
                ("jetlag_slots{function=\"payment\",instance=\"a\"}", "64x60"),
                ("jetlag_processes_max{function=\"payment\",instance=\"a\"}", "2x60"),
                // At its maximum, and getting less.
                ("jetlag_lag{function=\"order\",stream=\"EVENTS\"}", "5000-50x60"),
                ("jetlag_slots{function=\"order\",instance=\"a\"}", "64x60"),
                ("jetlag_processes_max{function=\"order\",instance=\"a\"}", "1x60"),
            ],
            "30m",
        ),
    },
    Alert {
        name: "JetlagDeadLetters",
        severity: Page,
        expr: "sum by (function, reason) (increase(jetlag_dead_letters_total[15m])) > 0",
        after: "0m",
        summary: "{{ $labels.function }} has given inputs up: {{ $labels.reason }}.",
        fires: fires(
            &[("jetlag_dead_letters_total{function=\"payment\",reason=\"rejected\"}", "0 0 0 1x30")],
            "6m",
            &[("function", "payment"), ("reason", "rejected")],
        ),
        silent: silent(
            &[("jetlag_dead_letters_total{function=\"payment\",reason=\"rejected\"}", "3x60")],
            "6m",
        ),
    },
    Alert {
        name: "JetlagDeadLettersKept",
        severity: Ticket,
        expr: "max by (function) (jetlag_dead_letters) > 0",
        after: "1h",
        summary: "Dead letters of {{ $labels.function }} wait for somebody.",
        fires: fires(&[("jetlag_dead_letters{function=\"payment\"}", "3x120")], "90m", PAYMENT),
        silent: silent(&[("jetlag_dead_letters{function=\"payment\"}", "3x30 0x90")], "90m"),
    },
    Alert {
        name: "JetlagProcessDied",
        severity: Ticket,
        expr: "sum by (function) (increase(jetlag_suspects_total[10m])) > 0",
        after: "0m",
        summary: "A process of {{ $labels.function }} ended while it had inputs: it died, or its drain was cut off.",
        fires: fires(&[("jetlag_suspects_total{function=\"payment\"}", "0 0 2x30")], "5m", PAYMENT),
        // Given back by a process that drained: delivered again, and nobody's fault.
        silent: silent(
            &[
                ("jetlag_suspects_total{function=\"payment\"}", "0x30"),
                ("jetlag_redeliveries_total{function=\"payment\"}", "0 0 9x30"),
            ],
            "5m",
        ),
    },
    Alert {
        name: "JetlagDrainForced",
        severity: Ticket,
        // Of kube-state-metrics. 75 is Jetlag's own exit code for it.
        expr: "max by (namespace, pod, container) (kube_pod_container_status_last_terminated_exitcode) == 75",
        after: "0m",
        summary: "{{ $labels.pod }} was stopped before it had finished what was under way.",
        fires: fires(
            &[(
                "kube_pod_container_status_last_terminated_exitcode{namespace=\"jetlag\",pod=\"payment-1\",container=\"payment\"}",
                "75x10",
            )],
            "3m",
            &[("namespace", "jetlag"), ("pod", "payment-1"), ("container", "payment")],
        ),
        silent: silent(
            &[(
                "kube_pod_container_status_last_terminated_exitcode{namespace=\"jetlag\",pod=\"payment-1\",container=\"payment\"}",
                "0x10",
            )],
            "3m",
        ),
    },
    Alert {
        name: "JetlagSpansLost",
        severity: Ticket,
        expr: "sum by (reason) (increase(jetlag_spans_lost_total[15m])) > 0",
        after: "15m",
        summary: "Spans are lost ({{ $labels.reason }}): the trace collector is away or too slow.",
        fires: fires(
            &[("jetlag_spans_lost_total{reason=\"refused\"}", "0+5x60")],
            "40m",
            &[("reason", "refused")],
        ),
        silent: silent(&[("jetlag_spans_lost_total{reason=\"refused\"}", "5x60")], "40m"),
    },
    Alert {
        name: "JetlagOrdersLateFast",
        severity: Page,
        expr: "(slo:jetlag_order_missed:ratio_rate1h > 14.4 * 0.001)\n  and (slo:jetlag_order_missed:ratio_rate5m > 14.4 * 0.001)",
        after: "2m",
        summary: "Orders take longer than 5 s: a month's budget would be gone in two days.",
        fires: fires(
            &[
                ("jetlag_journey_seconds_bucket{function=\"order\",le=\"5.0\"}", "0+95x90"),
                ("jetlag_journey_seconds_count{function=\"order\"}", "0+100x90"),
            ],
            "80m",
            &[],
        ),
        silent: silent(
            &[
                // 5 % were late, and for ten minutes none is.
                ("jetlag_journey_seconds_bucket{function=\"order\",le=\"5\"}", "0+95x60 5800+100x30"),
                ("jetlag_journey_seconds_count{function=\"order\"}", "0+100x90"),
            ],
            "72m",
        ),
    },
    Alert {
        name: "JetlagOrdersLateSlow",
        severity: Page,
        expr: "(slo:jetlag_order_missed:ratio_rate6h > 6 * 0.001)\n  and (slo:jetlag_order_missed:ratio_rate30m > 6 * 0.001)",
        after: "15m",
        summary: "Orders take longer than 5 s: a month's budget would be gone in five days.",
        fires: fires(
            &[
                ("jetlag_journey_seconds_bucket{function=\"order\",le=\"5.0\"}", "0+99x500"),
                ("jetlag_journey_seconds_count{function=\"order\"}", "0+100x500"),
            ],
            "7h",
            &[],
        ),
        silent: silent(
            &[
                // 0.5 %: more than the objective, and less than six times that.
                ("jetlag_journey_seconds_bucket{function=\"order\",le=\"5\"}", "0+995x500"),
                ("jetlag_journey_seconds_count{function=\"order\"}", "0+1000x500"),
            ],
            "7h",
        ),
    },
    Alert {
        name: "JetlagOrdersLateCreeping",
        severity: Ticket,
        expr: "(slo:jetlag_order_missed:ratio_rate3d > 0.001)\n  and (slo:jetlag_order_missed:ratio_rate6h > 0.001)",
        after: "1h",
        summary: "More than one order of a thousand takes longer than 5 s, or is given up.",
        fires: fires(
            &[
                ("jetlag_journey_seconds_bucket{function=\"order\",le=\"5.0\"}", "0+1000x600"),
                ("jetlag_journey_seconds_count{function=\"order\"}", "0+1000x600"),
                // Given up on the way: 0.2 %.
                ("jetlag_dead_letters_total{function=\"payment\",reason=\"rejected\"}", "0+2x600"),
            ],
            "9h",
            &[],
        ),
        silent: silent(
            &[
                ("jetlag_journey_seconds_bucket{function=\"order\",le=\"5\"}", "0+9995x600"),
                ("jetlag_journey_seconds_count{function=\"order\"}", "0+10000x600"),
            ],
            "9h",
        ),
    },
];
