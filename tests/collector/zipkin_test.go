package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// What a Zipkin is sent that answers with each of statuses, and with the last from then on.
func export(t *testing.T, statuses ...int) (<-chan []map[string]any, func()) {
	arrived := make(chan []map[string]any, 10)
	zipkin := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		var spans []map[string]any
		if err := json.NewDecoder(request.Body).Decode(&spans); err != nil {
			t.Error(err)
		}
		answer.WriteHeader(statuses[0])
		if len(statuses) > 1 {
			statuses = statuses[1:]
		}
		arrived <- spans
	}))
	factory := newZipkinFactory()
	var set exporter.Settings = exportertest.NewNopSettings(factory.Type())
	to, err := factory.CreateTraces(context.Background(), set, &zipkinConfig{Endpoint: zipkin.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	traces := ptrace.NewTraces()
	resource := traces.ResourceSpans().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", "payment")
	span := resource.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	span.SetTraceID([16]byte{1})
	span.SetSpanID([8]byte{2})
	span.SetParentSpanID([8]byte{3})
	span.SetName("process inventory.reserved.*")
	span.SetStartTimestamp(1_000_000)
	span.SetEndTimestamp(3_000_000)
	span.Attributes().PutInt("attempt", 2)
	if err := to.ConsumeTraces(context.Background(), traces); err != nil {
		t.Fatal(err)
	}
	return arrived, func() {
		_ = to.Shutdown(context.Background())
		zipkin.Close()
	}
}

func next(t *testing.T, arrived <-chan []map[string]any) []map[string]any {
	select {
	case spans := <-arrived:
		return spans
	case <-time.After(30 * time.Second):
		t.Fatal("nothing arrives")
		return nil
	}
}

func TestASpanArrivesAsZipkinHasIt(t *testing.T) {
	arrived, end := export(t, http.StatusAccepted)
	defer end()
	spans := next(t, arrived)
	if len(spans) != 1 {
		t.Fatal(spans)
	}
	span := spans[0]
	if span["traceId"] != "01000000000000000000000000000000" || span["parentId"] != "0300000000000000" {
		t.Error(span)
	}
	if span["duration"] != 2000.0 || span["tags"].(map[string]any)["attempt"] != "2" {
		t.Error(span)
	}
	if span["localEndpoint"].(map[string]any)["serviceName"] != "payment" {
		t.Error(span)
	}
}

func TestAZipkinThatIsNotUpYetHasTheSpansLater(t *testing.T) {
	arrived, end := export(t, http.StatusServiceUnavailable, http.StatusAccepted)
	defer end()
	if first, second := next(t, arrived), next(t, arrived); len(second) != 1 || second[0]["id"] != first[0]["id"] {
		t.Error(first, second)
	}
}

func TestWhatZipkinRefusesIsNotSentAgain(t *testing.T) {
	arrived, end := export(t, http.StatusBadRequest)
	defer end()
	next(t, arrived)
	select {
	case again := <-arrived:
		t.Error(again)
	case <-time.After(3 * zipkinRetryFirst):
	}
}
