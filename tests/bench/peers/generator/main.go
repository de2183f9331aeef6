// The load generator, the same for every side: places orders, watches them being confirmed, and waits until nobody has
// anything left to do. Prints one line of JSON.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"bench/event"
)

var (
	url     = flag.String("url", "nats://127.0.0.1:4222", "the broker")
	orders  = flag.Int("orders", 1000, "how many orders")
	rate    = flag.Float64("rate", 0, "orders a second, whatever comes back; 0: as fast as the window allows")
	window  = flag.Int("window", 512, "orders that the broker has not answered for, without a rate")
	prefix  = flag.String("prefix", "r", "what the ids of this run begin with")
	subject = flag.String("subject", "orders.placed", "where orders are published; {order} and {event} stand for their ids")
	final   = flag.String("final", "orders.confirmed", "where confirmed orders are seen")
	streams = flag.String("streams", "EVENTS", "streams whose consumers must have nothing left at the end")
	skus    = flag.Int("skus", 2000, "how many different things are ordered")
	lines   = flag.Int("lines", 2, "lines of an order")
	extras  = flag.Bool("watermill", false, "send the headers that Watermill reads, too")
	lost    = flag.Int("lost", 0, "of how many orders in a hundred no confirmation comes")
	before  = flag.Bool("before", false, "only place the orders: nobody handles them yet")
	limit   = flag.Duration("limit", 120*time.Second, "how long all of it may take")
)

// How often the broker is asked whether anything is left, after the last confirmation.
const glance = 3 * time.Millisecond

// An order as JSON, and the id of its event.
func order(i int) (id, placed string, body []byte) {
	id = fmt.Sprintf("ord-%s-%08d", *prefix, i)
	placed = id + "-placed"
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"id":"%s","type":"orders.placed","aggregate_id":"%s","data":{"order_id":"%s","customer_id":"cust-%06d","amount":%d.50,"lines":[`,
		placed, id, id, i%100000, 20+i%500)
	for l := range *lines {
		if l > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"sku":"SKU-%05d","quantity":%d,"price":%d.25}`, (i+l*7919)%*skus, 1+l%2, 10+i%400)
	}
	// Spread evenly, as ids are: a sampler takes its share of them.
	fmt.Fprintf(&b, `]},"timestamp":"%s","trace_id":"4bf92f3577b34da6%016x"}`, time.Now().UTC().Format(time.RFC3339Nano), uint64(i+1)*0x9e3779b97f4a7c15)
	return id, placed, b.Bytes()
}

// What is left in all streams: not delivered, not answered, not yet copied from another stream.
func left(nc *nats.Conn) (uint64, error) {
	var left uint64
	ask := func(subject string, answer any) error {
		m, err := nc.Request("$JS.API."+subject, nil, 5*time.Second)
		if err != nil {
			return err
		}
		return json.Unmarshal(m.Data, answer)
	}
	for _, stream := range strings.Split(*streams, ",") {
		var list struct {
			Consumers []struct {
				Pending uint64 `json:"num_pending"`
				Unacked uint64 `json:"num_ack_pending"`
			} `json:"consumers"`
		}
		var info struct {
			Sources []struct {
				Lag uint64 `json:"lag"`
			} `json:"sources"`
		}
		if err := ask("CONSUMER.LIST."+stream, &list); err != nil {
			return 0, err
		}
		if err := ask("STREAM.INFO."+stream, &info); err != nil {
			return 0, err
		}
		for _, c := range list.Consumers {
			left += c.Pending + c.Unacked
		}
		for _, s := range info.Sources {
			left += s.Lag
		}
	}
	return left, nil
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func main() {
	flag.Parse()
	n := *orders
	nc := must(nats.Connect(*url, nats.Name("generator")))
	js := must(nc.JetStream(nats.PublishAsyncMaxPending(*window)))
	// A connection of its own, so that confirmations do not queue behind the broker's answers.
	watching := must(nats.Connect(*url, nats.Name("generator-watch")))

	due := make([]int64, n)  // nanoseconds since t0
	done := make([]int64, n) // the same
	var confirmed, foreign atomic.Int64
	all := make(chan struct{})
	expected := int64(0)
	for i := range n {
		if i*event.Lot%100 >= *lost {
			expected++
		}
	}
	mark := []byte("ord-" + *prefix + "-")
	t0 := time.Now()
	sub := must(watching.Subscribe(*final, func(m *nats.Msg) {
		now := int64(time.Since(t0))
		i := bytes.Index(m.Data, mark)
		if i < 0 || i+len(mark)+8 > len(m.Data) {
			foreign.Add(1)
			return
		}
		k := 0
		for _, c := range m.Data[i+len(mark) : i+len(mark)+8] {
			k = k*10 + int(c-'0')
		}
		switch {
		case k < 0 || k >= n:
			foreign.Add(1)
		case done[k] == 0:
			// A publish that the stream refuses is seen here too: what is stored tells whether anything is there twice.
			done[k] = now
			if confirmed.Add(1) == expected {
				close(all)
			}
		}
	}))
	sub.SetPendingLimits(-1, -1)
	watching.Flush()

	send := func(i int) {
		id, placed, body := order(i)
		to := strings.NewReplacer("{order}", id, "{event}", placed).Replace(*subject)
		m := &nats.Msg{Subject: to, Data: body, Header: nats.Header{"Nats-Msg-Id": {placed}}}
		if *extras {
			m.Header["_watermill_message_uuid"] = []string{placed}
			m.Header["correlation_id"] = []string{fmt.Sprintf("tr-%d", i)}
		}
		must(js.PublishMsgAsync(m, nats.StallWait(60*time.Second)))
	}
	start := time.Now()
	begun := int64(start.Sub(t0))
	for i := range n {
		if *rate <= 0 {
			due[i] = int64(time.Since(t0))
		} else {
			// Latency counts from when it should have been sent, however late the generator itself is.
			due[i] = begun + int64(float64(i)*float64(time.Second) / *rate)
			if early := due[i] - int64(time.Since(t0)); early > 0 {
				time.Sleep(time.Duration(early))
			}
		}
		send(i)
	}
	remaining := func() time.Duration { return *limit - time.Since(start) }
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(remaining()):
	}
	published := time.Since(start)
	if *before {
		return
	}
	select {
	case <-all:
	case <-time.After(remaining()):
	}
	confirmedAfter := time.Since(start)
	// Consumers are listed one after the other, and an event may move from one that was not listed yet to one that was.
	// Twice in a row nothing is nothing.
	rest, nothings := uint64(0), 0
	for {
		time.Sleep(glance)
		rest = must(left(nc))
		if rest > 0 {
			nothings = 0
		} else if nothings++; nothings == 2 {
			break
		}
		if remaining() <= 0 {
			break
		}
	}
	drained := time.Since(start)

	latencies := make([]int64, 0, n)
	for i := range done {
		if done[i] != 0 {
			latencies = append(latencies, done[i]-due[i])
		}
	}
	sort.Slice(latencies, func(a, b int) bool { return latencies[a] < latencies[b] })
	quantile := func(q float64) float64 {
		if len(latencies) == 0 {
			return -1
		}
		return float64(latencies[int(float64(len(latencies)-1)*q)]) / 1e6
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"published_s": published.Seconds(), "confirmed_s": confirmedAfter.Seconds(), "drained_s": drained.Seconds(),
		"p50_ms": quantile(.5), "p99_ms": quantile(.99), "p999_ms": quantile(.999), "max_ms": quantile(1),
		"confirmed": confirmed.Load(), "foreign": foreign.Load(), "left": rest,
	})
}
