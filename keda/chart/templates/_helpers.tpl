{{- define "jetlag.contracts" -}}
{
  "streams": {
    "replicas": {{ .Values.streams.replicas | int64 }},
    "horizon": {{ .Values.streams.horizon | quote }},
    "max_bytes": {{ .Values.streams.max_bytes | quote }},
    "ack_wait": {{ .Values.streams.ack_wait | quote }}
  },
  "functions": [
    {
      "name": "audit",
      "version": "0.1.0",
      "summary": "Seals the trail of everything that happened with a chain of hashes.",
      "reads": "audit",
      "listens_to": [
        {
          "type": "*.*",
          "aggregate": "aggregate",
          "once_per_aggregate": false
        }
      ],
      "emits": [
        {
          "type": "audit.sealed",
          "aggregate": "checkpoint",
          "once_per_aggregate": false
        }
      ],
      "admits": [],
      "keeps": [
        "chain"
      ],
      "retry": {
        "first_delay_ms": 1000,
        "max_delay_ms": 60000,
        "max_attempts": 8
      },
      "time_limit_ms": 30000,
      "concurrency": 1,
      "batch": 500,
      "breaker": null,
      "scaling": {
        "min": 0,
        "max": 1,
        "lag": 1000,
        "cooldown_ms": 60000,
        "polling_ms": 5000
      },
      "trigger": "stream",
      "endpoints": [],
      "views": [],
      "variables": [
        {
          "name": "NATS_URL",
          "about": "NATS servers, separated by commas",
          "default": "nats://127.0.0.1:4222",
          "secret": false
        },
        {
          "name": "NATS_CREDS",
          "about": "file with a user's JWT and seed",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_NKEY",
          "about": "seed of the user's nkey",
          "default": "",
          "secret": true
        },
        {
          "name": "NATS_CA",
          "about": "file with the certificate authority of the servers (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_CERT",
          "about": "file with the client certificate (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_KEY",
          "about": "file with the client certificate's key (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "K_SINK",
          "about": "where events go as CloudEvents if NATS_URL is not set",
          "default": "",
          "secret": false
        },
        {
          "name": "K_CE_OVERRIDES",
          "about": "attributes that are added to them, as Knative has it",
          "default": "",
          "secret": false
        },
        {
          "name": "PORT",
          "about": "port of HTTP: probes, metrics, endpoints, trigger; 0 is any",
          "default": "8080",
          "secret": false
        },
        {
          "name": "JETLAG_TRIGGER",
          "about": "where inputs come from: stream, http or both",
          "default": "stream",
          "secret": false
        },
        {
          "name": "JETLAG_PROVISION",
          "about": "make streams and consumers that are missing: true or false",
          "default": "true",
          "secret": false
        },
        {
          "name": "JETLAG_DURABILITY",
          "about": "always where the broker syncs every write to disk, so that commits share their syncs; else default",
          "default": "default",
          "secret": false
        },
        {
          "name": "RUST_LOG",
          "about": "what is logged, such as debug or info,jetlag=debug",
          "default": "info,async_nats=off",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_ENDPOINT",
          "about": "collector of traces, and of metrics if they are sent (OTLP over HTTP); none: no traces",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_SDK_DISABLED",
          "about": "true: nothing is exported, whatever else is set",
          "default": "false",
          "secret": false
        },
        {
          "name": "OTEL_SERVICE_NAME",
          "about": "name of the service in traces and metrics; the function's own if not set",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_TIMEOUT",
          "about": "longest export, in ms",
          "default": "10000",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
          "about": "the same with its path, instead of the former",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_TRACES_EXPORTER",
          "about": "none: no traces, whatever else is set",
          "default": "otlp",
          "secret": false
        },
        {
          "name": "JETLAG_TRACES_BY",
          "about": "parent: one trace for an order; link: one for each input, linked to what it follows from",
          "default": "parent",
          "secret": false
        },
        {
          "name": "OTEL_METRICS_EXPORTER",
          "about": "otlp: metrics are sent to the collector too; /metrics has them in any case",
          "default": "prometheus",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
          "about": "collector of metrics with its path, instead of OTEL_EXPORTER_OTLP_ENDPOINT",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_METRIC_EXPORT_INTERVAL",
          "about": "how often metrics are sent to the collector, in ms",
          "default": "60000",
          "secret": false
        }
      ]
    },
    {
      "name": "inventory",
      "version": "0.1.0",
      "summary": "Sets goods aside for orders, and sells them or gives them back.",
      "reads": "events",
      "listens_to": [
        {
          "type": "orders.placed",
          "aggregate": "order",
          "once_per_aggregate": true
        },
        {
          "type": "payments.processed",
          "aggregate": "order",
          "once_per_aggregate": false
        },
        {
          "type": "payments.declined",
          "aggregate": "order",
          "once_per_aggregate": false
        },
        {
          "type": "stock.received",
          "aggregate": "sku",
          "once_per_aggregate": false
        }
      ],
      "emits": [
        {
          "type": "inventory.reserved",
          "aggregate": "order",
          "once_per_aggregate": false
        },
        {
          "type": "inventory.rejected",
          "aggregate": "order",
          "once_per_aggregate": false
        },
        {
          "type": "inventory.released",
          "aggregate": "order",
          "once_per_aggregate": false
        }
      ],
      "admits": [
        {
          "type": "stock.received",
          "aggregate": "sku",
          "once_per_aggregate": false
        }
      ],
      "keeps": [
        "stock",
        "reservation"
      ],
      "retry": {
        "first_delay_ms": 1000,
        "max_delay_ms": 60000,
        "max_attempts": 8
      },
      "time_limit_ms": 30000,
      "concurrency": 64,
      "batch": 1,
      "breaker": null,
      "scaling": {
        "min": 0,
        "max": 10,
        "cooldown_ms": 60000,
        "polling_ms": 5000
      },
      "trigger": "stream",
      "endpoints": [],
      "views": [],
      "variables": [
        {
          "name": "NATS_URL",
          "about": "NATS servers, separated by commas",
          "default": "nats://127.0.0.1:4222",
          "secret": false
        },
        {
          "name": "NATS_CREDS",
          "about": "file with a user's JWT and seed",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_NKEY",
          "about": "seed of the user's nkey",
          "default": "",
          "secret": true
        },
        {
          "name": "NATS_CA",
          "about": "file with the certificate authority of the servers (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_CERT",
          "about": "file with the client certificate (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_KEY",
          "about": "file with the client certificate's key (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "K_SINK",
          "about": "where events go as CloudEvents if NATS_URL is not set",
          "default": "",
          "secret": false
        },
        {
          "name": "K_CE_OVERRIDES",
          "about": "attributes that are added to them, as Knative has it",
          "default": "",
          "secret": false
        },
        {
          "name": "PORT",
          "about": "port of HTTP: probes, metrics, endpoints, trigger; 0 is any",
          "default": "8080",
          "secret": false
        },
        {
          "name": "JETLAG_TRIGGER",
          "about": "where inputs come from: stream, http or both",
          "default": "stream",
          "secret": false
        },
        {
          "name": "JETLAG_PROVISION",
          "about": "make streams and consumers that are missing: true or false",
          "default": "true",
          "secret": false
        },
        {
          "name": "JETLAG_DURABILITY",
          "about": "always where the broker syncs every write to disk, so that commits share their syncs; else default",
          "default": "default",
          "secret": false
        },
        {
          "name": "RUST_LOG",
          "about": "what is logged, such as debug or info,jetlag=debug",
          "default": "info,async_nats=off",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_ENDPOINT",
          "about": "collector of traces, and of metrics if they are sent (OTLP over HTTP); none: no traces",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_SDK_DISABLED",
          "about": "true: nothing is exported, whatever else is set",
          "default": "false",
          "secret": false
        },
        {
          "name": "OTEL_SERVICE_NAME",
          "about": "name of the service in traces and metrics; the function's own if not set",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_TIMEOUT",
          "about": "longest export, in ms",
          "default": "10000",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
          "about": "the same with its path, instead of the former",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_TRACES_EXPORTER",
          "about": "none: no traces, whatever else is set",
          "default": "otlp",
          "secret": false
        },
        {
          "name": "JETLAG_TRACES_BY",
          "about": "parent: one trace for an order; link: one for each input, linked to what it follows from",
          "default": "parent",
          "secret": false
        },
        {
          "name": "OTEL_METRICS_EXPORTER",
          "about": "otlp: metrics are sent to the collector too; /metrics has them in any case",
          "default": "prometheus",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
          "about": "collector of metrics with its path, instead of OTEL_EXPORTER_OTLP_ENDPOINT",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_METRIC_EXPORT_INTERVAL",
          "about": "how often metrics are sent to the collector, in ms",
          "default": "60000",
          "secret": false
        }
      ]
    },
    {
      "name": "notification",
      "version": "0.1.0",
      "summary": "Tells by mail or webhook that an order was confirmed or cancelled.",
      "reads": "events",
      "listens_to": [
        {
          "type": "orders.confirmed",
          "aggregate": "order",
          "once_per_aggregate": false
        },
        {
          "type": "orders.cancelled",
          "aggregate": "order",
          "once_per_aggregate": false
        }
      ],
      "emits": [
        {
          "type": "notifications.sent",
          "aggregate": "order",
          "once_per_aggregate": false
        }
      ],
      "admits": [],
      "keeps": [],
      "retry": {
        "first_delay_ms": 1000,
        "max_delay_ms": 60000,
        "max_attempts": 8
      },
      "time_limit_ms": 10000,
      "concurrency": 16,
      "batch": 1,
      "breaker": {
        "failures": 5,
        "open_for_ms": 30000
      },
      "scaling": {
        "min": 0,
        "max": 10,
        "cooldown_ms": 60000,
        "polling_ms": 5000
      },
      "trigger": "stream",
      "endpoints": [],
      "views": [],
      "variables": [
        {
          "name": "NATS_URL",
          "about": "NATS servers, separated by commas",
          "default": "nats://127.0.0.1:4222",
          "secret": false
        },
        {
          "name": "NATS_CREDS",
          "about": "file with a user's JWT and seed",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_NKEY",
          "about": "seed of the user's nkey",
          "default": "",
          "secret": true
        },
        {
          "name": "NATS_CA",
          "about": "file with the certificate authority of the servers (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_CERT",
          "about": "file with the client certificate (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_KEY",
          "about": "file with the client certificate's key (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "K_SINK",
          "about": "where events go as CloudEvents if NATS_URL is not set",
          "default": "",
          "secret": false
        },
        {
          "name": "K_CE_OVERRIDES",
          "about": "attributes that are added to them, as Knative has it",
          "default": "",
          "secret": false
        },
        {
          "name": "PORT",
          "about": "port of HTTP: probes, metrics, endpoints, trigger; 0 is any",
          "default": "8080",
          "secret": false
        },
        {
          "name": "JETLAG_TRIGGER",
          "about": "where inputs come from: stream, http or both",
          "default": "stream",
          "secret": false
        },
        {
          "name": "JETLAG_PROVISION",
          "about": "make streams and consumers that are missing: true or false",
          "default": "true",
          "secret": false
        },
        {
          "name": "JETLAG_BREAKER_FAILURES",
          "about": "consecutive outages that the circuit breaker bears; one more opens it",
          "default": "5",
          "secret": false
        },
        {
          "name": "JETLAG_BREAKER_OPEN_MS",
          "about": "how long an open circuit breaker waits before one input tries, in milliseconds",
          "default": "30000",
          "secret": false
        },
        {
          "name": "JETLAG_DURABILITY",
          "about": "always where the broker syncs every write to disk, so that commits share their syncs; else default",
          "default": "default",
          "secret": false
        },
        {
          "name": "RUST_LOG",
          "about": "what is logged, such as debug or info,jetlag=debug",
          "default": "info,async_nats=off",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_ENDPOINT",
          "about": "collector of traces, and of metrics if they are sent (OTLP over HTTP); none: no traces",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_SDK_DISABLED",
          "about": "true: nothing is exported, whatever else is set",
          "default": "false",
          "secret": false
        },
        {
          "name": "OTEL_SERVICE_NAME",
          "about": "name of the service in traces and metrics; the function's own if not set",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_TIMEOUT",
          "about": "longest export, in ms",
          "default": "10000",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
          "about": "the same with its path, instead of the former",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_TRACES_EXPORTER",
          "about": "none: no traces, whatever else is set",
          "default": "otlp",
          "secret": false
        },
        {
          "name": "JETLAG_TRACES_BY",
          "about": "parent: one trace for an order; link: one for each input, linked to what it follows from",
          "default": "parent",
          "secret": false
        },
        {
          "name": "OTEL_METRICS_EXPORTER",
          "about": "otlp: metrics are sent to the collector too; /metrics has them in any case",
          "default": "prometheus",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
          "about": "collector of metrics with its path, instead of OTEL_EXPORTER_OTLP_ENDPOINT",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_METRIC_EXPORT_INTERVAL",
          "about": "how often metrics are sent to the collector, in ms",
          "default": "60000",
          "secret": false
        },
        {
          "name": "NOTIFY_URL",
          "about": "where messages go: https://… (a webhook), or smtp[s]://[user:password@]host[:port]?from=…&to=…[&tls=required]",
          "default": null,
          "secret": true
        }
      ]
    },
    {
      "name": "order",
      "version": "0.1.0",
      "summary": "Takes orders in, and confirms or cancels each when it is decided.",
      "reads": "events",
      "listens_to": [
        {
          "type": "payments.processed",
          "aggregate": "order",
          "once_per_aggregate": false
        },
        {
          "type": "payments.declined",
          "aggregate": "order",
          "once_per_aggregate": false
        },
        {
          "type": "inventory.rejected",
          "aggregate": "order",
          "once_per_aggregate": false
        }
      ],
      "emits": [
        {
          "type": "orders.placed",
          "aggregate": "order",
          "once_per_aggregate": true
        },
        {
          "type": "orders.confirmed",
          "aggregate": "order",
          "once_per_aggregate": false
        },
        {
          "type": "orders.cancelled",
          "aggregate": "order",
          "once_per_aggregate": false
        }
      ],
      "admits": [
        {
          "type": "orders.placed",
          "aggregate": "order",
          "once_per_aggregate": true
        }
      ],
      "keeps": [],
      "retry": {
        "first_delay_ms": 1000,
        "max_delay_ms": 60000,
        "max_attempts": 8
      },
      "time_limit_ms": 30000,
      "concurrency": 64,
      "batch": 1,
      "breaker": null,
      "scaling": {
        "min": 0,
        "max": 10,
        "cooldown_ms": 60000,
        "polling_ms": 5000
      },
      "trigger": "both",
      "endpoints": [
        {
          "path": "/orders",
          "event_type": "orders.placed"
        }
      ],
      "views": [
        {
          "path": "/orders",
          "event_types": [
            "orders.placed",
            "inventory.reserved",
            "inventory.rejected",
            "payments.processed",
            "payments.declined",
            "orders.confirmed",
            "orders.cancelled"
          ]
        }
      ],
      "variables": [
        {
          "name": "NATS_URL",
          "about": "NATS servers, separated by commas",
          "default": "nats://127.0.0.1:4222",
          "secret": false
        },
        {
          "name": "NATS_CREDS",
          "about": "file with a user's JWT and seed",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_NKEY",
          "about": "seed of the user's nkey",
          "default": "",
          "secret": true
        },
        {
          "name": "NATS_CA",
          "about": "file with the certificate authority of the servers (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_CERT",
          "about": "file with the client certificate (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_KEY",
          "about": "file with the client certificate's key (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "K_SINK",
          "about": "where events go as CloudEvents if NATS_URL is not set",
          "default": "",
          "secret": false
        },
        {
          "name": "K_CE_OVERRIDES",
          "about": "attributes that are added to them, as Knative has it",
          "default": "",
          "secret": false
        },
        {
          "name": "PORT",
          "about": "port of HTTP: probes, metrics, endpoints, trigger; 0 is any",
          "default": "8080",
          "secret": false
        },
        {
          "name": "JETLAG_TRIGGER",
          "about": "where inputs come from: stream, http or both",
          "default": "both",
          "secret": false
        },
        {
          "name": "JETLAG_PROVISION",
          "about": "make streams and consumers that are missing: true or false",
          "default": "true",
          "secret": false
        },
        {
          "name": "JETLAG_DURABILITY",
          "about": "always where the broker syncs every write to disk, so that commits share their syncs; else default",
          "default": "default",
          "secret": false
        },
        {
          "name": "RUST_LOG",
          "about": "what is logged, such as debug or info,jetlag=debug",
          "default": "info,async_nats=off",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_ENDPOINT",
          "about": "collector of traces, and of metrics if they are sent (OTLP over HTTP); none: no traces",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_SDK_DISABLED",
          "about": "true: nothing is exported, whatever else is set",
          "default": "false",
          "secret": false
        },
        {
          "name": "OTEL_SERVICE_NAME",
          "about": "name of the service in traces and metrics; the function's own if not set",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_TIMEOUT",
          "about": "longest export, in ms",
          "default": "10000",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
          "about": "the same with its path, instead of the former",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_TRACES_EXPORTER",
          "about": "none: no traces, whatever else is set",
          "default": "otlp",
          "secret": false
        },
        {
          "name": "JETLAG_TRACES_BY",
          "about": "parent: one trace for an order; link: one for each input, linked to what it follows from",
          "default": "parent",
          "secret": false
        },
        {
          "name": "OTEL_METRICS_EXPORTER",
          "about": "otlp: metrics are sent to the collector too; /metrics has them in any case",
          "default": "prometheus",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
          "about": "collector of metrics with its path, instead of OTEL_EXPORTER_OTLP_ENDPOINT",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_METRIC_EXPORT_INTERVAL",
          "about": "how often metrics are sent to the collector, in ms",
          "default": "60000",
          "secret": false
        }
      ]
    },
    {
      "name": "payment",
      "version": "0.1.0",
      "summary": "Charges the card for every reserved order.",
      "reads": "events",
      "listens_to": [
        {
          "type": "inventory.reserved",
          "aggregate": "order",
          "once_per_aggregate": false
        }
      ],
      "emits": [
        {
          "type": "payments.processed",
          "aggregate": "order",
          "once_per_aggregate": false
        },
        {
          "type": "payments.declined",
          "aggregate": "order",
          "once_per_aggregate": false
        }
      ],
      "admits": [],
      "keeps": [],
      "retry": {
        "first_delay_ms": 1000,
        "max_delay_ms": 60000,
        "max_attempts": 8
      },
      "time_limit_ms": 10000,
      "concurrency": 64,
      "batch": 1,
      "breaker": {
        "failures": 5,
        "open_for_ms": 30000
      },
      "scaling": {
        "min": 0,
        "max": 10,
        "cooldown_ms": 60000,
        "polling_ms": 5000
      },
      "trigger": "stream",
      "endpoints": [],
      "views": [],
      "variables": [
        {
          "name": "NATS_URL",
          "about": "NATS servers, separated by commas",
          "default": "nats://127.0.0.1:4222",
          "secret": false
        },
        {
          "name": "NATS_CREDS",
          "about": "file with a user's JWT and seed",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_NKEY",
          "about": "seed of the user's nkey",
          "default": "",
          "secret": true
        },
        {
          "name": "NATS_CA",
          "about": "file with the certificate authority of the servers (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_CERT",
          "about": "file with the client certificate (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "NATS_KEY",
          "about": "file with the client certificate's key (PEM)",
          "default": "",
          "secret": false
        },
        {
          "name": "K_SINK",
          "about": "where events go as CloudEvents if NATS_URL is not set",
          "default": "",
          "secret": false
        },
        {
          "name": "K_CE_OVERRIDES",
          "about": "attributes that are added to them, as Knative has it",
          "default": "",
          "secret": false
        },
        {
          "name": "PORT",
          "about": "port of HTTP: probes, metrics, endpoints, trigger; 0 is any",
          "default": "8080",
          "secret": false
        },
        {
          "name": "JETLAG_TRIGGER",
          "about": "where inputs come from: stream, http or both",
          "default": "stream",
          "secret": false
        },
        {
          "name": "JETLAG_PROVISION",
          "about": "make streams and consumers that are missing: true or false",
          "default": "true",
          "secret": false
        },
        {
          "name": "JETLAG_BREAKER_FAILURES",
          "about": "consecutive outages that the circuit breaker bears; one more opens it",
          "default": "5",
          "secret": false
        },
        {
          "name": "JETLAG_BREAKER_OPEN_MS",
          "about": "how long an open circuit breaker waits before one input tries, in milliseconds",
          "default": "30000",
          "secret": false
        },
        {
          "name": "JETLAG_DURABILITY",
          "about": "always where the broker syncs every write to disk, so that commits share their syncs; else default",
          "default": "default",
          "secret": false
        },
        {
          "name": "RUST_LOG",
          "about": "what is logged, such as debug or info,jetlag=debug",
          "default": "info,async_nats=off",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_ENDPOINT",
          "about": "collector of traces, and of metrics if they are sent (OTLP over HTTP); none: no traces",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_SDK_DISABLED",
          "about": "true: nothing is exported, whatever else is set",
          "default": "false",
          "secret": false
        },
        {
          "name": "OTEL_SERVICE_NAME",
          "about": "name of the service in traces and metrics; the function's own if not set",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_TIMEOUT",
          "about": "longest export, in ms",
          "default": "10000",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
          "about": "the same with its path, instead of the former",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_TRACES_EXPORTER",
          "about": "none: no traces, whatever else is set",
          "default": "otlp",
          "secret": false
        },
        {
          "name": "JETLAG_TRACES_BY",
          "about": "parent: one trace for an order; link: one for each input, linked to what it follows from",
          "default": "parent",
          "secret": false
        },
        {
          "name": "OTEL_METRICS_EXPORTER",
          "about": "otlp: metrics are sent to the collector too; /metrics has them in any case",
          "default": "prometheus",
          "secret": false
        },
        {
          "name": "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
          "about": "collector of metrics with its path, instead of OTEL_EXPORTER_OTLP_ENDPOINT",
          "default": "",
          "secret": false
        },
        {
          "name": "OTEL_METRIC_EXPORT_INTERVAL",
          "about": "how often metrics are sent to the collector, in ms",
          "default": "60000",
          "secret": false
        },
        {
          "name": "PAYMENT_GATEWAY_URL",
          "about": "the payment gateway, such as https://api.stripe.com",
          "default": null,
          "secret": false
        },
        {
          "name": "PAYMENT_GATEWAY_KEY",
          "about": "the secret key for the payment gateway",
          "default": null,
          "secret": true
        },
        {
          "name": "PAYMENT_METHOD",
          "about": "the payment method that is charged; a test card by default",
          "default": "pm_card_visa",
          "secret": false
        },
        {
          "name": "PAYMENT_GATEWAY_TIMEOUT_MS",
          "about": "how long one charge may take, in milliseconds; less than the function's time limit of 10 s",
          "default": "8000",
          "secret": false
        }
      ]
    }
  ]
}
{{- end -}}
{{- define "jetlag.hash" -}}
{{ printf "%s%s:%s\n%s" .Values.images.prefix "jetlag" .Values.images.tag (include "jetlag.contracts" .) | sha256sum | trunc 8 }}
{{- end -}}
{{- define "jetlag.config.audit" -}}
JETLAG_PROVISION: "false"
NATS_URL: {{ .Values.broker.url | quote }}
PORT: "8080"
{{- range $name, $value := (index .Values.functions "audit").env }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}
{{- define "jetlag.config.inventory" -}}
JETLAG_PROVISION: "false"
NATS_URL: {{ .Values.broker.url | quote }}
PORT: "8080"
{{- range $name, $value := (index .Values.functions "inventory").env }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}
{{- define "jetlag.config.notification" -}}
JETLAG_PROVISION: "false"
NATS_URL: {{ .Values.broker.url | quote }}
PORT: "8080"
{{- range $name, $value := (index .Values.functions "notification").env }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}
{{- define "jetlag.config.order" -}}
JETLAG_PROVISION: "false"
NATS_URL: {{ .Values.broker.url | quote }}
PORT: "8080"
{{- range $name, $value := (index .Values.functions "order").env }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}
{{- define "jetlag.config.payment" -}}
JETLAG_PROVISION: "false"
NATS_URL: {{ .Values.broker.url | quote }}
PORT: "8080"
{{- range $name, $value := (index .Values.functions "payment").env }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}
