// POST /orders with net/http and nats.go, and nothing around them: reads an order, publishes orders.placed, and answers when
// the broker has stored it.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"bench/event"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How long the broker may take, and how large a request may be.
const (
	limit    = 10 * time.Second
	bytesMax = 1 << 20
)

func main() {
	nc, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		log.Fatal(err)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(limit))
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bytesMax))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var order event.Order
		if err := json.Unmarshal(body, &order); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if order.OrderID == "" || order.Amount <= 0 {
			http.Error(w, "no id, or the amount is 0", http.StatusUnprocessableEntity)
			return
		}
		id := order.OrderID + "-placed"
		data, err := json.Marshal(event.Event{
			ID: id, Type: "orders.placed", AggregateID: order.OrderID, Data: body, Timestamp: time.Now().UTC(),
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		subject := "orders.placed." + order.OrderID + "." + id
		if _, err := js.Publish(r.Context(), subject, data, jetstream.WithMsgID(id)); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_ = json.NewEncoder(w).Encode(map[string]string{"order_id": order.OrderID, "event_id": id})
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), mux))
}
