// Watermill's router with watermill-nats/v2's JetStream publisher and subscriber, as its documentation shows it.
package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"bench/event"

	"github.com/ThreeDotsLabs/watermill"
	wnats "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/components/metrics"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	nc "github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sony/gobreaker"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	cfg := event.FromEnv()
	logger := watermill.NewStdLoggerWithOut(os.Stderr, false, false)
	marshaler := &wnats.NATSMarshaler{}
	opts := []nc.Option{
		nc.Name(cfg.Service), nc.RetryOnFailedConnect(true), nc.Timeout(30 * time.Second), nc.ReconnectWait(time.Second), nc.MaxReconnects(-1),
	}
	js := wnats.JetStreamConfig{
		AutoProvision: false, // the driver has made the stream
		SubscribeOptions: []nc.SubOpt{
			nc.BindStream(event.Stream), nc.DeliverAll(), nc.AckExplicit(), nc.ManualAck(),
			nc.AckWait(30 * time.Second), nc.MaxDeliver(5), nc.MaxAckPending(cfg.MaxAckPend),
		},
		TrackMsgId:    true,
		DurablePrefix: cfg.Service,
	}
	pub := must(wnats.NewPublisher(wnats.PublisherConfig{URL: cfg.URL, NatsOptions: opts, Marshaler: marshaler, JetStream: js}, logger))
	sub := must(wnats.NewSubscriber(wnats.SubscriberConfig{
		URL: cfg.URL, NatsOptions: opts, Unmarshaler: marshaler, JetStream: js,
		QueueGroupPrefix: cfg.Service,
		SubscribersCount: cfg.Concurrency,
		AckWaitTimeout:   30 * time.Second,
		CloseTimeout:     5 * time.Second,
	}, logger))

	router := must(message.NewRouter(message.RouterConfig{CloseTimeout: 5 * time.Second}, logger))

	reg := prometheus.NewRegistry()
	metrics.NewPrometheusMetricsBuilder(reg, "orders", cfg.Service).AddPrometheusRouterMetrics(router)
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		mux := http.NewServeMux()
		mux.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
		mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
		go http.Serve(ln, mux)
	}

	router.AddMiddleware(
		middleware.CorrelationID,
		must(middleware.PoisonQueue(pub, event.DeadLetters)),
		middleware.Retry{MaxRetries: 3, InitialInterval: 100 * time.Millisecond, Multiplier: 2, Logger: logger}.Middleware,
	)
	if cfg.Service == "payment" {
		router.AddMiddleware(middleware.NewCircuitBreaker(gobreaker.Settings{
			Name: "payment-gateway", MaxRequests: 5, Interval: 10 * time.Second, Timeout: 30 * time.Second,
			ReadyToTrip: func(c gobreaker.Counts) bool {
				return c.Requests >= 10 && float64(c.TotalFailures)/float64(c.Requests) >= 0.6
			},
		}).Middleware)
	}
	router.AddMiddleware(middleware.Recoverer)

	step := func(msg *message.Message) (event.Event, error) {
		var e event.Event
		if err := json.Unmarshal(msg.Payload, &e); err != nil {
			return e, err
		}
		if err := event.Check(cfg, e); err != nil {
			return e, err
		}
		if cfg.Service == "payment" {
			return e, event.Charge(cfg, e)
		}
		return e, nil
	}
	if cfg.OutSubject == "" {
		router.AddNoPublisherHandler(cfg.Service, cfg.InSubject, sub, func(msg *message.Message) error {
			_, err := step(msg)
			return err
		})
	} else {
		router.AddHandler(cfg.Service, cfg.InSubject, sub, cfg.OutSubject, pub, func(msg *message.Message) ([]*message.Message, error) {
			e, err := step(msg)
			if err != nil {
				return nil, err
			}
			next := e.Next(cfg.OutSubject)
			payload, err := json.Marshal(next)
			if err != nil {
				return nil, err
			}
			return []*message.Message{message.NewMessage(next.ID, payload)}, nil
		})
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := router.Run(ctx); err != nil {
		panic(err)
	}
}
