// Sends CloudEvents with the SDK for Go to a function that answers payments (order), in every mode, and reads its replies.
//
// Usage: sdk URL. It prints a line for each mode, and ends with 1 at the first thing that is not as it must be.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/protocol"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

const patience = 60 * time.Second

func main() {
	if len(os.Args) != 2 {
		fail("usage: sdk URL")
	}
	ctx, cancel := context.WithTimeout(cloudevents.ContextWithTarget(context.Background(), os.Args[1]), patience)
	defer cancel()
	client, err := cloudevents.NewClientHTTP(cehttp.WithHeader("Prefer", "reply"))
	check(err)
	modes := []struct {
		name string
		with func(context.Context) context.Context
		// The SDK does not decode the values of headers, so what needs that is for structured mode.
		order string
	}{{"binary", binding.WithForceBinary, "go-binary"}, {"structured", binding.WithForceStructured, "go structured é%€\""}}
	for _, mode := range modes {
		sent := payment(mode.order)
		first := request(mode.with(ctx), client, sent)
		again := request(mode.with(ctx), client, sent)
		same(mode.name+": the same event again", again.String(), first.String())
		same(mode.name+": type", first.Type(), "orders.confirmed")
		same(mode.name+": subject", first.Subject(), sent.Subject())
		same(mode.name+": source", first.Source(), "/jetlag/order")
		check(first.Validate())
		var data struct {
			OrderID string      `json:"order_id"`
			Amount  json.Number `json:"amount"`
		}
		check(json.Unmarshal(first.Data(), &data))
		same(mode.name+": order", data.OrderID, sent.Subject())
		same(mode.name+": amount", data.Amount.String(), "12.50")
		fmt.Println(mode.name + ": replied, twice the same")
	}
	refused(ctx, client)
	batch(ctx)
}

// payment is an event that the function confirms an order for.
func payment(order string) event.Event {
	sent := cloudevents.NewEvent()
	sent.SetID("payment of " + order)
	sent.SetSource("/till")
	sent.SetType("payments.processed")
	sent.SetSubject(order)
	sent.SetTime(time.Date(2026, 11, 22, 8, 0, 0, 123456789, time.UTC))
	data := map[string]any{
		"order_id": order, "customer_id": "C-1", "amount": json.Number("12.50"), "currency": "EUR", "payment_id": "P-1",
	}
	check(sent.SetData(cloudevents.ApplicationJSON, data))
	return sent
}

func request(ctx context.Context, client cloudevents.Client, sent event.Event) event.Event {
	reply, result := client.Request(ctx, sent)
	if !protocol.IsACK(result) || reply == nil {
		fail(fmt.Sprintf("no reply to %s: %v", sent.ID(), result))
	}
	return *reply
}

// refused sends what the function cannot read: the SDK must tell its caller that it was not delivered.
func refused(ctx context.Context, client cloudevents.Client) {
	sent := payment("go-refused")
	sent.SetType("payments.dreamt")
	result := client.Send(ctx, sent)
	var answer *cehttp.Result
	if !protocol.ResultAs(result, &answer) || answer.StatusCode != http.StatusUnprocessableEntity {
		fail(fmt.Sprintf("an unknown type: %v", result))
	}
	fmt.Println("refused: told")
}

// batch sends several at a time, one of them twice.
func batch(ctx context.Context) {
	events := []event.Event{payment("go-batch-1"), payment("go-batch-2"), payment("go-batch-1")}
	sent, err := cehttp.NewHTTPRequestFromEvents(ctx, os.Args[1], events)
	check(err)
	answer, err := http.DefaultClient.Do(sent)
	check(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	check(err)
	same("batch: status", fmt.Sprint(answer.StatusCode), "202")
	var told struct {
		Outcomes []struct{ ID, Outcome string }
	}
	check(json.Unmarshal(body, &told))
	same("batch: outcomes", fmt.Sprint(len(told.Outcomes)), "3")
	repeated := 0
	for at, one := range told.Outcomes {
		same("batch: id", one.ID, events[at].ID())
		if one.Outcome == "duplicate" {
			repeated++
		}
	}
	same("batch: repetitions", fmt.Sprint(repeated), "1")
	fmt.Println("batch: an outcome for each")
}

func same(what, is, must string) {
	if is != must {
		fail(fmt.Sprintf("%s is\n%s\nand must be\n%s", what, is, must))
	}
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}
