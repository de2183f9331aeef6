// Package event holds what both Go peers share: the event, the configuration, and each service's own small work.
package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

// Event is the article's envelope.
type Event struct {
	ID          string          `json:"id"`
	Type        string          `json:"type"`
	AggregateID string          `json:"aggregate_id"`
	Data        json.RawMessage `json:"data"`
	Timestamp   time.Time       `json:"timestamp"`
	TraceID     string          `json:"trace_id"`
}

// Line is so many pieces of one thing.
type Line struct {
	SKU      string  `json:"sku"`
	Quantity int     `json:"quantity"`
	Price    float64 `json:"price"`
}

// Order is the data of every event of the pipeline.
type Order struct {
	OrderID    string  `json:"order_id"`
	CustomerID string  `json:"customer_id"`
	Amount     float64 `json:"amount"`
	Lines      []Line  `json:"lines"`
}

// Next derives the event that follows. The same input gives the same id, so that the broker knows a repetition.
func (e Event) Next(kind string) Event {
	return Event{
		ID:          e.AggregateID + "-" + kind,
		Type:        kind,
		AggregateID: e.AggregateID,
		Data:        e.Data,
		Timestamp:   time.Now().UTC(),
		TraceID:     e.TraceID,
	}
}

// Config is what the driver tells a service.
type Config struct {
	Service     string // inventory, payment, order, notification or audit
	URL         string
	InSubject   string
	OutSubject  string // empty for audit
	Concurrency int
	MaxAckPend  int
	Gateway     time.Duration
	Failing     int // of how many orders in a hundred the first charge fails
	Lost        int // of how many every charge fails
}

// Stream is the peers' only stream.
const Stream = "EVENTS"

// DeadLetters is where a service that has dead letters puts them.
const DeadLetters = "dlq.events"

// FromEnv reads the configuration. The driver sets all of it, so what is missing ends the service.
func FromEnv() Config {
	number := func(name string) int {
		value, err := strconv.Atoi(os.Getenv(name))
		if err != nil {
			panic(fmt.Sprintf("%s: %v", name, err))
		}
		return value
	}
	return Config{
		Service:     os.Getenv("SERVICE"),
		URL:         os.Getenv("NATS_URL"),
		InSubject:   os.Getenv("IN_SUBJECT"),
		OutSubject:  os.Getenv("OUT_SUBJECT"),
		Concurrency: number("CONCURRENCY"),
		MaxAckPend:  number("MAX_ACK_PENDING"),
		Gateway:     time.Duration(number("GATEWAY_MS")) * time.Millisecond,
		Failing:     number("FAILING_PERCENT"),
		Lost:        number("LOST_PERCENT"),
	}
}

// Check is the service's own work on an order. The gateway is called by the peer, behind its circuit breaker.
func Check(c Config, e Event) error {
	var order Order
	if err := json.Unmarshal(e.Data, &order); err != nil {
		return fmt.Errorf("bad data: %w", err)
	}
	if order.OrderID == "" || order.Amount <= 0 {
		return fmt.Errorf("invalid order %q", e.ID)
	}
	if c.Service == "inventory" {
		for _, line := range order.Lines {
			if line.Quantity <= 0 {
				return fmt.Errorf("bad quantity for %s", line.SKU)
			}
		}
	}
	return nil
}

// Lot spreads the orders that fail over a hundred: many in a row would open a circuit breaker.
const Lot = 37

// What was charged in vain by this process: with one process that is everything.
var failed sync.Map

// Charge is the payment gateway: it takes its time, and fails as often as it is told to.
func Charge(c Config, e Event) error {
	if c.Gateway > 0 {
		time.Sleep(c.Gateway)
	}
	if c.Failing == 0 && c.Lost == 0 {
		return nil
	}
	number, err := strconv.Atoi(e.AggregateID[max(0, len(e.AggregateID)-2):])
	if err != nil {
		return err
	}
	lot := number * Lot % 100
	if lot < c.Lost {
		return errors.New("this card cannot be charged")
	}
	if _, again := failed.LoadOrStore(e.AggregateID, true); lot < c.Failing && !again {
		return errors.New("the gateway is out of order")
	}
	return nil
}
