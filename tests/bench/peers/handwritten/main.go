// Hand-written Go in the article's style: nats.go's jetstream API, a pool of workers, gobreaker, zerolog, Prometheus.
package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"bench/event"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
	"github.com/sony/gobreaker"
)

var (
	processed = promauto.NewCounterVec(prometheus.CounterOpts{Name: "events_processed_total"}, []string{"service", "type", "status"})
	duration  = promauto.NewHistogramVec(prometheus.HistogramOpts{Name: "event_processing_seconds"}, []string{"service", "type"})
)

type service struct {
	cfg     event.Config
	js      jetstream.JetStream
	breaker *gobreaker.CircuitBreaker
	log     zerolog.Logger
}

func (s *service) handle(ctx context.Context, m jetstream.Msg) {
	start := time.Now()
	var e event.Event
	if err := json.Unmarshal(m.Data(), &e); err != nil {
		s.log.Error().Err(err).Msg("bad event")
		_ = m.Term()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	status := "ok"
	if err := s.process(ctx, e); err != nil {
		status = "error"
		s.log.Error().Err(err).Str("event_id", e.ID).Str("trace_id", e.TraceID).Msg("processing failed")
		_ = m.NakWithDelay(500 * time.Millisecond)
	} else {
		if err := m.Ack(); err != nil {
			s.log.Error().Err(err).Str("event_id", e.ID).Msg("ack failed")
		}
		s.log.Info().Str("event_id", e.ID).Str("type", e.Type).Str("order_id", e.AggregateID).
			Str("trace_id", e.TraceID).Dur("took", time.Since(start)).Msg("event processed")
	}
	processed.WithLabelValues(s.cfg.Service, e.Type, status).Inc()
	duration.WithLabelValues(s.cfg.Service, e.Type).Observe(time.Since(start).Seconds())
}

func (s *service) process(ctx context.Context, e event.Event) error {
	if err := event.Check(s.cfg, e); err != nil {
		return err
	}
	if s.cfg.Service == "payment" {
		if _, err := s.breaker.Execute(func() (any, error) { return nil, event.Charge(s.cfg, e) }); err != nil {
			return err
		}
	}
	if s.cfg.OutSubject == "" {
		return nil
	}
	next := e.Next(s.cfg.OutSubject)
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	msg := &nats.Msg{Subject: s.cfg.OutSubject, Data: data, Header: nats.Header{"trace_id": {e.TraceID}}}
	_, err = s.js.PublishMsg(ctx, msg, jetstream.WithMsgID(next.ID)) // waits for the broker's answer
	return err
}

func main() {
	cfg := event.FromEnv()
	log := zerolog.New(os.Stdout).Level(zerolog.WarnLevel).With().Timestamp().Str("service", cfg.Service).Logger()

	nc, err := nats.Connect(cfg.URL,
		nats.Name(cfg.Service),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(2*time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { log.Warn().Err(err).Msg("disconnected") }),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info().Msg("reconnected") }))
	if err != nil {
		log.Fatal().Err(err).Msg("connect")
	}
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal().Err(err).Msg("jetstream")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	cons, err := js.CreateOrUpdateConsumer(ctx, event.Stream, jetstream.ConsumerConfig{
		Durable:       cfg.Service,
		FilterSubject: cfg.InSubject,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       30 * time.Second,
		MaxDeliver:    5,
		MaxAckPending: cfg.MaxAckPend,
	})
	if err != nil {
		log.Fatal().Err(err).Msg("consumer")
	}
	svc := &service{cfg: cfg, js: js, log: log, breaker: gobreaker.NewCircuitBreaker(gobreaker.Settings{
		Name: "payment-gateway", MaxRequests: 5, Interval: 10 * time.Second, Timeout: 30 * time.Second,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.Requests >= 10 && float64(c.TotalFailures)/float64(c.Requests) >= 0.6
		},
	})}

	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		mux := http.NewServeMux()
		mux.Handle("/metrics", promhttp.Handler())
		mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
		go http.Serve(ln, mux)
	}

	jobs := make(chan jetstream.Msg, cfg.Concurrency)
	var workers sync.WaitGroup
	for range cfg.Concurrency {
		workers.Go(func() {
			for m := range jobs {
				svc.handle(context.Background(), m)
			}
		})
	}
	consuming, err := cons.Consume(func(m jetstream.Msg) { jobs <- m })
	if err != nil {
		log.Fatal().Err(err).Msg("consume")
	}
	log.Info().Str("in", cfg.InSubject).Str("out", cfg.OutSubject).Msg("started")
	<-ctx.Done()
	consuming.Drain()
	<-consuming.Closed()
	close(jobs)
	workers.Wait()
	nc.Drain()
}
